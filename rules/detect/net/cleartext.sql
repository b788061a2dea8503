-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db005
-- title: A password goes over the wire in the clear
-- status: test
-- class: cleartext_secret
-- level: low
-- tags: [attack.credential-access, attack.t1040, attack.t1552]
-- description: A device logs in by FTP or Telnet, which send the password readable by everybody on the way.
-- falsepositives:
--   - Anonymous FTP, where the password is no secret (told apart by its user name).
-- reads: [raw_event, flow]
-- window_s: 86400
-- parameters:
--   min_telnet_bytes: {default: 400, unit: bytes, reason: "from the server, both ways open: a session, not a refused knock"}
WITH login AS (
    SELECT r.src_ip, r.dest_ip, 'FTP' AS way, r.ts, 'raw_event:' || r.id AS ref
    FROM raw_event r
    WHERE r.ts BETWEEN $since AND $until AND event_type = 'ftp' AND json_extract_string(raw, '$.ftp.command') = 'USER'
      AND lower(coalesce(json_extract_string(raw, '$.ftp.command_data'), '')) NOT IN ('anonymous', 'ftp', '')
    UNION ALL
    SELECT src_ip, dest_ip, 'Telnet', ts, 'flow:' || id FROM v_flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND NOT failed AND src_home
      AND (app_proto = 'telnet' OR (dest_port = 23 AND coalesce(app_proto, 'failed') = 'failed')) AND bytes_toclient >= $min_telnet_bytes
)
SELECT 'cleartext>' || dest_ip || '/' || way AS key, l.src_ip, list_distinct([dest_ip] || coalesce(list(n.name), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN bool_or(NOT coalesce(d.home, false)) THEN 'medium' ELSE 'low' END AS level,
       'Logs in by ' || way || ' in the clear, at ' || coalesce(any_value(n.name), dest_ip) AS title,
       {way: way, server: dest_ip, logins: count(*)} AS facts, min(ref, 60) AS evidence
FROM login l LEFT JOIN v_address_name n ON n.ip = l.dest_ip LEFT JOIN address_info d ON d.ip = l.dest_ip
GROUP BY l.src_ip, dest_ip, way
