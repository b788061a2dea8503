-- What may be done, what a person said, and what was done.

CREATE SEQUENCE proposal_seq;
CREATE TABLE proposal (
    id          BIGINT PRIMARY KEY,
    incident_id BIGINT NOT NULL,
    key         VARCHAR NOT NULL UNIQUE,    -- incident, action, scope: the same intent again
    action      VARCHAR NOT NULL,           -- dns_block | dns_trial | address_block
    title       VARCHAR NOT NULL,           -- the button: object, scope, time
    consequence VARCHAR NOT NULL,
    target      JSON NOT NULL,              -- {names, addresses, subdomains, device_id, device_ips}
    duration_s  BIGINT NOT NULL,
    responder   VARCHAR NOT NULL,           -- 'none' where no enforcer is set up
    forecast    JSON NOT NULL,
    status      VARCHAR NOT NULL DEFAULT 'proposed',  -- proposed | approved | rejected | withdrawn
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL          -- when its incident was last looked at
);
CREATE SEQUENCE decision_seq;
CREATE TABLE decision (
    id          BIGINT PRIMARY KEY DEFAULT nextval('decision_seq'),
    proposal_id BIGINT NOT NULL,
    verb        VARCHAR NOT NULL,           -- approve | reject | revert
    actor       VARCHAR NOT NULL,
    channel     VARCHAR NOT NULL,           -- page | cli | api | expiry
    decided_at  TIMESTAMP NOT NULL,
    carried_out BOOLEAN NOT NULL DEFAULT false
);
-- The journal. A row is written before anything outside is touched, so that a kill at
-- any moment leaves a state from which the same work can be done again.
CREATE SEQUENCE enforcement_seq;
CREATE TABLE enforcement (
    id          BIGINT PRIMARY KEY,
    proposal_id BIGINT NOT NULL,
    responder   VARCHAR NOT NULL,
    target      JSON NOT NULL,
    state       VARCHAR NOT NULL,           -- asked | applied | verified | failed | reverting | reverted
    asked_at    TIMESTAMP NOT NULL,
    applied_at  TIMESTAMP, verified_at TIMESTAMP, reverted_at TIMESTAMP,
    ends_at     TIMESTAMP NOT NULL,
    receipt     JSON,                       -- what was found before, and what is needed to undo it
    proof       JSON,                       -- what was asked and answered when it was verified
    error       VARCHAR,
    attempts    INTEGER NOT NULL DEFAULT 0, -- failed tries in this state
    next_try_at TIMESTAMP,                  -- not before this
    checked_at  TIMESTAMP,                  -- when it was last found to be still in force
    watch       JSON                        -- what the devices did since it is in force
);
CREATE TABLE enforcement_step (
    enforcement_id BIGINT NOT NULL,
    step_at TIMESTAMP NOT NULL,
    state  VARCHAR NOT NULL,
    detail VARCHAR
);
