-- Findings that are one story, and what is said of it.

CREATE SEQUENCE incident_seq;
CREATE TABLE incident (
    id          BIGINT PRIMARY KEY,
    key         VARCHAR NOT NULL UNIQUE,    -- the anchor that the story began with
    title       VARCHAR NOT NULL,
    verdict     VARCHAR NOT NULL,
    confidence  DOUBLE NOT NULL,
    level       VARCHAR NOT NULL,
    device_id   VARCHAR,                    -- NULL: the whole house, or the outside
    devices     VARCHAR[] NOT NULL DEFAULT [],  -- every device in it
    classes     VARCHAR[] NOT NULL,         -- the leading one first
    first_seen  TIMESTAMP NOT NULL,
    last_seen   TIMESTAMP NOT NULL,
    -- open: needs a person | noted: worth knowing, needs no answer | quiet: open, but nothing new
    -- | handled: a person answered | closed: over, or merged into another
    status      VARCHAR NOT NULL DEFAULT 'open',
    summary     VARCHAR NOT NULL,
    explanation VARCHAR NOT NULL,
    expert      VARCHAR NOT NULL DEFAULT '',
    facts       JSON NOT NULL,              -- [{id, kind, text, values}]
    claims      JSON NOT NULL,              -- [{text, facts: [ids]}]
    score       JSON NOT NULL,              -- [{what, weight}]: what counted
    packet_hash VARCHAR NOT NULL,
    state_hash  VARCHAR NOT NULL DEFAULT '',    -- of the findings it was last written from
    written_by  VARCHAR NOT NULL,           -- template | model name
    model       JSON,                       -- {name, digest, parameters, prompt_version}
    merged_into BIGINT,                     -- the incident that goes on with this story
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
-- What holds a story together (device and peer, device and technique …): an anchor belongs to
-- one incident for good, so an incident grows without changing its id.
CREATE TABLE incident_anchor (
    anchor      VARCHAR PRIMARY KEY,
    incident_id BIGINT NOT NULL
);

-- Explanations that wait for a model. A lease that has run out may be taken again.
CREATE SEQUENCE explain_job_seq;
CREATE TABLE explain_job (
    id          BIGINT PRIMARY KEY DEFAULT nextval('explain_job_seq'),
    incident_id BIGINT NOT NULL,
    packet_hash VARCHAR NOT NULL,
    priority    INTEGER NOT NULL,           -- level rank; the worst first, then the newest
    state       VARCHAR NOT NULL,           -- pending | processing | done | failed
    attempts    INTEGER NOT NULL DEFAULT 0,
    lease_until TIMESTAMP,
    queued_at   TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    detail      VARCHAR
);
-- What models answered, by exactly what they were asked. They are asked without values, so one
-- answer serves an incident while it grows: only its slots are filled anew.
CREATE TABLE explanation (
    request     VARCHAR NOT NULL,           -- digest of the whole request
    model_digest VARCHAR NOT NULL,
    prompt_version VARCHAR NOT NULL,
    reply       VARCHAR NOT NULL,           -- as the model wrote it; checked again at each use
    model       JSON NOT NULL,              -- {name, digest, endpoint, parameters, prompt_version}
    made_at     TIMESTAMP NOT NULL,
    PRIMARY KEY (request, model_digest, prompt_version)
);
-- Every call to a model, for the budget, the speed and the health page.
CREATE TABLE model_call (
    called_at   TIMESTAMP NOT NULL,
    endpoint    VARCHAR NOT NULL,
    model       VARCHAR NOT NULL,
    role        VARCHAR NOT NULL,
    outcome     VARCHAR NOT NULL,           -- ok | refused | truncated | timeout | absent | error
    seconds     DOUBLE NOT NULL,
    tokens_in   BIGINT NOT NULL DEFAULT 0,
    tokens_out  BIGINT NOT NULL DEFAULT 0,
    claims_kept BIGINT NOT NULL DEFAULT 0,
    claims_dropped BIGINT NOT NULL DEFAULT 0,
    detail      VARCHAR
);
-- What a person said of an incident. Taken back, it stays, with the time.
CREATE SEQUENCE feedback_seq;
CREATE TABLE feedback (
    id          BIGINT PRIMARY KEY DEFAULT nextval('feedback_seq'),
    incident_id BIGINT NOT NULL,
    answer      VARCHAR NOT NULL,           -- right | wrong | expected
    device_id   VARCHAR,
    class       VARCHAR NOT NULL,
    actor       VARCHAR NOT NULL,
    reason      VARCHAR NOT NULL DEFAULT '',
    given_at    TIMESTAMP NOT NULL,
    revoked_at  TIMESTAMP
);
