-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9c06
-- title: Goes to addresses that nobody told it
-- status: test
-- class: dns_bypass
-- level: low
-- tags: [attack.command-and-control, attack.t1071, attack.t1572]
-- description: A device that asks the home's resolver for some names goes to an outside address that no answer explains, on the wire or in the resolver's log. The address is built in, or it was asked for elsewhere; either way the home's filter has no say.
-- falsepositives:
--   - A peer-to-peer program, a call or a game, whose peers are given by its server.
-- reads: [flow]
-- window_s: 7200
-- parameters:
--   min_flows: {default: 3, unit: connections, reason: "to one address in the window; one may be the rest of an older answer"}
--   peers_from: {default: 8, unit: addresses, reason: "so many unexplained ones on high ports are the peers of a program, not something built in"}
--   service_ports: {default: [80, 443, 8080, 8443, 1883, 8883, 5222, 5223, 22, 21, 25, 465, 587, 993], unit: ports, reason: "where a server is meant, not a peer"}
--   kinds: {default: [unknown], unit: kinds, reason: "how it is unexplained: published fixed addresses and encrypted DNS have rules of their own"}
WITH missing AS (
    SELECT u.device_id, u.src_ip, u.dest_ip, u.dest_port, any_value(u.name) AS name, sum(u.flows)::BIGINT AS n, sum(u.bytes_up)::BIGINT AS up,
           min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen, flatten(list(u.evidence))[:60] AS evidence
    FROM v_unexplained_flow u
    WHERE u.asked AND list_contains($kinds, u.how) AND u.bucket BETWEEN $since::TIMESTAMP - INTERVAL 1 HOUR AND $until
      AND coalesce(u.app_proto, '') NOT IN ('bittorrent-dht', 'sip', 'dns', 'ntp')
    GROUP BY ALL HAVING sum(u.flows) >= $min_flows
),
counted AS (
    SELECT *, count(DISTINCT dest_ip) FILTER (NOT list_contains($service_ports, dest_port)) OVER (PARTITION BY device_id) AS odd FROM missing
)
SELECT 'hard_coded>' || dest_ip || ':' || dest_port AS key, src_ip, list_distinct([dest_ip] || CASE WHEN name IS NULL THEN [] ELSE [name] END) AS peers,
       first_seen, last_seen, n AS count,
       CASE WHEN name IS NULL THEN 'low' ELSE 'informational' END AS level,
       'Goes to ' || coalesce(name, dest_ip) || ':' || dest_port || ', which no answer of the home''s DNS explains' AS title,
       {destination: dest_ip, dest_port: dest_port, name: name, connections: n, bytes_up: up} AS facts, evidence
FROM counted WHERE list_contains($service_ports, dest_port) OR odd < $peers_from
