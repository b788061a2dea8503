-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da00b
-- title: Many file-sharing connections to one machine at once
-- status: test
-- class: exploit
-- level: medium
-- tags: [attack.lateral-movement, attack.t1210]
-- description: Within seconds one machine opens many connections to the file sharing of another and holds them side by side. Clients share one; attacks on the memory of SMB servers (EternalBlue and its kin) lay out that memory with a dozen and more.
-- falsepositives:
--   - A cluster node or a backup server that opens a channel for each processor.
-- reads: [flow]
-- window_s: 600
-- parameters:
--   min_connections: {default: 15, unit: connections, reason: "answered, to one machine within the span; multichannel clients open four to eight"}
--   span_s: {default: 30, unit: s, reason: "the memory must be laid out at once"}
--   ports: {default: [139, 445], unit: ports, reason: "where SMB listens"}
--   min_parallel: {default: 0.5, unit: share, reason: "of the connections that begin while the one before is still open; clients that come back close first"}
WITH opened AS (
    SELECT src_ip, dest_ip, dest_port, ts, coalesce(end_ts, ts) AS end_ts, id, time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           lag(coalesce(end_ts, ts)) OVER (PARTITION BY src_ip, dest_ip, dest_port ORDER BY ts) AS before_end
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND proto = 'TCP' AND opened AND NOT failed AND list_contains($ports, dest_port)
),
spans AS (
    SELECT src_ip, dest_ip, dest_port, span, count(*) AS n, count(*) FILTER (ts < before_end) AS parallel, min(ts) AS first_seen,
           max(end_ts) AS last_seen, list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM opened GROUP BY ALL HAVING count(*) >= $min_connections
)
SELECT 'smb_burst>' || dest_ip AS key, src_ip, [dest_ip] AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(n)::BIGINT AS count,
       max(n) || ' file-sharing connections to ' || dest_ip || ' at once' AS title,
       {target: dest_ip, dest_port: dest_port, most_in_span: max(n), side_by_side: arg_max(parallel, n), span_s: $span_s} AS facts,
       arg_max(evidence, n) AS evidence
FROM spans WHERE parallel >= $min_parallel * n GROUP BY src_ip, dest_ip, dest_port
