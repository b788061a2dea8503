-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db001
-- title: Uses Tor
-- status: test
-- class: tor_vpn
-- level: low
-- tags: [attack.command-and-control, attack.t1090.003]
-- description: A device speaks TLS as Tor does - to made-up names that nobody looked up, or to certificates of two unrelated made-up names, often at the ports of relays. Not bad in itself, but the home's filter sees nothing of it.
-- falsepositives:
--   - Another program that makes up server names.
-- reads: [tls, flow]
-- window_s: 86400
-- parameters:
--   min_randomness: {default: 0.2, unit: "0 to 1", reason: "chosen names lie below 0.25 in 99 of 100, and the form is asked for too"}
--   min_marks: {default: 2, unit: marks, reason: "relays contacted under made-up names; one may be chance"}
--   relay_ports: {default: [9001, 9030, 9050, 9051, 9150], unit: ports, reason: "where relays listen by default"}
WITH odd AS MATERIALIZED (
    -- Names of the form first: they are few, and only they are looked for among all that was asked.
    SELECT DISTINCT lower(sni) AS name FROM tls
    WHERE ts BETWEEN $since AND $until AND regexp_matches(lower(sni), '^www\.[a-z2-7]{8,25}\.(com|net)$')
),
asked AS MATERIALIZED (
    SELECT lower(rrname) AS name FROM dns WHERE ts BETWEEN $since AND $until AND lower(rrname) IN (SELECT name FROM odd)
    UNION SELECT lower(rrname) FROM dns_log WHERE ts BETWEEN $since AND $until AND lower(rrname) IN (SELECT name FROM odd)
),
invented AS MATERIALIZED (
    SELECT o.name FROM odd o ANTI JOIN asked USING (name) LEFT JOIN name_info i ON i.name = o.name
    WHERE coalesce(i.randomness, 0) >= $min_randomness
),
spoken AS (
    SELECT src_ip, dest_ip, dest_port, ts, 'tls:' || id AS ref, lower(sni) AS name,
           coalesce(lower(sni) IN (SELECT name FROM invented), false) AS made_up,
           regexp_matches(subject, '^CN=www\.[a-z2-7]{8,25}\.(com|net)$') AND regexp_matches(issuerdn, '^CN=www\.[a-z2-7]{8,25}\.(com|net)$')
               AND subject <> issuerdn AS odd_pair
    FROM tls
    WHERE ts BETWEEN $since AND $until
    UNION ALL
    SELECT src_ip, dest_ip, dest_port, ts, 'flow:' || id, NULL, false, false
    FROM v_flow WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external') AND proto = 'TCP'
      AND list_contains($relay_ports, dest_port) AND NOT failed AND app_proto = 'tls'
)
SELECT 'tor' AS key, src_ip, list_distinct(min(DISTINCT dest_ip, 20) || coalesce(min(DISTINCT name, 10), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       'Uses Tor: ' || count(DISTINCT dest_ip) || ' relays' AS title,
       {relays: count(DISTINCT dest_ip), made_up_names: count(*) FILTER (made_up), odd_certificates: count(*) FILTER (odd_pair),
        relay_ports: count(*) FILTER (list_contains($relay_ports, dest_port))} AS facts,
       min(ref, 60) AS evidence
FROM spoken WHERE made_up OR odd_pair OR list_contains($relay_ports, dest_port)
GROUP BY src_ip
HAVING count(*) FILTER (made_up OR odd_pair) + count(*) FILTER (list_contains($relay_ports, dest_port)) >= $min_marks
