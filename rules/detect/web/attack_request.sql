-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5dc002
-- title: A web request that attacks
-- status: test
-- class: exploit
-- level: medium
-- tags: [attack.initial-access, attack.t1190]
-- description: The address or the program's name of a web request holds what no page asks for - a JNDI look-up, a way out of the web root, a shell command, SQL, or a path that is known for a hole, or a file of passwords and keys. It is told here for logs without signatures; with Suricata, its signatures say the same of the payload.
-- falsepositives:
--   - A vulnerability scanner that the keeper runs.
-- reads: [http]
-- window_s: 3600
-- parameters:
--   min_requests: {default: 1, unit: requests, reason: "one that gets through is enough"}
--   many: {default: 10, unit: requests, reason: "so many are a tool at work"}
--   jndi: {default: "\\$\\{(jndi:|[^}]{0,40}(lower|upper|::-|env:)[^\\s]{0,80}(ldap|rmi|dns|jndi|:/))", unit: regular expression, reason: "Log4Shell (CVE-2021-44228), plain and veiled"}
--   traversal: {default: "((\\.\\.|%2e%2e)(/|%2f|%5c|\\\\)){3,}", unit: regular expression, reason: "three steps up and more leave any web root"}
--   shell: {default: "(;|\\||`|%3b|%7c|%60|\\$\\(|&&|%26%26)(\\s|\\+|%20|\\$\\{ifs\\})*(/bin/|/usr/bin/|cd(\\+|%20|\\s|\\$\\{ifs\\})+/)?(wget|curl|busybox|tftp|chmod|nc|bash|sh|tmp|cd)(\\s|\\+|%20|\\$\\{ifs\\}|;|/)", unit: regular expression, reason: "a command after what ends a parameter of a shell"}
--   sql: {default: "(union(\\s|\\+|%20|/\\*)+(all(\\s|\\+|%20)+)?select|information_schema|sleep\\([0-9]+\\)|benchmark\\([0-9]|waitfor(\\s|\\+|%20)+delay|(%27|')(\\s|\\+|%20)*or(\\s|\\+|%20)*(%27|')?1)", unit: regular expression, reason: "what makes one query into another"}
--   holes: {default: "(/etc/passwd|/setup\\.cgi\\?next_file|/gponform/|/ctrlt/deviceupgrade|/ud/act\\?1|/tmunblock\\.cgi|/boaform/admin|/language/swedish|/shell\\?|eval-stdin\\.php|/_ignition/execute|/wls-wsat/|/cgi-bin/(;|%3b|\\.%2e|%%32)|allow_url_include|php://(input|filter)|invokefunction&function=call_user_func|/hnap1/?;|/nt_req|/goform/set_limitclient|/device\\.rsp\\?opt=sys)", unit: regular expression, reason: "paths that are asked for only by who wants in"}
--   secrets: {default: "/(\\.env(\\.(local|production|prod|backup|bak|old|save))?|\\.git/config|\\.aws/credentials|\\.ssh/id_(rsa|ed25519|ecdsa|dsa)|\\.git-credentials|\\.htpasswd|wp-config\\.php(\\.bak|\\.old|\\.save|~|\\.txt))(\\?|$)", unit: regular expression, reason: "files of settings, passwords and keys that no page links to and no program fetches"}
WITH request AS (
    SELECT id, ts, src_ip, dest_ip, coalesce(lower(hostname), dest_ip) AS host, url, status, lower(coalesce(url, '')) AS u, lower(coalesce(http_user_agent, '')) AS agent
    FROM http WHERE ts BETWEEN $since AND $until AND (url IS NOT NULL OR http_user_agent IS NOT NULL)
),
judged AS (
    SELECT *, CASE WHEN regexp_matches(u, $jndi) OR regexp_matches(agent, $jndi) THEN 'JNDI look-up (Log4Shell)'
                   WHEN regexp_matches(agent, '\(\)\s*\{') THEN 'function in a header (Shellshock)'
                   WHEN regexp_matches(u, $holes) THEN 'path of a known hole'
                   WHEN regexp_matches(u, $secrets) THEN 'file of secrets'
                   WHEN regexp_matches(u, $shell) THEN 'shell command'
                   WHEN regexp_matches(u, $traversal) THEN 'way out of the web root'
                   WHEN regexp_matches(u, $sql) THEN 'SQL' END AS what
    FROM request
)
SELECT 'attack_request>' || host AS key, src_ip, list_distinct([host] || min(DISTINCT dest_ip, 5)) AS peers, min(ts) AS first_seen, max(ts) AS last_seen,
       count(*) AS count,
       CASE WHEN bool_or(what LIKE 'JNDI%' OR what LIKE 'function%') OR count(*) >= $many THEN 'high' ELSE 'medium' END AS level,
       'A web request that attacks ' || host || ': ' || min(what) AS title,
       {host: host, what: list_distinct(list(what)), requests: count(*), urls: list_distinct(min(url[:160], 5)),
        answered_200: count(*) FILTER (status = 200)} AS facts,
       list_transform(min(id, 60), lambda i: 'http:' || i) AS evidence
FROM judged WHERE what IS NOT NULL GROUP BY src_ip, host HAVING count(*) >= $min_requests
