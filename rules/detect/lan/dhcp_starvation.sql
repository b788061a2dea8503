-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da003
-- title: Somebody asks for every address there is
-- status: test
-- class: rogue_dhcp
-- level: medium
-- tags: [attack.impact, attack.t1498, attack.t1557.003]
-- description: One machine asks for many different addresses, or very many machines that nobody knew ask at once. It empties the pool, so that a false server can answer the next device.
-- falsepositives:
--   - A host of many virtual machines that all start at once.
-- reads: [dhcp]
-- window_s: 900
-- parameters:
--   min_addresses: {default: 6, unit: addresses, reason: "different addresses that one machine asks for within the span; a device asks for its last one, then takes what it gets"}
--   min_machines: {default: 40, unit: machines, reason: "different hardware addresses within the span; a home has fewer devices, and they do not start together"}
--   span_s: {default: 300, unit: s, reason: "starving is quick, or the leases run out again"}
WITH asked AS (
    SELECT id, ts, lower(client_mac) AS mac, src_ip, coalesce(requested_ip, assigned_ip) AS address,
           time_bucket(to_seconds($span_s::BIGINT), ts) AS span
    FROM dhcp WHERE ts BETWEEN $since AND $until AND client_mac IS NOT NULL
),
one AS (
    SELECT 'one machine' AS who, mac, span, count(DISTINCT address) AS n, count(*) AS messages,
           max(src_ip) FILTER (src_ip <> '0.0.0.0') AS src_ip, min(DISTINCT address, 30) AS addresses,
           min(ts) AS first_seen, max(ts) AS last_seen, min(id, 60) AS ids
    FROM asked WHERE address IS NOT NULL AND address <> '0.0.0.0' GROUP BY mac, span HAVING count(DISTINCT address) >= $min_addresses
    UNION ALL
    SELECT 'many machines', 'many', span, count(DISTINCT mac), count(*), NULL, [],
           min(ts), max(ts), min(id, 60)
    FROM asked GROUP BY span HAVING count(DISTINCT mac) >= $min_machines
)
SELECT 'starvation/' || mac AS key, any_value(src_ip) AS src_ip, list_distinct([mac] || arg_max(addresses, n)) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(messages)::BIGINT AS count,
       CASE any_value(who) WHEN 'one machine' THEN 'One machine asks for ' || max(n) || ' addresses'
            ELSE max(n) || ' unknown machines ask for addresses at once' END AS title,
       {mac: mac, most_in_span: max(n), span_s: $span_s, messages: sum(messages)::BIGINT} AS facts,
       list_transform(arg_max(ids, n), lambda i: 'dhcp:' || i) AS evidence
FROM one GROUP BY mac
