-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b10
-- title: Reports to a script as a bot's panel takes them
-- status: test
-- class: c2_beacon
-- level: medium
-- tags: [attack.command-and-control, attack.t1071.001, attack.t1132]
-- description: A device posts to a script on a web server, from no page, with one short parameter whose value is noise, or to a script by one of the names that panels of bots and stealers have. Ransomware and loaders report so, often through sites that were broken into.
-- falsepositives:
--   - A program that tracks visits with a random key; it would send a Referer or more parameters.
-- reads: [http]
-- window_s: 86400
-- parameters:
--   panels: {default: "/(gate|fre|panel|knock|checkin|loader|stealer|botnet|cmd|tasks?)\\.php$", unit: regular expression, reason: "scripts by the names that kits give them"}
--   min_missing: {default: 3, unit: requests, reason: "posts to a script that is not there: a person gives up, and a program of a living service finds it"}
--   min_reports: {default: 2, unit: requests, reason: "a report is followed by others, or tried at another site"}
WITH report AS (
    SELECT id, ts, src_ip, dest_ip, hostname, url, http_user_agent,
           regexp_extract(url, '\?[a-z]=([a-z0-9]{8,40})$', 1) AS key,
           regexp_matches(lower(split_part(url, '?', 1)), $panels) AS panel, false AS missing
    FROM http
    WHERE ts BETWEEN $since AND $until AND http_method = 'POST' AND coalesce(http_refer, '') = ''
      AND (regexp_matches(url, '\.(php|asp|cgi)\?[a-z]=[a-z0-9]{8,40}$') OR regexp_matches(lower(split_part(url, '?', 1)), $panels))
    UNION ALL
    -- It goes on handing in reports, although the script is said to be missing: the answer is a disguise.
    SELECT id, ts, src_ip, dest_ip, hostname, url, http_user_agent, '', false, true
    FROM http
    WHERE ts BETWEEN $since AND $until AND http_method = 'POST' AND coalesce(http_refer, '') = '' AND status = 404
      AND regexp_matches(lower(split_part(url, '?', 1)), '\.(php|asp|cgi)$')
    QUALIFY count(*) OVER (PARTITION BY src_ip, dest_ip, url) >= $min_missing
)
SELECT 'http_gate' AS key, src_ip, list_distinct(min(DISTINCT dest_ip, 20) || coalesce(min(DISTINCT lower(hostname), 20), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       'Reports to scripts on ' || count(DISTINCT coalesce(hostname, dest_ip)) || ' web servers as bots do' AS title,
       {servers: count(DISTINCT coalesce(hostname, dest_ip)), urls: list_distinct(min(url[:120], 5)),
        user_agent: any_value(http_user_agent)[:120]} AS facts,
       list_transform(min(id, 60), lambda i: 'http:' || i) AS evidence
FROM report WHERE panel OR missing OR (regexp_matches(key, '[0-9]') AND regexp_matches(key, '[a-z]'))
GROUP BY src_ip HAVING count(*) >= $min_reports
