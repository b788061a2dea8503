-- Who listens, by the hour; what people say of being away and of switching off; learned rhythms.

-- Contacts of each device with the names that the catalogue knows, by the hour. It outlives the
-- rows that it was made from. One visit may leave a row of several kinds (flow, tls, quic, http,
-- dns, dns_log), so kinds are never added to each other: the largest count stands. A step may have
-- several rows (one for each run that added to it): sum them. Companies stand in name_hit.
CREATE TABLE contact_hour (
    bucket    TIMESTAMP NOT NULL, device_id VARCHAR NOT NULL, name VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    contacts  BIGINT NOT NULL, refused BIGINT NOT NULL, bytes_up BIGINT NOT NULL, bytes_down BIGINT NOT NULL
);
-- Hours in which a device was seen at all, by any row of its own.
CREATE TABLE active_hour (bucket TIMESTAMP NOT NULL, device_id VARCHAR NOT NULL);

-- When a person says that nobody is home. valid_to NULL: until somebody says otherwise.
CREATE SEQUENCE away_seq;
CREATE TABLE away_span (
    id         BIGINT PRIMARY KEY DEFAULT nextval('away_seq'),
    valid_from TIMESTAMP NOT NULL,
    valid_to   TIMESTAMP,
    author     VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);
-- What Guardian said of an opt-out, each time that the answer changed.
CREATE TABLE opt_out_answer (
    opt_out_id  BIGINT NOT NULL,
    answered_at TIMESTAMP NOT NULL,
    answer      VARCHAR NOT NULL,       -- stopped | reduced | unchanged | too early
    detail      JSON NOT NULL           -- counts before and after, test, p-value, period
);
-- What a proposed block would have done in the last days, replayed when it was proposed.
CREATE TABLE forecast (
    proposal_id BIGINT PRIMARY KEY,
    target      VARCHAR NOT NULL,       -- the target it was made for; another one is made anew
    made_at     TIMESTAMP NOT NULL,
    body        JSON NOT NULL
);

-- Rhythms that explain a heartbeat. The first four columns are as before: join on name (the name
-- itself or below it) and a period within a second or five per cent.
--   origin     measured: of a model of device, by somebody else | learned: in this home
--   device_id  NULL: whoever keeps that rhythm | a learned one holds for this device alone
ALTER TABLE periodic_fingerprint ADD COLUMN origin VARCHAR DEFAULT 'measured';
ALTER TABLE periodic_fingerprint ADD COLUMN device_id VARCHAR;
ALTER TABLE periodic_fingerprint ADD COLUMN learned_at TIMESTAMP;

-- The rhythms that each device kept on each whole day (UTC), to learn from and to compare with.
CREATE TABLE rhythm_day (
    day       DATE NOT NULL,
    device_id VARCHAR NOT NULL,
    proto     VARCHAR NOT NULL,
    name      VARCHAR NOT NULL,         -- destination: a name, or an address that has none
    calls     BIGINT NOT NULL,
    period_s  DOUBLE NOT NULL,          -- median gap
    jitter    DOUBLE NOT NULL,          -- median absolute deviation of the gaps over the period
    bytes_up  BIGINT NOT NULL           -- median of a call
);
-- Which measured device an unrecognised one keeps time like: a suggestion, with its reason.
CREATE TABLE device_likeness (
    device_id VARCHAR NOT NULL,
    device    VARCHAR NOT NULL,         -- as blocklists/fingerprints.toml calls it
    matched   INTEGER NOT NULL,         -- rhythms of it that are kept
    known     INTEGER NOT NULL,         -- rhythms of it that are known
    reason    VARCHAR NOT NULL,
    made_at   TIMESTAMP NOT NULL,
    PRIMARY KEY (device_id, device)
);
