-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da004
-- title: ARP sweep
-- status: test
-- class: host_scan
-- level: low
-- tags: [attack.discovery, attack.t1018]
-- description: One machine asks for the hardware address of many neighbours within minutes, most of whom do not exist. It is how a scan of the local network begins.
-- falsepositives:
--   - The router, which asks for whoever a scan from outside or an old lease names.
--   - Apps that look for televisions and printers.
-- reads: [raw_event]
-- window_s: 900
-- parameters:
--   min_targets: {default: 30, unit: addresses, reason: "different neighbours asked for; a device of a home talks to ten at most"}
--   many_targets: {default: 100, unit: addresses, reason: "half of a usual network: a scan, whoever does it"}
--   span_s: {default: 300, unit: s, reason: "sweeps are quick"}
WITH asked AS (
    SELECT id, ts, json_extract_string(raw, '$.arp.src_ip') AS src_ip, lower(json_extract_string(raw, '$.arp.src_mac')) AS mac,
           json_extract_string(raw, '$.arp.dest_ip') AS target, time_bucket(to_seconds($span_s::BIGINT), ts) AS span
    FROM raw_event
    WHERE ts BETWEEN $since AND $until AND event_type = 'arp'
      AND json_extract_string(raw, '$.arp.opcode') IN ('1', 'request', 'who-has')
      AND json_extract_string(raw, '$.arp.src_ip') <> json_extract_string(raw, '$.arp.dest_ip')
),
spans AS (
    SELECT src_ip, mac, span, count(DISTINCT target) AS n, count(*) AS messages, min(DISTINCT target, 50) AS targets,
           min(ts) AS first_seen, max(ts) AS last_seen, min(id, 60) AS ids
    FROM asked GROUP BY ALL HAVING count(DISTINCT target) >= $min_targets
)
SELECT 'arp_sweep/' || mac AS key, CASE WHEN src_ip = '0.0.0.0' THEN NULL ELSE src_ip END AS src_ip,
       list_distinct(arg_max(targets, n)) AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(messages)::BIGINT AS count,
       CASE WHEN max(n) >= $many_targets THEN 'medium' ELSE 'low' END AS level,
       CASE WHEN max(n) >= $many_targets THEN 'host_scan' ELSE 'lan_recon' END AS class,
       'ARP sweep: ' || max(n) || ' neighbours asked for' AS title,
       {mac: mac, targets: max(n), span_s: $span_s} AS facts,
       list_transform(arg_max(ids, n), lambda i: 'raw_event:' || i) AS evidence
FROM spans GROUP BY src_ip, mac
