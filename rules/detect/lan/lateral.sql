-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da006
-- title: Goes from machine to machine
-- status: test
-- class: lateral_movement
-- level: medium
-- tags: [attack.lateral-movement, attack.t1021.001, attack.t1021.002, attack.t1021.006]
-- description: One device opens administration sessions (SMB, RDP, WinRM, SSH, RPC) with many others at home, or SMB sessions with the outside, as worms and intruders do that look for the next machine.
-- falsepositives:
--   - The keeper's own workstation, or a backup server that visits every machine.
-- reads: [flow]
-- window_s: 7200
-- parameters:
--   min_hosts: {default: 5, unit: hosts, reason: "distinct machines at home that answered; a client has one or two file servers"}
--   min_outside: {default: 3, unit: hosts, reason: "SMB with the internet has no honest use at home"}
--   ports: {default: [135, 139, 445, 3389, 5985, 5986], unit: ports, reason: "how Windows machines are administered"}
WITH session AS (
    SELECT src_ip, dest_ip, dest_port, dest_home, failed, ts, end_ts, id FROM v_flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND opened AND direction IN ('internal', 'outbound')
      AND list_contains($ports, dest_port)
)
SELECT 'lateral/' || CASE WHEN dest_home THEN 'inside' ELSE 'outside' END AS key, src_ip, list_distinct(min(DISTINCT dest_ip, 50)) AS peers,
       min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen, count(*) AS count,
       CASE WHEN dest_home THEN 'Administration sessions with ' ELSE 'File sharing with the internet: ' END || count(DISTINCT dest_ip) || ' machines' AS title,
       {machines: count(DISTINCT dest_ip), answered: count(DISTINCT dest_ip) FILTER (NOT failed), ports: list_distinct(list(dest_port)),
        inside: dest_home} AS facts,
       list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
FROM session
GROUP BY src_ip, dest_home
HAVING (dest_home AND count(DISTINCT dest_ip) FILTER (NOT failed) >= $min_hosts)
    OR (NOT dest_home AND count(DISTINCT dest_ip) FILTER (dest_port IN (139, 445)) >= $min_outside)
