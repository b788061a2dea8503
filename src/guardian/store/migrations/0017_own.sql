-- Guardian's own traffic, tagged: when the machine that it runs on held which address, and the
-- rows that are its own doing. No detector's finding about them is kept.
CREATE TABLE own_address (
    ip     VARCHAR NOT NULL,
    since  TIMESTAMP NOT NULL,
    until  TIMESTAMP,                   -- NULL: still
    looked_at TIMESTAMP NOT NULL,       -- when it was last seen to hold it
    PRIMARY KEY (ip, since)
);
-- What Guardian sent or was sent. own: src | dest, the side that is Guardian itself.
CREATE VIEW v_own_traffic AS
SELECT t.*, CASE WHEN o.ip = t.src_ip THEN 'src' ELSE 'dest' END AS own
FROM (
    SELECT 'flow:' || id AS ref, ts, src_ip, dest_ip, dest_port, proto, NULL AS name FROM flow
    UNION ALL SELECT 'dns:' || id, ts, src_ip, dest_ip, dest_port, proto, lower(rrname) FROM dns
    UNION ALL SELECT 'dns_log:' || id, ts, src_ip, NULL, 53, NULL, lower(rrname) FROM dns_log
    UNION ALL SELECT 'tls:' || id, ts, src_ip, dest_ip, dest_port, proto, lower(sni) FROM tls
    UNION ALL SELECT 'http:' || id, ts, src_ip, dest_ip, dest_port, proto, lower(hostname) FROM http
    UNION ALL SELECT 'alert:' || id, ts, src_ip, dest_ip, dest_port, proto, signature FROM alert
) t JOIN own_address o
    ON (o.ip = t.src_ip OR (o.ip = t.dest_ip AND t.src_ip NOT IN (SELECT ip FROM own_address)))
   AND o.since <= t.ts AND (o.until IS NULL OR t.ts < o.until);
-- The device that Guardian runs on: it holds one of its own addresses now.
CREATE VIEW v_own_device AS
SELECT DISTINCT r.root AS device_id
FROM own_address o JOIN device_address a ON a.ip = o.ip AND a.valid_to IS NULL
JOIN v_device_root r USING (device_id) WHERE o.until IS NULL;
