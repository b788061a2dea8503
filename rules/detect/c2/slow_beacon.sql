-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b11
-- title: Regular call with long sleeps
-- status: test
-- class: c2_beacon
-- level: low
-- tags: [attack.command-and-control, attack.t1071, attack.t1029]
-- description: A device calls one destination every few hours or days, for weeks, at nearly equal intervals and with as much to say each time. Implants that must stay unseen sleep so long; so do programs that look for updates, which call named services.
-- falsepositives:
--   - A program that looks for updates by the clock at an address built into it.
-- reads: [flow]
-- window_s: 0
-- parameters:
--   look_back_days: {default: 21, unit: days, reason: "as long as seldom calls are kept"}
--   min_interval_s: {default: 3600, unit: s, reason: "what is quicker is told within its day by the rule for beacons"}
--   min_calls: {default: 6, unit: calls, reason: "five intervals that agree within a tenth are no chance"}
--   sure_calls: {default: 9, unit: calls, reason: "more calls may differ more"}
--   max_dispersion: {default: 0.1, unit: quartile coefficient, reason: "(Q3-Q1)/(Q3+Q1) of few intervals"}
--   max_dispersion_sure: {default: 0.2, unit: quartile coefficient, reason: "of many: a sleep of a day with ten hours of jitter"}
--   max_size_dispersion: {default: 0.3, unit: quartile coefficient, reason: "an idle implant says the same each time"}
--   min_coverage: {default: 0.6, unit: share, reason: "calls times interval over the span: beats must fill it"}
--   min_span_s: {default: 86400, unit: s, reason: "a day; within it the rule for beacons looks"}
--   max_devices: {default: 3, unit: devices, reason: "what so many devices of one home call is a service"}
--   rhythm_share: {default: 0.05, unit: share, reason: "a measured rhythm of a known gadget matches within five per cent"}
--   usual_ports: {default: [80, 443, 5222, 5223, 5228, 8080, 8443, 8883, 1883], unit: ports, reason: "where programs call their makers; elsewhere a regular call is odder"}
WITH mine AS (
    SELECT r.*, coalesce(a.device_id, r.src_ip) AS actor
    FROM rare_call r LEFT JOIN v_device_address a
        ON a.ip = r.src_ip AND a.valid_from <= r.ts AND r.ts < a.valid_to
    WHERE r.hour BETWEEN $until::TIMESTAMP - to_days($look_back_days::INTEGER) AND $until
),
touched AS (
    -- Only who called anew can have become regular.
    SELECT DISTINCT coalesce(n.name, m.dest_ip) AS dest FROM mine m LEFT JOIN v_address_name n ON n.ip = m.dest_ip
    WHERE m.ts >= $since
),
beat AS (
    SELECT m.actor, coalesce(n.name, m.dest_ip) AS dest, m.dest_port, m.proto, m.hour,
           min(m.ts) AS ts, sum(m.calls) AS calls, arg_min(m.bytes_up, m.ts) AS size, sum(m.failed) AS failed,
           bool_or(n.name IS NOT NULL) AS named, arg_max(m.src_ip, m.ts) AS src_ip, min(m.dest_ip) AS dest_ip,
           min(m.flow_id) AS id
    FROM mine m LEFT JOIN v_address_name n ON n.ip = m.dest_ip
    GROUP BY ALL HAVING dest IN (SELECT dest FROM touched)
),
gap AS (
    SELECT *, epoch(ts - lag(ts) OVER (PARTITION BY actor, dest, dest_port, proto ORDER BY ts)) AS gap_s FROM beat
),
told AS (
    SELECT actor, dest, dest_port, proto, bool_or(named) AS named, count(*) AS beats, sum(calls)::BIGINT AS n,
           sum(failed)::BIGINT AS failed, min(ts) AS first_seen, max(ts) AS last_seen,
           quantile_cont(gap_s, [0.25, 0.5, 0.75]) FILTER (gap_s IS NOT NULL) AS q,
           quantile_cont(size, [0.25, 0.5, 0.75]) FILTER (size IS NOT NULL) AS s,
           arg_max(src_ip, ts) AS src_ip, list_distinct(min(DISTINCT dest_ip, 20)) AS ips,
           list(round(gap_s)::BIGINT ORDER BY ts) FILTER (gap_s IS NOT NULL) AS gaps,
           list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM gap GROUP BY ALL HAVING count(*) >= $min_calls
),
scored AS (
    SELECT *, q[2] AS interval_s, epoch(last_seen - first_seen) AS span_s,
           (q[3] - q[1]) / nullif(q[3] + q[1], 0) AS dispersion,
           coalesce((s[3] - s[1]) / nullif(s[3] + s[1], 0), 0) AS size_dispersion,
           count(*) OVER (PARTITION BY dest) AS devices,
           exists (SELECT 1 FROM address_name a WHERE a.kind = 'dns') AS names_seen
    FROM told
)
SELECT 'slow_beacon>' || dest || ':' || dest_port AS key, src_ip, list_distinct([dest] || ips) AS peers,
       first_seen, last_seen, n AS count,
       CASE WHEN exists (SELECT 1 FROM name_hit h WHERE h.name = dest)
                 OR exists (SELECT 1 FROM periodic_fingerprint k WHERE k.device_id IS NULL AND (dest = k.name OR ends_with(dest, '.' || k.name))
                            AND abs(interval_s - k.period_s) <= $rhythm_share * k.period_s) THEN 'informational'
            WHEN devices >= $max_devices OR (failed >= n AND named) THEN 'low'
            WHEN (NOT named AND names_seen) OR NOT list_contains($usual_ports, dest_port) THEN 'medium'
            ELSE 'low' END AS level,
       'Calls ' || dest || ' every ' || CASE WHEN interval_s < 2 * $min_span_s THEN round(interval_s / 3600, 1) || ' h'
            ELSE round(interval_s / 86400, 1) || ' days' END || ', for ' || round(span_s / 86400, 1) || ' days' AS title,
       {destination: dest, dest_port: dest_port, proto: proto, calls: beats, interval_s: round(interval_s),
        jitter_share: round(dispersion, 3), size_bytes: s[2], size_dispersion: round(size_dispersion, 3),
        duration_s: span_s::BIGINT, intervals_s: gaps[:60], unanswered: failed, devices: devices, named: named} AS facts,
       evidence
FROM scored
WHERE interval_s >= $min_interval_s AND span_s >= $min_span_s AND beats * interval_s >= $min_coverage * span_s
  AND size_dispersion <= $max_size_dispersion
  AND (dispersion <= $max_dispersion OR (beats >= $sure_calls AND dispersion <= $max_dispersion_sure))
