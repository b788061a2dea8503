-- Guardian's own life.

CREATE TABLE setting (key VARCHAR PRIMARY KEY, value JSON NOT NULL);
CREATE TABLE component_state (
    name  VARCHAR PRIMARY KEY,
    state VARCHAR NOT NULL,             -- green | amber | red
    since TIMESTAMP NOT NULL,
    detail VARCHAR NOT NULL
);
CREATE TABLE digest (
    id BIGINT PRIMARY KEY, since TIMESTAMP NOT NULL, until TIMESTAMP NOT NULL,
    text VARCHAR NOT NULL, html VARCHAR NOT NULL, sent JSON, made_at TIMESTAMP NOT NULL
);
