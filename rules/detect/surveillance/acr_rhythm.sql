-- id: 7c1d6e0a-3f5b-4a53-9a55-0e5f3b7f1c02
-- title: Rhythm of content recognition
-- status: test
-- class: acr
-- level: low
-- tags: []
-- description: A TV sends a little more than it gets, in messages of one size, every 15 or every 60 seconds for as long as it is on. That is consistent with a set that reports what is on its screen; by rhythm alone it is possible, no more. Of a device of unknown kind it is said only when its reports were seen to end with everything else it does, as when a set is switched off, and when it got as much from elsewhere as pictures take.
-- falsepositives:
--   - A status report of an app or of the set itself that is sent as often.
--   - A battery-driven gadget that reports every minute while it is awake.
-- references: ["https://arxiv.org/abs/2409.06203"]
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   periods_s: {default: [15, 60], unit: s, reason: "measured: sets that listen report every 15 s, sets that look every minute (Anselmi et al., IMC 2024)"}
--   period_tolerance: {default: 0.2, unit: share, reason: "makers differ, and uploads wait for the set"}
--   max_jitter: {default: 0.1, unit: share, reason: "median absolute deviation of the gaps over the period; 0 is a clock"}
--   min_reports: {default: 15, unit: reports, reason: "a quarter of an hour at one a minute; fewer are chance"}
--   min_up_bytes: {default: 500, unit: bytes, reason: "less is a keep-alive, which tells nobody anything"}
--   max_up_bytes: {default: 65536, unit: bytes, reason: "more is pictures, not fingerprints of them"}
--   max_size_spread: {default: 0.25, unit: share, reason: "median absolute deviation of the sizes: fingerprints of equal spans are equally long"}
--   min_coverage: {default: 0.6, unit: share, reason: "of the minutes in which it reported at all, the reports must fill so many"}
--   handshake_up: {default: 1000, unit: bytes, reason: "what opening and closing TLS costs the caller: hello, acknowledgements, headers"}
--   handshake_down: {default: 4500, unit: bytes, reason: "what it costs the server: hello and a certificate chain"}
--   kinds: {default: [tv], unit: device kinds, reason: "what has a screen"}
--   maybe_kinds: {default: [unknown], unit: device kinds, reason: "what may have one: then its reports must end with its power"}
--   off_s: {default: 900, unit: s, reason: "a quarter of an hour without a report: the sitting is over"}
--   off_grace_s: {default: 120, unit: s, reason: "reports stop at most two minutes after the set is switched off"}
--   off_share: {default: 0.1, unit: share, reason: "of the bytes of the half hour before, so little is left in the half hour after: standby"}
--   off_min: {default: 3, unit: other calls, reason: "in the half hour before; of a set that did nothing else, nothing can be told"}
--   min_shown_bytes: {default: 200000, unit: bytes, reason: "got from elsewhere in some half hour before: what is on a screen has pictures; an inverter or a meter gets less"}
--   max_on_h: {default: 20, unit: hours, reason: "no screen is on for longer in a day; what goes on is no report of a screen"}
--   other_ports: {default: [22, 53, 67, 68, 123, 137, 138, 161, 514, 546, 547, 853, 1194, 1883, 1900, 3478, 3702, 5060, 5353, 5355, 8883, 41641, 51820], unit: ports, reason: "time, names, logs, calls, tunnels and the keep-alives of gadgets are periodic by design"}
WITH spoken AS (
    SELECT source_id, flow_id, lower(sni) AS name FROM tls WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%'
    UNION ALL SELECT source_id, flow_id, lower(sni) FROM quic WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%'
    UNION ALL SELECT source_id, flow_id, lower(hostname) FROM http WHERE ts BETWEEN $since AND $until AND hostname LIKE '%.%'
),
own AS (
    SELECT source_id, flow_id, min(name) AS name FROM spoken WHERE flow_id IS NOT NULL AND name <> 'cloudflare-ech.com' GROUP BY ALL
),
device_kind AS (
    SELECT a.ip, any_value(d.kind) AS kind FROM v_device_address a JOIN device d USING (device_id)
    WHERE a.valid_to = TIMESTAMP '9999-12-31' GROUP BY a.ip
),
base AS NOT MATERIALIZED (
    SELECT f.src_ip, coalesce(o.name, n.name, f.dest_ip) AS dest, f.dest_ip, f.ts, f.bytes_toserver AS up, f.bytes_toclient AS down,
           f.id, coalesce(k.kind, 'unknown') AS kind, coalesce(f.app_proto, '') = 'tls' OR o.name IS NOT NULL AS tls
    FROM v_flow f LEFT JOIN own o USING (source_id, flow_id) LEFT JOIN v_address_name n ON n.ip = f.dest_ip
    LEFT JOIN device_kind k ON k.ip = f.src_ip
    WHERE f.ts BETWEEN $since AND $until AND f.direction IN ('outbound', 'external') AND NOT f.failed
      AND f.proto IN ('TCP', 'UDP') AND NOT list_contains($other_ports, f.dest_port)
      AND (list_contains($kinds, coalesce(k.kind, 'unknown')) OR list_contains($maybe_kinds, coalesce(k.kind, 'unknown')))
),
-- Medians hold every value. So first, by counting, the pairs that can be even: half of their gaps are as near to a
-- period as its tolerance and the jitter allow.
hopeful AS (
    SELECT any_value(src_ip) AS src_ip, any_value(dest) AS dest FROM (
        SELECT pair, src_ip, dest, epoch(ts - lag(ts) OVER (PARTITION BY pair ORDER BY ts)) AS gap_s
        FROM (SELECT hash(src_ip, dest) AS pair, src_ip, dest, ts FROM base))
    GROUP BY pair HAVING count(*) >= $min_reports
       AND count(*) FILTER (len(list_filter($periods_s, lambda p: abs(gap_s - p) <= p * ($period_tolerance + $max_jitter * (1 + $period_tolerance)))) > 0)
           >= count(gap_s) // 2
),
call AS (SELECT * FROM base SEMI JOIN (SELECT DISTINCT src_ip FROM hopeful) USING (src_ip)),
-- Names that the catalogue knows are told by their name, with their rhythm; a resolver or a hub is no TV.
unknown_call AS (
    SELECT *, greatest(up - (CASE WHEN tls THEN $handshake_up ELSE 0 END), 0) AS said,
           greatest(down - (CASE WHEN tls THEN $handshake_down ELSE 0 END), 0) AS heard,
           epoch(ts - lag(ts) OVER (PARTITION BY src_ip, dest ORDER BY ts)) AS gap_s
    FROM call SEMI JOIN hopeful USING (src_ip, dest) ANTI JOIN name_hit h ON h.name = call.dest
),
pair AS (
    SELECT src_ip, dest, any_value(kind) AS kind, count(*) AS reports, median(gap_s) AS period_s,
           mad(gap_s) / nullif(median(gap_s), 0) AS jitter, median(said) AS said, median(up) AS up, mad(up) / nullif(median(up), 0) AS up_spread,
           median(heard) AS heard, median(down) AS down, sum(up) AS bytes_up, min(ts) AS first_seen, max(ts) AS last_seen,
           count(DISTINCT time_bucket(INTERVAL 5 MINUTE, ts)) * 300 AS present_s,
           min(dest_ip, 10) AS ips, min(id, 60) AS ids
    FROM unknown_call GROUP BY ALL HAVING count(*) >= $min_reports
),
even AS (
    SELECT * FROM pair
    WHERE len(list_filter($periods_s, lambda p: abs(period_s - p) <= p * $period_tolerance)) > 0
      AND jitter <= $max_jitter AND said >= $min_up_bytes AND up <= $max_up_bytes AND said >= heard AND up_spread <= $max_size_spread
      AND reports * period_s >= $min_coverage * present_s AND present_s <= $max_on_h * 3600
),
-- The last report of each sitting, and what else the device did in the half hours around it.
ending AS (
    SELECT src_ip, dest, ts FROM (
        SELECT src_ip, dest, ts, lead(ts) OVER (PARTITION BY src_ip, dest ORDER BY ts) AS next_ts
        FROM unknown_call SEMI JOIN even USING (src_ip, dest))
    WHERE coalesce(epoch(next_ts - ts), 1e9) > $off_s
      AND ts <= (SELECT max(ts) FROM flow WHERE ts BETWEEN $since AND $until) - to_seconds($off_s)
),
around AS (
    SELECT e.src_ip, e.dest, e.ts, count(*) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)) AS n_before,
           coalesce(sum(f.up + f.down) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)), 0) AS before,
           coalesce(sum(f.up + f.down) FILTER (f.ts > e.ts + to_seconds($off_grace_s)), 0) AS after,
           coalesce(sum(f.down) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)), 0) AS got
    FROM ending e JOIN call f ON f.src_ip = e.src_ip AND f.dest <> e.dest AND f.ts BETWEEN e.ts - INTERVAL 30 MINUTE AND e.ts + INTERVAL 32 MINUTE
    GROUP BY ALL
),
power AS (
    SELECT src_ip, dest, count(*) FILTER (n_before >= $off_min AND after <= $off_share * before) AS with_power,
           count(*) FILTER (n_before >= $off_min AND after > $off_share * before) AS without_power, max(got) AS shown
    FROM around GROUP BY ALL
)
SELECT 'rhythm>' || dest AS key, src_ip, list_distinct([dest] || ips) AS peers, first_seen, last_seen, reports AS count,
       'Reports to ' || dest || ' every ' || round(period_s)::INTEGER || ' s: consistent with content recognition' AS title,
       {certainty: 'possible', destination: dest, device_kind: kind, period_s: round(period_s, 2), jitter_share: round(jitter, 3),
        reports: reports, report_bytes: up::BIGINT, report_spread: round(up_spread, 3), answer_bytes: down::BIGINT,
        bytes_up: bytes_up::BIGINT, present_s: present_s, ended_with_power: with_power, ended_otherwise: without_power} AS facts,
       list_transform(ids, lambda i: 'flow:' || i) AS evidence
FROM even LEFT JOIN power USING (src_ip, dest)
WHERE (list_contains($kinds, kind) OR (coalesce(with_power, 0) > 0 AND without_power = 0 AND shown >= $min_shown_bytes))
  AND NOT EXISTS (SELECT 1 FROM periodic_fingerprint p WHERE p.origin = 'measured' AND (dest = p.name OR ends_with(dest, '.' || p.name))
                  AND abs(period_s - p.period_s) <= greatest(1, 0.05 * p.period_s))
