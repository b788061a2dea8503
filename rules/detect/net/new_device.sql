-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db008
-- title: A new device
-- status: test
-- class: new_device
-- level: informational
-- tags: [attack.initial-access, attack.t1200]
-- description: A hardware address takes part in the home's network for the first time, after days in which the others were learned.
-- falsepositives:
--   - A phone that makes up a new hardware address.
-- reads: [flow, sighting]
-- window_s: 0
-- parameters:
--   learn_days: {default: 2, unit: days, reason: "what is seen at first was there before Guardian"}
WITH known AS (SELECT min(first_seen) AS since FROM device)
SELECT 'new_device/' || d.device_id AS key, coalesce((SELECT arg_max(a.ip, a.valid_from) FROM device_address a WHERE a.device_id = d.device_id), d.mac) AS src_ip,
       list_filter([d.mac], lambda m: m IS NOT NULL) AS peers, d.first_seen, d.first_seen AS last_seen, 1 AS count,
       'New device: ' || d.name AS title,
       {name: d.name, kind: d.kind, vendor: d.vendor, mac: d.mac} AS facts, []::VARCHAR[] AS evidence
FROM device d, known
WHERE d.first_seen BETWEEN $since AND $until AND d.first_seen >= known.since + to_days($learn_days::INTEGER)
  AND d.merged_into IS NULL
