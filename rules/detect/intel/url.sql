-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9d04
-- title: URL on a threat list
-- status: test
-- class: threat_intel
-- level: high
-- tags: [attack.command-and-control, attack.t1105]
-- description: A device asked for a URL that a threat list holds.
-- falsepositives:
--   - A page that was cleaned since it was listed.
-- reads: [http]
-- window_s: 0
WITH spoken AS (
    SELECT *, rtrim(lower(hostname || coalesce(url, '')), '/') AS whole FROM http
    WHERE ts BETWEEN $since AND $until AND hostname IS NOT NULL
),
-- A list may hold a URL with or without what follows the question mark.
seen AS (
    SELECT id, ts, src_ip, dest_ip, unnest(list_distinct([whole, rtrim(split_part(whole, '?', 1), '/')])) AS value FROM spoken
)
SELECT 'url>' || t.value AS key, s.src_ip, list_distinct([t.value[:200]] || min(DISTINCT s.dest_ip, 20)) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       'URL on the list ' || any_value(t.list) AS title,
       {indicator: t.value, lists: list_distinct(list(t.list)), info: any_value(t.info)} AS facts,
       list_transform(min(id, 60), lambda i: 'http:' || i) AS evidence
FROM seen s JOIN indicator t ON t.kind = 'url' AND t.value = s.value
GROUP BY s.src_ip, t.value
