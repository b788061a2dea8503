-- Models at home as they were last seen, what they were asked to find, and what left the house.

CREATE TABLE IF NOT EXISTS model_endpoint (
    name        VARCHAR PRIMARY KEY,
    kind        VARCHAR NOT NULL,
    role        VARCHAR NOT NULL,
    model       VARCHAR NOT NULL,
    url         VARCHAR NOT NULL,
    state       VARCHAR NOT NULL,           -- loaded | ready | slow | resting | quiet | away | refused | unknown
    digest      VARCHAR NOT NULL DEFAULT '',
    gpu_share   DOUBLE,                     -- of a loaded model in GPU memory, 0 to 1; NULL: not known
    running     BIGINT NOT NULL DEFAULT 0,
    waiting     BIGINT NOT NULL DEFAULT 0,
    failures    BIGINT NOT NULL DEFAULT 0,  -- in a row
    detail      VARCHAR NOT NULL DEFAULT '',
    looked_at   TIMESTAMP NOT NULL
);
-- Another model under the old name: words of the old one are told apart from the new one's.
CREATE TABLE IF NOT EXISTS model_change (
    endpoint    VARCHAR NOT NULL,
    model       VARCHAR NOT NULL,
    old_digest  VARCHAR NOT NULL,
    new_digest  VARCHAR NOT NULL,
    changed_at  TIMESTAMP NOT NULL
);

-- What left the house for a model elsewhere, byte for byte. Written before it is sent.
CREATE SEQUENCE IF NOT EXISTS overflow_seq;
CREATE TABLE IF NOT EXISTS overflow_sent (
    id          BIGINT PRIMARY KEY DEFAULT nextval('overflow_seq'),
    incident_id BIGINT NOT NULL,
    packet_hash VARCHAR NOT NULL,
    sent_at     TIMESTAMP NOT NULL,
    url         VARCHAR NOT NULL,
    model       VARCHAR NOT NULL,
    body        BLOB NOT NULL,              -- the exact bytes of the request
    pseudonyms  JSON NOT NULL,              -- {pseudonym: slot}; never sent
    outcome     VARCHAR NOT NULL,           -- sending | ok | rejected | truncated | timeout | absent | busy | error
    reply       VARCHAR,
    tokens_in   BIGINT NOT NULL DEFAULT 0,
    tokens_out  BIGINT NOT NULL DEFAULT 0,
    seconds     DOUBLE NOT NULL DEFAULT 0
);

-- An incident as a vector: what it is like, to find others that were like it.
CREATE TABLE IF NOT EXISTS incident_vector (
    incident_id BIGINT NOT NULL,
    method      VARCHAR NOT NULL,           -- local:VERSION, or the digest of an embedding model
    source      VARCHAR NOT NULL,           -- what it was made from, as text
    vector      FLOAT[] NOT NULL,           -- of length one
    made_at     TIMESTAMP NOT NULL,
    PRIMARY KEY (incident_id, method)
);
-- The past incident that an embedding model found; told as a fact when the story is next written.
CREATE TABLE IF NOT EXISTS incident_similar (
    incident_id BIGINT PRIMARY KEY,
    similar_id  BIGINT NOT NULL,
    score       DOUBLE NOT NULL,            -- cosine
    method      VARCHAR NOT NULL,
    made_at     TIMESTAMP NOT NULL
);

-- Questions of people that wait for a model to understand them; the page asks for the answer.
CREATE SEQUENCE IF NOT EXISTS question_seq;
CREATE TABLE IF NOT EXISTS question (
    id          BIGINT PRIMARY KEY DEFAULT nextval('question_seq'),
    text        VARCHAR NOT NULL,
    asked_at    TIMESTAMP NOT NULL,
    state       VARCHAR NOT NULL,           -- pending | done | failed
    meant       JSON,                       -- {name, device, hours}: what it was understood to mean
    understood_by VARCHAR NOT NULL DEFAULT '',
    finished_at TIMESTAMP,
    detail      VARCHAR NOT NULL DEFAULT ''
);
