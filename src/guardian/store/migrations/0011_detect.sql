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

-- Flows with who opened them and which way they went, as before; but a datagram that was answered
-- by "unreachable" alone counts as failed: Suricata leaves such a flow in the state "new".
CREATE OR REPLACE VIEW v_flow AS
SELECT
    f.id, f.ts, f.end_ts, f.source_id, f.flow_id, f.src_ip, f.src_port, f.dest_ip, f.dest_port, f.proto, f.app_proto,
    f.bytes_toserver, f.bytes_toclient, f.pkts_toserver, f.pkts_toclient, f.state,
    f.tcp_flags_ts, f.tcp_flags_tc, f.icmp_type, f.icmp_code, f.src_mac, f.dest_mac, f.parent_id,
    s.home AS src_home, d.home AS dest_home, d.scope AS dest_scope,
    CASE WHEN d.scope IN ('multicast', 'broadcast') THEN 'local'
         WHEN s.home AND d.home THEN 'internal'
         WHEN s.home THEN 'outbound'
         WHEN d.home THEN 'inbound'
         ELSE 'external' END AS direction,
    -- opened: a handshake began here. failed: nobody answered it, or it was refused.
    f.proto = 'TCP' AND coalesce(f.tcp_flags_ts & 2 > 0, true) AS opened,
    CASE WHEN f.proto = 'TCP' AND coalesce(f.tcp_flags_ts, 0) > 0
         THEN coalesce(f.tcp_flags_tc, 0) & 18 <> 18
         ELSE coalesce(f.pkts_toclient, 0) = 0 OR (f.proto = 'UDP' AND f.state IS NOT DISTINCT FROM 'new') END AS failed
FROM flow f JOIN address_info s ON s.ip = f.src_ip JOIN address_info d ON d.ip = f.dest_ip;

-- Findings that a person did not want to see at a moment, with the suppression that hides each.
-- This is the one place that says what a suppression covers: lists, previews and incidents ask it.
CREATE MACRO suppressed_at(moment) AS TABLE
SELECT f.id, s.id AS suppression_id
FROM finding f JOIN suppression s ON
    (s.class IS NULL OR s.class = f.class)
    AND (s.device_id IS NULL OR s.device_id = f.device_id)
    AND (s.address IS NULL OR s.address = f.src_ip OR list_contains(f.peers, s.address))
    AND (s.signature_id IS NULL OR try_cast(f.facts ->> '$.signature_id' AS BIGINT) = s.signature_id)
    AND (s.domain IS NULL OR len(list_filter(f.peers, lambda p:
            p = s.domain OR (coalesce(s.subdomains, true) AND ends_with(p, '.' || s.domain)))) > 0)
    AND (s.expires_at IS NULL OR s.expires_at > moment)
WHERE coalesce(s.class, s.device_id, s.domain, s.address, s.signature_id::VARCHAR) IS NOT NULL;
CREATE OR REPLACE VIEW v_suppressed AS SELECT * FROM suppressed_at(now() AT TIME ZONE 'UTC');
