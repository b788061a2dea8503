-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5dc004
-- title: Tries paths of a web server that are not there
-- status: test
-- class: exploit
-- level: medium
-- tags: [attack.reconnaissance, attack.t1595.003]
-- description: Within a minute one host asks a web server for many unrelated paths that it does not have, or for the log-in pages and settings of several programs that it does not run. Whoever follows links asks for what is there.
-- falsepositives:
--   - A vulnerability scanner that the keeper runs; a program that checks old links.
-- reads: [http]
-- window_s: 600
-- parameters:
--   min_tops: {default: 12, unit: paths, reason: "different first parts of the path that are missing; dead pictures, map tiles and package lists share theirs"}
--   min_missing_share: {default: 0.8, unit: share, reason: "of all that was asked of this server in the span"}
--   span_s: {default: 60, unit: s, reason: "a list of paths is worked off quickly"}
--   min_panels: {default: 4, unit: programs, reason: "different programs that the server does not run; a person looks for one"}
--   media: {default: "\\.(jpe?g|png|gif|webp|svg|css|js|mp[34]|m4[as]|m3u8|ts|aac|zip|gz|deb|rpm)$", unit: regular expression, reason: "what an app loads in plenty from folders with made-up names"}
--   codes: {default: [400, 401, 403, 404, 405, 406, 410, 429], unit: status codes, reason: "not there, or not for you"}
--   panels: {default: "(wp-login\\.php|wp-admin|xmlrpc\\.php|phpmyadmin|/pma(/|$)|adminer|manager/html|actuator|server-status|/solr|/jenkins|/boaform|/cgi-bin|/\\.env|/\\.git/|/\\.aws/|config\\.php|phpinfo|/owa/|/autodiscover|/vendor/phpunit|/hnap1|/druid|/console|/administrator|/telescope|/\\.vscode|/\\.ds_store|/backup|/setup\\.php|/struts|/geoserver)", unit: regular expression, reason: "where programs with known holes have their doors"}
WITH request AS (
    SELECT id, ts, src_ip, dest_ip, coalesce(lower(hostname), dest_ip) AS host, lower(split_part(url, '?', 1)) AS path,
           -- Unanswered counts only from what is no browser and asks for no media: a sensor that sees one direction shows every page so.
           CASE WHEN status IS NULL THEN NOT starts_with(coalesce(http_user_agent, ''), 'Mozilla/') AND NOT regexp_matches(lower(split_part(url, '?', 1)), $media) ELSE list_contains($codes, status) END AS missing,
           time_bucket(to_seconds($span_s::BIGINT), ts) AS span
    FROM http WHERE ts BETWEEN $since AND $until AND starts_with(url, '/')
),
spans AS (
    SELECT src_ip, host, span, min(DISTINCT dest_ip, 5) AS servers, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen,
           count(DISTINCT split_part(path, '/', 2)) FILTER (missing) AS tops, count(*) FILTER (missing) AS missing,
           count(DISTINCT regexp_extract(path, $panels)) FILTER (missing AND regexp_matches(path, $panels)) AS panels,
           list_distinct(min(path[:120], 10) FILTER (missing)) AS samples, min(id, 60) FILTER (missing) AS ids
    FROM request GROUP BY src_ip, host, span
)
SELECT 'path_probe>' || host AS key, src_ip, list_distinct([host] || arg_max(servers, missing)) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(missing)::BIGINT AS count,
       'Tries paths of ' || host || ' that are not there' AS title,
       {host: host, requests: sum(n)::BIGINT, missing: sum(missing)::BIGINT, unrelated_paths: max(tops), programs: max(panels), samples: arg_max(samples, missing)} AS facts,
       list_transform(arg_max(ids, missing), lambda i: 'http:' || i) AS evidence
FROM spans
WHERE (tops >= $min_tops AND missing >= $min_missing_share * n) OR panels >= $min_panels
GROUP BY src_ip, host
