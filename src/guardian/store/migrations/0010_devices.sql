-- Devices: what they were told, what explains each of their flows, what their destinations are
-- called, which network they are in, what is usual for them, and what people said of them.

-- Who held an address at a time, before merges: as v_device_address, but the device itself, so
-- that what is counted by it can be parted again when a merge is taken back. Join v_device_root.
CREATE VIEW v_device_holder AS
SELECT
    device_id, ip, mac,
    CASE WHEN lag(valid_from) OVER (PARTITION BY ip ORDER BY valid_from) IS NULL
         THEN TIMESTAMP '1970-01-01' ELSE valid_from END AS valid_from,
    coalesce(valid_to, TIMESTAMP '9999-12-31') AS valid_to
FROM device_address;

-- Addresses that a device was given in DNS answers, a row a day.
CREATE TABLE device_told (
    device_id VARCHAR NOT NULL,
    ip        VARCHAR NOT NULL,
    day       DATE NOT NULL,
    said_by   VARCHAR NOT NULL,         -- home: a resolver at home | outside: any other
    name      VARCHAR NOT NULL,         -- the name it had asked for, the latest of that day
    first_ts  TIMESTAMP NOT NULL,
    last_ts   TIMESTAMP NOT NULL,
    ttl_s     BIGINT,                   -- the longest; NULL where the source does not say
    PRIMARY KEY (device_id, ip, day, said_by)
);
-- Registered names that a device asked a resolver at home for.
CREATE TABLE device_asked (
    device_id   VARCHAR NOT NULL,
    registrable VARCHAR NOT NULL,
    first_ts    TIMESTAMP NOT NULL,
    last_ts     TIMESTAMP NOT NULL,
    PRIMARY KEY (device_id, registrable)
);
-- Since when a device asks a resolver at home, and since when it speaks encrypted DNS.
CREATE TABLE device_dns (
    device_id       VARCHAR PRIMARY KEY,
    first_asked     TIMESTAMP, last_asked TIMESTAMP,
    first_encrypted TIMESTAMP, last_encrypted TIMESTAMP
);
-- Where a device went outside the house.
CREATE TABLE device_destination (
    device_id  VARCHAR NOT NULL,
    ip         VARCHAR NOT NULL,
    first_seen TIMESTAMP NOT NULL,
    last_seen  TIMESTAMP NOT NULL,
    flows      BIGINT NOT NULL,
    bytes_up   HUGEINT NOT NULL,
    bytes_down HUGEINT NOT NULL,
    PRIMARY KEY (device_id, ip)
);
-- What explains the flows out of the house, by the hour.
--   answer   an answer of the home's resolver to this device, not older than its TTL
--   cached   such an answer, older than its TTL
--   name     the flow showed a name that the device had asked the home's resolver for
--   house    the home's resolver gave the address to another device
--   own      a resolver's or the router's own traffic
--   early    began before Guardian had watched the home's DNS for a day, or before it was seen
--   outside  an answer of a resolver outside the house
--   encrypted the device spoke encrypted DNS in the hour before
--   literal  an address that is published as fixed (public resolvers, Telegram, Tor directories)
--   unknown  nothing of these
CREATE TABLE coverage_hour (
    bucket TIMESTAMP NOT NULL, device_id VARCHAR NOT NULL, how VARCHAR NOT NULL,
    flows BIGINT NOT NULL, bytes_up HUGEINT NOT NULL,
    PRIMARY KEY (bucket, device_id, how)
);
-- The flows of the last four kinds, and of early, by destination and hour.
CREATE TABLE unexplained_hour (
    bucket TIMESTAMP NOT NULL, device_id VARCHAR NOT NULL, how VARCHAR NOT NULL,
    src_ip VARCHAR NOT NULL, dest_ip VARCHAR NOT NULL, dest_port INTEGER NOT NULL,
    proto VARCHAR NOT NULL, app_proto VARCHAR NOT NULL, detail VARCHAR,
    flows BIGINT NOT NULL, bytes_up HUGEINT NOT NULL,
    first_seen TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL,
    samples BIGINT[] NOT NULL,          -- ids of flow rows
    PRIMARY KEY (bucket, device_id, how, src_ip, dest_ip, dest_port, proto, app_proto)
);
-- Names that are worth less than what was asked for or spoken: certificates, reverse look-ups.
CREATE TABLE address_weak_name (
    ip   VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,              -- certificate | reverse_dns
    first_seen TIMESTAMP NOT NULL,
    last_seen  TIMESTAMP NOT NULL,
    PRIMARY KEY (ip, name, kind)
);

-- What the house calls an address, and who said so, the best founded first.
CREATE VIEW v_house_name AS
SELECT ip, arg_max(name, (rank, last_seen, name)) AS name,
       arg_max(source, (rank, last_seen, name)) AS source
FROM (
    SELECT ip, name, last_seen, CASE kind WHEN 'dns' THEN 'dns_other' ELSE kind END AS source,
           CASE kind WHEN 'sni' THEN 5 WHEN 'http' THEN 4 ELSE 2 END AS rank
    FROM address_name
    UNION ALL
    SELECT ip, name, last_seen, kind, CASE kind WHEN 'certificate' THEN 3 ELSE 1 END
    FROM address_weak_name
) GROUP BY ip;
-- What a device's destination is called: by the answer that this device got, else by the
-- house. source: dns | sni | http | certificate | dns_other | reverse_dns; NULL: it has no name.
CREATE VIEW v_destination_name AS
SELECT d.device_id, d.ip, coalesce(t.name, h.name) AS name,
       CASE WHEN t.name IS NOT NULL THEN 'dns' ELSE h.source END AS source,
       d.first_seen, d.last_seen, d.flows, d.bytes_up, d.bytes_down
FROM (
    SELECT r.root AS device_id, ip, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
           sum(flows)::BIGINT AS flows, sum(bytes_up) AS bytes_up, sum(bytes_down) AS bytes_down
    FROM device_destination JOIN v_device_root r USING (device_id) GROUP BY ALL
) d
LEFT JOIN (
    SELECT r.root AS device_id, ip, arg_max(name, (last_ts, name)) AS name
    FROM device_told JOIN v_device_root r USING (device_id) WHERE said_by = 'home' GROUP BY ALL
) t ON t.device_id = d.device_id AND t.ip = d.ip
LEFT JOIN v_house_name h ON h.ip = d.ip;

-- How much of what a device sends out the home's resolver explains, by the hour.
CREATE VIEW v_coverage AS
SELECT r.root AS device_id, c.bucket, c.how,
       c.how IN ('answer', 'cached', 'name', 'house', 'own') AS explained,
       sum(c.flows)::BIGINT AS flows, sum(c.bytes_up)::BIGINT AS bytes_up
FROM coverage_hour c JOIN v_device_root r USING (device_id) GROUP BY ALL;
-- Flows out of the house that nothing explains, by destination and hour. A row is here a little
-- after its flow (detect.devices.settle_s), and never for what began on the first day.
-- asked: the device asks the home's resolver for other things.
CREATE VIEW v_unexplained_flow AS
SELECT r.root AS device_id, u.bucket, u.how, u.src_ip, u.dest_ip, u.dest_port, u.proto,
       nullif(u.app_proto, '') AS app_proto,
       u.detail, n.name, n.source AS name_source, u.flows, u.bytes_up, u.first_seen, u.last_seen,
       list_transform(u.samples, lambda s: 'flow:' || s) AS evidence,
       coalesce(q.first_asked < u.first_seen, false) AS asked
FROM unexplained_hour u JOIN v_device_root r USING (device_id)
LEFT JOIN device_dns q ON q.device_id = u.device_id
LEFT JOIN v_house_name n ON n.ip = u.dest_ip
WHERE u.how IN ('outside', 'encrypted', 'literal', 'unknown');

-- The home's networks. An IPv6 prefix that lies on the same wire has the IPv4 network as parent.
CREATE TABLE segment (
    cidr       VARCHAR PRIMARY KEY,
    parent     VARCHAR,
    vlan       INTEGER,
    name       VARCHAR,
    role       VARCHAR,                 -- infrastructure | trusted | iot | guest | a word of one's own
    said_by    VARCHAR,                 -- config | person; NULL: nobody gave it a role
    because    VARCHAR NOT NULL,        -- how it was found
    suggested  VARCHAR, suggested_because VARCHAR,
    first_seen TIMESTAMP NOT NULL,
    last_seen  TIMESTAMP NOT NULL
);
CREATE TABLE address_segment (ip VARCHAR PRIMARY KEY, cidr VARCHAR NOT NULL);
-- The network of an address at home, with its role (NULL: none was given).
CREATE VIEW v_address_segment AS
SELECT a.ip, coalesce(p.cidr, s.cidr) AS segment, coalesce(p.name, s.name) AS name,
       coalesce(p.role, s.role) AS role, coalesce(p.vlan, s.vlan) AS vlan
FROM address_segment a JOIN segment s ON s.cidr = a.cidr LEFT JOIN segment p ON p.cidr = s.parent;
-- The network of a device: that of its address of now; a role that a person gave the device wins.
CREATE VIEW v_device_segment AS
SELECT d.device_id, a.segment, a.name, a.vlan,
       CASE WHEN list_contains(d.locked, 'segment') THEN d.segment ELSE a.role END AS role
FROM device d LEFT JOIN (
    SELECT r.root AS device_id, arg_max(segment, (not contains(h.ip, ':'), seen_at)) AS segment,
           arg_max(s.name, (not contains(h.ip, ':'), seen_at)) AS name,
           arg_max(s.vlan, (not contains(h.ip, ':'), seen_at)) AS vlan,
           arg_max(s.role, (not contains(h.ip, ':'), seen_at)) AS role
    FROM device_address h JOIN v_device_root r USING (device_id)
    JOIN v_address_segment s ON s.ip = h.ip WHERE h.valid_to IS NULL GROUP BY ALL
) a USING (device_id) WHERE d.merged_into IS NULL;

-- What is usual for a device. hour NULL: at any time; else by the house's clock, weekends apart.
CREATE TABLE baseline (
    device_id VARCHAR NOT NULL,
    metric    VARCHAR NOT NULL,
    weekend   BOOLEAN, hour UTINYINT,
    expected  DOUBLE NOT NULL,          -- the median of four weeks
    spread    DOUBLE NOT NULL,          -- median distance from it x 1.4826, with a floor
    busiest   DOUBLE NOT NULL,
    samples   BIGINT NOT NULL,          -- hours (or days) that it rests on
    active_share DOUBLE NOT NULL,       -- share of all such hours in which it spoke at all
    drift     DOUBLE,                   -- the last week's median over that of the weeks before
    since     TIMESTAMP NOT NULL,       -- when learning began
    made_at   TIMESTAMP NOT NULL
);
CREATE VIEW v_baseline_hour AS
SELECT b.device_id, metric,
       CASE metric WHEN 'bytes_up' THEN 'bytes/h' WHEN 'bytes_down' THEN 'bytes/h'
                   WHEN 'flows' THEN 'flows/h' WHEN 'destinations' THEN 'destinations/h'
                   ELSE 'destinations/day' END AS unit,
       weekend, hour, made_at >= since + INTERVAL 7 DAYS AND samples >= 3 AS learned,
       expected, spread, busiest, samples, active_share, drift, since,
       since + INTERVAL 7 DAYS AS until, made_at
FROM baseline b JOIN device d ON d.device_id = b.device_id AND d.merged_into IS NULL;
-- One row a device and metric: bytes_up, bytes_down, flows, destinations (each of an hour in which
-- it spoke) and new_destinations (of a day). learned: a week has passed; before, hold nothing
-- against it.
CREATE VIEW v_baseline AS SELECT * EXCLUDE (weekend, hour) FROM v_baseline_hour WHERE hour IS NULL;

-- What people said of devices, for good: names, locks, merges and splits.
CREATE SEQUENCE device_event_seq;
CREATE TABLE device_event (
    id         BIGINT PRIMARY KEY DEFAULT nextval('device_event_seq'),
    device_id  VARCHAR NOT NULL,
    said_at    TIMESTAMP NOT NULL,
    actor      VARCHAR NOT NULL,
    what       VARCHAR NOT NULL,        -- set | unlock | merge | split | keep apart
    detail     VARCHAR NOT NULL
);
-- How sure the type is: strong | some | weak; NULL: unknown, or a person said so.
ALTER TABLE device ADD COLUMN kind_certainty VARCHAR;
