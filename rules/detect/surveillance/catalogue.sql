-- id: 7c1d6e0a-3f5b-4a53-9a55-0e5f3b7f1c01
-- title: Service of the surveillance catalogue
-- status: test
-- class: ad_tracking
-- level: low
-- tags: []
-- description: A device talks to a service that the catalogue knows, by the name it asked for, spoke to or was answered with. It says who gets data and what for; that alone is no harm.
-- falsepositives:
--   - A person who opens the service's own web page.
--   - An address that two services share, where the connection itself names nobody.
-- reads: [flow, dns, dns_log, tls, quic, http]
-- window_s: 86400
-- parameters:
--   parallel_s: {default: 0.5, unit: s, reason: "connections opened together are one contact"}
--   min_periodic: {default: 6, unit: contacts, reason: "five equal intervals are no chance"}
--   max_jitter: {default: 0.1, unit: share, reason: "median absolute deviation over the median interval; 0 is a clock"}
--   night_from_h: {default: 23, unit: hour of the home's day, reason: "from then on most homes sleep"}
--   night_to_h: {default: 6, unit: hour of the home's day, reason: "until then most homes sleep"}
--   session_gap_s: {default: 900, unit: s, reason: "a quarter of an hour of silence ends a sitting"}
--   acr_periods_s: {default: [15, 60], unit: s, reason: "measured: sets that listen report every 15 s, sets that look every minute (Anselmi et al., IMC 2024)"}
--   period_tolerance: {default: 0.2, unit: share, reason: "makers differ, and uploads wait for the set"}
--   proven: {default: [payload-validated, behaviour], unit: grades, reason: "somebody saw what is sent, or when"}
--   off_s: {default: 900, unit: s, reason: "a quarter of an hour without a report: the sitting is over"}
--   off_grace_s: {default: 120, unit: s, reason: "reports stop at most two minutes after the set is switched off"}
--   off_share: {default: 0.1, unit: share, reason: "of the bytes of the half hour before, so little is left in the half hour after: standby"}
--   off_min: {default: 3, unit: other calls, reason: "in the half hour before; of a set that did nothing else, nothing can be told"}
--   outer_names: {default: [cloudflare-ech.com], unit: names, reason: "what an encrypted hello shows instead of the service's own name (ECH public names)"}
--   told_s: {default: 86400, unit: s, reason: "an answer older than a day is not what a device goes by"}
--   skew_s: {default: 2, unit: s, reason: "a resolver's log is to the second, and its clock is another one"}
--   hints: {default: [address and port, client fingerprint], unit: bases, reason: "where nothing named the server; possible at most"}
--   things: {default: [tv, camera, doorbell, plug, hub, appliance, speaker, printer], unit: device kinds, reason: "nobody types a question into these"}
WITH spoken AS NOT MATERIALIZED (
    SELECT source_id, flow_id, src_ip, dest_ip, lower(coalesce(nullif(sni, ''), subjectaltname[1])) AS name, ts, 'tls:' || id AS ref
    FROM tls WHERE ts BETWEEN $since AND $until
    UNION ALL SELECT source_id, flow_id, src_ip, dest_ip, lower(sni), ts, 'quic:' || id FROM quic WHERE ts BETWEEN $since AND $until
    UNION ALL SELECT source_id, flow_id, src_ip, dest_ip, lower(hostname), ts, 'http:' || id FROM http WHERE ts BETWEEN $since AND $until
),
-- A day is millions of rows, and few of them end in a name of the catalogue: first which names and
-- addresses those are, then only the rows that may end there.
-- How a device gets around the home's DNS is looked at elsewhere, with more than the name.
hit AS MATERIALIZED (SELECT DISTINCT name FROM name_hit WHERE class <> 'doh_bypass'),
-- What is left to go by where nothing names the server: stands in name_hit with a bar in it.
hint AS (SELECT DISTINCT name FROM name_hit WHERE contains(name, '|')),
named AS MATERIALIZED (SELECT DISTINCT ip FROM address_name SEMI JOIN hit USING (name)),
place AS MATERIALIZED (
    SELECT ip FROM named UNION SELECT split_part(name, '|', 1) FROM hit
),
-- An encrypted hello shows the name of the relay, not of the service: what DNS answered counts then.
said AS MATERIALIZED (
    SELECT * FROM spoken
    WHERE name IN (SELECT name FROM hit) OR (list_contains($outer_names, name) AND dest_ip IN (SELECT ip FROM place))
),
client AS MATERIALIZED (
    SELECT source_id, flow_id, min(h.name) AS name FROM (
        SELECT source_id, flow_id, 'ja4|' || ja4 AS name FROM tls WHERE ts BETWEEN $since AND $until AND ja4 <> ''
        UNION ALL SELECT source_id, flow_id, 'ja4|' || ja4 FROM quic WHERE ts BETWEEN $since AND $until AND ja4 <> ''
    ) JOIN hint h USING (name) WHERE flow_id IS NOT NULL GROUP BY ALL
),
near AS MATERIALIZED (
    SELECT id FROM flow SEMI JOIN place ON place.ip = flow.dest_ip WHERE ts BETWEEN $since AND $until
    UNION
    SELECT id FROM flow SEMI JOIN (SELECT source_id, flow_id FROM said UNION SELECT source_id, flow_id FROM client) k
        USING (source_id, flow_id)
    WHERE ts BETWEEN $since AND $until
),
went AS MATERIALIZED (
    SELECT f.id, f.src_ip, f.dest_ip, f.dest_port, f.ts, coalesce(f.end_ts, f.ts) AS end_ts, f.bytes_toserver AS up,
           f.bytes_toclient AS down, f.source_id, f.flow_id
    FROM v_flow f SEMI JOIN near USING (id)
    WHERE f.ts BETWEEN $since AND $until AND f.direction IN ('outbound', 'external') AND coalesce(f.dest_port, 0) <> 53
),
own AS (
    SELECT source_id, flow_id, min(name) AS name FROM spoken SEMI JOIN went USING (source_id, flow_id)
    WHERE name LIKE '%.%' AND NOT list_contains($outer_names, name) GROUP BY ALL
),
-- What each of these addresses stands for (as in v_address_name, which sums up every address), and
-- whether for several names: then what this very device was last told it is, before it went there.
stands AS MATERIALIZED (
    SELECT ip, count(DISTINCT name) AS names,
           best_name(name, kind, last_seen) AS name
    FROM address_name
    WHERE ip IN (SELECT ip FROM place UNION SELECT dest_ip FROM went) GROUP BY ip
),
shared AS (SELECT ip FROM stands SEMI JOIN named USING (ip) WHERE names > 1),
answer AS MATERIALIZED (
    SELECT client, ip, name, ts FROM (
        SELECT CASE WHEN src_port = 53 THEN dest_ip ELSE src_ip END AS client, unnest(answers) AS ip, lower(rrname) AS name, ts
        FROM dns WHERE ts BETWEEN $since - to_seconds($told_s) AND $until AND type = 'answer' AND rrtype IN ('A', 'AAAA')
        UNION ALL
        SELECT src_ip, unnest(answers), lower(rrname), ts
        FROM dns_log WHERE ts BETWEEN $since - to_seconds($told_s) AND $until AND rrtype IN ('A', 'AAAA')
    ) SEMI JOIN shared USING (ip)
),
hidden AS (
    SELECT s.ref, a.name FROM (
        SELECT ref, src_ip, dest_ip, ts + to_seconds($skew_s) AS by_ts FROM said WHERE list_contains($outer_names, name)
    ) s ASOF JOIN answer a ON a.client = s.src_ip AND a.ip = s.dest_ip AND s.by_ts >= a.ts
),
told AS (
    SELECT f.id, a.name FROM (
        SELECT id, src_ip, dest_ip, ts + to_seconds($skew_s) AS by_ts FROM went SEMI JOIN shared ON shared.ip = went.dest_ip
    ) f ASOF JOIN answer a ON a.client = f.src_ip AND a.ip = f.dest_ip AND f.by_ts >= a.ts
),
flows AS MATERIALIZED (
    SELECT f.id, f.src_ip, f.dest_ip, coalesce(o.name, t.name, n.name, e.name, c.name, f.dest_ip) AS name, f.ts, f.end_ts,
           f.up, f.down, f.source_id, f.flow_id,
           CASE WHEN o.name IS NOT NULL THEN 'connection' WHEN coalesce(t.name, n.name) IS NOT NULL THEN 'dns answer'
                WHEN e.name IS NOT NULL THEN 'address and port' WHEN c.name IS NOT NULL THEN 'client fingerprint' ELSE 'address' END AS via
    FROM went f LEFT JOIN own o USING (source_id, flow_id) LEFT JOIN told t ON t.id = f.id
    LEFT JOIN stands n ON n.ip = f.dest_ip LEFT JOIN hint e ON e.name = f.dest_ip || '|' || f.dest_port
    LEFT JOIN client c ON c.source_id = f.source_id AND c.flow_id = f.flow_id
),
-- Questions counted once, as in v_dns_query, but of these names only: a logged one that the wire
-- showed too is left out, and answers stand for the questions where a source gives only those.
asking AS (SELECT DISTINCT source_id FROM dns WHERE type = 'query'),
wire AS MATERIALIZED (
    SELECT id, ts, src_ip, lower(rrname) AS name, rrtype, type, source_id FROM dns
    WHERE ts BETWEEN $since - INTERVAL 5 MINUTE AND $until + INTERVAL 5 MINUTE
      AND rrtype IN ('A', 'AAAA', 'HTTPS') AND lower(rrname) IN (SELECT name FROM hit)
),
asked AS (
    SELECT src_ip, name, ts, 'dns:' || id AS ref, 2 AS kind FROM wire
    WHERE ts BETWEEN $since AND $until AND (type = 'query' OR source_id NOT IN (SELECT source_id FROM asking))
    UNION ALL
    SELECT l.src_ip, l.name, l.ts, 'dns_log:' || l.id, 3 FROM (
        SELECT id, ts, src_ip, lower(rrname) AS name, rrtype FROM dns_log
        WHERE ts BETWEEN $since AND $until AND rrtype IN ('A', 'AAAA', 'HTTPS') AND lower(rrname) IN (SELECT name FROM hit)
    ) l ANTI JOIN wire w ON w.src_ip = l.src_ip AND w.name = l.name AND w.rrtype = l.rrtype AND w.type = 'query'
        AND time_bucket(INTERVAL 5 MINUTES, w.ts) = time_bucket(INTERVAL 5 MINUTES, l.ts)
),
-- What a resolver asks for others is not its own doing.
resolver AS (
    SELECT DISTINCT dest_ip AS ip FROM dns
    WHERE rrname IS NOT NULL AND (type = 'query' OR source_id NOT IN (SELECT source_id FROM asking))
      AND dest_ip IN (SELECT src_ip FROM asked)
),
contact AS (
    SELECT src_ip, dest_ip, name, ts, end_ts, up, down, 'flow:' || id AS ref, 1 AS kind, via FROM flows
    UNION ALL
    SELECT s.src_ip, s.dest_ip, coalesce(h.name, n.name, s.name), s.ts, s.ts, NULL, NULL, s.ref, 1,
           CASE WHEN coalesce(h.name, n.name) IS NULL THEN 'connection' ELSE 'dns answer' END
    FROM said s LEFT JOIN hidden h USING (ref)
    LEFT JOIN stands n ON n.ip = s.dest_ip AND list_contains($outer_names, s.name)
    ANTI JOIN flows f ON f.source_id = s.source_id AND f.flow_id = s.flow_id
    UNION ALL
    SELECT src_ip, NULL, name, ts, ts, NULL, NULL, ref, kind, 'dns' FROM asked ANTI JOIN resolver r ON r.ip = asked.src_ip
),
known AS (
    SELECT c.*, h.class, h.company, h.service, h.entry_id, h.purposes, h.grade, h.breakage,
           (hour(c.ts + to_seconds($utc_offset_s)) >= $night_from_h OR hour(c.ts + to_seconds($utc_offset_s)) < $night_to_h) AS night,
           epoch(c.ts - lag(c.ts) OVER (PARTITION BY c.src_ip, c.name, c.kind, h.class ORDER BY c.ts)) AS gap_s
    FROM contact c JOIN name_hit h USING (name)
    WHERE h.class <> 'doh_bypass'
),
-- The steadiest rhythm among the names of the service.
rhythm AS (
    SELECT src_ip, class, entry_id, name, kind, median(gap_s) AS period_s,
           mad(gap_s) / nullif(median(gap_s), 0) AS jitter
    FROM known WHERE gap_s > $parallel_s GROUP BY ALL HAVING count(*) >= $min_periodic
),
steady AS (
    SELECT src_ip, class, entry_id, arg_min(period_s, jitter) AS period_s, min(jitter) AS jitter
    FROM rhythm WHERE jitter <= $max_jitter GROUP BY ALL
),
-- Sittings: what follows a quarter of an hour of silence of the whole service.
sitting AS (
    SELECT src_ip, class, company, service, count(*) FILTER (coalesce(pause_s, 1e9) > $session_gap_s) AS sessions
    FROM (SELECT src_ip, class, company, service,
                 epoch(ts - lag(ts) OVER (PARTITION BY src_ip, class, company, service ORDER BY ts)) AS pause_s FROM known)
    GROUP BY ALL
),
-- Reports of a screen end when it is switched off: the last contact of each sitting, and what
-- else the set did in the half hours around it.
ending AS (
    SELECT src_ip, entry_id, ts FROM (
        SELECT src_ip, entry_id, ts, lead(ts) OVER (PARTITION BY src_ip, entry_id ORDER BY ts) AS next_ts
        FROM known WHERE class = 'acr' AND kind = 1)
    WHERE coalesce(epoch(next_ts - ts), 1e9) > $off_s
      AND ts <= (SELECT max(ts) FROM flow WHERE ts BETWEEN $since AND $until) - to_seconds($off_s)
),
around AS (
    SELECT e.src_ip, e.entry_id, e.ts, count(*) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)) AS n_before,
           coalesce(sum(f.bytes_toserver + f.bytes_toclient) FILTER (f.ts <= e.ts + to_seconds($off_grace_s)), 0) AS before,
           coalesce(sum(f.bytes_toserver + f.bytes_toclient) FILTER (f.ts > e.ts + to_seconds($off_grace_s)), 0) AS after
    FROM ending e JOIN (
        SELECT id, src_ip, ts, bytes_toserver, bytes_toclient FROM v_flow
        WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external') AND coalesce(dest_port, 0) <> 53
    ) f ON f.src_ip = e.src_ip AND f.ts BETWEEN e.ts - INTERVAL 30 MINUTE AND e.ts + INTERVAL 32 MINUTE
    ANTI JOIN (SELECT id FROM flows JOIN name_hit h USING (name) WHERE h.class = 'acr') own ON own.id = f.id
    GROUP BY ALL
),
power AS (
    SELECT src_ip, entry_id, count(*) FILTER (n_before >= $off_min AND after <= $off_share * before) AS with_power,
           count(*) FILTER (n_before >= $off_min AND after > $off_share * before) AS without_power
    FROM around GROUP BY ALL
),
who AS (
    SELECT a.ip, any_value(d.kind) AS device_kind
    FROM v_device_address a JOIN device d USING (device_id) WHERE a.valid_to = TIMESTAMP '9999-12-31' GROUP BY a.ip
),
summed AS (
    SELECT src_ip, class, company, service, any_value(entry_id) AS entry_id, any_value(purposes) AS purposes,
           min(grade) AS grade, max(breakage) AS breakage,
           count(*) FILTER (kind = 1) AS connections,
           greatest(count(*) FILTER (kind = 2), count(*) FILTER (kind = 3)) AS lookups,
           sum(up) AS bytes_up, sum(down) AS bytes_down,
           count(*) FILTER (night) / count(*) AS night_share,
           count(DISTINCT date_trunc('hour', ts)) AS active_hours,
           list_sort(list(DISTINCT hour(ts + to_seconds($utc_offset_s)))) AS hours,
           list(DISTINCT via) AS via, min(ts) AS first_seen, max(end_ts) AS last_seen,
           coalesce(min(DISTINCT name, 20) FILTER (NOT contains(name, '|')), []) AS names,
           list_has_all($hints, list(DISTINCT via)) AS guessed, min(DISTINCT dest_ip, 10) AS ips, min(ref, 60) AS refs
    FROM known GROUP BY ALL
)
SELECT s.class || '>' || s.company || '>' || s.service AS key, s.src_ip, s.class,
       list_distinct(s.names || coalesce(s.ips, [])) AS peers, s.first_seen, s.last_seen,
       CASE WHEN s.connections > 0 THEN s.connections ELSE s.lookups END AS count,
       CASE WHEN s.guessed THEN 'informational'
            WHEN s.class IN ('acr', 'biometric_api') AND list_contains($proven, s.grade) THEN 'medium'
            WHEN s.class IN ('llm_api', 'ai_media_api', 'biometric_api') AND list_contains($things, w.device_kind) THEN 'medium'
            WHEN s.class IN ('llm_api', 'ai_media_api', 'ad_tracking', 'os_telemetry', 'iot_telemetry') THEN 'informational'
            ELSE 'low' END AS level,
       s.company || ': ' || s.service AS title,
       {company: s.company, service: s.service, entry: s.entry_id, purposes: s.purposes, grade: s.grade, breakage: s.breakage,
        contacts: CASE WHEN s.connections > 0 THEN s.connections ELSE s.lookups END, connections: s.connections,
        lookups: s.lookups, bytes_up: s.bytes_up::BIGINT, bytes_down: s.bytes_down::BIGINT,
        night_share: round(s.night_share, 2), active_hours: s.active_hours, hours: s.hours, sessions: g.sessions, seen_by: list_sort(s.via), device_kind: w.device_kind,
        period_s: round(t.period_s, 1), jitter_share: round(t.jitter, 3),
        ended_with_power: p.with_power, ended_otherwise: p.without_power,
        certainty: CASE WHEN s.guessed THEN 'possible' WHEN s.class <> 'acr' THEN NULL
             WHEN len(list_filter($acr_periods_s, lambda p: abs(t.period_s - p) <= p * $period_tolerance)) > 0 THEN 'validated'
             ELSE 'likely' END} AS facts,
       s.refs AS evidence
FROM summed s
LEFT JOIN steady t ON t.src_ip = s.src_ip AND t.class = s.class AND t.entry_id = s.entry_id
JOIN sitting g ON g.src_ip = s.src_ip AND g.class = s.class AND g.company = s.company AND g.service = s.service
LEFT JOIN power p ON p.src_ip = s.src_ip AND s.class = 'acr' AND p.entry_id = s.entry_id
LEFT JOIN who w ON w.ip = s.src_ip
