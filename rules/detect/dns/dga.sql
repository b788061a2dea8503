-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9c04
-- title: Names that a program made up
-- status: test
-- class: dga
-- level: medium
-- tags: [attack.command-and-control, attack.t1568.002]
-- description: A device asks for registered names that read like noise and do not exist, as malware does that tries made-up names until its controller has registered one.
-- falsepositives:
--   - A browser that tests whether the network lies about names; it asks for single words without a suffix.
-- reads: [dns, dns_log]
-- window_s: 3600
-- parameters:
--   many_names: {default: 20, unit: names, reason: "so many are a program at work, not chance"}
--   min_names: {default: 4, unit: names, reason: "different registered names; people mistype one or two, and their typos read like words"}
--   min_randomness: {default: 0.45, unit: "0 to 1", reason: "chosen names lie below 0.25 in 99 of 100"}
--   sure_randomness: {default: 0.85, unit: "0 to 1", reason: "together with the length below, one name is enough: nobody chooses or mistypes such a name"}
--   sure_length: {default: 12, unit: characters, reason: "of the registered label; the longer, the surer the measure is"}
--   min_length: {default: 7, unit: characters, reason: "of the registered label; short ones are abbreviations"}
WITH missing AS (
    SELECT d.src_ip, i.registrable, d.ts, d.ref, i.randomness, split_part(i.registrable, '.', 1) AS label
    FROM (SELECT src_ip, lower(rrname) AS name, ts, 'dns:' || id AS ref FROM dns
          WHERE ts BETWEEN $since AND $until AND type = 'answer' AND rcode = 'NXDOMAIN'
          UNION ALL SELECT src_ip, lower(rrname), ts, 'dns_log:' || id FROM dns_log
          WHERE ts BETWEEN $since AND $until AND rcode = 'NXDOMAIN') d
    JOIN name_info i USING (name)
    WHERE i.registrable IS NOT NULL
)
SELECT 'dga' AS key, src_ip, min(DISTINCT registrable, 50).list_distinct() AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN count(DISTINCT registrable) >= $many_names THEN 'high'
            WHEN count(DISTINCT registrable) >= $min_names
                 OR bool_or(randomness >= $sure_randomness AND regexp_matches(label, '^[a-z]+$') AND len(label) >= $sure_length) THEN 'medium'
            ELSE 'low' END AS level,
       count(DISTINCT registrable) || ' made-up names that do not exist' AS title,
       {names: count(DISTINCT registrable), mean_randomness: round(avg(randomness), 2),
        samples: list_distinct(min(DISTINCT registrable, 10))} AS facts,
       min(ref, 60) AS evidence
FROM missing
WHERE randomness >= $min_randomness AND len(label) >= $min_length
  -- A UUID is how programs test whether a resolver tells the truth about names that do not exist.
  AND NOT regexp_matches(label, '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
GROUP BY src_ip
