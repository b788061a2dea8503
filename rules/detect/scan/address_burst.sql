-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9a06
-- title: Burst of made-up addresses
-- status: test
-- class: host_scan
-- level: medium
-- tags: [attack.discovery, attack.t1018, attack.command-and-control, attack.t1104]
-- description: Within a minute a device tries one port of many outside addresses that no name led to, and a good part of them does not answer. Some answer, as when a bot works through a list of peers or victims.
-- falsepositives:
--   - A program with a built-in list of old server addresses.
-- reads: [flow]
-- window_s: 300
-- parameters:
--   min_failed: {default: 8, unit: hosts, reason: "distinct hosts that do not answer; pages load from servers that are up"}
--   min_failed_share: {default: 0.3, unit: share, reason: "servers that a page names fail in one of a hundred"}
--   max_named_share: {default: 0.3, unit: share, reason: "a page's servers were looked up just before"}
--   span_s: {default: 60, unit: s, reason: "the pace of a program, not of a person"}
WITH suspect AS (
    -- Whoever was refused too seldom cannot have scanned; that leaves few to count exactly.
    SELECT src_ip, dest_port, time_bucket(to_seconds($span_s::BIGINT), ts) AS span FROM flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP'
      AND (coalesce(tcp_flags_tc, 0) & 18 <> 18 OR coalesce(pkts_toclient, 0) = 0)
    GROUP BY ALL HAVING count(*) >= $min_failed
),
tried AS (
    SELECT src_ip, dest_ip, proto, dest_port, time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           bool_and(failed) AS failed, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen, min(id) AS id
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND opened AND direction IN ('outbound', 'external')
      -- Where IPv6 does not work, every address that has one fails first.
      AND NOT contains(dest_ip, ':')
      AND (src_ip, dest_port, time_bucket(to_seconds($span_s::BIGINT), ts)) IN (SELECT (src_ip, dest_port, span) FROM suspect)
    GROUP BY ALL
),
spans AS (
    SELECT src_ip, dest_port, span, count(*) AS hosts, count(*) FILTER (failed) AS failed, sum(n) AS n,
           count(*) FILTER (dest_ip IN (SELECT ip FROM address_name)) AS named,
           min(first_seen) AS first_seen, max(last_seen) AS last_seen, min(dest_ip, 50) AS peers,
           list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM tried GROUP BY ALL
    HAVING count(*) FILTER (failed) >= $min_failed AND count(*) FILTER (failed) >= $min_failed_share * count(*)
)
SELECT 'address_burst/' || dest_port AS key, src_ip, arg_max(peers, failed) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(n)::BIGINT AS count,
       'Port ' || dest_port || ' of ' || max(hosts) || ' nameless addresses tried in a minute' AS title,
       {dest_port: dest_port, hosts: arg_max(hosts, failed), hosts_unanswered: max(failed), span_s: $span_s} AS facts,
       arg_max(evidence, failed) AS evidence
FROM spans WHERE named <= $max_named_share * hosts
GROUP BY src_ip, dest_port
