-- Only adds speed: what dns_question gives is as before.

-- Written with ANTI JOIN, which keeps the wire's questions alone at hand. NOT EXISTS first sorted
-- out every different line of the resolver's log, and let no condition on the caller's side
-- reach the tables: five times the processor time over a day of three million lines.
CREATE OR REPLACE MACRO dns_question(since, until) AS TABLE
SELECT 'dns:' || q.id AS ref, q.id, q.ts, q.src_ip, q.src_mac, q.dest_ip AS resolver, q.dest_port,
       lower(q.rrname) AS name, q.rrtype, NULL::VARCHAR AS status
FROM dns q
WHERE q.rrname IS NOT NULL AND q.ts BETWEEN since AND until
  AND (q.type = 'query' OR q.source_id NOT IN (
       SELECT DISTINCT source_id FROM dns WHERE type = 'query' AND ts BETWEEN since AND until))
UNION ALL
SELECT 'dns_log:' || l.id, l.id, l.ts, l.src_ip, NULL, NULL, NULL, l.name, l.rrtype, l.status
FROM (
    SELECT id, ts, src_ip, lower(rrname) AS name, rrtype, status,
           time_bucket(INTERVAL 5 MINUTES, ts) AS slot
    FROM dns_log WHERE rrname IS NOT NULL AND ts BETWEEN since AND until
) l ANTI JOIN (
    SELECT src_ip, lower(rrname) AS name, rrtype, time_bucket(INTERVAL 5 MINUTES, ts) AS slot
    FROM dns WHERE ts BETWEEN since AND until AND type = 'query'
) w USING (src_ip, name, rrtype, slot);
