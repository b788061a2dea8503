-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b05
-- title: Certificate of a remote-control tool
-- status: test
-- class: c2_beacon
-- level: high
-- tags: [attack.command-and-control, attack.t1573.002, attack.t1071.001]
-- description: A TLS server presents a certificate that a remote-control tool makes by default, or one that nobody would issue - self-signed, for a server without a name, valid for decades, at an unusual port.
-- falsepositives:
--   - A self-made service of one's own outside the home, at an unusual port.
-- reads: [tls]
-- window_s: 3600
-- parameters:
--   default_names: {default: [asyncrat, dcrat, "quasar server", venomrat, bitrat, nanocore, "major cobalt strike", cobaltstrike, xworm, "pandora hvnc", njrat, "covenant grunt", "multi-client rat", metasploitselfsignedca], unit: names, reason: "subjects that such tools write when their operator changes nothing"}
--   max_years: {default: 10, unit: years, reason: "authorities issue for a year; makers of gadgets for ten to thirty, which is why this alone is not enough"}
--   usual_ports: {default: [443, 465, 636, 853, 989, 990, 993, 995, 5061, 8443, 8883, 5223, 5228, 8883], unit: ports, reason: "ports where TLS is at home"}
WITH seen AS (
    SELECT t.*, lower(coalesce(subject, '') || ' ' || coalesce(issuerdn, '')) AS names,
           subject = issuerdn AS self_signed,
           date_diff('year', notbefore, notafter) AS years,
           NOT list_contains($usual_ports, t.dest_port) AS odd_port,
           (sni IS NULL OR sni = '') AS unnamed
    FROM tls t JOIN address_info d ON d.ip = t.dest_ip
    WHERE t.ts BETWEEN $since AND $until AND subject IS NOT NULL AND d.scope IN ('public', 'private')
),
judged AS (
    SELECT *, len(list_filter($default_names, lambda n: contains(names, n))) > 0 AS known,
           self_signed AND unnamed AND odd_port AND dest_ip IN (SELECT ip FROM address_info WHERE NOT home) AS lonely
    FROM seen
)
SELECT 'certificate>' || dest_ip || ':' || dest_port AS key, src_ip, list_distinct([dest_ip] || coalesce(min(DISTINCT sni, 5), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN bool_or(known) THEN 'high' WHEN max(years) >= $max_years OR max(years) < 0 THEN 'medium' ELSE 'low' END AS level,
       CASE WHEN bool_or(known) THEN 'Certificate of a remote-control tool at ' ELSE 'Certificate that nobody issued at ' END
           || dest_ip || ':' || dest_port AS title,
       {subject: any_value(subject)[:200], issuer: any_value(issuerdn)[:200], dest_port: dest_port,
        valid_years: max(years), default_of_a_tool: bool_or(known), fingerprint: any_value(fingerprint)} AS facts,
       list_transform(min(id, 60), lambda i: 'tls:' || i) AS evidence
FROM judged WHERE known OR lonely
GROUP BY src_ip, dest_ip, dest_port
