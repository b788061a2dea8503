-- What detections keep between runs, and questions counted once.

-- Every question to a resolver in a span, once: what the wire showed, and what the resolver's
-- own log adds to it. A logged question that the wire showed too (same device, name and type,
-- in the same five minutes) is left out. Where a source gives only answers (Zeek joins both in
-- one row), those stand for the questions.
CREATE MACRO dns_question(since, until) AS TABLE
SELECT 'dns:' || q.id AS ref, q.id, q.ts, q.src_ip, q.src_mac, q.dest_ip AS resolver, q.dest_port,
       lower(q.rrname) AS name, q.rrtype, NULL::VARCHAR AS status
FROM dns q
WHERE q.rrname IS NOT NULL AND q.ts BETWEEN since AND until
  AND (q.type = 'query' OR q.source_id NOT IN (
       SELECT DISTINCT source_id FROM dns WHERE type = 'query' AND ts BETWEEN since AND until))
UNION ALL
SELECT 'dns_log:' || l.id, l.id, l.ts, l.src_ip, NULL, NULL, NULL, lower(l.rrname), l.rrtype, l.status
FROM dns_log l
WHERE l.rrname IS NOT NULL AND l.ts BETWEEN since AND until
  AND NOT EXISTS (
    SELECT 1 FROM dns w
    WHERE w.ts BETWEEN since AND until AND w.src_ip = l.src_ip AND lower(w.rrname) = lower(l.rrname)
      AND w.rrtype = l.rrtype AND w.type = 'query'
      AND time_bucket(INTERVAL 5 MINUTES, w.ts) = time_bucket(INTERVAL 5 MINUTES, l.ts));
-- The same without a span; prefer the macro where there is one.
CREATE OR REPLACE VIEW v_dns_query AS
SELECT * FROM dns_question('-infinity'::TIMESTAMP, 'infinity'::TIMESTAMP);

-- The first call of an hour from one address to another, kept for weeks: what long sleeps are
-- told by. Destinations that several devices call at once, and busy ones, are left out.
CREATE TABLE rare_call (
    hour      TIMESTAMP NOT NULL,
    src_ip    VARCHAR NOT NULL,
    dest_ip   VARCHAR NOT NULL,
    dest_port INTEGER,
    proto     VARCHAR NOT NULL,
    ts        TIMESTAMP NOT NULL,
    calls     BIGINT NOT NULL,
    bytes_up  BIGINT,
    failed    BIGINT NOT NULL,
    flow_id   BIGINT NOT NULL         -- the row id of the first call
);

-- Where each threat list came from: one row a list, replaced when it is loaded again.
CREATE TABLE indicator_list (
    list      VARCHAR PRIMARY KEY,
    origin    VARCHAR NOT NULL,         -- the file it was read from
    licence   VARCHAR,                  -- as its head says, or as whoever loaded it said
    made_at   TIMESTAMP,                -- as its head says, else when its file was last changed
    sha256    VARCHAR NOT NULL,         -- of the file
    entries   BIGINT NOT NULL,
    refused   BIGINT NOT NULL,          -- lines that are no indicator
    loaded_at TIMESTAMP NOT NULL
);
