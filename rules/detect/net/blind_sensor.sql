-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db009
-- title: The sensor sees only part of the network
-- status: test
-- class: blind_sensor
-- level: low
-- tags: []
-- description: The resolver answers devices whose connections the mirrored port never shows, or connections go only one way. What is not seen cannot be judged.
-- falsepositives:
--   - Devices that ask for names and then do nothing.
-- reads: [dns_log, flow]
-- window_s: 3600
-- parameters:
--   min_clients: {default: 2, unit: devices, reason: "asked the resolver, but opened nothing that was seen; one may be idle"}
--   min_queries: {default: 30, unit: queries, reason: "answered in the window for each of them: it is in use"}
--   min_flows: {default: 50, unit: connections, reason: "seen of others, so that there is a sensor at all"}
WITH client AS (
    SELECT src_ip, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen, min(id, 20) AS ids
    FROM dns_log WHERE ts BETWEEN $since AND $until AND src_ip IS NOT NULL AND status IN ('forwarded', 'cached')
    GROUP BY src_ip HAVING count(*) >= $min_queries
),
seen AS (SELECT src_ip, count(*) AS n FROM flow WHERE ts BETWEEN $since AND $until GROUP BY src_ip),
unseen AS (
    SELECT c.* FROM client c JOIN address_info a ON a.ip = c.src_ip AND a.home AND a.scope <> 'loopback'
    WHERE c.src_ip NOT IN (SELECT src_ip FROM seen WHERE src_ip IS NOT NULL)
      -- What Guardian itself sends need not pass the mirrored port.
      AND c.src_ip NOT IN (SELECT ip FROM own_address WHERE until IS NULL)
)
SELECT 'unseen_clients' AS key, NULL AS src_ip, min(src_ip, 50) AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       count(*) AS count, count(*) || ' devices ask for names, but the sensor never sees what they do' AS title,
       {devices_unseen: count(*), devices_seen: (SELECT count(*) FROM client) - count(*)} AS facts,
       list_transform(flatten(list(ids))[:60], lambda i: 'dns_log:' || i) AS evidence
FROM unseen WHERE (SELECT sum(n) FROM seen) >= $min_flows HAVING count(*) >= $min_clients
