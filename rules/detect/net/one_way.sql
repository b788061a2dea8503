-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db00b
-- title: The sensor sees only one direction
-- status: test
-- class: blind_sensor
-- level: low
-- tags: []
-- description: Most connections at the sensor carry data one way only, although they were in full swing. The mirrored port copies only what is sent or only what is received, so neither answers nor amounts can be judged.
-- falsepositives:
--   - A capture of a flood, in which nobody answers because nobody can.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   min_packets: {default: 3, unit: packets, reason: "from the opener: the connection was in full swing"}
--   min_flows: {default: 50, unit: connections, reason: "in the window; fewer say nothing of the port"}
--   min_share: {default: 0.9, unit: share, reason: "of the TCP connections that carried data; a few one-way ones are lost packets"}
--   min_hosts: {default: 5, unit: hosts, reason: "on the far side; a single silent one may be down"}
WITH spoke AS (
    SELECT id, ts, src_ip, dest_ip, coalesce(pkts_toclient, 0) = 0 AS one_way
    FROM flow
    -- Acknowledged data (ACK and PSH from the opener) without a packet of the other side.
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND tcp_flags_ts & 24 = 24 AND pkts_toserver >= $min_packets
)
SELECT 'one_way' AS key, NULL AS src_ip, list_distinct(min(DISTINCT src_ip, 20) FILTER (one_way)) AS peers, min(ts) AS first_seen, max(ts) AS last_seen,
       count(*) FILTER (one_way) AS count, 'The sensor sees only one direction of ' || count(*) FILTER (one_way) || ' connections' AS title,
       {connections: count(*), one_way: count(*) FILTER (one_way), hosts: count(DISTINCT dest_ip)} AS facts,
       list_transform(min(id, 60) FILTER (one_way), lambda i: 'flow:' || i) AS evidence
FROM spoke
HAVING count(*) >= $min_flows AND count(*) FILTER (one_way) >= $min_share * count(*) AND count(DISTINCT dest_ip) >= $min_hosts
