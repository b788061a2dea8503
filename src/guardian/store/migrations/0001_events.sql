-- What the house's sources say. Columns keep EVE's spelling. Every typed table has
--   id         ascending in the order of commit (watermarks count on it)
--   ts         event time, UTC, microseconds; for a flow: when it began
--   source_id  which source said it
-- Addresses are text in one normal form: IPv6 compressed and lower case, IPv4-mapped unwrapped.

CREATE SEQUENCE source_seq;
CREATE TABLE source (
    source_id  INTEGER PRIMARY KEY DEFAULT nextval('source_seq'),
    name       VARCHAR NOT NULL UNIQUE,
    kind       VARCHAR NOT NULL,
    path       VARCHAR NOT NULL,
    bookmark   JSON,
    events     BIGINT NOT NULL DEFAULT 0,
    rejected   BIGINT NOT NULL DEFAULT 0,
    dropped    BIGINT NOT NULL DEFAULT 0,
    last_event TIMESTAMP,
    last_read  TIMESTAMP,
    state      VARCHAR NOT NULL DEFAULT 'ok',
    detail     VARCHAR
);

CREATE TABLE reject_count (
    source_id INTEGER NOT NULL,
    reason    VARCHAR NOT NULL,
    count     BIGINT NOT NULL,
    PRIMARY KEY (source_id, reason)
);
CREATE TABLE quarantine (
    source_id INTEGER NOT NULL,
    noted_at  TIMESTAMP NOT NULL,
    place     VARCHAR NOT NULL,
    reason    VARCHAR NOT NULL,
    sample    BLOB NOT NULL
);

-- The next id of every typed table; one row, changed in the same transaction as the rows.
CREATE TABLE row_counter (next_id BIGINT NOT NULL);
INSERT INTO row_counter VALUES (1);

CREATE TABLE flow (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    end_ts TIMESTAMP, flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER,
    proto VARCHAR, app_proto VARCHAR,
    bytes_toserver BIGINT, bytes_toclient BIGINT, pkts_toserver BIGINT, pkts_toclient BIGINT,
    state VARCHAR, reason VARCHAR, alerted BOOLEAN,
    tcp_flags_ts UTINYINT, tcp_flags_tc UTINYINT, icmp_type UTINYINT, icmp_code UTINYINT,
    src_mac VARCHAR, dest_mac VARCHAR, vlan USMALLINT[], parent_id BIGINT
);

-- One row a message; src_ip is always the client, dest_ip the resolver, whoever sent it.
CREATE TABLE dns (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    type VARCHAR,                   -- query | answer
    tx_id BIGINT, rrname VARCHAR, rrtype VARCHAR, rcode VARCHAR,
    answers VARCHAR[],              -- rdata, in order
    answer_types VARCHAR[], ttl BIGINT,
    src_mac VARCHAR, dest_mac VARCHAR, vlan USMALLINT[]
);

-- One row a query that a resolver logged (Pi-hole, AdGuard Home, dnsmasq, unbound).
CREATE TABLE dns_log (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    src_ip VARCHAR,                 -- the client that asked
    client_name VARCHAR,
    rrname VARCHAR, rrtype VARCHAR,
    status VARCHAR,                 -- forwarded | cached | blocked | local | refused | unknown
    status_detail VARCHAR,          -- the resolver's own word (GRAVITY, REGEX_CNAME …)
    blocked BOOLEAN,
    rcode VARCHAR,
    answers VARCHAR[], upstream VARCHAR, reply_ms DOUBLE,
    foreign_id BIGINT               -- the resolver's own row id, to update a row that it changed
);

CREATE TABLE tls (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    sni VARCHAR, version VARCHAR, subject VARCHAR, issuerdn VARCHAR, serial VARCHAR,
    fingerprint VARCHAR, notbefore TIMESTAMP, notafter TIMESTAMP,
    ja3 VARCHAR, ja3s VARCHAR, ja4 VARCHAR, session_resumed BOOLEAN, subjectaltname VARCHAR[],
    src_mac VARCHAR, dest_mac VARCHAR, vlan USMALLINT[]
);

CREATE TABLE http (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    hostname VARCHAR, http_port INTEGER, url VARCHAR, http_method VARCHAR, http_user_agent VARCHAR,
    http_refer VARCHAR, http_content_type VARCHAR, status INTEGER, length BIGINT, protocol VARCHAR,
    src_mac VARCHAR, dest_mac VARCHAR, vlan USMALLINT[]
);

CREATE TABLE quic (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    sni VARCHAR, version VARCHAR, ja3 VARCHAR, ja3s VARCHAR, ja4 VARCHAR, ua VARCHAR,
    src_mac VARCHAR, dest_mac VARCHAR, vlan USMALLINT[]
);

CREATE TABLE fileinfo (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    app_proto VARCHAR, filename VARCHAR, magic VARCHAR, state VARCHAR, size BIGINT, gaps BOOLEAN,
    md5 VARCHAR, sha1 VARCHAR, sha256 VARCHAR, hostname VARCHAR, url VARCHAR,
    http_content_type VARCHAR, http_user_agent VARCHAR, status INTEGER
);

CREATE TABLE alert (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    app_proto VARCHAR, direction VARCHAR,
    action VARCHAR, gid BIGINT, signature_id BIGINT, rev BIGINT,
    signature VARCHAR, category VARCHAR, severity INTEGER, metadata JSON,
    client_ip VARCHAR, server_ip VARCHAR,   -- the flow's initiator and its other side, when known
    hostname VARCHAR, url VARCHAR, http_user_agent VARCHAR, sni VARCHAR, rrname VARCHAR,
    payload_printable VARCHAR,
    src_mac VARCHAR, dest_mac VARCHAR, vlan USMALLINT[]
);

CREATE TABLE anomaly (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, community_id VARCHAR,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    type VARCHAR, event VARCHAR, layer VARCHAR, app_proto VARCHAR
);

CREATE TABLE dhcp (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    flow_id BIGINT, src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER,
    type VARCHAR,                   -- request | reply
    dhcp_type VARCHAR,              -- discover | offer | request | ack | nak …
    dhcp_id BIGINT, client_mac VARCHAR, assigned_ip VARCHAR, client_ip VARCHAR, requested_ip VARCHAR,
    hostname VARCHAR, lease_time BIGINT, client_id VARCHAR, vendor_class VARCHAR, params VARCHAR[],
    routers VARCHAR[], dns_servers VARCHAR[], next_server_ip VARCHAR, relay_ip VARCHAR,
    src_mac VARCHAR, dest_mac VARCHAR
);

-- A device seen by a single frame or a lease: arp, ndp, dhcp, mdns, ssdp, llmnr, nbns, lease, neighbour.
CREATE TABLE sighting (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    method VARCHAR NOT NULL, mac VARCHAR, ip VARCHAR, name VARCHAR, model VARCHAR,
    detail JSON
);

-- Every other event, whole. event_type 'arp' rows hold operation, sender and target.
CREATE TABLE raw_event (
    id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, source_id INTEGER NOT NULL,
    event_type VARCHAR NOT NULL, flow_id BIGINT,
    src_ip VARCHAR, src_port INTEGER, dest_ip VARCHAR, dest_port INTEGER, proto VARCHAR,
    raw JSON NOT NULL
);
