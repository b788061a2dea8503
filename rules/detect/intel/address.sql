-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9d02
-- title: Address on a threat list
-- status: test
-- class: threat_intel
-- level: high
-- tags: [attack.command-and-control, attack.t1071]
-- description: A device exchanged packets with an address (or address and port) that a threat list holds, or got it as an answer from DNS.
-- falsepositives:
--   - An address that changed hands since it was listed; many customers behind one address.
-- reads: [flow, dns, dns_log]
-- window_s: 0
WITH listed AS (
    SELECT CASE kind WHEN 'ip' THEN value ELSE split_part(value, '|', 1) END AS ip,
           CASE kind WHEN 'ip_port' THEN split_part(value, '|', 2)::INTEGER END AS port, list, info
    FROM indicator WHERE kind IN ('ip', 'ip_port')
),
seen AS (
    SELECT src_ip AS actor, dest_ip AS ip, dest_port AS port, ts, 'flow:' || id AS ref, failed, 'connection' AS via
    FROM v_flow WHERE ts BETWEEN $since AND $until AND dest_ip IN (SELECT ip FROM listed)
    UNION ALL
    SELECT CASE WHEN dest_home THEN dest_ip ELSE src_ip END, src_ip, src_port, ts, 'flow:' || id, true, 'inbound'
    FROM v_flow WHERE ts BETWEEN $since AND $until AND src_ip IN (SELECT ip FROM listed)
    UNION ALL
    SELECT src_ip, answer, NULL, ts, 'dns:' || id, false, 'dns answer'
    FROM (SELECT src_ip, unnest(answers) AS answer, ts, id FROM dns
          WHERE ts BETWEEN $since AND $until AND type = 'answer' AND len(answers) > 0)
    WHERE answer IN (SELECT ip FROM listed WHERE port IS NULL)
    UNION ALL
    SELECT src_ip, answer, NULL, ts, 'dns_log:' || id, false, 'dns answer'
    FROM (SELECT src_ip, unnest(answers) AS answer, ts, id FROM dns_log
          WHERE ts BETWEEN $since AND $until AND len(answers) > 0)
    WHERE answer IN (SELECT ip FROM listed WHERE port IS NULL)
)
SELECT 'address>' || l.ip || coalesce(':' || l.port, '') AS key, s.actor AS src_ip, [l.ip] AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN bool_and(via = 'inbound') THEN 'medium' ELSE 'high' END AS level,
       'Address on the list ' || any_value(l.list) || ': ' || l.ip || coalesce(':' || l.port, '') AS title,
       {indicator: l.ip || coalesce(':' || l.port, ''), lists: list_distinct(list(l.list)), info: any_value(l.info),
        via: list_distinct(list(via)), unanswered: count(*) FILTER (failed)} AS facts,
       min(ref, 60) AS evidence
FROM seen s JOIN listed l ON l.ip = s.ip AND (l.port IS NULL OR l.port = s.port)
GROUP BY s.actor, l.ip, l.port
