-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b01
-- title: Regular call to one destination
-- status: test
-- class: c2_beacon
-- level: medium
-- tags: [attack.command-and-control, attack.t1071, attack.t1029]
-- description: A device calls one destination again and again at nearly equal intervals with messages of nearly equal size, and nothing known explains it. Implants report to their controller like this; so do cloud gadgets, which is why known services are explained away first.
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
--   fast_s: {default: 300, unit: s, reason: "operators want to be answered soon; makers save their servers' time"}
--   many_calls: {default: 100, unit: calls, reason: "so many equal calls are no coincidence, however slow"}
--   usual_ports: {default: [80, 443, 5222, 5223, 5228, 8080, 8443, 8883, 1883], unit: ports, reason: "where gadgets call their makers; elsewhere a regular call is odder"}
--   max_devices: {default: 3, unit: devices, reason: "what so many devices of one home call is a service"}
--   explained_ports: {default: [53, 67, 68, 123, 137, 138, 546, 547, 853, 1900, 3702, 5351, 5353, 5355], unit: ports, reason: "protocols that are periodic by design: names, time, leases, discovery"}
--   mail_ports: {default: [110, 143, 993, 995], unit: ports, reason: "a mail program asks a named server for news by the clock"}
--   explained_names: {default: [apple.com, icloud.com, google.com, gstatic.com, googleapis.com, android.com, microsoft.com, windows.com, windowsupdate.com, msftconnecttest.com, msftncsi.com, ubuntu.com, debian.org, fedoraproject.org, mozilla.com, mozilla.org, firefox.com, ntp.org, akamaized.net, amazon.com, netflix.com, nflxvideo.net, spotify.com, whatsapp.net, facebook.com, signal.org, tailscale.com, ui.com, pi-hole.net, home-assistant.io], unit: names, reason: "updaters, connectivity checks and messengers of the systems homes have"}
WITH call AS (
    SELECT f.src_ip, coalesce(n.name, f.dest_ip) AS dest, f.dest_ip, f.dest_port, f.proto, f.ts,
           f.bytes_toserver AS size, f.failed, n.name IS NOT NULL AS named, f.id, 'flow:' AS kind
    FROM v_flow f LEFT JOIN v_address_name n ON n.ip = f.dest_ip
    WHERE f.ts BETWEEN $since AND $until AND f.direction IN ('outbound', 'external')
      AND f.proto IN ('TCP', 'UDP') AND NOT list_contains($explained_ports, f.dest_port)
      -- The end of an old connection that the sensor did not see begin.
      AND (f.proto = 'UDP' OR f.opened)
    UNION ALL
    -- Through a proxy at home, the destination is in the request.
    SELECT h.src_ip, lower(split_part(h.hostname, ':', 1)), h.dest_ip, h.dest_port, 'TCP', h.ts,
           NULL, false, true, h.id, 'http:'
    FROM http h JOIN address_info d ON d.ip = h.dest_ip AND d.home
    WHERE h.ts BETWEEN $since AND $until AND h.hostname LIKE '%.%' AND h.hostname <> h.dest_ip
      AND (h.http_method = 'CONNECT' OR starts_with(h.url, 'http://'))
),
many AS (
    SELECT src_ip, dest, dest_port, proto FROM call GROUP BY ALL
    HAVING count(*) >= $min_calls_long AND epoch(max(ts) - min(ts)) >= $min_span_s
),
gap AS (
    SELECT c.*, epoch(c.ts - lag(c.ts) OVER (PARTITION BY c.src_ip, c.dest, c.dest_port, c.proto ORDER BY c.ts)) AS gap_s
    FROM call c SEMI JOIN many m USING (src_ip, dest, dest_port, proto)
),
pair AS (
    SELECT src_ip, dest, dest_port, proto, any_value(named) AS named,
           count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen, count(*) FILTER (failed) AS failed,
           -- Parallel connections of one call count once.
           quantile_cont(gap_s, [0.25, 0.5, 0.75]) FILTER (gap_s > 0.5) AS q,
           count(*) FILTER (gap_s > 0.5) + 1 AS calls,
           quantile_cont(size, [0.25, 0.5, 0.75]) FILTER (size IS NOT NULL) AS s,
           list_distinct(min(dest_ip, 20)) AS ips, min(kind || id, 60) AS evidence
    FROM gap GROUP BY ALL
),
scored AS (
    SELECT *, q[2] AS interval_s, epoch(last_seen - first_seen) AS span_s,
           (q[3] - q[1]) / nullif(q[3] + q[1], 0) AS dispersion,
           coalesce((s[3] - s[1]) / nullif(s[3] + s[1], 0), 0) AS size_dispersion,
           count(*) OVER (PARTITION BY dest) AS devices,
           exists (SELECT 1 FROM address_name a WHERE a.kind = 'dns') AS names_seen
    FROM pair
)
SELECT 'beacon>' || dest || ':' || dest_port AS key, src_ip,
       list_distinct([dest] || ips) AS peers, first_seen, last_seen, n AS count,
       CASE WHEN exists (SELECT 1 FROM name_hit h WHERE h.name = dest) THEN 'informational'
            WHEN devices >= $max_devices THEN 'low'
            -- Nobody there, but it has a name: a cloud service that is down.
            WHEN failed = n AND named THEN 'low'
            WHEN interval_s <= $fast_s OR calls >= $many_calls OR NOT list_contains($usual_ports, dest_port)
                 OR (NOT named AND names_seen) THEN 'medium'
            -- Slow, few, and nothing odd about the destination: most likely a gadget and its maker.
            ELSE 'low' END AS level,
       'Calls ' || dest || ' every ' || CASE WHEN interval_s < 90 THEN round(interval_s, 1) || ' s'
            WHEN interval_s < 5400 THEN round(interval_s / 60, 1) || ' min'
            ELSE round(interval_s / 3600, 1) || ' h' END AS title,
       {destination: dest, dest_port: dest_port, proto: proto, calls: calls,
        interval_s: round(interval_s, 2), jitter_share: round(dispersion, 3),
        size_bytes: s[2], size_dispersion: round(size_dispersion, 3), duration_s: span_s::BIGINT,
        unanswered: failed, devices: devices, named: named} AS facts,
       evidence
FROM scored
WHERE calls * interval_s >= $min_coverage * span_s
  AND size_dispersion <= $max_size_dispersion
  AND ((calls >= $min_calls AND dispersion <= $max_dispersion)
       OR (calls >= $min_calls_long AND interval_s >= 1800 AND dispersion <= $max_dispersion_long))
  AND NOT (named AND list_contains($mail_ports, dest_port))
  AND NOT exists (SELECT 1 FROM name_info i WHERE i.name = dest AND list_contains($explained_names, i.registrable))
