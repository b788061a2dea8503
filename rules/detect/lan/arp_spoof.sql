-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da001
-- title: Two machines claim one address
-- status: test
-- class: arp_spoof
-- level: medium
-- tags: [attack.credential-access, attack.collection, attack.t1557.002]
-- description: A second hardware address claims an IP address by ARP while the first still does, or one machine claims the addresses of several. Whoever poisons neighbours' tables reads and changes their traffic.
-- falsepositives:
--   - Two devices set to the same address by mistake.
--   - A pair of routers that share one address (VRRP), or a repeater that answers for its clients.
-- reads: [raw_event]
-- window_s: 3600
-- parameters:
--   sure_claims: {default: 9, unit: packets, reason: "answers and unasked claims of the second machine; so many are a program"}
--   within_s: {default: 300, unit: s, reason: "a lease that passes on does so once, and the old holder is silent then"}
--   echo_s: {default: 0.05, unit: s, reason: "a repeater or a bridge over Wi-Fi passes a word on at once, with its own hardware address"}
--   echo_share: {default: 0.8, unit: share, reason: "of the second machine's questions that are copies of the first's; a poisoner asks in its own time or not at all"}
--   quarrel_share: {default: 0.5, unit: share, reason: "of the second machine's announcements that the first makes too: both were given the address and insist; who poisons speaks far oftener than who is robbed"}
--   min_claims: {default: 3, unit: packets, reason: "claims of the second machine; a mistake is said once or twice at start-up"}
WITH claim AS (
    SELECT id, ts, json_extract_string(raw, '$.arp.src_ip') AS ip, lower(json_extract_string(raw, '$.arp.src_mac')) AS mac,
           json_extract_string(raw, '$.arp.dest_ip') AS target,
           json_extract_string(raw, '$.arp.opcode') IN ('2', 'reply', 'is-at') AS reply,
           lower(json_extract_string(raw, '$.arp.eth_src')) AS eth
    FROM raw_event WHERE ts BETWEEN $since AND $until AND event_type = 'arp'
),
valid AS (
    SELECT * FROM claim WHERE ip IS NOT NULL AND ip <> '0.0.0.0' AND mac IS NOT NULL
      AND mac NOT IN ('00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff') AND NOT starts_with(mac, '00:00:5e:00:01')
),
holder AS (
    SELECT ip, mac, count(*) AS n, count(*) FILTER (reply) AS replies, min(ts) AS first_seen, max(ts) AS last_seen,
           min(id, 40) AS ids, list_distinct(min(DISTINCT target, 20)) AS targets,
           count(*) FILTER (reply AND target IS NOT DISTINCT FROM ip) AS announced
    FROM valid GROUP BY ip, mac
),
echo AS (
    -- Questions that a second machine repeats word for word a moment after the first.
    SELECT b.ip, b.mac, count(*) FILTER (exists (
               SELECT 1 FROM valid a WHERE a.ip = b.ip AND a.mac <> b.mac AND a.target = b.target AND NOT a.reply
                 AND a.ts BETWEEN b.ts - $echo_s::DOUBLE * INTERVAL 1 SECOND AND b.ts)) / count(*) AS share
    FROM valid b WHERE NOT b.reply
      AND b.ip IN (SELECT ip FROM holder GROUP BY ip HAVING count(*) > 1)
    GROUP BY b.ip, b.mac
),
clash AS (
    SELECT a.ip, b.mac AS second, a.mac AS first, b.n, b.replies, b.announced, a.announced AS first_announced, a.n AS first_n,
           a.first_seen, greatest(a.last_seen, b.last_seen) AS last_seen, b.ids, b.targets,
           (SELECT count(*) FROM holder h WHERE h.mac = b.mac) AS held
    FROM holder a JOIN holder b ON a.ip = b.ip AND a.mac <> b.mac
        -- The second came later, and the first was still there or had been a moment before.
        AND (b.first_seen, b.mac) > (a.first_seen, a.mac)
        AND b.first_seen <= a.last_seen + to_seconds($within_s::BIGINT)
)
SELECT 'arp_spoof>' || c.ip || '/' || c.second AS key,
       -- The address that the claiming machine is known by, if it has one of its own.
       coalesce((SELECT min(h.ip) FROM holder h WHERE h.mac = c.second AND h.ip NOT IN (SELECT ip FROM clash)), c.ip) AS src_ip,
       [c.ip, c.first, c.second] AS peers, c.first_seen, c.last_seen, c.n AS count,
       CASE WHEN coalesce(e.share, 0) >= $echo_share THEN 'low'
            -- Only said to all that the address is its own, a few times or in turn with the other: two devices were given one address.
            WHEN c.replies > 0 AND c.replies = c.announced AND (c.replies < $sure_claims OR c.first_announced >= $quarrel_share * c.announced) THEN 'low'
            WHEN c.replies >= $min_claims AND (c.held > 1 OR c.replies >= $sure_claims) THEN 'high' ELSE 'medium' END AS level,
       'Two machines claim the address ' || c.ip AS title,
       {address: c.ip, first_mac: c.first, second_mac: c.second, claims: c.n, unasked_or_answers: c.replies,
        addresses_claimed: c.held, repeats_the_first: coalesce(e.share, 0) >= $echo_share} AS facts,
       list_transform(c.ids, lambda i: 'raw_event:' || i) AS evidence
FROM clash c LEFT JOIN echo e ON e.ip = c.ip AND e.mac = c.second
WHERE c.n >= $min_claims OR c.held > 1
