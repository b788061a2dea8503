-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db00a
-- title: Data hidden in pings
-- status: test
-- class: exfiltration
-- level: medium
-- tags: [attack.command-and-control, attack.exfiltration, attack.t1095, attack.t1048.003]
-- description: A device exchanges far more by ping than pings need - many large ones, or many that are answered with another size than was sent. Tunnels put a whole network through pings.
-- falsepositives:
--   - Someone who tests the largest packet that gets through, with large pings by hand.
-- reads: [flow]
-- window_s: 3600
-- parameters:
--   min_packets: {default: 50, unit: packets, reason: "of one pair in the span; a person's test sends tens"}
--   min_size: {default: 200, unit: bytes, reason: "mean with headers; pings of common programs are 60 to 100 bytes"}
--   uneven_packets: {default: 200, unit: packets, reason: "answered with other sizes: an echo is by definition as long as its question"}
--   min_uneven: {default: 0.1, unit: share, reason: "of the bytes, by which the two directions differ a packet"}
--   span_s: {default: 3600, unit: s, reason: "a tunnel goes on as long as it is used"}
WITH pair AS (
    SELECT src_ip, dest_ip, time_bucket(to_seconds($span_s::BIGINT), ts) AS span, count(*) AS n, sum(pkts_toserver) AS up_pkts,
           sum(pkts_toclient) AS down_pkts, sum(bytes_toserver) AS up, sum(bytes_toclient) AS down,
           min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen, list_transform(min(id, 60), lambda i: 'flow:' || i) AS evidence
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external', 'inbound') AND coalesce(icmp_type, 8) IN (0, 8, 128, 129)
      AND proto IN ('ICMP', 'IPv6-ICMP', 'ICMPV6')
    GROUP BY ALL
),
judged AS (
    SELECT *, up / nullif(up_pkts, 0) AS up_size, down / nullif(down_pkts, 0) AS down_size FROM pair
)
SELECT 'icmp_tunnel>' || dest_ip AS key, src_ip, [dest_ip] AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(up_pkts + down_pkts)::BIGINT AS count,
       CASE WHEN bool_or(greatest(up_size, down_size) >= $min_size) AND sum(up_pkts) >= $uneven_packets THEN 'high' ELSE 'medium' END AS level,
       'Data hidden in pings: ' || round(sum(up + down) / 1000)::BIGINT || ' kB with ' || dest_ip AS title,
       {peer: dest_ip, packets_up: sum(up_pkts)::BIGINT, packets_down: sum(down_pkts)::BIGINT, mean_bytes_up: round(max(up_size)),
        mean_bytes_down: round(max(down_size)), bytes_up: sum(up)::BIGINT, bytes_down: sum(down)::BIGINT} AS facts,
       arg_max(evidence, up) AS evidence
FROM judged
WHERE (up_pkts >= $min_packets AND greatest(up_size, down_size) >= $min_size)
   OR (least(up_pkts, down_pkts) >= $uneven_packets AND abs(up_size - down_size) >= $min_uneven * greatest(up_size, down_size))
GROUP BY src_ip, dest_ip
