-- What the store knows of its own files and of its own clock.

-- What a cold file holds, so that a look-up opens only the files that can have the row. Files
-- of older stores get their row when they are next looked at. A table of its own: see 0007.
CREATE TABLE cold_span (
    file     VARCHAR PRIMARY KEY,       -- as in cold_file
    first_id BIGINT NOT NULL,
    last_id  BIGINT NOT NULL,
    columns  VARCHAR NOT NULL           -- names in order; files that agree are read as one
);

-- The clock as Guardian saw it last, one row, and how long Guardian has been there: `age_s`
-- counts the seconds that the machine really ran, so that a clock that jumps makes nothing old.
CREATE TABLE clock_note (
    noted_at  TIMESTAMP NOT NULL,       -- by the machine's clock
    boot      VARCHAR NOT NULL,         -- which start of the machine
    up_s      DOUBLE NOT NULL,          -- seconds since that start
    age_s     DOUBLE NOT NULL,
    jumped_s  DOUBLE,                   -- the last jump, forward or back; NULL: none yet
    jump_age_s DOUBLE                   -- age_s when it was noticed
);

-- Which rows were stored when, by that age: a row is old when it happened long ago and was
-- stored long ago. What is stored already counts as old as it says it is.
CREATE TABLE stored_mark (
    age_s   DOUBLE NOT NULL,
    next_id BIGINT NOT NULL             -- rows with smaller ids were stored before
);
INSERT INTO stored_mark SELECT -1e9, next_id FROM row_counter;

-- For which files and columns the views over both tiers were made last.
CREATE TABLE view_note (made_for VARCHAR NOT NULL);

-- Bytes of an hour fit: DuckDB reads HUGEINT columns many times slower where a device is picked.
ALTER TABLE rollup_5m ALTER bytes_up TYPE BIGINT;
ALTER TABLE rollup_5m ALTER bytes_down TYPE BIGINT;
ALTER TABLE rollup_1h ALTER bytes_up TYPE BIGINT;
ALTER TABLE rollup_1h ALTER bytes_down TYPE BIGINT;
