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
    valid_to   TIMESTAMP
);

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

-- Distinct names and addresses that the catalogue knows, with the entry that matched.
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
    PRIMARY KEY (name, entry_id)
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
