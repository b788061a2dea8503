-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9a07
-- title: Slow host scan
-- status: test
-- class: host_scan
-- level: medium
-- tags: [attack.discovery, attack.t1018, attack.t1046]
-- description: Over a day one host tries the same service port on many hosts that nobody named to it, a few an hour, and most do not answer.
-- falsepositives:
--   - A peer-to-peer program that uses a service's port.
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   min_hosts: {default: 15, unit: hosts, reason: "distinct unanswering hosts in a day"}
--   min_failed_share: {default: 0.7, unit: share, reason: "a scanner does not know who is there; a client mostly does"}
--   max_named_share: {default: 0.2, unit: share, reason: "a client was given the addresses by DNS"}
--   min_span_s: {default: 10800, unit: s, reason: "what is over sooner is told by the rule for host scans"}
--   service_ports: {default: [21, 22, 23, 25, 110, 135, 139, 143, 389, 445, 502, 554, 873, 1433, 1521, 1723, 1883, 2222, 2323, 2375, 3306, 3389, 5432, 5555, 5900, 5985, 6379, 7547, 8291, 9200, 11211, 27017, 37215, 52869, 60023], unit: ports, reason: "services that worms look for, and that a home client has few of"}
WITH suspect AS (
    -- Whoever was refused too seldom cannot have scanned; that leaves few to count exactly.
    SELECT src_ip, dest_port FROM flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND list_contains($service_ports, dest_port)
      AND (coalesce(tcp_flags_tc, 0) & 18 <> 18 OR coalesce(pkts_toclient, 0) = 0)
    GROUP BY ALL HAVING count(*) >= $min_hosts
),
tried AS (
    SELECT src_ip, dest_ip, dest_port, bool_and(failed) AS failed, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen, min(id) AS id
    FROM v_flow SEMI JOIN suspect USING (src_ip, dest_port)
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND opened AND direction <> 'local'
    GROUP BY ALL
)
SELECT 'slow_host_scan/' || dest_port AS key, src_ip, min(dest_ip, 50) AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(n)::BIGINT AS count, 'Slow host scan: port ' || dest_port || ' tried on ' || count(*) || ' hosts' AS title,
       {dest_port: dest_port, hosts: count(*), hosts_unanswered: count(*) FILTER (failed),
        span_s: epoch(max(last_seen) - min(first_seen))::BIGINT} AS facts,
       list_transform(min(id, 50), lambda i: 'flow:' || i) AS evidence
FROM tried GROUP BY src_ip, dest_port
HAVING count(*) FILTER (failed) >= $min_hosts AND count(*) FILTER (failed) >= $min_failed_share * count(*)
   AND count(*) FILTER (dest_ip IN (SELECT ip FROM address_name)) <= $max_named_share * count(*)
   AND epoch(max(last_seen) - min(first_seen)) > $min_span_s
