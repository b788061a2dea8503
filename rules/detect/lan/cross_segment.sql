-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da00a
-- title: A gadget or a guest goes for the home's own machines
-- status: test
-- class: lateral_movement
-- level: medium
-- tags: [attack.lateral-movement, attack.t1021]
-- description: A device of the network for gadgets or guests opens logins, shares or administration of a machine in the trusted or infrastructure network. What separates them lets it through, and gadgets have no business there.
-- falsepositives:
--   - A camera that stores on the home's file server; suppress that pair.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   from_roles: {default: [iot, guest], unit: roles, reason: "networks whose devices are trusted with nothing"}
--   to_roles: {default: [trusted, infrastructure], unit: roles, reason: "networks that are worth getting into"}
--   ports: {default: [22, 23, 135, 139, 445, 2375, 3389, 5900, 5985, 5986, 8006], unit: ports, reason: "logins, shares and administration"}
--   min_answered: {default: 1, unit: connections, reason: "an answered one is through the wall; refused ones are told as scans"}
SELECT 'cross_segment>' || f.dest_ip AS key, f.src_ip, [f.dest_ip] AS peers, min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen,
       count(*) AS count, 'From the ' || any_value(a.role) || ' network into the ' || any_value(b.role) || ' network, port ' || min(f.dest_port) AS title,
       {target: f.dest_ip, from_role: any_value(a.role), to_role: any_value(b.role), ports: list_distinct(list(f.dest_port))} AS facts,
       list_transform(min(f.id, 60), lambda i: 'flow:' || i) AS evidence
FROM v_flow f JOIN v_address_segment a ON a.ip = f.src_ip JOIN v_address_segment b ON b.ip = f.dest_ip
WHERE f.ts BETWEEN $since AND $until AND f.direction = 'internal' AND f.proto = 'TCP' AND f.opened AND NOT f.failed
  AND list_contains($from_roles, a.role) AND list_contains($to_roles, b.role) AND list_contains($ports, f.dest_port)
GROUP BY f.src_ip, f.dest_ip HAVING count(*) >= $min_answered
