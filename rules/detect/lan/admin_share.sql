-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da009
-- title: Reaches into another Windows machine
-- status: test
-- class: lateral_movement
-- level: medium
-- tags: [attack.lateral-movement, attack.t1021.002, attack.t1569.002, attack.t1053.002]
-- description: A device opens the hidden share of another's system disk (ADMIN$, C$), or its service control or task scheduler, by SMB. That is how programs are put on and started from afar, by administrators and by intruders.
-- falsepositives:
--   - The keeper's own administration, or a backup program with an administrator's rights.
-- reads: [raw_event]
-- window_s: 86400
-- parameters:
--   min_touches: {default: 1, unit: requests, reason: "file sharing at home never needs these"}
--   shares: {default: ["ADMIN$", "C$", "D$"], unit: shares, reason: "made by Windows for administration alone; IPC$ is opened by every client"}
--   interfaces: {default: ["367abb81-9844-35f1-ad32-98f038001003", "1ff70682-0a51-30e8-076d-740be8cee98b", "86d35949-83c9-4044-b424-db363231fd0c", "338cd001-2244-31f1-aaaa-900090263003"], unit: UUID, reason: "service control, the two task schedulers and the remote registry"}
--   pipes: {default: [svcctl, atsvc, winreg, psexesvc, paexec, remcom_communication, csexecsvc], unit: names, reason: "the same by the name of their pipe, and what remote-execution tools leave behind"}
WITH seen AS (
    SELECT r.id, r.ts, r.src_ip, r.dest_ip,
           upper(regexp_extract(coalesce(json_extract_string(raw, '$.smb.share'), ''), '([^\\]+)\\?$', 1)) AS share,
           lower(regexp_extract(coalesce(json_extract_string(raw, '$.smb.named_pipe'), json_extract_string(raw, '$.smb.filename'), ''), '([^\\]+)$', 1)) AS pipe,
           coalesce(json_extract_string(raw, '$.smb.dcerpc.interfaces[*].uuid'), []) || coalesce(json_extract_string(raw, '$.dcerpc.interfaces[*].uuid'), []) AS uuids
    FROM raw_event r WHERE ts BETWEEN $since AND $until AND event_type IN ('smb', 'dcerpc')
),
judged AS (
    SELECT *, CASE WHEN list_contains($shares, share) THEN 'share ' || share
                   WHEN len(list_filter($pipes, lambda p: starts_with(pipe, p))) > 0 THEN 'pipe ' || pipe[:40]
                   WHEN list_has_any($interfaces, uuids) THEN 'remote control by RPC' END AS what
    FROM seen
)
SELECT 'admin_share>' || dest_ip AS key, src_ip, [dest_ip] AS peers, min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN count(DISTINCT what) > 1 AND bool_or(starts_with(what, 'share')) THEN 'high' ELSE 'medium' END AS level,
       'Reaches into ' || dest_ip || ': ' || min(what) AS title,
       {target: dest_ip, what: list_distinct(list(what))} AS facts,
       list_transform(min(id, 60), lambda i: 'raw_event:' || i) AS evidence
FROM judged WHERE what IS NOT NULL AND src_ip <> dest_ip GROUP BY src_ip, dest_ip HAVING count(*) >= $min_touches
