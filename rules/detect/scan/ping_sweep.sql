-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9a04
-- title: Ping sweep
-- status: test
-- class: host_scan
-- level: medium
-- tags: [attack.discovery, attack.t1018]
-- description: One host pings many hosts within minutes to learn who is there.
-- falsepositives:
--   - A network inventory app on a phone.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   min_hosts: {default: 10, unit: hosts, reason: "monitors ping a handful of hosts; a sweep tries every address"}
--   span_s: {default: 600, unit: s, reason: "sweeps are quick, as a ping costs nothing"}
WITH spans AS (
    SELECT src_ip, time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           count(DISTINCT dest_ip) AS hosts, count(*) AS n,
           count(DISTINCT dest_ip) FILTER (failed) AS failed,
           min(ts) AS first_seen, max(ts) AS last_seen, min(DISTINCT dest_ip, 50) AS peers,
           list_transform(min(id, 50), lambda i: 'flow:' || i) AS evidence
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND direction <> 'local'
      AND ((proto = 'ICMP' AND icmp_type = 8) OR (proto IN ('IPv6-ICMP', 'ICMPV6') AND icmp_type = 128))
    GROUP BY ALL HAVING count(DISTINCT dest_ip) >= $min_hosts
)
SELECT 'ping_sweep' AS key, src_ip, list_distinct(arg_max(peers, hosts)) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(n)::BIGINT AS count,
       'Ping sweep: ' || max(hosts) || ' hosts pinged' AS title,
       {hosts: max(hosts), hosts_unanswered: max(failed), span_s: $span_s} AS facts,
       arg_max(evidence, hosts) AS evidence
FROM spans GROUP BY src_ip
