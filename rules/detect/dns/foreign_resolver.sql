-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9c03
-- title: DNS asked of an outside resolver
-- status: test
-- class: dns_bypass
-- level: low
-- tags: [attack.command-and-control, attack.t1071.004]
-- description: A device asks a resolver outside the home although the home has one of its own, often an address built into it. The home's filter does not see these questions.
-- falsepositives:
--   - The home's own resolver, when it forwards in the clear.
--   - A device that was given an outside resolver on purpose.
-- reads: [dns]
-- window_s: 86400
-- parameters:
--   min_queries: {default: 3, unit: queries, reason: "one stray question may be a test of the connection"}
WITH asked AS (
    SELECT q.src_ip, q.resolver, q.ts, q.ref, q.name, r.home AS resolver_home, r.inferred
    FROM dns_question($since, $until) q JOIN address_info r ON r.ip = q.resolver
    WHERE q.dest_port = 53 AND r.scope NOT IN ('multicast', 'broadcast', 'loopback', 'unspecified')
),
-- A host that others ask is a resolver itself; what it forwards is its task.
own AS (
    SELECT DISTINCT resolver AS ip FROM asked WHERE resolver_home
    UNION SELECT DISTINCT dest_ip FROM flow WHERE ts BETWEEN $since AND $until AND dest_port = 53 AND app_proto = 'dns'
        AND dest_ip IN (SELECT ip FROM address_info WHERE home AND NOT inferred)
)
SELECT 'foreign_resolver>' || resolver AS key, src_ip, [resolver] AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN exists (SELECT 1 FROM own) OR exists (SELECT 1 FROM dns_log) THEN 'low' ELSE 'informational' END AS level,
       'Asks the outside resolver ' || resolver AS title,
       {resolver: resolver, queries: count(*), names: count(DISTINCT name),
        home_resolvers: (SELECT min(DISTINCT ip, 5) FROM own)} AS facts,
       min(ref, 60) AS evidence
FROM asked
WHERE NOT coalesce(resolver_home, false) AND src_ip NOT IN (SELECT ip FROM own)
GROUP BY src_ip, resolver HAVING count(*) >= $min_queries
