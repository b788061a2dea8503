-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9f03
-- title: Knocks at the logins of many strangers
-- status: test
-- class: brute_force
-- level: medium
-- tags: [attack.credential-access, attack.t1110.003, attack.t1078.001]
-- description: A device opens short login sessions (Telnet, SSH, RDP, databases) with many outside hosts that no name led to, and is answered. Bots try a handful of default passwords on each machine that they found and go on.
-- falsepositives:
--   - A crawler of one's own that visits many servers by address.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   min_packets: {default: 3, unit: packets, reason: "from the server: it said something beyond the handshake"}
--   min_hosts: {default: 8, unit: hosts, reason: "different outside hosts in the span that answered; people log in at two or three, which have names"}
--   max_named_share: {default: 0.25, unit: share, reason: "whoever administers servers knows them by name"}
--   max_session_s: {default: 120, unit: s, reason: "median; a refused or scripted login is over soon"}
--   span_s: {default: 3600, unit: s, reason: "bots try hundreds an hour"}
--   ports: {default: [21, 22, 23, 2222, 2323, 1433, 3306, 3389, 5432, 5555, 5900, 5985, 6379, 7547, 8291, 37777, 60023], unit: ports, reason: "logins and debug ports that bots try; mail and the web are left out"}
WITH session AS (
    SELECT src_ip, dest_ip, dest_port, time_bucket(to_seconds($span_s::BIGINT), ts) AS span, count(*) AS n, min(ts) AS first_seen,
           max(coalesce(end_ts, ts)) AS last_seen, median(epoch(coalesce(end_ts, ts) - ts)) AS session_s, min(id) AS id
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND opened AND NOT failed AND pkts_toclient >= $min_packets
      AND direction IN ('outbound', 'external') AND list_contains($ports, dest_port)
    GROUP BY ALL
),
spans AS (
    SELECT src_ip, dest_port, span, count(*) AS hosts, sum(n) AS n, count(*) FILTER (dest_ip IN (SELECT ip FROM address_name)) AS named,
           min(first_seen) AS first_seen, max(last_seen) AS last_seen, median(session_s) AS session_s, min(dest_ip, 50) AS peers,
           list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM session GROUP BY ALL HAVING count(*) >= $min_hosts
)
SELECT 'login_spread/' || dest_port AS key, src_ip, arg_max(peers, hosts) AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(n)::BIGINT AS count, 'Knocks at the logins of ' || max(hosts) || ' strangers, port ' || dest_port AS title,
       {dest_port: dest_port, hosts: max(hosts), span_s: $span_s, median_session_s: round(max(session_s), 1)} AS facts,
       arg_max(evidence, hosts) AS evidence
FROM spans WHERE named <= $max_named_share * hosts AND session_s <= $max_session_s
GROUP BY src_ip, dest_port
