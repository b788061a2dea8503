"""The statements of reconciliation: who was told what, and what explains each flow."""

from __future__ import annotations

_HELD = "JOIN v_device_holder h ON h.ip = {ip} AND h.valid_from <= {ts} AND {ts} < h.valid_to"

ANSWERS = f"""
CREATE OR REPLACE TEMP TABLE fresh_answer AS
SELECT h.device_id, t.ip, t.ts::DATE AS day, t.said_by, arg_max(t.name, (t.ts, t.name)) AS name,
       min(t.ts) AS first_ts, max(t.ts) AS last_ts, max(t.ttl) AS ttl_s
FROM (
    SELECT src_ip, unnest(answers) AS ip, lower(rrname) AS name, d.ts, ttl,
           CASE WHEN i.home THEN 'home' ELSE 'outside' END AS said_by
    FROM dns d JOIN address_info i ON i.ip = d.dest_ip
    WHERE d.id > $low AND d.id <= $high AND type = 'answer' AND rrtype IN ('A', 'AAAA', 'HTTPS')
    UNION ALL
    SELECT src_ip, unnest(answers), lower(rrname), ts, NULL, 'home' FROM dns_log
    WHERE id > $low AND id <= $high
) t {_HELD.format(ip="t.src_ip", ts="t.ts")}
WHERE regexp_full_match(t.ip, '[0-9]+[.][0-9.]+|[0-9a-f:]*:[0-9a-f:.]*')
  AND t.ip NOT IN ('0.0.0.0', '::', '127.0.0.1', '::1') AND t.name IS NOT NULL
GROUP BY ALL
"""
TOLD = """
INSERT INTO device_told SELECT device_id, ip, day, said_by, name, first_ts, last_ts, ttl_s
FROM fresh_answer
ON CONFLICT (device_id, ip, day, said_by) DO UPDATE SET
    name = CASE WHEN excluded.last_ts >= last_ts THEN excluded.name ELSE name END,
    first_ts = least(first_ts, excluded.first_ts), last_ts = greatest(last_ts, excluded.last_ts),
    ttl_s = greatest(ttl_s, excluded.ttl_s)
"""
ASKED = f"""
INSERT INTO device_asked
SELECT h.device_id, n.registrable, min(q.ts), max(q.ts)
FROM (
    SELECT src_ip, lower(rrname) AS name, d.ts FROM dns d JOIN address_info i ON i.ip = d.dest_ip
    WHERE d.id > $low AND d.id <= $high AND i.home
    UNION ALL
    SELECT src_ip, lower(rrname), ts FROM dns_log
    WHERE id > $low AND id <= $high AND NOT coalesce(blocked, false)
) q JOIN name_info n ON n.name = q.name {_HELD.format(ip="q.src_ip", ts="q.ts")}
WHERE n.registrable IS NOT NULL GROUP BY ALL
ON CONFLICT (device_id, registrable) DO UPDATE SET
    first_ts = least(first_ts, excluded.first_ts), last_ts = greatest(last_ts, excluded.last_ts)
"""
# Encrypted DNS by its ports, or by a name that the catalogue lists.
DNS = f"""
INSERT INTO device_dns
SELECT h.device_id, min(ts) FILTER (NOT encrypted), max(ts) FILTER (NOT encrypted),
       min(ts) FILTER (encrypted), max(ts) FILTER (encrypted)
FROM (
    SELECT src_ip, d.ts, false AS encrypted FROM dns d JOIN address_info i ON i.ip = d.dest_ip
    WHERE d.id > $low AND d.id <= $high AND i.home AND d.src_ip <> d.dest_ip
    UNION ALL
    SELECT src_ip, ts, false FROM dns_log WHERE id > $low AND id <= $high
    UNION ALL
    SELECT src_ip, f.ts, true FROM flow f JOIN address_info i ON i.ip = f.dest_ip
    WHERE f.id > $low AND f.id <= $high AND dest_port = 853 AND NOT i.home AND pkts_toclient > 0
    UNION ALL
    SELECT src_ip, ts, true FROM tls JOIN name_hit n ON n.name = lower(sni)
    WHERE id > $low AND id <= $high AND n.class = 'doh_bypass'
    UNION ALL
    SELECT src_ip, ts, true FROM quic JOIN name_hit n ON n.name = lower(sni)
    WHERE id > $low AND id <= $high AND n.class = 'doh_bypass'
) q {_HELD.format(ip="q.src_ip", ts="q.ts")}
GROUP BY h.device_id
ON CONFLICT (device_id) DO UPDATE SET
    first_asked = least(first_asked, excluded.first_asked),
    last_asked = greatest(last_asked, excluded.last_asked),
    first_encrypted = least(first_encrypted, excluded.first_encrypted),
    last_encrypted = greatest(last_encrypted, excluded.last_encrypted)
"""
# Reverse names only as they were seen on the wire: nothing is looked up.
WEAK = r"""
INSERT INTO address_weak_name
SELECT ip, name, kind, min(ts), max(ts) FROM (
    SELECT dest_ip AS ip, 'certificate' AS kind, ts,
           lower(coalesce(subjectaltname[1], regexp_extract(subject, 'CN ?= ?([^,/]+)', 1))) AS name
    FROM tls WHERE id > $low AND id <= $high AND sni IS NULL
      AND (len(subjectaltname) > 0 OR subject IS NOT NULL)
    UNION ALL
    SELECT array_to_string(list_reverse(string_split(
               regexp_extract(lower(rrname), '^([0-9.]+)\.in-addr\.arpa', 1), '.')), '.'),
           'reverse_dns', ts, lower(rtrim(answers[1], '.'))
    FROM (SELECT rrname, answers, ts, rrtype FROM dns
          WHERE id > $low AND id <= $high AND type = 'answer'
          UNION ALL SELECT rrname, answers, ts, rrtype FROM dns_log
          WHERE id > $low AND id <= $high)
    WHERE rrtype = 'PTR' AND len(answers) > 0
)
WHERE regexp_full_match(name, '(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+') AND length(name) <= 253
  AND regexp_full_match(ip, '[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-f:.]*:[0-9a-f:.]*')
GROUP BY ip, name, kind
ON CONFLICT (ip, name, kind) DO UPDATE SET
    first_seen = least(first_seen, excluded.first_seen),
    last_seen = greatest(last_seen, excluded.last_seen)
"""
OUT = f"""
CREATE OR REPLACE TEMP TABLE out_flow AS
SELECT f.id, f.ts, h.device_id, r.root, f.src_ip, f.dest_ip, f.dest_port, f.proto, f.app_proto,
       f.flow_id, f.opened OR f.proto <> 'TCP' AS whole,
       coalesce(f.bytes_toserver, 0) AS up, coalesce(f.bytes_toclient, 0) AS down
FROM v_flow f {_HELD.format(ip="f.src_ip", ts="f.ts")}
JOIN v_device_root r ON r.device_id = h.device_id
WHERE f.id > $low AND f.id <= $high AND f.direction = 'outbound' AND f.proto IN ('TCP', 'UDP')
  AND f.dest_port NOT IN (53, 123)
"""
DESTINATIONS = """
INSERT INTO device_destination
SELECT device_id, dest_ip, min(ts), max(ts), count(*), sum(up), sum(down) FROM out_flow GROUP BY ALL
ON CONFLICT (device_id, ip) DO UPDATE SET
    first_seen = least(first_seen, excluded.first_seen),
    last_seen = greatest(last_seen, excluded.last_seen), flows = flows + excluded.flows,
    bytes_up = bytes_up + excluded.bytes_up, bytes_down = bytes_down + excluded.bytes_down
"""
JUDGED = """
CREATE OR REPLACE TEMP TABLE judged AS
WITH told AS (
    SELECT r.root, ip, day, said_by, first_ts, last_ts, ttl_s
    FROM device_told JOIN v_device_root r USING (device_id)
    WHERE ip IN (SELECT dest_ip FROM out_flow)
),
by_home AS (
    SELECT root, ip, min(first_ts) AS ts FROM told WHERE said_by = 'home' GROUP BY ALL
),
-- An answer of yesterday may still be good today; hardly any is good for longer.
span AS (
    SELECT root, ip, day, min(first_ts) AS first_ts,
           max(last_ts + to_seconds(coalesce(ttl_s, 86400) + $slack)) AS good_until
    FROM (SELECT * FROM told UNION ALL BY NAME SELECT * REPLACE (day + 1 AS day) FROM told)
    WHERE said_by = 'home' GROUP BY ALL
),
first_told AS (
    SELECT root, ip, min(first_ts) AS ts FROM told WHERE said_by = 'outside' GROUP BY ALL
),
house AS (SELECT ip, min(first_ts) AS ts FROM told WHERE said_by = 'home' GROUP BY ip),
shown AS (
    SELECT flow_id, any_value(registrable) AS registrable FROM (
        SELECT flow_id, lower(sni) AS name FROM tls WHERE ts >= $first AND sni IS NOT NULL
        UNION ALL
        SELECT flow_id, lower(sni) FROM quic WHERE ts >= $first AND sni IS NOT NULL
        UNION ALL
        SELECT flow_id, lower(hostname) FROM http WHERE ts >= $first AND hostname IS NOT NULL
    ) JOIN name_info USING (name)
    WHERE registrable IS NOT NULL AND flow_id IN (SELECT flow_id FROM out_flow)
    GROUP BY flow_id
),
asked AS (
    SELECT r.root, registrable, min(first_ts) AS ts
    FROM device_asked JOIN v_device_root r USING (device_id)
    WHERE registrable IN (SELECT registrable FROM shown) GROUP BY ALL
),
asking AS (
    SELECT r.root, min(first_asked) AS first_asked, min(first_encrypted) AS first_encrypted,
           max(last_encrypted) AS last_encrypted
    FROM device_dns JOIN v_device_root r USING (device_id) GROUP BY ALL
),
seen AS (
    SELECT r.root, min(first_seen) AS first_seen, bool_or(h.device_id IS NOT NULL) AS serves
    FROM device d JOIN v_device_root r USING (device_id)
    LEFT JOIN (SELECT DISTINCT device_id FROM device_hint WHERE source IN ('resolver', 'router')) h
        USING (device_id)
    GROUP BY ALL
),
matched AS (
    SELECT f.*, b.ts <= f.ts + to_seconds($slack) AS told,
           s.first_ts <= f.ts + to_seconds($slack) AND f.ts <= s.good_until AS good
    FROM out_flow f
    LEFT JOIN by_home b ON b.root = f.root AND b.ip = f.dest_ip
    LEFT JOIN span s ON s.root = f.root AND s.ip = f.dest_ip AND s.day = f.ts::DATE
)
SELECT m.id, m.ts, m.device_id, m.src_ip, m.dest_ip, m.dest_port, m.proto, m.app_proto, m.up,
       NULL::VARCHAR AS detail,
       CASE WHEN m.told AND m.good THEN 'answer'
            WHEN m.told THEN 'cached'
            WHEN a.ts <= m.ts + to_seconds($slack) THEN 'name'
            WHEN e.serves THEN 'own'
            WHEN h.ts <= m.ts + to_seconds($slack) THEN 'house'
            WHEN o.ts <= m.ts + to_seconds($slack) THEN 'outside'
            WHEN q.first_encrypted <= m.ts + to_seconds($slack)
                 AND m.ts <= q.last_encrypted + INTERVAL 1 HOUR THEN 'encrypted'
            WHEN NOT m.whole OR m.ts < to_seconds($day)
                 + greatest($since::TIMESTAMP, coalesce(q.first_asked, e.first_seen)) THEN 'early'
            ELSE 'unknown' END AS how
FROM matched m
LEFT JOIN house h ON h.ip = m.dest_ip
LEFT JOIN first_told o ON o.root = m.root AND o.ip = m.dest_ip
LEFT JOIN shown n ON n.flow_id = m.flow_id
LEFT JOIN asked a ON a.root = m.root AND a.registrable = n.registrable
LEFT JOIN asking q ON q.root = m.root
LEFT JOIN seen e ON e.root = m.root
"""
KEEP_UNEXPLAINED = """
INSERT INTO unexplained_hour
SELECT * FROM (
    SELECT time_bucket(INTERVAL 1 HOUR, ts) AS bucket, device_id, how, src_ip, dest_ip,
           coalesce(dest_port, 0) AS dest_port, proto, coalesce(app_proto, '') AS app_proto,
           any_value(detail) AS detail, count(*) AS flows, sum(up) AS bytes_up,
           min(ts) AS first_seen, max(ts) AS last_seen, min(id, 5) AS samples
    FROM judged WHERE NOT list_contains($explained, how) GROUP BY ALL
)
QUALIFY row_number() OVER (
    PARTITION BY bucket, device_id, how ORDER BY flows DESC, dest_ip) <= $most
ON CONFLICT DO UPDATE SET flows = flows + excluded.flows, bytes_up = bytes_up + excluded.bytes_up,
    first_seen = least(first_seen, excluded.first_seen),
    last_seen = greatest(last_seen, excluded.last_seen),
    samples = list_distinct(samples || excluded.samples)[:5]
"""
