-- How far behind a source is, what it lost lately, and how each sensor does.

-- A table of its own, because DuckDB 1.5 cannot replay ALTER TABLE on a table with a sequence
-- from its write-ahead log: a kill right after such a migration would make the store unreadable.
CREATE TABLE source_pace (
    source_id      INTEGER PRIMARY KEY,
    caught_up      TIMESTAMP,           -- when it was last read to its end; NULL: not read by a daemon
    dropped_at     TIMESTAMP,           -- when something was last dropped
    dropped_lately BIGINT NOT NULL DEFAULT 0 -- since drops began without a pause
);

-- One row an interface: what its Suricata says of itself, as of noted_at.
CREATE TABLE sensor_state (
    interface     VARCHAR PRIMARY KEY,
    noted_at      TIMESTAMP NOT NULL,
    started_at    TIMESTAMP,
    packets       BIGINT NOT NULL,      -- that the kernel handed to it, since it was started
    dropped       BIGINT NOT NULL,      -- that the kernel had no room for
    recent_packets BIGINT NOT NULL,     -- the same within the last minutes (collect.sensor_window_s)
    recent_dropped BIGINT NOT NULL,
    memory_bytes  BIGINT,               -- of the process
    rules         INTEGER,
    rules_failed  INTEGER,
    restarts      INTEGER NOT NULL
);
