-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da00c
-- title: Answers to whatever name is asked for
-- status: test
-- class: arp_spoof
-- level: medium
-- tags: [attack.credential-access, attack.collection, attack.t1557.001]
-- description: One machine answers by LLMNR for several different names. A machine has one name; who answers for all of them draws log-ins meant for others to itself.
-- falsepositives:
--   - A host of virtual machines whose answers come from one card.
-- reads: [sighting]
-- window_s: 3600
-- parameters:
--   min_names: {default: 3, unit: names, reason: "different names answered for in the window; a machine has one, perhaps one more after it was renamed"}
WITH answered AS (
    SELECT mac, ip, lower(split_part(name, '.', 1)) AS name, ts, id FROM sighting
    WHERE ts BETWEEN $since AND $until AND method = 'llmnr' AND name IS NOT NULL AND mac IS NOT NULL
)
SELECT 'name_poisoning/' || mac AS key, arg_max(ip, ts) AS src_ip, list_distinct(min(DISTINCT name, 20)) AS peers, min(ts) AS first_seen, max(ts) AS last_seen,
       count(*) AS count, 'Answers for ' || count(DISTINCT name) || ' names by LLMNR' AS title,
       {mac: mac, names: count(DISTINCT name), samples: list_distinct(min(DISTINCT name, 10))} AS facts,
       list_transform(min(id, 60), lambda i: 'sighting:' || i) AS evidence
FROM answered GROUP BY mac HAVING count(DISTINCT name) >= $min_names
