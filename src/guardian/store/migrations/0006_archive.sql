-- The cold tier, the roll-ups and the measure of growth.

-- Which Parquet files belong to the store. Rows leave the hot table in the same transaction
-- in which their file is listed here, so that each row is in exactly one place; a file that
-- is not listed is the rest of an attempt that was cut short.
CREATE TABLE cold_file (
    table_name VARCHAR NOT NULL,
    day        DATE NOT NULL,
    file       VARCHAR NOT NULL,        -- relative to the data directory
    rows       BIGINT NOT NULL,
    bytes      BIGINT NOT NULL,
    first_ts   TIMESTAMP NOT NULL,
    last_ts    TIMESTAMP NOT NULL,
    PRIMARY KEY (file)
);

-- Who talked to whom with what, in steps of time; outlives the rows it was made from.
-- A step may have several rows (one for each run that added to it): sum them.
CREATE TABLE rollup_5m (
    bucket TIMESTAMP NOT NULL, device_id VARCHAR, dest VARCHAR NOT NULL, app_proto VARCHAR,
    flows BIGINT NOT NULL, bytes_up HUGEINT NOT NULL, bytes_down HUGEINT NOT NULL
);
CREATE TABLE rollup_1h (
    bucket TIMESTAMP NOT NULL, device_id VARCHAR, dest VARCHAR NOT NULL, app_proto VARCHAR,
    flows BIGINT NOT NULL, bytes_up HUGEINT NOT NULL, bytes_down HUGEINT NOT NULL
);
CREATE TABLE rollup_mark (name VARCHAR PRIMARY KEY, last_id BIGINT NOT NULL);

CREATE TABLE size_sample (
    sampled_at TIMESTAMP NOT NULL, hot_bytes BIGINT NOT NULL, cold_bytes BIGINT NOT NULL,
    free_bytes BIGINT NOT NULL
);
CREATE TABLE retention_log (
    deleted_at TIMESTAMP NOT NULL, table_name VARCHAR NOT NULL, tier VARCHAR NOT NULL,
    rows BIGINT NOT NULL, before_ts TIMESTAMP NOT NULL, reason VARCHAR NOT NULL
);
