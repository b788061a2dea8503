-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b21
-- title: Posts to a borrowed name what only pretends to be a browser
-- status: test
-- class: c2_beacon
-- level: medium
-- tags: [attack.command-and-control, attack.t1071.001, attack.t1568, attack.t1041]
-- description: A request in the clear hands something to a script on a host of a dynamic DNS service. It says that it comes from a browser, but no page of that host was fetched before and no Referer tells where it comes from, as a browser's would. Stealers and remote-control tools report so.
-- falsepositives:
--   - A program of one's own that reports to one's own server and calls itself a browser.
-- reads: [http]
-- window_s: 86400
-- parameters:
--   zones: {default: [3322.org, 3utilities.com, accesscam.org, bounceme.net, chickenkiller.com, ddns.net, ddnsfree.com, ddnsking.com, dnsalias.com, duckdns.org, dyndns.biz, dyndns.org, dynu.net, dynv6.net, f3322.net, freeddns.org, goip.de, gotdns.ch, homeip.net, hopto.org, ignorelist.com, jumpingcrab.com, mooo.com, myddns.me, myftp.biz, myftp.org, no-ip.biz, no-ip.info, no-ip.org, nsupdate.info, redirectme.net, servebeer.com, servecounterstrike.com, serveftp.com, servegame.com, servehttp.com, spdns.de, strangled.net, sytes.net, twilightparadox.com, us.to, webhop.me, ydns.eu, zapto.org], unit: names, reason: "where anybody gets a name in a minute and moves it at will"}
--   browsers: {default: "(firefox|chrome|safari|edge|edg|opr)/[0-9]|msie [0-9]|trident/", unit: regular expression, reason: "what browsers call themselves; apps and gadgets use names of their own"}
--   scripts: {default: "\\.(php[0-9]?|asp|aspx|jsp|cgi|pl)$", unit: regular expression, reason: "what panels are written in"}
WITH asked AS (
    SELECT id, ts, src_ip, dest_ip, lower(split_part(hostname, ':', 1)) AS host, http_method AS method, url, http_user_agent,
           coalesce(http_refer, '') AS refer
    FROM http WHERE ts BETWEEN $since AND $until AND contains(hostname, '.')
),
borrowed AS (
    SELECT * FROM asked WHERE list_contains($zones, array_to_string(string_split(host, '.')[-2:], '.'))
)
SELECT 'pretender>' || p.host AS key, p.src_ip, list_distinct([p.host] || min(DISTINCT p.dest_ip, 10)) AS peers,
       min(p.ts) AS first_seen, max(p.ts) AS last_seen, count(*) AS count,
       'Reports to ' || p.host || ', a name of a dynamic DNS service, pretending to be a browser' AS title,
       {host: p.host, urls: list_distinct(min(p.url[:120], 5)), user_agent: any_value(p.http_user_agent)[:120]} AS facts,
       list_transform(min(p.id, 60), lambda i: 'http:' || i) AS evidence
FROM borrowed p
WHERE p.method = 'POST' AND p.refer = '' AND regexp_matches(lower(p.http_user_agent), $browsers)
  AND regexp_matches(lower(split_part(p.url, '?', 1)), $scripts)
  AND NOT EXISTS (SELECT 1 FROM borrowed g WHERE g.src_ip = p.src_ip AND g.host = p.host AND (g.method <> 'POST' OR g.refer <> ''))
GROUP BY p.src_ip, p.host
