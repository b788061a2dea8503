-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9c05
-- title: Burst of names that do not exist
-- status: test
-- class: dga
-- level: medium
-- tags: [attack.command-and-control, attack.t1568.002]
-- description: Within minutes a device asks for many different registered names that do not exist, whatever they read like; made from word lists, they read like words.
-- falsepositives:
--   - A mail server that checks senders; a list of dead links that a program works through.
-- reads: [dns, dns_log]
-- window_s: 1800
-- parameters:
--   min_names: {default: 30, unit: names, reason: "different registered names within the span; pages of dead links have a handful"}
--   span_s: {default: 900, unit: s, reason: "made-up names are tried quickly"}
--   min_share: {default: 0.5, unit: share, reason: "of all names that the device asked in the span"}
WITH answer AS (
    SELECT src_ip, lower(rrname) AS name, rcode, ts, 'dns:' || id AS ref FROM dns
    WHERE ts BETWEEN $since AND $until AND type = 'answer'
    UNION ALL SELECT src_ip, lower(rrname), rcode, ts, 'dns_log:' || id FROM dns_log
    WHERE ts BETWEEN $since AND $until AND rcode IS NOT NULL
),
spans AS (
    SELECT src_ip, time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           count(DISTINCT i.registrable) FILTER (rcode = 'NXDOMAIN') AS missing, count(DISTINCT i.registrable) AS names,
           min(ts) AS first_seen, max(ts) AS last_seen, min(DISTINCT i.registrable, 20) FILTER (rcode = 'NXDOMAIN') AS samples,
           min(ref, 60) FILTER (rcode = 'NXDOMAIN') AS evidence
    FROM answer JOIN name_info i USING (name) WHERE i.registrable IS NOT NULL GROUP BY ALL
)
SELECT 'nxdomain_burst' AS key, src_ip, list_distinct(arg_max(samples, missing)) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(missing)::BIGINT AS count,
       max(missing) || ' names in ' || ($span_s / 60)::INT || ' minutes that do not exist' AS title,
       {names_missing: max(missing), names_asked: arg_max(names, missing), span_s: $span_s} AS facts,
       arg_max(evidence, missing) AS evidence
FROM spans WHERE missing >= $min_names AND missing >= $min_share * names
GROUP BY src_ip
