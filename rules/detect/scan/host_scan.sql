-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9a03
-- title: Host scan
-- status: test
-- class: host_scan
-- level: medium
-- tags: [attack.discovery, attack.t1018, attack.t1046]
-- description: One host tries the same port on many hosts, nobody gave it their names, and most do not answer. Worms and botnets spread like this.
-- falsepositives:
--   - A discovery tool that the keeper runs.
--   - A peer-to-peer program with one fixed port and many dead peers.
-- reads: [flow]
-- window_s: 10800
-- parameters:
--   ephemeral_from: {default: 1024, unit: port, reason: "clients call from these; a lower source port is a service that answers (backscatter)"}
--   many_hosts: {default: 64, unit: hosts, reason: "a quarter of a usual network; from here on it is no accident"}
--   min_hosts: {default: 8, unit: hosts, reason: "distinct unanswering hosts on a service port; a client with that many dead servers of one kind is rare"}
--   min_hosts_other: {default: 25, unit: hosts, reason: "on other ports and on the web's, where dead peers are common"}
--   min_per_net: {default: 8, unit: hosts, reason: "mean of hosts in one network of 256, for UDP at other ports: peers and players are strewn, a sweep goes through networks"}
--   min_failed_share: {default: 0.6, unit: share, reason: "a scanner does not know who is there; a client mostly does"}
--   max_named_share: {default: 0.3, unit: share, reason: "a client was given the addresses by DNS, a scanner makes them up"}
--   span_s: {default: 10800, unit: s, reason: "slow scans try a host every few minutes"}
--   service_ports: {default: [21, 22, 23, 25, 110, 111, 135, 137, 139, 143, 161, 389, 445, 502, 512, 513, 514, 554, 623, 873, 1433, 1521, 1723, 1883, 2222, 2323, 2375, 3306, 3389, 5432, 5555, 5900, 5985, 5986, 6379, 7547, 8291, 8545, 9200, 11211, 27017, 37215, 52869, 60023], unit: ports, reason: "services that worms look for, and that a home client has few of"}
WITH suspect AS (
    -- Whoever was refused too seldom cannot have scanned; that leaves few to count exactly.
    SELECT src_ip, proto, dest_port FROM flow
    WHERE ts BETWEEN $since AND $until AND proto IN ('TCP', 'UDP')
      AND (coalesce(tcp_flags_tc, 0) & 18 <> 18 OR coalesce(pkts_toclient, 0) = 0)
    GROUP BY ALL
    HAVING approx_count_distinct(dest_ip) * 2 >= CASE WHEN proto = 'TCP' OR list_contains($service_ports, dest_port)
                                                      THEN least($min_hosts, $min_hosts_other) ELSE $many_hosts END
),
tried AS (
    SELECT src_ip, dest_ip, proto, dest_port,
           time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           bool_and(failed) AS failed, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen,
           min(id) AS id
    FROM v_flow SEMI JOIN suspect USING (src_ip, proto, dest_port)
    WHERE ts BETWEEN $since AND $until AND dest_port IS NOT NULL AND direction <> 'local'
      -- Where IPv6 does not work, every address that has one fails first.
      AND (list_contains($service_ports, dest_port) OR NOT contains(dest_ip, ':'))
      AND ((proto = 'TCP' AND opened)
           OR (proto = 'UDP' AND src_port >= $ephemeral_from AND app_proto IS DISTINCT FROM 'dns'
               AND (list_contains($service_ports, dest_port) OR direction = 'outbound')))
    GROUP BY ALL
),
spans AS (
    SELECT src_ip, proto, dest_port, span,
           count(*) AS hosts, count(*) FILTER (failed) AS failed, sum(n) AS n,
           count(*) FILTER (failed AND dest_ip IN (SELECT ip FROM address_name)) AS named,
           min(first_seen) AS first_seen, max(last_seen) AS last_seen,
           min(dest_ip, 50) AS peers, list_transform(min(id, 50), lambda i: 'flow:' || i) AS evidence
    FROM tried GROUP BY ALL
    HAVING count(*) FILTER (failed) >= CASE WHEN list_contains($service_ports, dest_port) THEN $min_hosts
                                            WHEN proto = 'UDP' THEN $many_hosts ELSE $min_hosts_other END
       AND (proto = 'TCP' OR list_contains($service_ports, dest_port)
            OR count(*) FILTER (failed) >= $min_per_net * count(DISTINCT regexp_extract(dest_ip, '^(.*)\.[0-9]+$', 1)) FILTER (failed))
       AND count(*) FILTER (failed) >= $min_failed_share * count(*)
)
SELECT 'host_scan/' || proto || '/' || dest_port AS key, src_ip, arg_max(peers, hosts) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(n)::BIGINT AS count,
       CASE WHEN max(hosts) >= $many_hosts THEN 'high' ELSE 'medium' END AS level,
       'Host scan: port ' || dest_port || ' tried on ' || max(hosts) || ' hosts' AS title,
       {proto: proto, dest_port: dest_port, hosts: max(hosts), hosts_unanswered: max(failed)} AS facts,
       arg_max(evidence, hosts) AS evidence
FROM spans WHERE named <= $max_named_share * failed
GROUP BY src_ip, proto, dest_port
