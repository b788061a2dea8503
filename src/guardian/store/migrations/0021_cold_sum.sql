-- Only adds: what the bytes of each cold file were, so that a disk that changes them is found out.
-- No key: a name may come again while a query still sees its former row.
CREATE TABLE cold_sum (
    file    VARCHAR NOT NULL,           -- as in cold_file
    sha256  VARCHAR NOT NULL,
    read_at TIMESTAMP NOT NULL          -- when it was last read to its end
);
