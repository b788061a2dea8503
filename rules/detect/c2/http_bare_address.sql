-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b02
-- title: Posts to a bare address
-- status: test
-- class: c2_beacon
-- level: medium
-- tags: [attack.command-and-control, attack.t1071.001, attack.t1132]
-- description: A device posts data over plain HTTP to a server that it addresses by number, under a path that reads like noise or at an unusual port. Servers of programs that people install have names; loaders and stealers are given addresses.
-- falsepositives:
--   - A gadget whose maker built an address into it; it would post to one path that reads like words.
-- reads: [http, flow]
-- window_s: 3600
-- parameters:
--   bulk_bytes: {default: 8192, unit: bytes, reason: "sent in one connection, and more than came back: files are handed over, not a status"}
--   min_noise: {default: 12, unit: characters, reason: "length of a path part with letters of both cases and digits, which is no word"}
WITH sent AS (
    SELECT source_id, flow_id FROM flow
    WHERE ts BETWEEN $since AND $until AND bytes_toserver >= $bulk_bytes AND bytes_toserver > bytes_toclient AND flow_id IS NOT NULL
),
request AS (
    SELECT h.*, split_part(hostname, ':', 1) AS host,
           regexp_extract_all(split_part(url, '?', 1), '[^/]+') AS parts
    FROM http h JOIN address_info d ON d.ip = h.dest_ip
    WHERE h.ts BETWEEN $since AND $until AND d.scope = 'public' AND http_method = 'POST'
      AND regexp_matches(split_part(coalesce(hostname, dest_ip), ':', 1), '^[0-9]{1,3}(\.[0-9]{1,3}){3}$')
),
judged AS (
    SELECT *,
        len(list_filter(parts, lambda p: len(p) >= $min_noise AND regexp_matches(p, '[a-z]') AND regexp_matches(p, '[A-Z]')
            AND regexp_matches(p, '[0-9]') AND NOT regexp_matches(p, '[._-]'))) > 0 AS noise,
        coalesce(http_port, dest_port) NOT IN (80, 443, 8080) AS odd_port,
        -- It says that it is a browser, but came from no page, or from the very address it posts to.
        http_user_agent LIKE 'Mozilla/%' AND (http_refer IS NULL OR contains(http_refer, host || coalesce(':' || http_port, '') || url)) AS posed,
        http_user_agent IS NULL OR http_user_agent = '' AS nameless,
        -- A program of its own, from no page, hands over much.
        http_refer IS NULL AND NOT http_user_agent LIKE 'Mozilla/%' AND exists (
            SELECT 1 FROM sent s WHERE s.source_id = request.source_id AND s.flow_id = request.flow_id) AS bulk,
        regexp_matches(lower(split_part(url, '?', 1)), '(gate|panel|fre|index|post|data|submit|task|config)\.php$') AS gate,
        -- A script that takes a form from a program without a name; a browser's post to the front page; no TLS at the port of TLS.
        regexp_matches(lower(split_part(url, '?', 1)), '\.(php|aspx?|jsp|cgi)$') AS script,
        url = '/' AS front, coalesce(http_port, dest_port) = 443 AS unsealed
    FROM request
)
SELECT 'http_bare_address>' || dest_ip || ':' || dest_port AS key, src_ip, [dest_ip] AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       'Posts to the bare address ' || dest_ip || ':' || dest_port AS title,
       CASE WHEN max(noise::INT + odd_port::INT + (posed OR nameless)::INT + gate::INT + (script AND nameless)::INT
                    + (front AND posed)::INT + unsealed::INT + 2 * coalesce(bulk, false)::INT) >= 2 THEN 'medium' ELSE 'low' END AS level,
       {dest_port: dest_port, url: min(url)[:120], user_agent: any_value(http_user_agent)[:120],
        noise_path: bool_or(noise), unusual_port: bool_or(odd_port), posed_as_browser: bool_or(posed), much_sent: coalesce(bool_or(bulk), false)} AS facts,
       list_transform(min(id, 60), lambda i: 'http:' || i) AS evidence
FROM judged WHERE noise OR odd_port OR posed OR nameless OR gate OR unsealed OR bulk
GROUP BY src_ip, dest_ip, dest_port
