-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db002
-- title: Keeps a VPN to the outside
-- status: test
-- class: tor_vpn
-- level: informational
-- tags: [attack.command-and-control, attack.t1572]
-- description: A device keeps a tunnel of a VPN protocol to an outside server. What goes through it is seen by nobody in the home.
-- falsepositives:
--   - A work laptop; a VPN that the keeper runs.
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   min_bytes: {default: 20000, unit: bytes, reason: "both ways; less is a probe"}
--   udp_ports: {default: [500, 1194, 4500, 51820, 41641], unit: ports, reason: "IPsec, OpenVPN, WireGuard, Tailscale"}
--   tcp_ports: {default: [1194, 1723], unit: ports, reason: "OpenVPN, PPTP"}
SELECT 'vpn>' || dest_ip AS key, src_ip, [dest_ip] || coalesce(list_distinct(list(n.name)), []) AS peers,
       min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen, count(*) AS count,
       'Keeps a VPN to ' || coalesce(any_value(n.name), dest_ip) AS title,
       {server: dest_ip, dest_port: min(dest_port), proto: min(proto), bytes: sum(bytes_toserver + bytes_toclient)::BIGINT} AS facts,
       list_transform(min(f.id, 60), lambda i: 'flow:' || i) AS evidence
FROM v_flow f LEFT JOIN v_address_name n ON n.ip = f.dest_ip
WHERE ts BETWEEN $since AND $until AND direction = 'outbound' AND NOT failed
  AND ((proto = 'UDP' AND list_contains($udp_ports, dest_port)) OR (proto = 'TCP' AND list_contains($tcp_ports, dest_port)) OR proto IN ('GRE', 'ESP'))
GROUP BY src_ip, dest_ip HAVING sum(bytes_toserver + bytes_toclient) >= $min_bytes
