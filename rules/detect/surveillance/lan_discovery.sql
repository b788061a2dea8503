-- id: 7c1d6e0a-3f5b-4a53-9a55-0e5f3b7f1c05
-- title: Device that maps the home
-- status: test
-- class: lan_recon
-- level: low
-- tags: [attack.discovery, attack.t1046]
-- description: A device asked many others of the home one by one, on the ports on which things tell what they are. Assistants and TVs do so to offer control; together the answers identify a household.
-- falsepositives:
--   - A home automation hub, which has to.
--   - The keeper's own inventory.
-- references: ["https://arxiv.org/abs/2308.16100"]
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   ports: {default: [80, 137, 443, 554, 1400, 1900, 5353, 5540, 6466, 6667, 7000, 8001, 8002, 8008, 8009, 8060, 8080, 8443, 9197, 9999, 10001, 38899, 55443, 56700, 49152], unit: ports, reason: "where speakers, TVs, cameras, plugs and bulbs say who they are"}
--   discovery_ports: {default: [137, 1900, 5353, 9999, 10001, 38899, 56700], unit: UDP ports, reason: "asked of one device directly, they have no other use"}
--   min_targets: {default: 6, unit: devices, reason: "a person's phone casts to one or two"}
--   hub_kinds: {default: [hub, server, network], unit: device kinds, reason: "whose work it is"}
WITH device_kind AS (
    SELECT a.ip, any_value(d.kind) AS kind FROM v_device_address a JOIN device d USING (device_id)
    WHERE a.valid_to = TIMESTAMP '9999-12-31' GROUP BY a.ip
),
asked AS (
    SELECT f.src_ip, f.dest_ip, f.dest_port, f.ts, f.id, time_bucket(INTERVAL 1 HOUR, f.ts) AS slot
    FROM v_flow f
    WHERE f.ts BETWEEN $since AND $until AND f.direction = 'internal' AND f.src_ip <> f.dest_ip AND f.dest_scope <> 'multicast'
      AND list_contains($ports, f.dest_port) AND (f.proto = 'TCP' OR list_contains($discovery_ports, f.dest_port))
),
sweep AS (
    SELECT src_ip, slot, count(DISTINCT dest_ip) AS targets, count(DISTINCT dest_ip) FILTER (list_contains($discovery_ports, dest_port)) AS discovered,
           count(*) AS probes, min(ts) AS first_seen, max(ts) AS last_seen, min(DISTINCT dest_ip, 50) AS ips,
           list_sort(list(DISTINCT dest_port)) AS ports, min(id, 60) AS ids
    FROM asked GROUP BY ALL HAVING count(DISTINCT dest_ip) FILTER (list_contains($discovery_ports, dest_port)) >= $min_targets
)
SELECT 'maps the home' AS key, s.src_ip, list_distinct(flatten(list(s.ips))) AS peers, min(s.first_seen) AS first_seen, max(s.last_seen) AS last_seen,
       sum(s.probes)::BIGINT AS count,
       CASE WHEN list_contains($hub_kinds, any_value(k.kind)) THEN 'informational' ELSE 'low' END AS level,
       'Asked ' || max(s.targets) || ' devices of the home what they are' AS title,
       {targets: max(s.targets), probes: sum(s.probes)::BIGINT, sweeps: count(*), device_kind: any_value(k.kind),
        ports: list_sort(list_distinct(flatten(list(s.ports))))} AS facts,
       list_transform(flatten(list(s.ids)), lambda i: 'flow:' || i) AS evidence
FROM sweep s LEFT JOIN device_kind k ON k.ip = s.src_ip GROUP BY s.src_ip
