-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b09
-- title: Holds a long, quiet line to a bare address
-- status: test
-- class: c2_beacon
-- level: low
-- tags: [attack.command-and-control, attack.t1071, attack.t1095]
-- description: For hours a device holds one connection to an outside address that no name led to, with small messages that are answered in kind, as a heartbeat is. When it also knocked in vain before, its controller comes and goes.
-- falsepositives:
--   - A gadget that keeps a line to its maker's cloud by a built-in address.
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   min_duration_s: {default: 14400, unit: s, reason: "four hours; downloads and calls end sooner"}
--   max_rate: {default: 50, unit: bytes per second, reason: "payload and headers both ways; more is use, not a heartbeat"}
--   max_ratio: {default: 1.5, unit: ratio, reason: "of the two directions; a heartbeat is answered with as much"}
--   min_failed: {default: 3, unit: connections, reason: "unanswered attempts at the same address and port"}
WITH long AS (
    SELECT DISTINCT src_ip, dest_ip, dest_port FROM flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND end_ts - ts >= to_seconds($min_duration_s::BIGINT)
),
pair AS (
    SELECT src_ip, dest_ip, dest_port, count(*) AS n, count(*) FILTER (failed) AS failed,
           min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen,
           max(epoch(end_ts - ts)) AS duration_s, arg_max(bytes_toserver, epoch(end_ts - ts)) AS up,
           arg_max(bytes_toclient, epoch(end_ts - ts)) AS down,
           list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM v_flow SEMI JOIN long USING (src_ip, dest_ip, dest_port)
    WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external') AND proto = 'TCP' AND opened
    GROUP BY ALL
)
SELECT 'held>' || dest_ip || ':' || dest_port AS key, src_ip, [dest_ip] AS peers, first_seen, last_seen, n AS count,
       CASE WHEN failed >= $min_failed THEN 'medium' ELSE 'low' END AS level,
       'Holds a quiet line to ' || dest_ip || ':' || dest_port || ' for ' || round(duration_s / 3600, 1) || ' h' AS title,
       {destination: dest_ip, dest_port: dest_port, longest_s: round(duration_s), bytes_up: up, bytes_down: down,
        unanswered: failed} AS facts, evidence
FROM pair
WHERE duration_s >= $min_duration_s AND up > 0 AND down > 0
  AND (up + down) / duration_s <= $max_rate
  AND greatest(up, down) <= $max_ratio * least(up, down)
  AND dest_ip NOT IN (SELECT ip FROM address_name)
