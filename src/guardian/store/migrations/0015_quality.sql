-- How well stories are told: every scoring of triage against gold sets, as it was measured.
CREATE SEQUENCE IF NOT EXISTS triage_score_seq;
CREATE TABLE IF NOT EXISTS triage_score (
    id               BIGINT PRIMARY KEY DEFAULT nextval('triage_score_seq'),
    taken_at         TIMESTAMP NOT NULL,
    set_digest       VARCHAR NOT NULL,      -- of the items that were told
    prompt_version   VARCHAR NOT NULL,      -- of everything fixed in a request to a model
    template_version VARCHAR NOT NULL,
    models           JSON NOT NULL,         -- {digest: name} of those whose words stood; {}: none
    report           JSON NOT NULL
);
