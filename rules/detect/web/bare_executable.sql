-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5dc001
-- title: Fetches a program from a bare address
-- status: test
-- class: malware
-- level: medium
-- tags: [attack.command-and-control, attack.t1105]
-- description: A device fetches, over plain HTTP, a file with the name or type of a program from an outside server that it addresses by number. Worms, loaders and bots of gadgets are delivered so; makers and distributions have names.
-- falsepositives:
--   - An update of a gadget whose maker built an address into it.
-- reads: [http, fileinfo]
-- window_s: 3600
-- parameters:
--   refused_from: {default: 400, unit: HTTP status, reason: "refusals and errors begin here"}
--   names: {default: "\\.(exe|dll|scr|msi|hta|ps1|vbs|jse?|wsf|bat|elf|apk|jar|sh|bin|mips(el)?|mpsl|arm[4-8]?[nl]?|armv[4-8]l|x86(_64|_32)?|i[3-6]86|ppc|powerpc|sparc|sh4|m68k|spc|arc)$", unit: regular expression, reason: "endings of programs, scripts and of the builds that bots make for each kind of gadget"}
--   types: {default: "(x-dosexec|x-msdownload|x-msdos-program|x-executable|x-elf|portable-executable|x-sharedlib)", unit: regular expression, reason: "what servers call programs"}
--   min_size: {default: 200, unit: bytes, reason: "an error page of a dead server is shorter than any program that does something"}
WITH fetched AS (
    SELECT h.src_ip, h.dest_ip, h.ts, 'http:' || h.id AS ref, lower(split_part(h.url, '?', 1)) AS path, lower(coalesce(h.http_content_type, '')) AS type,
           h.http_user_agent AS agent, h.length AS size, h.status,
           split_part(coalesce(h.hostname, h.dest_ip), ':', 1) AS host
    FROM http h WHERE h.ts BETWEEN $since AND $until AND coalesce(h.http_method, 'GET') = 'GET'
),
judged AS (
    SELECT f.*, regexp_matches(path, $names) AS named, regexp_matches(type, $types) AS typed,
           -- A page in answer to the name of a program is a refusal that says 200.
           type LIKE 'text/html%' AS page,
           regexp_matches(lower(coalesce(agent, '')), '^(wget|curl|busybox|libwww|python|go-http|powershell|microsoft bits|certutil|hello|mozilla/5.0 .*windowspowershell)') OR coalesce(agent, '') = '' AS tool
    FROM fetched f JOIN address_info d ON d.ip = f.dest_ip AND d.scope = 'public' AND NOT d.home
    WHERE regexp_matches(host, '^[0-9]{1,3}(\.[0-9]{1,3}){3}$') OR contains(host, '::') OR starts_with(host, '[')
)
SELECT 'bare_executable>' || dest_ip AS key, src_ip, [dest_ip] AS peers, min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN bool_or(typed) OR bool_or(tool AND named AND coalesce(status, 0) = 200) THEN 'high'
            WHEN bool_or(coalesce(status, 200) < $refused_from) THEN 'medium' ELSE 'low' END AS level,
       'Fetches a program from the bare address ' || dest_ip AS title,
       {server: dest_ip, paths: list_distinct(min(path[:120], 5)), content_type: max(type)[:60], user_agent: any_value(agent)[:120],
        size_bytes: max(size), status: max(status)} AS facts, min(ref, 60) AS evidence
FROM judged WHERE typed OR (named AND NOT page AND coalesce(size, $min_size) >= $min_size) GROUP BY src_ip, dest_ip
