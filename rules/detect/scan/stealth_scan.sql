-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9a05
-- title: Stealth scan
-- status: test
-- class: port_scan
-- level: high
-- tags: [attack.discovery, attack.t1046]
-- description: Packets with flags that no conversation begins with (none at all, FIN alone, FIN+PSH+URG), to many ports or hosts. Only scanners send them, and only they send several kinds.
-- falsepositives:
--   - A broken network stack; it would hit one port again and again, not many.
-- reads: [alert, flow]
-- window_s: 3600
-- parameters:
--   min_targets: {default: 5, unit: targets, reason: "distinct host and port pairs; a single odd packet is damage, not a scan"}
--   min_kinds: {default: 2, unit: kinds, reason: "of such packets from one host that were answered; a broken stack makes one kind of damage, a scanner tries several"}
WITH odd AS (
    SELECT *, CASE signature_id WHEN 9000101 THEN 'NULL' WHEN 9000102 THEN 'FIN' ELSE 'XMAS' END AS kind
    FROM alert WHERE ts BETWEEN $since AND $until AND signature_id IN (9000101, 9000102, 9000103)
),
-- A probe that a living host answered told its sender something; what goes into nothing may be damage.
answered AS (
    SELECT flow_id FROM flow WHERE ts BETWEEN $since AND $until AND pkts_toclient > 0 AND flow_id IN (SELECT flow_id FROM odd)
)
SELECT 'stealth_scan/' || kind AS key, src_ip, min(DISTINCT dest_ip, 50).list_distinct() AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN count(DISTINCT dest_ip) > count(DISTINCT dest_port) THEN 'host_scan' ELSE 'port_scan' END AS class,
       'Stealth scan (' || kind || '): ' || count(DISTINCT (dest_ip, dest_port)) || ' ports' AS title,
       {kind: kind, targets: count(DISTINCT (dest_ip, dest_port)), hosts: count(DISTINCT dest_ip),
        sample_ports: min(DISTINCT dest_port, 20)} AS facts,
       list_transform(min(id, 50), lambda i: 'alert:' || i) AS evidence
FROM (
    SELECT *, bit_count(bit_or(CASE WHEN flow_id IS NULL OR flow_id NOT IN (SELECT flow_id FROM answered) THEN 0
                                    WHEN kind = 'NULL' THEN 1 WHEN kind = 'FIN' THEN 2 ELSE 4 END) OVER (PARTITION BY src_ip)) AS kinds
    FROM odd
)
GROUP BY src_ip, kind HAVING count(DISTINCT (dest_ip, dest_port)) >= $min_targets OR max(kinds) >= $min_kinds
