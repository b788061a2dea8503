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
WITH spoken AS NOT MATERIALIZED (
    SELECT source_id, flow_id, src_ip, dest_ip, lower(sni) AS name FROM tls WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%'
    UNION ALL SELECT source_id, flow_id, src_ip, dest_ip, lower(sni) FROM quic WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%'
    UNION ALL SELECT source_id, flow_id, src_ip, dest_ip, lower(hostname) FROM http WHERE ts BETWEEN $since AND $until AND hostname LIKE '%.%'
),
named AS NOT MATERIALIZED (
    SELECT source_id, flow_id, hash(least(src_ip, dest_ip), greatest(src_ip, dest_ip)) AS ends, name
    FROM spoken WHERE flow_id IS NOT NULL AND name <> 'cloudflare-ech.com'
),
device_kind AS MATERIALIZED (
    SELECT a.ip, any_value(d.kind) AS kind FROM v_device_address a JOIN device d USING (device_id)
    WHERE a.valid_to = TIMESTAMP '9999-12-31' GROUP BY a.ip
),
-- A day of a busy home is millions of connections, and hardly any is such a report. To know the name of
-- each costs most: so first who called where, by address. What failed is as in v_flow.
went AS NOT MATERIALIZED (
    SELECT id, src_ip, dest_ip, hash(src_ip, dest_ip) AS link, ts, source_id, flow_id, app_proto, bytes_toserver, bytes_toclient
    FROM flow
    WHERE ts BETWEEN $since AND $until AND proto IN ('TCP', 'UDP') AND NOT list_contains($other_ports, dest_port)
      AND NOT CASE WHEN proto = 'TCP' AND coalesce(tcp_flags_ts, 0) > 0 THEN coalesce(tcp_flags_tc, 0) & 18 <> 18
                   ELSE coalesce(pkts_toclient, 0) = 0 OR (proto = 'UDP' AND state IS NOT DISTINCT FROM 'new') END
),
reached AS MATERIALIZED (
    SELECT link, any_value(src_ip) AS src_ip, any_value(dest_ip) AS dest_ip, count(*) AS n FROM went GROUP BY link
),
-- The outside addresses by name, as in v_address_name, which would weigh every name there ever was.
place AS MATERIALIZED (
    SELECT ip, best_name(name, kind, last_seen) AS name
    FROM address_name WHERE ip IN (SELECT dest_ip FROM reached) GROUP BY ip
),
way AS MATERIALIZED (
    SELECT row_number() OVER ()::INTEGER AS way, r.*, hash(least(r.src_ip, r.dest_ip), greatest(r.src_ip, r.dest_ip)) AS ends,
           coalesce(p.name, r.dest_ip) AS dest, coalesce(k.kind, 'unknown') AS kind
    FROM reached r JOIN address_info s ON s.ip = r.src_ip
    JOIN address_info d ON d.ip = r.dest_ip AND NOT d.home AND d.scope NOT IN ('multicast', 'broadcast')
    LEFT JOIN place p ON p.ip = r.dest_ip LEFT JOIN device_kind k ON k.ip = r.src_ip
    WHERE list_contains($kinds, coalesce(k.kind, 'unknown')) OR list_contains($maybe_kinds, coalesce(k.kind, 'unknown'))
),
-- Only where another name was spoken than the one that the address goes by, a connection must be asked for its
-- own. What was spoken carries the addresses of its connection; in QUIC the server may have said it.
said AS MATERIALIZED (SELECT DISTINCT w.way, h.name FROM named h JOIN way w USING (ends) WHERE h.name <> w.dest),
several AS MATERIALIZED (SELECT * FROM way WHERE way IN (SELECT way FROM said)),
-- A destination is a name over all its addresses. Names that the catalogue knows are told by their name, with
-- their rhythm; a resolver or a hub is no TV.
possible AS MATERIALIZED (
    SELECT row_number() OVER ()::INTEGER AS pair, src_ip, dest FROM (
        SELECT src_ip, dest FROM (
            SELECT src_ip, dest, n FROM way UNION ALL SELECT w.src_ip, s.name, w.n FROM said s JOIN way w USING (way))
        GROUP BY ALL HAVING sum(n) >= $min_reports)
    ANTI JOIN name_hit h ON h.name = dest
),
own AS MATERIALIZED (
    SELECT source_id, flow_id, min(name) AS name FROM named WHERE ends IN (SELECT ends FROM several) GROUP BY ALL
),
-- Medians hold every value. So first, by counting, the pairs that can be even: half of their gaps are as near to a
-- period as its tolerance and the jitter allow. A sort goes to the disk where it must, and a window without
-- PARTITION and ORDER reads what was sorted row by row, in that order.
hopeful AS MATERIALIZED (
    SELECT src_ip, dest FROM possible WHERE pair IN (
        SELECT pair FROM (
            SELECT pair, CASE WHEN lag(pair) OVER () = pair THEN epoch(ts - lag(ts) OVER ()) END AS gap_s FROM (
                SELECT p.pair, f.ts FROM went f JOIN (
                    SELECT link, pair FROM way JOIN possible USING (src_ip, dest) WHERE way NOT IN (SELECT way FROM several)
                ) p USING (link)
                UNION ALL
                SELECT p.pair, f.ts FROM went f JOIN several v USING (link) LEFT JOIN own o USING (source_id, flow_id)
                JOIN possible p ON p.src_ip = v.src_ip AND p.dest = coalesce(o.name, v.dest)
                ORDER BY pair, ts))
        GROUP BY pair HAVING count(*) >= $min_reports
           AND count(*) FILTER (len(list_filter($periods_s, lambda p: abs(gap_s - p) <= p * ($period_tolerance + $max_jitter * (1 + $period_tolerance)))) > 0)
               >= count(gap_s) // 2)
),
-- Their connections alone are looked at whole.
call AS MATERIALIZED (
    SELECT f.* EXCLUDE (link), w.dest AS place, w.kind FROM went f JOIN (
        SELECT * FROM way WHERE way IN (
            SELECT way FROM way SEMI JOIN hopeful USING (src_ip, dest)
            UNION SELECT s.way FROM said s JOIN way w USING (way) JOIN hopeful h ON h.src_ip = w.src_ip AND h.dest = s.name)
    ) w USING (src_ip, dest_ip)
),
call_own AS (
    SELECT source_id, flow_id, min(name) AS name FROM named SEMI JOIN call USING (source_id, flow_id) GROUP BY ALL
),
called AS (
    SELECT c.*, o.name, coalesce(o.name, c.place) AS dest, coalesce(c.app_proto, '') = 'tls' OR o.name IS NOT NULL AS tls
    FROM call c LEFT JOIN call_own o USING (source_id, flow_id)
),
unknown_call AS MATERIALIZED (
    SELECT src_ip, dest, dest_ip, ts, id, kind, bytes_toserver AS up, bytes_toclient AS down,
           greatest(bytes_toserver - (CASE WHEN tls THEN $handshake_up ELSE 0 END), 0) AS said,
           greatest(bytes_toclient - (CASE WHEN tls THEN $handshake_down ELSE 0 END), 0) AS heard,
           epoch(ts - lag(ts) OVER (PARTITION BY src_ip, dest ORDER BY ts)) AS gap_s
    FROM called SEMI JOIN hopeful USING (src_ip, dest)
),
pair AS (
    SELECT src_ip, dest, any_value(kind) AS kind, count(*) AS reports, median(gap_s) AS period_s,
           mad(gap_s) / nullif(median(gap_s), 0) AS jitter, median(said) AS said, median(up) AS up, mad(up) / nullif(median(up), 0) AS up_spread,
           median(heard) AS heard, median(down) AS down, sum(up) AS bytes_up, min(ts) AS first_seen, max(ts) AS last_seen,
           count(DISTINCT time_bucket(INTERVAL 5 MINUTE, ts)) * 300 AS present_s,
           min(DISTINCT dest_ip, 10) AS ips, min(id, 60) AS ids
    FROM unknown_call GROUP BY ALL HAVING count(*) >= $min_reports
),
even AS MATERIALIZED (
    SELECT * FROM pair
    WHERE len(list_filter($periods_s, lambda p: abs(period_s - p) <= p * $period_tolerance)) > 0
      AND jitter <= $max_jitter AND said >= $min_up_bytes AND up <= $max_up_bytes AND said >= heard AND up_spread <= $max_size_spread
      AND reports * period_s >= $min_coverage * present_s AND present_s <= $max_on_h * 3600
),
-- The last report of each sitting, and what else the device did in the half hours around it.
ending AS MATERIALIZED (
    SELECT src_ip, dest, ts FROM (
        SELECT src_ip, dest, ts, lead(ts) OVER (PARTITION BY src_ip, dest ORDER BY ts) AS next_ts
        FROM unknown_call SEMI JOIN even USING (src_ip, dest))
    WHERE coalesce(epoch(next_ts - ts), 1e9) > $off_s
      AND ts <= (SELECT max(ts) FROM flow WHERE ts BETWEEN $since AND $until) - to_seconds($off_s)
),
other AS MATERIALIZED (
    SELECT f.* EXCLUDE (link), w.dest AS place
    FROM went f JOIN (SELECT * FROM way WHERE src_ip IN (SELECT src_ip FROM ending)) w USING (src_ip, dest_ip)
),
other_own AS (
    SELECT source_id, flow_id, min(name) AS name FROM named SEMI JOIN other USING (source_id, flow_id) GROUP BY ALL
),
around AS (
    SELECT e.src_ip, e.dest, e.ts, count(*) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)) AS n_before,
           coalesce(sum(f.up + f.down) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)), 0) AS before,
           coalesce(sum(f.up + f.down) FILTER (f.ts > e.ts + to_seconds($off_grace_s)), 0) AS after,
           coalesce(sum(f.down) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)), 0) AS got
    FROM ending e JOIN (
        SELECT c.src_ip, c.ts, c.bytes_toserver AS up, c.bytes_toclient AS down, coalesce(o.name, c.place) AS dest
        FROM other c LEFT JOIN other_own o USING (source_id, flow_id)
    ) f ON f.src_ip = e.src_ip AND f.dest <> e.dest AND f.ts BETWEEN e.ts - INTERVAL 30 MINUTE AND e.ts + INTERVAL 32 MINUTE
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
