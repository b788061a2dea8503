-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db003
-- title: Sends out far more than it ever did
-- status: test
-- class: exfiltration
-- level: medium
-- tags: [attack.exfiltration, attack.t1041, attack.t1567]
-- description: In an hour a device uploads to one outside destination many times what it uploaded in any hour before, and more than it gets. A camera that uploads to its maker every day has that in its baseline.
-- falsepositives:
--   - The first backup to a new cloud; a long video call.
-- reads: [flow]
-- window_s: 691200
-- parameters:
--   min_bytes: {default: 200000000, unit: bytes, reason: "in an hour; a person's photographs of a day are less"}
--   min_times: {default: 10, unit: times, reason: "the device's own busiest hour before this one"}
--   min_ratio: {default: 5, unit: ratio, reason: "up over down: calls and games go both ways"}
--   learn_days: {default: 3, unit: days, reason: "before, there is no baseline to exceed, and no alarm"}
WITH big AS (
    -- Only who sent so much in one hour at all is looked at by destination.
    SELECT src_ip FROM flow WHERE ts BETWEEN $since AND $until GROUP BY src_ip, time_bucket(INTERVAL 1 HOUR, ts)
    HAVING sum(bytes_toserver) >= $min_bytes
),
hour AS (
    SELECT src_ip, coalesce(n.name, f.dest_ip) AS dest, time_bucket(INTERVAL 1 HOUR, ts) AS span,
           sum(bytes_toserver) AS up, sum(bytes_toclient) AS down, count(*) AS n, min(ts) AS first_seen,
           max(coalesce(end_ts, ts)) AS last_seen, arg_max(f.id, bytes_toserver, 40) AS ids, min(f.dest_ip) AS dest_ip
    FROM v_flow f LEFT JOIN v_address_name n ON n.ip = f.dest_ip
    WHERE ts BETWEEN $since AND $until AND direction = 'outbound' AND src_ip IN (SELECT src_ip FROM big) GROUP BY ALL
),
total AS (SELECT src_ip, span, sum(up) AS up FROM hour GROUP BY ALL),
learned AS (
    -- The baseline of four weeks, where there is one that does not hold the hour in question itself.
    SELECT t.src_ip, t.span, max(b.busiest) AS busiest, min(b.since) AS since
    FROM total t JOIN v_device_address a ON a.ip = t.src_ip AND a.valid_from <= t.span AND t.span < a.valid_to
        JOIN v_baseline b ON b.device_id = a.device_id AND b.metric = 'bytes_up' AND b.learned AND b.made_at <= t.span + INTERVAL 1 HOUR
    GROUP BY ALL
),
past AS (
    SELECT s.src_ip, s.span, greatest(s.busiest, l.busiest) AS busiest, least(s.known_since, l.since) AS known_since
    FROM (SELECT *, max(up) OVER (PARTITION BY src_ip ORDER BY span ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busiest,
                 min(span) OVER (PARTITION BY src_ip) AS known_since
          FROM total) s LEFT JOIN learned l USING (src_ip, span)
)
SELECT 'exfiltration>' || h.dest || '/' || strftime(h.span, '%Y-%m-%d') AS key, h.src_ip, list_distinct([h.dest, any_value(h.dest_ip)]) AS peers,
       min(h.first_seen) AS first_seen, max(h.last_seen) AS last_seen, sum(h.n)::BIGINT AS count,
       'Sent ' || round(max(h.up) / 1e6)::BIGINT || ' MB to ' || h.dest || ' in an hour' AS title,
       {destination: h.dest, bytes_up: max(h.up)::BIGINT, bytes_down: arg_max(h.down, h.up)::BIGINT,
        busiest_hour_before: arg_max(p.busiest, h.up)::BIGINT} AS facts,
       list_transform(arg_max(h.ids, h.up), lambda i: 'flow:' || i) AS evidence
FROM hour h JOIN past p ON p.src_ip = h.src_ip AND p.span = h.span
WHERE h.up >= $min_bytes AND h.up >= $min_ratio * h.down AND h.up >= $min_times * p.busiest
  AND h.span >= p.known_since + to_days($learn_days::INTEGER)
GROUP BY h.src_ip, h.dest, strftime(h.span, '%Y-%m-%d')
