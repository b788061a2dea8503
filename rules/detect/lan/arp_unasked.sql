-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da005
-- title: One machine speaks for another's address
-- status: test
-- class: arp_spoof
-- level: medium
-- tags: [attack.credential-access, attack.collection, attack.t1557.002]
-- description: A machine that has an address of its own tells a single neighbour, unasked, that another address is its own too. That is how a neighbour's traffic is drawn over to a listener.
-- falsepositives:
--   - A router or server with several addresses on one card that refreshes its neighbours one by one.
-- reads: [raw_event]
-- window_s: 3600
-- parameters:
--   sure: {default: 5, unit: packets, reason: "told unasked; poison must be renewed every minute or so"}
--   max_own: {default: 3, unit: addresses, reason: "a machine that speaks for more is a router"}
--   asked_within_s: {default: 10, unit: s, reason: "an answer comes at once; three retries take three seconds"}
WITH said AS (
    SELECT id, ts, json_extract_string(raw, '$.arp.src_ip') AS ip, lower(json_extract_string(raw, '$.arp.src_mac')) AS mac,
           json_extract_string(raw, '$.arp.dest_ip') AS target, lower(json_extract_string(raw, '$.arp.eth_dst')) AS eth_dst,
           json_extract_string(raw, '$.arp.opcode') AS opcode
    FROM raw_event WHERE ts BETWEEN $since AND $until AND event_type = 'arp'
),
unasked AS (
    SELECT r.* FROM said r
    WHERE r.opcode = 'reply' AND r.ip <> r.target AND r.ip <> '0.0.0.0' AND r.eth_dst <> 'ff:ff:ff:ff:ff:ff'
      AND NOT exists (SELECT 1 FROM said q WHERE q.opcode = 'request' AND q.target = r.ip AND q.ip = r.target
                      AND q.ts BETWEEN r.ts - to_seconds($asked_within_s::BIGINT) AND r.ts)
),
own AS (
    SELECT u.mac, u.ip, u.target, u.ts, u.id, min(o.ip) AS own_ip
    FROM unasked u JOIN said o ON o.mac = u.mac AND o.ip <> u.ip AND o.ip <> '0.0.0.0'
        -- It still goes by its own address afterwards, in the same network: it has not just changed it.
        AND o.ts >= u.ts AND split_part(o.ip, '.', 1) = split_part(u.ip, '.', 1) AND split_part(o.ip, '.', 2) = split_part(u.ip, '.', 2)
    GROUP BY ALL
)
SELECT 'arp_unasked>' || ip || '/' || mac AS key, min(own_ip) AS src_ip, list_distinct([ip, mac] || list(target)) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN count(*) >= $sure THEN 'high' ELSE 'medium' END AS level,
       'Speaks for the address ' || ip || ' as well as its own' AS title,
       {address: ip, mac: mac, own_address: min(own_ip), told: count(DISTINCT target)} AS facts,
       list_transform(min(id, 60), lambda i: 'raw_event:' || i) AS evidence
FROM own GROUP BY ip, mac
-- A machine that speaks for many addresses to whoever asks is a router.
HAVING count(DISTINCT own_ip) <= $max_own
