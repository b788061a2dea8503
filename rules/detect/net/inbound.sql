-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db004
-- title: The internet reaches a service at home
-- status: test
-- class: exposed_service
-- level: low
-- tags: [attack.initial-access, attack.t1133]
-- description: A connection that began outside was answered by a device at home. So something is open to the world, by a port mapping, by IPv6 without a filter, or by a router's UPnP.
-- falsepositives:
--   - A service that the keeper publishes on purpose.
--   - A connection that began before the sensor, with its direction guessed.
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   risky_ports: {default: [21, 22, 23, 135, 139, 445, 554, 1433, 1883, 2375, 3306, 3389, 5432, 5555, 5900, 5985, 6379, 7547, 8291, 9200, 11211, 27017], unit: ports, reason: "logins, shares, cameras and databases, which are attacked within minutes"}
--   min_bytes: {default: 500, unit: bytes, reason: "from the device: it said something, beyond the handshake"}
SELECT 'inbound/' || proto || '/' || dest_port AS key, dest_ip AS src_ip, list_distinct(min(DISTINCT src_ip, 30)) AS peers,
       min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen, count(*) AS count,
       CASE WHEN list_contains($risky_ports, dest_port) THEN 'medium' ELSE 'low' END AS level,
       'Reached from the internet at port ' || dest_port AS title,
       {dest_port: dest_port, proto: proto, app_proto: any_value(app_proto), visitors: count(DISTINCT src_ip),
        bytes_out: sum(bytes_toclient)::BIGINT} AS facts,
       list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
FROM v_flow
-- Only where the handshake was seen, so that who began is known.
WHERE ts BETWEEN $since AND $until AND direction = 'inbound' AND proto = 'TCP' AND NOT failed
  AND tcp_flags_ts & 2 > 0 AND bytes_toclient >= $min_bytes AND dest_port IS NOT NULL
GROUP BY dest_ip, proto, dest_port
