-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9a01
-- title: Port scan
-- status: test
-- class: port_scan
-- level: medium
-- tags: [attack.discovery, attack.t1046]
-- description: One host tries many ports of another, and most of them do not answer or refuse.
-- falsepositives:
--   - A network inventory or vulnerability scanner that the keeper runs.
--   - A peer-to-peer program whose partner has gone, when it tries port after port.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   ephemeral_from: {default: 1024, unit: port, reason: "clients call from these; a lower source port is a service that answers (backscatter)"}
--   trace_first: {default: 33434, unit: port, reason: "where a traceroute begins"}
--   trace_last: {default: 33534, unit: port, reason: "and where the longest ends"}
--   min_ports: {default: 8, unit: ports, reason: "distinct unanswered ports of one host in one span; a program that finds a service closed tries one or two"}
--   min_udp_ports: {default: 20, unit: ports, reason: "UDP has no handshake, and games and calls try several unanswered ports at once"}
--   min_failed_share: {default: 0.6, unit: share, reason: "a scanner meets closed ports; a client of many services meets open ones"}
--   span_s: {default: 600, unit: s, reason: "a fast scan is over in minutes; slow ones have a rule of their own"}
--   high_ports: {default: 100, unit: ports, reason: "from here on it is no accident, whatever else is said"}
WITH suspect AS (
    -- Whoever was refused too seldom cannot have scanned; that leaves few to count exactly.
    SELECT src_ip, dest_ip, proto FROM flow
    WHERE ts BETWEEN $since AND $until AND proto IN ('TCP', 'UDP')
      AND (coalesce(tcp_flags_tc, 0) & 18 <> 18 OR coalesce(pkts_toclient, 0) = 0)
    GROUP BY ALL HAVING count(*) >= least($min_ports, $min_udp_ports)
),
tried AS (
    SELECT src_ip, dest_ip, proto, dest_port,
           time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           bool_and(failed) AS failed, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen,
           min(id) AS id
    FROM v_flow SEMI JOIN suspect USING (src_ip, dest_ip, proto)
    WHERE ts BETWEEN $since AND $until AND dest_port IS NOT NULL
      AND direction <> 'local' AND src_ip <> dest_ip
      -- A first packet that is an answer (SYN with ACK) is the echo of somebody else's attack.
      AND ((proto = 'TCP' AND opened AND NOT (failed AND coalesce(tcp_flags_ts, 0) & 16 = 16))
           -- A service answering to many ephemeral ports is backscatter, or the end of old flows.
           -- Ports of a traceroute are no scan either.
           OR (proto = 'UDP' AND src_port >= $ephemeral_from AND src_port NOT IN (1900, 3478, 3702, 5353, 5355)
               AND app_proto IS DISTINCT FROM 'dns' AND dest_port NOT BETWEEN $trace_first AND $trace_last))
    GROUP BY ALL
),
spans AS (
    SELECT src_ip, dest_ip, proto, span,
           count(*) AS ports, count(*) FILTER (failed) AS failed, sum(n) AS n,
           min(first_seen) AS first_seen, max(last_seen) AS last_seen,
           min(dest_port, 20) AS sample, list_transform(min(id, 50), lambda i: 'flow:' || i) AS evidence
    FROM tried GROUP BY ALL
    HAVING count(*) FILTER (failed) >= CASE proto WHEN 'TCP' THEN $min_ports ELSE $min_udp_ports END
       AND count(*) FILTER (failed) >= $min_failed_share * count(*)
)
SELECT 'port_scan>' || dest_ip || '/' || proto AS key,
       src_ip, [dest_ip] AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(n)::BIGINT AS count,
       CASE WHEN max(ports) >= $high_ports THEN 'high' ELSE 'medium' END AS level,
       'Port scan: ' || max(ports) || ' ports of one host tried' AS title,
       {target: dest_ip, proto: proto, ports: max(ports), ports_unanswered: max(failed),
        span_s: $span_s, sample_ports: arg_max(sample, ports)} AS facts,
       arg_max(evidence, ports) AS evidence
FROM spans GROUP BY src_ip, dest_ip, proto
