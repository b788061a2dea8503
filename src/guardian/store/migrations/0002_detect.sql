-- What Guardian holds of devices and names, and what detectors said.

CREATE TABLE device (
    device_id  VARCHAR PRIMARY KEY,
    name       VARCHAR NOT NULL,
    kind       VARCHAR NOT NULL DEFAULT 'unknown',
    vendor     VARCHAR, model VARCHAR, owner VARCHAR, room VARCHAR, segment VARCHAR,
    mac        VARCHAR,
    first_seen TIMESTAMP NOT NULL,
    last_seen  TIMESTAMP NOT NULL,
    reasons    JSON,                -- {column: "because …"}
    locked     VARCHAR[] NOT NULL DEFAULT [],   -- columns that a person has set
    merged_into VARCHAR             -- another device_id; reversible
);
-- Which device held an address when; half open, valid_to NULL while it still does.
CREATE TABLE device_address (
    device_id  VARCHAR NOT NULL,
    ip         VARCHAR NOT NULL,
    mac        VARCHAR,
    valid_from TIMESTAMP NOT NULL,
    valid_to   TIMESTAMP,
    seen_at    TIMESTAMP NOT NULL   -- when it was last seen to hold it
);
-- What a device was heard to say of itself, or is known by; what its name and kind rest on.
CREATE TABLE device_hint (
    device_id  VARCHAR NOT NULL,
    source     VARCHAR NOT NULL,        -- dhcp_name | mdns_name | user_agent | vendor_class | domain …
    value      VARCHAR NOT NULL,
    first_seen TIMESTAMP NOT NULL,
    last_seen  TIMESTAMP NOT NULL,
    PRIMARY KEY (device_id, source, value)
);
-- "Looks like the old one": two devices that may be one with a new hardware address. A person answers.
CREATE TABLE merge_proposal (
    device_id  VARCHAR NOT NULL,        -- the newer one
    into_id    VARCHAR NOT NULL,        -- the older one
    score      INTEGER NOT NULL,
    reasons    VARCHAR[] NOT NULL,
    status     VARCHAR NOT NULL DEFAULT 'open',   -- open | accepted | rejected
    created_at TIMESTAMP NOT NULL,
    answered_at TIMESTAMP, actor VARCHAR,
    PRIMARY KEY (device_id, into_id)
);
-- The device that a device counts as: itself, or at the end of a chain of merges.
CREATE VIEW v_device_root AS
WITH RECURSIVE chain AS (
    SELECT device_id, device_id AS root, merged_into AS next, 0 AS depth FROM device
    UNION ALL
    SELECT chain.device_id, device.device_id, device.merged_into, depth + 1
    FROM chain JOIN device ON device.device_id = chain.next
    WHERE depth < 20
)
SELECT device_id, root FROM chain WHERE next IS NULL;
-- Who held an address at a time: join on ip and valid_from <= ts < valid_to. The first holder
-- known is taken to have held it before, so that rows older than its flow find it too.
CREATE VIEW v_device_address AS
SELECT
    v_device_root.root AS device_id, ip, mac,
    CASE WHEN lag(valid_from) OVER (PARTITION BY ip ORDER BY valid_from) IS NULL
         THEN TIMESTAMP '1970-01-01' ELSE valid_from END AS valid_from,
    coalesce(valid_to, TIMESTAMP '9999-12-31') AS valid_to
FROM device_address JOIN v_device_root USING (device_id);

CREATE TABLE finding (
    id         VARCHAR PRIMARY KEY,
    class      VARCHAR NOT NULL,
    level      VARCHAR NOT NULL,
    detector   VARCHAR NOT NULL,
    title      VARCHAR NOT NULL,
    key        VARCHAR NOT NULL,
    device_id  VARCHAR,
    src_ip     VARCHAR,
    peers      VARCHAR[] NOT NULL,
    first_seen TIMESTAMP NOT NULL,
    last_seen  TIMESTAMP NOT NULL,
    count      BIGINT NOT NULL,
    facts      JSON NOT NULL,
    evidence   VARCHAR[] NOT NULL,  -- 'table:id'
    tags       VARCHAR[] NOT NULL,  -- ATT&CK, as in Sigma: attack.t1071.004
    updated_at TIMESTAMP NOT NULL,
    incident_id BIGINT
);

-- Distinct names (lower case) and addresses that the catalogue knows, with the entry that
-- matched; a row more for each further class of the entry.
CREATE TABLE name_hit (
    name       VARCHAR NOT NULL,
    entry_id   VARCHAR NOT NULL,
    class      VARCHAR NOT NULL,
    company    VARCHAR NOT NULL,
    service    VARCHAR NOT NULL,
    purposes   VARCHAR[] NOT NULL,
    grade      VARCHAR NOT NULL,
    breakage   VARCHAR NOT NULL,
    pattern    VARCHAR NOT NULL,
    PRIMARY KEY (name, entry_id, class)
);
-- How often known devices call a name (or below it), as measured; explains heartbeats away.
CREATE TABLE periodic_fingerprint (
    device   VARCHAR NOT NULL,
    proto    VARCHAR NOT NULL,
    name     VARCHAR NOT NULL,
    period_s DOUBLE NOT NULL
);
-- What a person says was switched off on a device, for Guardian to check.
CREATE SEQUENCE opt_out_seq;
CREATE TABLE opt_out (
    id         BIGINT PRIMARY KEY DEFAULT nextval('opt_out_seq'),
    device_id  VARCHAR NOT NULL,
    class      VARCHAR NOT NULL,
    company    VARCHAR,             -- NULL: every company of the class
    switched_off_at TIMESTAMP NOT NULL,
    author     VARCHAR NOT NULL,
    note       VARCHAR NOT NULL DEFAULT '',
    created_at TIMESTAMP NOT NULL,
    withdrawn_at TIMESTAMP
);
CREATE TABLE indicator (
    kind   VARCHAR NOT NULL,        -- domain | ip | cidr | ip_port | ja3 | ja4 | cert_sha1 | url
    value  VARCHAR NOT NULL,
    list   VARCHAR NOT NULL,
    info   VARCHAR,
    loaded_at TIMESTAMP NOT NULL
);
CREATE TABLE detector_mark (
    detector VARCHAR PRIMARY KEY,
    last_id  BIGINT NOT NULL,       -- rows up to this id have been looked at
    ran_at   TIMESTAMP NOT NULL,
    seconds  DOUBLE,
    error    VARCHAR
);
CREATE SEQUENCE suppression_seq;
CREATE TABLE suppression (
    id         BIGINT PRIMARY KEY DEFAULT nextval('suppression_seq'),
    class      VARCHAR, device_id VARCHAR, domain VARCHAR, subdomains BOOLEAN, address VARCHAR,
    signature_id BIGINT,
    author     VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL, expires_at TIMESTAMP
);

-- What is known of each address that was seen, said once. `home` = this side of the router:
-- private, link-local, carrier-grade NAT, a configured home network, or (inferred) a public
-- address that opens connections at a sensor where no private one does.
CREATE TABLE address_info (
    ip       VARCHAR PRIMARY KEY,
    scope    VARCHAR NOT NULL,      -- private | link_local | loopback | multicast | broadcast | unspecified | public
    home     BOOLEAN NOT NULL,
    inferred BOOLEAN NOT NULL DEFAULT false
);
-- What is known of each name that was seen, said once. Names are lower case, as asked.
CREATE TABLE name_info (
    name        VARCHAR PRIMARY KEY,
    registrable VARCHAR,            -- the part that somebody registered; NULL: none
    sub_len     INTEGER NOT NULL,   -- characters before it
    labels      INTEGER NOT NULL,   -- labels before it
    longest     INTEGER NOT NULL,   -- longest label before it
    entropy     DOUBLE NOT NULL,    -- bits a character of what stands before it
    digit_share DOUBLE NOT NULL,    -- share of digits in what stands before it
    encoded     BOOLEAN NOT NULL,   -- holds characters that no host name has
    randomness  DOUBLE NOT NULL     -- 0 … 1: how unlike words the registered label is
);
-- Names under which an address was reached: from DNS answers, TLS, QUIC and HTTP.
CREATE TABLE address_name (
    ip   VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,          -- sni | http | dns, best first
    first_seen TIMESTAMP NOT NULL,
    last_seen  TIMESTAMP NOT NULL,
    PRIMARY KEY (ip, name, kind)
);
-- One name an address: what was spoken to it wins over what DNS said, and the latest wins.
CREATE VIEW v_address_name AS
SELECT ip, arg_max(name, (CASE kind WHEN 'sni' THEN 3 WHEN 'http' THEN 2 ELSE 1 END, last_seen, name)) AS name
FROM address_name GROUP BY ip;

-- Flows with who opened them and which way they went. src_ip is the initiator.
CREATE VIEW v_flow AS
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
         ELSE coalesce(f.pkts_toclient, 0) = 0 END AS failed
FROM flow f JOIN address_info s ON s.ip = f.src_ip JOIN address_info d ON d.ip = f.dest_ip;

-- Every question to a resolver, seen on the wire or in the resolver's own log. Where a source
-- gives only answers (Zeek joins both in one row), those stand for the questions.
CREATE VIEW v_dns_query AS
SELECT 'dns:' || q.id AS ref, q.id, q.ts, q.src_ip, q.src_mac, q.dest_ip AS resolver, q.dest_port,
       lower(q.rrname) AS name, q.rrtype, NULL::VARCHAR AS status
FROM dns q
WHERE q.rrname IS NOT NULL
  AND (q.type = 'query' OR q.source_id NOT IN (SELECT source_id FROM dns WHERE type = 'query'))
UNION ALL
SELECT 'dns_log:' || id, id, ts, src_ip, NULL, NULL, NULL, lower(rrname), rrtype, status
FROM dns_log WHERE rrname IS NOT NULL;

-- Findings that a person does not want to see, with the suppression that hides each.
CREATE VIEW v_suppressed AS
SELECT f.id, s.id AS suppression_id
FROM finding f JOIN suppression s ON
    (s.class IS NULL OR s.class = f.class)
    AND (s.device_id IS NULL OR s.device_id = f.device_id)
    AND (s.address IS NULL OR s.address = f.src_ip OR list_contains(f.peers, s.address))
    AND (s.signature_id IS NULL OR try_cast(f.facts ->> '$.signature_id' AS BIGINT) = s.signature_id)
    AND (s.domain IS NULL OR len(list_filter(f.peers, lambda p:
            p = s.domain OR (coalesce(s.subdomains, true) AND ends_with(p, '.' || s.domain)))) > 0)
    AND (s.expires_at IS NULL OR s.expires_at > (now() AT TIME ZONE 'UTC'))
WHERE coalesce(s.class, s.device_id, s.domain, s.address, s.signature_id::VARCHAR) IS NOT NULL;
