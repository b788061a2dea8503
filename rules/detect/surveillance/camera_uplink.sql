-- id: 7c1d6e0a-3f5b-4a53-9a55-0e5f3b7f1c04
-- title: Uploads of the size of video
-- status: test
-- class: camera_cloud
-- level: low
-- tags: []
-- description: A camera or doorbell sent much more out of the home than its keep-alive, over many seconds. That is consistent with video being uploaded or watched from outside.
-- falsepositives:
--   - A backup of recordings that the keeper set up.
-- references: ["https://arxiv.org/abs/1708.05044"]
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   min_bytes: {default: 500000, unit: bytes, reason: "ten seconds of the poorest video"}
--   min_rate_bytes_s: {default: 20000, unit: bytes/s, reason: "keep-alives stay below 1 kB/s, video above 20 (Apthorpe et al. 2017)"}
--   min_up_share: {default: 0.75, unit: share, reason: "pictures go one way"}
--   kinds: {default: [camera, doorbell], unit: device kinds, reason: "what has a lens"}
--   night_from_h: {default: 23, unit: hour of the home's day, reason: "from then on most homes sleep"}
--   night_to_h: {default: 6, unit: hour of the home's day, reason: "until then most homes sleep"}
WITH spoken AS NOT MATERIALIZED (
    SELECT source_id, flow_id, lower(sni) AS name FROM tls
    WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%' AND flow_id IS NOT NULL
    UNION ALL SELECT source_id, flow_id, lower(sni) FROM quic
    WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%' AND flow_id IS NOT NULL
),
device_kind AS MATERIALIZED (
    SELECT a.ip, any_value(d.kind) AS kind FROM v_device_address a JOIN device d USING (device_id)
    WHERE a.valid_to = TIMESTAMP '9999-12-31' GROUP BY a.ip
),
cloud AS MATERIALIZED (SELECT name, min(company) AS company FROM name_hit WHERE class = 'camera_cloud' GROUP BY name),
-- A day is millions of connections, and few of them are a camera's or go where cameras send: first
-- which those can be, then only their names.
near AS MATERIALIZED (
    SELECT id FROM flow
    WHERE ts BETWEEN $since AND $until
      AND (src_ip IN (SELECT ip FROM device_kind WHERE list_contains($kinds, kind))
           OR dest_ip IN (SELECT ip FROM address_name WHERE name IN (SELECT name FROM cloud)))
    UNION
    SELECT id FROM flow SEMI JOIN (SELECT source_id, flow_id FROM spoken WHERE name IN (SELECT name FROM cloud)) k
        USING (source_id, flow_id)
    WHERE ts BETWEEN $since AND $until
),
went AS MATERIALIZED (
    SELECT f.id, f.ts, f.end_ts, f.source_id, f.flow_id, f.src_ip, f.dest_ip, f.bytes_toserver, f.bytes_toclient
    FROM v_flow f SEMI JOIN near USING (id)
    WHERE f.ts BETWEEN $since AND $until AND f.direction IN ('outbound', 'external')
),
own AS (SELECT source_id, flow_id, min(name) AS name FROM spoken SEMI JOIN went USING (source_id, flow_id) GROUP BY ALL),
-- As in v_address_name, which would weigh every name there ever was.
place AS (
    SELECT ip, best_name(name, kind, last_seen) AS name
    FROM address_name WHERE ip IN (SELECT dest_ip FROM went) GROUP BY ip
),
sent AS (
    SELECT f.src_ip, coalesce(o.name, n.name, f.dest_ip) AS dest, f.dest_ip, f.ts, f.end_ts, f.bytes_toserver AS up,
           f.bytes_toclient AS down, greatest(epoch(f.end_ts - f.ts), 1) AS lasts_s, f.id, k.kind, h.company,
           hour(f.ts + to_seconds($utc_offset_s)) AS hour_of_day
    FROM went f LEFT JOIN own o USING (source_id, flow_id) LEFT JOIN place n ON n.ip = f.dest_ip
    LEFT JOIN device_kind k ON k.ip = f.src_ip LEFT JOIN cloud h ON h.name = coalesce(o.name, n.name)
    WHERE h.company IS NOT NULL OR list_contains($kinds, k.kind)
),
judged AS (
    SELECT *, coalesce(company, dest) AS target, up >= $min_bytes AND up / lasts_s >= $min_rate_bytes_s AND up >= $min_up_share * (up + down) AS pictures,
           hour_of_day >= $night_from_h OR hour_of_day < $night_to_h AS night
    FROM sent
)
-- Only where pictures went at all: all else of a camera would be held to take medians of.
SELECT 'uplink>' || target AS key, src_ip,
       list_distinct(min(DISTINCT dest, 10) || min(DISTINCT dest_ip, 10)) AS peers,
       min(ts) FILTER (pictures) AS first_seen, max(end_ts) FILTER (pictures) AS last_seen, count(*) FILTER (pictures) AS count,
       count(*) FILTER (pictures) || ' uploads of the size of video to ' || target || ': consistent with recordings' AS title,
       {company: company, destination: min(dest), device_kind: any_value(kind), uploads: count(*) FILTER (pictures),
        night_uploads: count(*) FILTER (pictures AND night), bytes_up: (sum(up) FILTER (pictures))::BIGINT,
        longest_s: round(max(lasts_s) FILTER (pictures)), idle_bytes: (median(up) FILTER (NOT pictures))::BIGINT,
        hours: list_sort(list(DISTINCT hour_of_day) FILTER (pictures))} AS facts,
       list_transform(min(id, 60) FILTER (pictures), lambda i: 'flow:' || i) AS evidence
FROM judged SEMI JOIN (SELECT DISTINCT src_ip, target FROM judged WHERE pictures) USING (src_ip, target)
GROUP BY src_ip, target, company
