-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9f02
-- title: Password guessing on a web page
-- status: test
-- class: brute_force
-- level: medium
-- tags: [attack.credential-access, attack.t1110]
-- description: One host is refused by the login of one web server again and again, or posts to one login page many times within minutes.
-- falsepositives:
--   - An app with a stored password that no longer fits, when it repeats without rest.
-- reads: [http]
-- window_s: 3600
-- parameters:
--   min_refused: {default: 12, unit: requests, reason: "answers 401 or 403; each page of a login-protected site gives one at most"}
--   min_posts: {default: 20, unit: requests, reason: "posts to a page with login in its name; people post once or twice"}
--   span_s: {default: 600, unit: s, reason: "guessing is quick"}
WITH request AS (
    SELECT src_ip, dest_ip, coalesce(hostname, dest_ip) AS host, split_part(url, '?', 1) AS page, id, ts,
           status IN (401, 403, 407) AND (http_method <> 'GET' OR status <> 403) AS refused,
           http_method = 'POST' AND regexp_matches(lower(split_part(url, '?', 1)), '(login|signin|sign-in|logon|wp-login|xmlrpc)[^/]*$') AS post,
           time_bucket(to_seconds($span_s::BIGINT), ts) AS span
    FROM http WHERE ts BETWEEN $since AND $until
),
spans AS (
    SELECT src_ip, dest_ip, host, page, span, count(*) FILTER (refused) AS refused, count(*) FILTER (post) AS posts,
           min(ts) AS first_seen, max(ts) AS last_seen,
           list_transform(min(id, 60), lambda i: 'http:' || i) AS evidence
    FROM request WHERE refused OR post GROUP BY ALL
    HAVING count(*) FILTER (refused) >= $min_refused OR count(*) FILTER (post) >= $min_posts
)
SELECT 'http_guessing>' || host || page[:80] AS key, src_ip, list_distinct([host, any_value(dest_ip)]) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(greatest(refused, posts))::BIGINT AS count,
       'Password guessing on the web server ' || host AS title,
       {host: host, page: page[:200], refused: sum(refused)::BIGINT, posts: sum(posts)::BIGINT, span_s: $span_s} AS facts,
       arg_max(evidence, refused + posts) AS evidence
FROM spans GROUP BY src_ip, host, page
