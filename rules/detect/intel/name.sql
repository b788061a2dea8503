-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9d01
-- title: Name on a threat list
-- status: test
-- class: threat_intel
-- level: high
-- tags: [attack.command-and-control, attack.t1071, attack.t1568]
-- description: A device asked for, or spoke to, a name that a threat list holds (or that lies below one).
-- falsepositives:
--   - A list that is out of date, or that names a shared service for one bad customer.
-- reads: [dns, dns_log, tls, quic, http]
-- window_s: 0
WITH listed AS (
    SELECT i.name, t.value, t.list, t.info
    FROM (SELECT name, unnest(list_transform(range(1, len(string_split(rtrim(name, '.'), '.')) + 1),
                 lambda n: array_to_string(string_split(rtrim(name, '.'), '.')[n:], '.'))) AS parent
          FROM name_info) i
    JOIN indicator t ON t.kind = 'domain' AND t.value = i.parent
),
seen AS (
    SELECT src_ip, name, ts, ref, NULL AS dest_ip, false AS blocked, 'dns' AS via
    FROM dns_question($since, $until)
    UNION ALL
    -- The wire does not show that the resolver answered with nothing; its log does.
    SELECT src_ip, lower(rrname), ts, 'dns_log:' || id, NULL, true, 'block'
    FROM dns_log WHERE ts BETWEEN $since AND $until AND status = 'blocked'
    UNION ALL SELECT src_ip, lower(sni), ts, 'tls:' || id, dest_ip, false, 'tls' FROM tls WHERE ts BETWEEN $since AND $until
    UNION ALL SELECT src_ip, lower(sni), ts, 'quic:' || id, dest_ip, false, 'quic' FROM quic WHERE ts BETWEEN $since AND $until
    UNION ALL SELECT src_ip, lower(hostname), ts, 'http:' || id, dest_ip, false, 'http' FROM http WHERE ts BETWEEN $since AND $until
)
SELECT 'name>' || l.value AS key, s.src_ip,
       list_distinct([l.value] || min(DISTINCT s.name, 10) || coalesce(min(DISTINCT s.dest_ip, 10), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) FILTER (via <> 'block') AS count,
       CASE WHEN bool_or(blocked) AND NOT bool_or(via NOT IN ('dns', 'block')) THEN 'medium' ELSE 'high' END AS level,
       'Name on the list ' || any_value(l.list) || ': ' || l.value AS title,
       {indicator: l.value, lists: list_distinct(list(l.list)), info: any_value(l.info),
        via: list_distinct(list(via) FILTER (via <> 'block')), blocked: count(*) FILTER (blocked)} AS facts,
       min(ref, 60) AS evidence
FROM seen s JOIN listed l USING (name)
GROUP BY s.src_ip, l.value
