-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da00f
-- title: Who was visited goes visiting
-- status: test
-- class: lateral_movement
-- level: high
-- tags: [attack.lateral-movement, attack.t1021.002, attack.t1210]
-- description: A device opens sessions of administration or file sharing with several machines at home, and minutes later one of these, which had opened none before, does the same with the same machines. So worms spread. It is told with few machines already, as a home has.
-- falsepositives:
--   - A backup that starts on one server and is handed on by another.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   ports: {default: [23, 135, 139, 445, 2323, 3389, 5985, 5986], unit: ports, reason: "what worms spread through; SSH is left out, since clusters of servers visit each other by it"}
--   min_machines: {default: 3, unit: machines, reason: "that each of the two goes to; clients at home have one or two file servers"}
--   min_sessions: {default: 6, unit: sessions, reason: "of each of the two: a worm needs several for a machine, a look-up of shares needs one"}
--   max_gap_s: {default: 1800, unit: s, reason: "from the visit to the visiting; worms begin within seconds or minutes"}
WITH session AS (
    SELECT src_ip, dest_ip, ts, coalesce(end_ts, ts) AS end_ts, id FROM v_flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND direction = 'internal' AND NOT failed
      AND list_contains($ports, dest_port)
),
pair AS (SELECT src_ip, dest_ip, count(*) AS n, min(ts) AS first_ts, max(end_ts) AS last_ts, min(id, 20) AS ids FROM session GROUP BY ALL),
visitor AS (
    SELECT src_ip, min(first_ts) AS began, max(last_ts) AS last_ts, sum(n)::BIGINT AS n, list(dest_ip ORDER BY dest_ip) AS machines,
           flatten(list(ids))[:30] AS ids
    FROM pair GROUP BY src_ip HAVING count(*) >= $min_machines AND sum(n) >= $min_sessions
)
SELECT 'spread>' || b.src_ip AS key, a.src_ip, list_distinct([b.src_ip] || a.machines[:50]) AS peers,
       a.began AS first_seen, greatest(a.last_ts, b.last_ts) AS last_seen, a.n + b.n AS count,
       'Spreads from machine to machine: ' || b.src_ip || ' does what was done to it' AS title,
       {handed_on_to: b.src_ip, machines_first: len(a.machines), machines_then: len(b.machines),
        machines_both: len(list_intersect(a.machines, b.machines)), gap_s: round(epoch(b.began - p.first_ts))} AS facts,
       list_transform(a.ids || b.ids, lambda i: 'flow:' || i) AS evidence
FROM pair p JOIN visitor a ON a.src_ip = p.src_ip JOIN visitor b ON b.src_ip = p.dest_ip
-- Of the machines that both visit, only the two themselves may be missing on the other's list.
WHERE b.began > p.first_ts AND b.began <= p.first_ts + to_seconds($max_gap_s::BIGINT)
  AND len(list_intersect(a.machines, b.machines)) >= $min_machines - 1
