-- Findings that are one story, and what is said of it.

CREATE SEQUENCE incident_seq;
CREATE TABLE incident (
    id          BIGINT PRIMARY KEY,
    key         VARCHAR NOT NULL UNIQUE,    -- what makes it the same story: device and cause
    title       VARCHAR NOT NULL,
    verdict     VARCHAR NOT NULL,
    confidence  DOUBLE NOT NULL,
    level       VARCHAR NOT NULL,
    device_id   VARCHAR,
    classes     VARCHAR[] NOT NULL,
    first_seen  TIMESTAMP NOT NULL,
    last_seen   TIMESTAMP NOT NULL,
    status      VARCHAR NOT NULL DEFAULT 'open',  -- open | quiet | handled | closed
    summary     VARCHAR NOT NULL,
    explanation VARCHAR NOT NULL,
    expert      VARCHAR NOT NULL DEFAULT '',
    facts       JSON NOT NULL,              -- [{id, kind, text, values}]
    claims      JSON NOT NULL,              -- [{text, facts: [ids]}]
    score       JSON NOT NULL,              -- [{what, weight}]: what counted
    packet_hash VARCHAR NOT NULL,
    written_by  VARCHAR NOT NULL,           -- template | model name
    model       JSON,                       -- {name, digest, parameters, prompt_version}
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
