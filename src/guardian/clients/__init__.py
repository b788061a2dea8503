"""One thin async client per remote system; no business rules."""
