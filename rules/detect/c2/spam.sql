-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b12
-- title: Hands mail to many servers itself
-- status: test
-- class: malware
-- level: medium
-- tags: [attack.impact, attack.t1496]
-- description: A device connects to port 25 of many different outside mail servers within minutes. People's programs hand mail to one server of their provider; only mail servers and spam bots deliver it themselves.
-- falsepositives:
--   - A mail server that the keeper runs at home.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   min_servers: {default: 6, unit: servers, reason: "different outside addresses at port 25 in the span; a provider has one or two"}
--   span_s: {default: 900, unit: s, reason: "a bot works through its list as fast as it can"}
WITH spans AS (
    SELECT src_ip, time_bucket(to_seconds($span_s::BIGINT), ts) AS span, count(DISTINCT dest_ip) AS servers, count(*) AS n,
           count(*) FILTER (failed) AS failed, min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen, min(DISTINCT dest_ip, 50) AS peers,
           list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM v_flow WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND dest_port = 25 AND opened AND direction IN ('outbound', 'external')
    GROUP BY ALL HAVING count(DISTINCT dest_ip) >= $min_servers
)
SELECT 'spam' AS key, src_ip, list_distinct(arg_max(peers, servers)) AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(n)::BIGINT AS count, 'Hands mail to ' || max(servers) || ' servers itself' AS title,
       {servers: max(servers), connections: sum(n)::BIGINT, unanswered: sum(failed)::BIGINT, span_s: $span_s} AS facts,
       arg_max(evidence, servers) AS evidence
FROM spans GROUP BY src_ip
