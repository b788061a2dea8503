-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b07
-- title: Takes part in a flood
-- status: test
-- class: malware
-- level: high
-- tags: [attack.impact, attack.t1498.001]
-- description: A device sends one outside address thousands of packets or connections within a minute without being answered. Bots of an attack do this on command.
-- falsepositives:
--   - A load test of one's own server.
-- reads: [flow]
-- window_s: 300
-- parameters:
--   max_ports: {default: 20, unit: ports, reason: "many ports of one host are a scan, which has its own rules"}
--   min_packets: {default: 5000, unit: packets, reason: "unanswered, to one address within the span; retries are three to six a minute"}
--   min_flows: {default: 2000, unit: connections, reason: "unanswered, to one address within the span"}
--   span_s: {default: 60, unit: s, reason: "floods are judged by their rate"}
WITH spans AS (
    SELECT src_ip, dest_ip, proto, time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           count(*) AS flows, sum(pkts_toserver) AS packets, count(DISTINCT dest_port) AS ports,
           min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen, min(dest_port) AS dest_port,
           list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM v_flow
    -- One-way UDP is what cameras and calls send too; only TCP and ICMP must be answered.
    WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external') AND failed
      AND (proto <> 'UDP' OR src_port IS DISTINCT FROM 443)
    GROUP BY ALL
    HAVING (proto <> 'UDP' AND sum(pkts_toserver) >= $min_packets) OR count(*) >= $min_flows
)
SELECT 'flood>' || dest_ip AS key, src_ip, [dest_ip] AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(flows)::BIGINT AS count,
       'Floods ' || dest_ip || ': ' || max(greatest(packets, flows)) || ' unanswered packets in a minute' AS title,
       {target: dest_ip, dest_port: min(dest_port), packets_in_span: max(packets)::BIGINT, connections_in_span: max(flows), span_s: $span_s} AS facts,
       arg_max(evidence, flows) AS evidence
FROM spans
-- Many ports of one host are a scan, which has its own rules.
WHERE ports <= $max_ports
GROUP BY src_ip, dest_ip
