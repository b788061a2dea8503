-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9a02
-- title: Slow port scan
-- status: test
-- class: port_scan
-- level: medium
-- tags: [attack.discovery, attack.t1046]
-- description: One host tries many ports of another over hours, a few at a time, to stay below what fast scans are known by.
-- falsepositives:
--   - A monitoring system that checks many services of a host which is down.
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   min_ports: {default: 15, unit: ports, reason: "distinct unanswered ports of one host in a day"}
--   min_failed_share: {default: 0.7, unit: share, reason: "a scanner meets closed ports; over a day a client meets mostly open ones"}
--   min_span_s: {default: 600, unit: s, reason: "what is over sooner is a fast scan and is told by that rule"}
WITH suspect AS (
    -- Whoever was refused too seldom cannot have scanned; that leaves few to count exactly.
    SELECT src_ip, dest_ip FROM flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP'
      AND (coalesce(tcp_flags_tc, 0) & 18 <> 18 OR coalesce(pkts_toclient, 0) = 0)
    GROUP BY ALL HAVING count(*) >= $min_ports
),
tried AS (
    SELECT src_ip, dest_ip, dest_port, bool_and(failed) AS failed, count(*) AS n,
           min(ts) AS first_seen, max(ts) AS last_seen, min(id) AS id
    FROM v_flow SEMI JOIN suspect USING (src_ip, dest_ip)
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND opened AND dest_port IS NOT NULL
      -- A first packet that is an answer (SYN with ACK) is the echo of somebody else's attack.
      AND NOT (failed AND coalesce(tcp_flags_ts, 0) & 16 = 16)
      AND direction <> 'local' AND src_ip <> dest_ip
    GROUP BY ALL
)
SELECT 'slow_port_scan>' || dest_ip AS key, src_ip, [dest_ip] AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(n)::BIGINT AS count,
       'Slow port scan: ' || count(*) || ' ports of one host tried' AS title,
       {target: dest_ip, ports: count(*), ports_unanswered: count(*) FILTER (failed),
        span_s: epoch(max(last_seen) - min(first_seen))::BIGINT, sample_ports: min(dest_port, 20)} AS facts,
       list_transform(min(id, 50), lambda i: 'flow:' || i) AS evidence
FROM tried GROUP BY src_ip, dest_ip
HAVING count(*) FILTER (failed) >= $min_ports
   AND count(*) FILTER (failed) >= $min_failed_share * count(*)
   AND epoch(max(last_seen) - min(first_seen)) > $min_span_s
   -- No burst: half of the ports within one hundredth of the time is a fast scan with a late straggler.
   AND epoch(quantile_disc(first_seen, 0.75) - quantile_disc(first_seen, 0.25)) > $min_span_s / 4
