-- id: 7c1d6e0a-3f5b-4a53-9a55-0e5f3b7f1c03
-- title: Uploads of a voice assistant
-- status: test
-- class: voice_assistant
-- level: low
-- tags: []
-- description: A device sent its voice service bursts of data far above its heartbeat, of the length of spoken words. That is consistent with recordings after the wake word, meant or not; at night nobody should be speaking to it.
-- falsepositives:
--   - Logs or a software report sent in one go.
--   - Somebody who does speak to it at night.
-- references: ["https://arxiv.org/abs/2105.13500"]
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   min_burst_bytes: {default: 20000, unit: bytes, reason: "over a second of speech at 128 kbit/s; heartbeats have hundreds of bytes"}
--   times_usual: {default: 5, unit: times, reason: "a burst stands out from what the same service gets between bursts"}
--   max_burst_s: {default: 90, unit: s, reason: "measured misactivations last up to 43 s (Dubois et al., PETS 2020)"}
--   night_from_h: {default: 23, unit: hour of the home's day, reason: "from then on most homes sleep"}
--   night_to_h: {default: 6, unit: hour of the home's day, reason: "until then most homes sleep"}
--   min_night: {default: 2, unit: bursts, reason: "one may be a person who cannot sleep"}
WITH spoken AS (
    SELECT source_id, flow_id, lower(sni) AS name FROM tls WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%'
    UNION ALL SELECT source_id, flow_id, lower(sni) FROM quic WHERE ts BETWEEN $since AND $until AND sni LIKE '%.%'
),
own AS (SELECT source_id, flow_id, min(name) AS name FROM spoken WHERE flow_id IS NOT NULL GROUP BY ALL),
call AS (
    SELECT f.src_ip, h.company, h.service, h.name, f.dest_ip, f.ts, f.bytes_toserver AS up, f.bytes_toclient AS down, f.id,
           coalesce(epoch(f.end_ts - f.ts), 0) AS lasts_s,
           hour(f.ts + to_seconds($utc_offset_s)) AS hour_of_day
    FROM v_flow f LEFT JOIN own o USING (source_id, flow_id) LEFT JOIN v_address_name n ON n.ip = f.dest_ip
    JOIN name_hit h ON h.name = coalesce(o.name, n.name) AND h.class = 'voice_assistant' AND list_contains(h.purposes, 'voice_capture')
    WHERE f.ts BETWEEN $since AND $until AND f.direction IN ('outbound', 'external')
),
usual AS (SELECT src_ip, company, median(up) AS usual_up FROM call GROUP BY ALL),
burst AS (
    SELECT c.*, u.usual_up, (c.hour_of_day >= $night_from_h OR c.hour_of_day < $night_to_h) AS night
    FROM call c JOIN usual u USING (src_ip, company)
    WHERE c.up >= $min_burst_bytes AND c.up >= $times_usual * least(u.usual_up, $min_burst_bytes / $times_usual)
      AND c.up > c.down AND c.lasts_s <= $max_burst_s
)
SELECT 'voice>' || company AS key, src_ip, list_distinct(min(DISTINCT name, 10) || min(DISTINCT dest_ip, 10)) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN count(*) FILTER (night) >= $min_night THEN 'medium' ELSE 'low' END AS level,
       company || ': ' || count(*) || ' uploads of the length of speech' || CASE WHEN count(*) FILTER (night) > 0
            THEN ', ' || count(*) FILTER (night) || ' of them at night' ELSE '' END AS title,
       {company: company, bursts: count(*), night_bursts: count(*) FILTER (night), bytes_up: sum(up)::BIGINT,
        longest_s: round(max(lasts_s), 1), usual_bytes: any_value(usual_up)::BIGINT,
        hours: list_sort(list(DISTINCT hour_of_day)),
        most_in_an_hour: (SELECT max(n) FROM (SELECT count(*) AS n FROM burst b WHERE b.src_ip = burst.src_ip AND b.company = burst.company
                          GROUP BY date_trunc('hour', b.ts)))} AS facts,
       list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
FROM burst GROUP BY src_ip, company
