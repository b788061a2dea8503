-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9c08
-- title: Many names under one that do not exist
-- status: test
-- class: dga
-- level: medium
-- tags: [attack.command-and-control, attack.t1568.002, attack.reconnaissance, attack.t1590.002]
-- description: Within a minute a device asks for many different hosts directly under one registered name, and nearly none exists. Malware that makes names under one parent does so, who guesses a domain's hosts from a list, and who floods its name server.
-- falsepositives:
--   - A network inventory that looks up machines by name in a domain of the keeper's own.
-- reads: [dns, dns_log]
-- window_s: 600
-- parameters:
--   min_names: {default: 20, unit: names, reason: "different missing hosts of one parent in the span; a search domain or a browser's test adds a few"}
--   span_s: {default: 60, unit: s, reason: "guesses are made by a program, names of a person's machines over the day"}
--   min_share: {default: 0.9, unit: share, reason: "of the hosts of this parent that were asked for; whoever knows the domain mostly meets what exists"}
WITH answer AS (
    SELECT src_ip, lower(rrname) AS name, rcode, ts, 'dns:' || id AS ref FROM dns
    WHERE ts BETWEEN $since AND $until AND type = 'answer'
    UNION ALL SELECT src_ip, lower(rrname), rcode, ts, 'dns_log:' || id FROM dns_log
    WHERE ts BETWEEN $since AND $until AND rcode IS NOT NULL
),
-- Few names are missing, so whoever missed many under one parent is found first and only they are counted exactly.
suspect AS (
    SELECT src_ip, i.registrable FROM answer JOIN name_info i USING (name)
    WHERE rcode = 'NXDOMAIN' AND i.registrable IS NOT NULL GROUP BY ALL HAVING count(*) >= $min_names
),
spans AS (
    SELECT src_ip, i.registrable AS parent, time_bucket(to_seconds($span_s::BIGINT), ts) AS span,
           count(DISTINCT name) FILTER (rcode = 'NXDOMAIN') AS missing, count(DISTINCT name) AS names,
           min(ts) AS first_seen, max(ts) AS last_seen, list_distinct(min(DISTINCT name, 20) FILTER (rcode = 'NXDOMAIN')) AS samples,
           min(ref, 60) FILTER (rcode = 'NXDOMAIN') AS evidence
    FROM answer JOIN name_info i USING (name) SEMI JOIN suspect USING (src_ip, registrable)
    -- One part below the registered name: block lists and reputation services ask with more, a search domain is put behind whole names.
    WHERE i.registrable IS NOT NULL AND name = split_part(name, '.', 1) || '.' || i.registrable AND NOT ends_with(name, '.arpa')
    GROUP BY ALL
)
SELECT 'name_guessing>' || parent AS key, src_ip, [parent] AS peers, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
       sum(missing)::BIGINT AS count,
       max(missing) || ' names under ' || parent || ' in a moment that do not exist' AS title,
       {parent: parent, names_missing: max(missing), names_asked: arg_max(names, missing), span_s: $span_s, samples: arg_max(samples, missing)} AS facts,
       arg_max(evidence, missing) AS evidence
FROM spans WHERE missing >= $min_names AND missing >= $min_share * names
GROUP BY src_ip, parent
