-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b01
-- title: Regular call to one destination
-- status: test
-- class: c2_beacon
-- level: medium
-- tags: [attack.command-and-control, attack.t1071, attack.t1029]
-- description: A device calls one destination (by name, over all its addresses) again and again at nearly equal intervals with messages of nearly equal size, and nothing known explains it. Implants report to their controller like this; so do cloud gadgets, which is why known services and measured rhythms of known gadgets are explained away first.
-- falsepositives:
--   - A cloud gadget whose maker is not in the catalogue.
--   - A monitoring script of one's own.
-- reads: [flow, http]
-- window_s: 86400
-- parameters:
--   min_calls: {default: 12, unit: calls, reason: "fewer intervals say too little of their spread"}
--   min_calls_long: {default: 6, unit: calls, reason: "for sleeps of half an hour and more, where a day holds few"}
--   min_span_s: {default: 300, unit: s, reason: "a page that loads its parts makes many calls, but not for five minutes"}
--   max_dispersion: {default: 0.22, unit: quartile coefficient, reason: "(Q3-Q1)/(Q3+Q1) of the intervals: 0.17 for a sleep with 50 % jitter, 0.66 for calls at random"}
--   max_dispersion_long: {default: 0.1, unit: quartile coefficient, reason: "few calls must be more regular"}
--   max_size_dispersion: {default: 0.3, unit: quartile coefficient, reason: "an idle implant says the same each time"}
--   min_coverage: {default: 0.4, unit: share, reason: "calls times interval over the span: beats must fill it"}
--   streams: {default: "\\.(m3u8|mpd|ts|m4s|aac|mp3|jpe?g|png|gif)(\\?|$)", unit: regular expression, reason: "players and web cameras ask for lists and pieces by the clock"}
--   parallel_s: {default: 0.5, unit: s, reason: "connections opened together are one call"}
--   long_s: {default: 1800, unit: s, reason: "from here on a sleep counts as long"}
--   rhythm_s: {default: 1.0, unit: s, reason: "a measured rhythm of a known gadget matches within a second"}
--   rhythm_share: {default: 0.05, unit: share, reason: "or five per cent, as in the measurement's own code"}
--   gadget_kinds: {default: [tv, speaker, camera, doorbell, plug, hub, console, printer, appliance], unit: kinds, reason: "things that call their maker's cloud by the clock all day"}
--   bins: {default: 20, unit: bins, reason: "of the histogram of intervals, up to twice the usual one; what is longer is in the last"}
--   fast_s: {default: 300, unit: s, reason: "operators want to be answered soon; makers save their servers' time"}
--   many_calls: {default: 100, unit: calls, reason: "so many equal calls are no coincidence, however slow"}
--   usual_ports: {default: [80, 443, 5222, 5223, 5228, 8080, 8443, 8883, 1883], unit: ports, reason: "where gadgets call their makers; elsewhere a regular call is odder"}
--   max_alike: {default: 5, unit: destinations, reason: "implants have a few controllers; the same rhythm at one port of many nameless addresses is a sweep or a peer, not a call home"}
--   max_devices: {default: 3, unit: devices, reason: "what so many devices of one home call is a service"}
--   explained_ports: {default: [53, 67, 68, 123, 137, 138, 546, 547, 853, 1900, 3702, 5351, 5353, 5355], unit: ports, reason: "protocols that are periodic by design: names, time, leases, discovery"}
--   mail_ports: {default: [110, 143, 993, 995], unit: ports, reason: "a mail program asks a named server for news by the clock"}
--   explained_names: {default: [apple.com, icloud.com, google.com, gstatic.com, googleapis.com, android.com, microsoft.com, windows.com, windowsupdate.com, msftconnecttest.com, msftncsi.com, ubuntu.com, debian.org, fedoraproject.org, mozilla.com, mozilla.org, firefox.com, ntp.org, akamaized.net, amazon.com, netflix.com, nflxvideo.net, spotify.com, whatsapp.net, facebook.com, signal.org, tailscale.com, ui.com, pi-hole.net, home-assistant.io], unit: names, reason: "updaters, connectivity checks and messengers of the systems homes have"}
WITH reached AS MATERIALIZED (
    SELECT src_ip, dest_ip, dest_port, proto, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen
    FROM flow
    WHERE ts BETWEEN $since AND $until
      AND proto IN ('TCP', 'UDP') AND NOT list_contains($explained_ports, dest_port)
      -- Else it is the end of an old connection that the sensor did not see begin.
      AND (proto = 'UDP' OR coalesce(tcp_flags_ts & 2 > 0, true))
    GROUP BY ALL
),
place AS MATERIALIZED (
    -- Where calls went: each outside address by the name it was reached under, as in
    -- v_address_name; that view would weigh every name there ever was.
    SELECT a.ip, coalesce(n.name, a.ip) AS dest, n.name IS NOT NULL AS named
    FROM address_info a LEFT JOIN (
        SELECT ip, best_name(name, kind, last_seen) AS name
        FROM address_name
        WHERE ip IN (SELECT dest_ip FROM reached UNION SELECT dest_ip FROM http WHERE ts BETWEEN $since AND $until)
        GROUP BY ip) n ON n.ip = a.ip
    WHERE NOT a.home AND a.scope NOT IN ('multicast', 'broadcast')
),
often AS (
    SELECT f.src_ip, p.dest, f.dest_port, f.proto, 'flow' AS kind, bool_or(p.named) AS named,
           sum(f.n)::BIGINT AS n, min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen
    FROM reached f JOIN place p ON p.ip = f.dest_ip
    GROUP BY ALL HAVING sum(f.n) * 2 >= least($min_calls, $min_calls_long)
    UNION ALL
    -- Through a proxy at home, the destination is in the request.
    SELECT h.src_ip, lower(split_part(h.hostname, ':', 1)), h.dest_port, 'TCP', 'http', true,
           count(*), min(h.ts), max(h.ts)
    FROM http h JOIN address_info d ON d.ip = h.dest_ip AND d.home
    WHERE h.ts BETWEEN $since AND $until AND h.hostname LIKE '%.%' AND h.hostname <> h.dest_ip
      AND (h.http_method = 'CONNECT' OR starts_with(h.url, 'http://'))
    GROUP BY ALL HAVING count(*) * 2 >= least($min_calls, $min_calls_long)
    UNION ALL
    -- Many requests for one page through few connections: the flows do not show the calls.
    SELECT src_ip, host, dest_port, 'TCP', 'page', NOT regexp_matches(host, '^[0-9.]+$'), sum(n)::BIGINT, min(first_seen), max(last_seen)
    FROM (SELECT h.src_ip, lower(coalesce(split_part(h.hostname, ':', 1), h.dest_ip)) AS host, h.dest_port, count(*) AS n,
                 count(DISTINCT h.flow_id) AS lines, min(h.ts) AS first_seen, max(h.ts) AS last_seen
          FROM http h JOIN place p ON p.ip = h.dest_ip
          WHERE h.ts BETWEEN $since AND $until AND NOT regexp_matches(lower(h.url), $streams)
          GROUP BY h.src_ip, host, h.dest_port, split_part(h.url, '?', 1))
    WHERE n >= $min_calls AND lines * 2 <= n GROUP BY ALL
),
owned AS (
    -- One device, whatever address it had in the window.
    SELECT o.*, coalesce(min(a.device_id), min(o.src_ip)) AS actor
    FROM often o LEFT JOIN v_device_address a
        ON a.ip = o.src_ip AND a.valid_from <= o.first_seen AND o.first_seen < a.valid_to
    GROUP BY ALL
),
pair AS MATERIALIZED (
    SELECT *, row_number() OVER ()::INTEGER AS pair, count(*) OVER (PARTITION BY dest) AS devices
    FROM (SELECT actor, dest, dest_port, proto, kind, bool_or(named) AS named,
                 list(src_ip ORDER BY last_seen) AS src_ips
          FROM owned GROUP BY actor, dest, dest_port, proto, kind
          HAVING sum(n) >= least($min_calls, $min_calls_long)
             AND epoch(max(last_seen) - min(first_seen)) >= $min_span_s)
),
origin AS (SELECT pair, unnest(src_ips) AS src_ip, dest, dest_port, proto, kind FROM pair),
way AS MATERIALIZED (
    SELECT o.pair, r.src_ip, r.dest_ip, r.dest_port, r.proto
    FROM reached r JOIN place p ON p.ip = r.dest_ip
        JOIN origin o ON o.kind = 'flow' AND o.src_ip = r.src_ip AND o.dest = p.dest
            AND o.dest_port = r.dest_port AND o.proto = r.proto
),
call AS MATERIALIZED (
    SELECT w.pair, f.ts, f.bytes_toserver AS size, f.id,
           CASE WHEN f.proto = 'TCP' AND coalesce(f.tcp_flags_ts, 0) > 0 THEN coalesce(f.tcp_flags_tc, 0) & 18 <> 18
                ELSE coalesce(f.pkts_toclient, 0) = 0 END AS failed
    FROM flow f JOIN way w USING (src_ip, dest_ip, dest_port, proto)
    WHERE f.ts BETWEEN $since AND $until AND (f.proto = 'UDP' OR coalesce(f.tcp_flags_ts & 2 > 0, true))
    UNION ALL
    SELECT o.pair, h.ts, NULL, h.id, false
    FROM http h JOIN origin o ON o.kind = 'http' AND o.src_ip = h.src_ip
        AND o.dest = lower(split_part(h.hostname, ':', 1)) AND o.dest_port IS NOT DISTINCT FROM h.dest_port
    WHERE h.ts BETWEEN $since AND $until AND (h.http_method = 'CONNECT' OR starts_with(h.url, 'http://'))
    UNION ALL
    SELECT o.pair, h.ts, NULL, h.id, false
    FROM http h JOIN origin o ON o.kind = 'page' AND o.src_ip = h.src_ip
        AND o.dest = lower(coalesce(split_part(h.hostname, ':', 1), h.dest_ip)) AND o.dest_port IS NOT DISTINCT FROM h.dest_port
    WHERE h.ts BETWEEN $since AND $until AND NOT regexp_matches(lower(h.url), $streams)
),
-- A day of a busy home is millions of calls, more than the everyday memory holds: quantile_cont,
-- list() and windows by pair keep all of them, while a sort goes to the disk where it must, and a
-- window without PARTITION and ORDER reads what was sorted row by row, in that order.
gap AS MATERIALIZED (
    SELECT * FROM (
        SELECT pair, CASE WHEN lag(pair) OVER () = pair THEN epoch(ts - lag(ts) OVER ()) END AS gap_s
        FROM (SELECT pair, ts FROM call ORDER BY pair, ts))
    WHERE gap_s IS NOT NULL
),
told AS MATERIALIZED (
    SELECT c.*, g.spaced
    FROM (SELECT pair, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen, count(*) FILTER (failed) AS failed,
                 count(size) AS sized
          FROM call GROUP BY pair) c
        -- Parallel connections of one call count once.
        JOIN (SELECT pair, count(*) AS spaced FROM gap WHERE gap_s > $parallel_s GROUP BY pair) g USING (pair)
),
-- The quartiles are those of quantile_cont: between the values at the ranks below and above. All
-- pairs are sorted at once; a pair's ranks begin after the values of those before it.
gap_quartile AS (
    SELECT pair, list(low * (1 - share) + high * share ORDER BY quarter) AS q
    FROM (SELECT r.pair, r.quarter, r.share, min(v.gap_s) AS low, max(v.gap_s) AS high
          FROM (SELECT row_number() OVER () - 1 AS rank, gap_s
                FROM (SELECT pair, gap_s FROM gap WHERE gap_s > $parallel_s
                      ORDER BY pair, gap_s)) v
              JOIN (SELECT pair, quarter, (spaced - 1) * quarter % 4 / 4 AS share,
                           earlier + unnest(list_distinct([(spaced - 1) * quarter // 4, ((spaced - 1) * quarter + 3) // 4])) AS rank
                    FROM (SELECT pair, spaced, (sum(spaced) OVER (ORDER BY pair) - spaced)::BIGINT AS earlier FROM told),
                         unnest([1, 2, 3]) quarters (quarter)) r ON r.rank = v.rank
          GROUP BY r.pair, r.quarter, r.share)
    GROUP BY pair
),
steady AS MATERIALIZED (
    SELECT * FROM (
        SELECT *, spaced + 1 AS calls, q[2] AS interval_s, epoch(last_seen - first_seen) AS span_s,
               (q[3] - q[1]) / nullif(q[3] + q[1], 0) AS dispersion
        FROM told JOIN gap_quartile USING (pair))
    WHERE calls * interval_s >= $min_coverage * span_s
      AND ((calls >= $min_calls AND dispersion <= $max_dispersion)
           OR (calls >= $min_calls_long AND interval_s >= $long_s AND dispersion <= $max_dispersion_long))
),
-- Their sizes are weighed only where the intervals are regular.
size_quartile AS (
    SELECT pair, list(low * (1 - share) + high * share ORDER BY quarter) AS s
    FROM (SELECT r.pair, r.quarter, r.share, min(v.size) AS low, max(v.size) AS high
          FROM (SELECT row_number() OVER () - 1 AS rank, size
                FROM (SELECT pair, size FROM call SEMI JOIN steady USING (pair) WHERE size IS NOT NULL
                      ORDER BY pair, size)) v
              JOIN (SELECT pair, quarter, (sized - 1) * quarter % 4 / 4 AS share,
                           earlier + unnest(list_distinct([(sized - 1) * quarter // 4, ((sized - 1) * quarter + 3) // 4])) AS rank
                    FROM (SELECT pair, sized, (sum(sized) OVER (ORDER BY pair) - sized)::BIGINT AS earlier FROM steady WHERE sized > 0),
                         unnest([1, 2, 3]) quarters (quarter)) r ON r.rank = v.rank
          GROUP BY r.pair, r.quarter, r.share)
    GROUP BY pair
),
regular AS MATERIALIZED (
    SELECT *, coalesce((s[3] - s[1]) / nullif(s[3] + s[1], 0), 0) AS size_dispersion
    FROM steady LEFT JOIN size_quartile USING (pair)
    WHERE size_dispersion <= $max_size_dispersion
),
-- What the page draws: how long the intervals were, and how many calls each hour held.
drawn AS (
    SELECT pair, map(list(bin), list(n)) AS filled
    FROM (SELECT g.pair, least($bins::BIGINT - 1, floor(g.gap_s / (2 * r.interval_s / $bins))::BIGINT) AS bin, count(*) AS n
          FROM gap g JOIN regular r USING (pair) GROUP BY ALL)
    GROUP BY pair
),
shown AS MATERIALIZED (
    SELECT c.pair, min(c.id, 60) AS ids FROM call c SEMI JOIN regular r USING (pair) GROUP BY c.pair
),
hours AS (
    SELECT pair, list(n ORDER BY hour) AS calls_by_hour
    FROM (SELECT c.pair, time_bucket(INTERVAL 1 HOUR, c.ts) AS hour, count(*) AS n
          FROM call c SEMI JOIN regular r USING (pair) GROUP BY ALL)
    GROUP BY pair
),
called AS (
    SELECT e.pair, list_distinct(list(f.dest_ip)) AS ips
    FROM (SELECT pair, unnest(ids) AS id FROM shown) e JOIN pair p ON p.pair = e.pair AND p.kind = 'flow'
        JOIN flow f ON f.id = e.id
    GROUP BY e.pair
),
whole AS (
    SELECT p.*, r.* EXCLUDE (pair), i.ids, d.filled, h.calls_by_hour,
           coalesce(c.ips, []) AS ips,
           count(*) FILTER (NOT p.named) OVER (PARTITION BY p.actor, p.proto, p.dest_port) AS alike,
           (SELECT min(k.device) FROM periodic_fingerprint k
            WHERE (p.dest = k.name OR ends_with(p.dest, '.' || k.name)) AND (k.device_id IS NULL OR k.device_id = p.actor)
              AND abs(r.interval_s - k.period_s) <= greatest($rhythm_s, $rhythm_share * k.period_s)) AS rhythm_of,
           exists (SELECT 1 FROM device g WHERE g.device_id = p.actor AND list_contains($gadget_kinds, g.kind)) AS gadget,
           exists (SELECT 1 FROM address_name a WHERE a.kind = 'dns') AS names_seen
    FROM regular r JOIN pair p USING (pair) JOIN drawn d USING (pair) JOIN shown i USING (pair) JOIN hours h USING (pair)
        LEFT JOIN called c USING (pair)
)
SELECT 'beacon>' || dest || ':' || dest_port AS key, src_ips[-1] AS src_ip,
       list_distinct([dest] || ips) AS peers, first_seen, last_seen, n AS count,
       CASE WHEN rhythm_of IS NOT NULL OR exists (SELECT 1 FROM name_hit h WHERE h.name = dest) THEN 'informational'
            WHEN devices >= $max_devices OR (NOT named AND alike >= $max_alike) THEN 'low'
            -- Nobody there, but it has a name: a cloud service that is down.
            WHEN failed = n AND named THEN 'low'
            -- A page that keeps itself fresh.
            WHEN kind = 'page' AND named THEN 'low'
            WHEN gadget AND named AND list_contains($usual_ports, dest_port) THEN 'low'
            WHEN interval_s <= $fast_s OR calls >= $many_calls OR NOT list_contains($usual_ports, dest_port)
                 OR (NOT named AND names_seen) THEN 'medium'
            -- Slow, few, and nothing odd about the destination: most likely a gadget and its maker.
            ELSE 'low' END AS level,
       'Calls ' || dest || ' every ' || CASE WHEN interval_s < $fast_s THEN round(interval_s, 1) || ' s'
            WHEN interval_s < 2 * $long_s THEN round(interval_s / 60, 1) || ' min'
            ELSE round(interval_s / 3600, 1) || ' h' END AS title,
       {destination: dest, dest_port: dest_port, proto: proto, calls: calls,
        interval_s: round(interval_s, 2), jitter_share: round(dispersion, 3),
        size_bytes: s[2], size_dispersion: round(size_dispersion, 3), duration_s: span_s::BIGINT,
        scores: {intervals: round(1 - dispersion, 2), sizes: round(1 - size_dispersion, 2),
                 filled: round(least(1, calls * interval_s / span_s), 2)},
        interval_bin_s: round(2 * interval_s / $bins, 3),
        interval_histogram: list_transform(range(0, $bins::BIGINT), lambda b: coalesce(filled[b], 0)),
        calls_by_hour: calls_by_hour[:48], rhythm_of: rhythm_of,
        unanswered: failed, devices: devices, named: named} AS facts,
       list_transform(ids, lambda i: CASE kind WHEN 'flow' THEN 'flow:' ELSE 'http:' END || i) AS evidence
FROM whole
WHERE NOT (named AND list_contains($mail_ports, dest_port))
  AND NOT exists (SELECT 1 FROM name_info i WHERE i.name = dest AND list_contains($explained_names, i.registrable))
