-- What the page asks of a large store, made ready as rows come.

-- The rows that findings name as evidence, as the page shows them. They are found without opening
-- a cold file for each, and outlive the rows that they were made from.
CREATE TABLE kept_row (
    source    VARCHAR NOT NULL,     -- the table it is from
    id        BIGINT NOT NULL,
    ts        TIMESTAMP NOT NULL,
    what      VARCHAR,
    src_ip    VARCHAR, dest_ip VARCHAR, dest_port INTEGER,
    up        BIGINT, down BIGINT
);
-- Sums of the hourly sums for weeks that are over. Rows that come late add to them.
CREATE TABLE device_day (
    day        DATE NOT NULL, device_id VARCHAR,
    flows      BIGINT NOT NULL, bytes_up BIGINT NOT NULL, bytes_down BIGINT NOT NULL
);
CREATE TABLE device_week (
    week       DATE NOT NULL,           -- its Monday
    device_id  VARCHAR, dest VARCHAR NOT NULL,
    flows      BIGINT NOT NULL, bytes_up BIGINT NOT NULL, bytes_down BIGINT NOT NULL,
    first_hour TIMESTAMP NOT NULL, last_hour TIMESTAMP NOT NULL
);
