-- Only adds: what became of cold files that the store does not list, or not any more.

-- Files that cannot be read: missing, or damaged. Their rows are in no tier until the file is
-- whole again; then it is listed again.
CREATE TABLE cold_lost (
    file       VARCHAR NOT NULL,        -- as in cold_file
    table_name VARCHAR NOT NULL,
    day        DATE NOT NULL,
    rows       BIGINT NOT NULL,
    reason     VARCHAR NOT NULL,
    noted_at   TIMESTAMP NOT NULL
);

-- Files that are the store's own to remove: names are noted before a file is written, and when
-- it is taken off the list. A file in no list at all is somebody else's, and is never removed.
-- No key: a name may come again while a query still sees its former row.
CREATE TABLE cold_gone (file VARCHAR NOT NULL);
