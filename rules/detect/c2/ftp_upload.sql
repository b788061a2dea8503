-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b04
-- title: Files sent out by FTP
-- status: test
-- class: exfiltration
-- level: low
-- tags: [attack.exfiltration, attack.t1048.003]
-- description: A device stores files on an outside server by FTP, which hides nothing. A name that holds this machine's user or computer and the time is how stealers file what they took.
-- falsepositives:
--   - A camera, scanner or web site that its owner publishes by FTP.
-- reads: [raw_event]
-- window_s: 86400
-- parameters:
--   min_files: {default: 1, unit: files, reason: "stealers send few and small files"}
WITH stored AS (
    SELECT r.src_ip, r.dest_ip, r.ts, r.id,
           coalesce(json_extract_string(raw, '$.ftp.command_data'), json_extract_string(raw, '$.ftp_data.filename')) AS name
    FROM raw_event r JOIN address_info d ON d.ip = r.dest_ip AND NOT d.home
    WHERE ts BETWEEN $since AND $until AND event_type IN ('ftp', 'ftp_data')
      AND coalesce(json_extract_string(raw, '$.ftp.command'), json_extract_string(raw, '$.ftp_data.command')) IN ('STOR', 'APPE')
),
judged AS (
    SELECT *, -- A short tag, who and where, when to the second: CO_user-PC_2024_01_31_23_59_59.zip
           coalesce(regexp_matches(name, '^[A-Za-z]{2,12}[_-].{2,60}[_-](20[0-9]{2})[_.-]?[01][0-9][_.-]?[0-3][0-9][_ .T-]?[0-2][0-9][_.-]?[0-5][0-9]([_.-]?[0-5][0-9])?\.(html?|txt|zip|jpe?g|png|log|db)$'), false) AS filed
    FROM stored
)
SELECT 'ftp_upload>' || dest_ip AS key, src_ip, [dest_ip] || coalesce((SELECT list(n.name) FROM v_address_name n WHERE n.ip = dest_ip), []) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(DISTINCT name) AS count,
       CASE WHEN bool_or(filed) THEN 'medium' ELSE 'low' END AS level,
       'Files sent out by FTP to ' || dest_ip AS title,
       {destination: dest_ip, files: count(DISTINCT name), names: list_distinct(min(name[:120], 5)), filed_by_machine: bool_or(filed)} AS facts,
       list_transform(min(id, 60), lambda i: 'raw_event:' || i) AS evidence
FROM judged GROUP BY src_ip, dest_ip HAVING count(DISTINCT name) >= $min_files
