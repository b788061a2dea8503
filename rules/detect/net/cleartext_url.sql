-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db015
-- title: A password stands in a web address
-- status: test
-- class: cleartext_secret
-- level: low
-- tags: [attack.credential-access, attack.t1040, attack.t1552]
-- description: A device asks for a web address with a password in it, without TLS. Everybody on the way can read it, and servers write addresses into their logs. The collector hides the value, so what is told is that there was one.
-- falsepositives:
--   - A form whose field is called a password and is none.
-- reads: [http]
-- window_s: 86400
-- parameters:
--   hidden: {default: "(hidden)", unit: text, reason: "what the collector writes in the place of a secret; without it there was no value"}
--   names: {default: "(?:^|[?&;]|%26|%3f)(?:[a-z0-9_.-]{0,32}[_.-])?(?:user|login|admin|web|new|old)?_?(?:password|passwd|passwort|passphrase|pwd|psw|loginpas|kennwort)[0-9]?(?:=|%3d)$", unit: regular expression, reason: "names of passwords; tokens, signatures and session numbers stand in the addresses of countless pages"}
WITH asked AS (
    SELECT id, ts, src_ip, dest_ip, coalesce(lower(hostname), dest_ip) AS host, split_part(url, '?', 1) AS page,
           string_split(lower(url), $hidden) AS parts
    FROM http WHERE ts BETWEEN $since AND $until AND contains(url, $hidden)
)
SELECT 'cleartext_url>' || host AS key, src_ip, list_distinct([host] || min(DISTINCT dest_ip, 5)) AS peers, min(ts) AS first_seen, max(ts) AS last_seen,
       count(*) AS count,
       CASE WHEN bool_or(NOT coalesce(d.home, false)) THEN 'medium' ELSE 'low' END AS level,
       'Sends a password within a web address, in the clear, to ' || host AS title,
       {host: host, requests: count(*), pages: list_distinct(min(page[:120], 5))} AS facts,
       list_transform(min(id, 60), lambda i: 'http:' || i) AS evidence
FROM asked LEFT JOIN address_info d ON d.ip = dest_ip
-- What stands before each hidden value ends with the name of its field.
WHERE len(list_filter(parts[:-2], lambda p: regexp_matches(p, $names))) > 0
GROUP BY src_ip, host
