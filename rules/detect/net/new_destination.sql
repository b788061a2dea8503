-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db007
-- title: A device with a fixed set of destinations has a new one
-- status: test
-- class: new_destination
-- level: informational
-- tags: [attack.command-and-control]
-- description: A device that talked to the same few outside names for days talks to a new one. Gadgets do so after an update, or when somebody else gives them orders.
-- falsepositives:
--   - An update of the device; a new server of its maker.
-- reads: [dns, dns_log]
-- window_s: 691200
-- parameters:
--   learn_days: {default: 5, unit: days, reason: "gadgets repeat themselves daily; weekly jobs are seen as new once"}
--   max_known: {default: 12, unit: names, reason: "registered names in all the days before; a device with more is no gadget"}
--   quiet_days: {default: 2, unit: days, reason: "without a new name before this one: the set was stable"}
WITH long AS (
    -- Who asked for so long that something can be new: a cheap look that spares weighing the others.
    SELECT src_ip, min(ts) AS since FROM (
        SELECT src_ip, ts FROM dns WHERE ts BETWEEN $since AND $until
        UNION ALL SELECT src_ip, ts FROM dns_log WHERE ts BETWEEN $since AND $until)
    GROUP BY src_ip HAVING max(ts) >= min(ts) + to_days($learn_days::INTEGER)
),
few AS (
    -- And who asked for few names while it was learned; twice as many, as this count is not exact.
    SELECT src_ip FROM (
        SELECT src_ip, lower(rrname) AS name, ts FROM dns WHERE ts BETWEEN $since AND $until
        UNION ALL SELECT src_ip, lower(rrname), ts FROM dns_log WHERE ts BETWEEN $since AND $until)
    JOIN long USING (src_ip) JOIN name_info USING (name)
    WHERE ts < since + to_days($learn_days::INTEGER)
    GROUP BY src_ip HAVING approx_count_distinct(registrable) <= 2 * $max_known
),
asked AS (
    SELECT q.src_ip, i.registrable AS name, min(q.ts) AS first_ts, max(q.ts) AS last_ts, count(*) AS n, min(q.ref) AS ref
    FROM dns_question($since, $until) q SEMI JOIN few USING (src_ip) JOIN name_info i USING (name)
    WHERE i.registrable IS NOT NULL GROUP BY ALL
),
life AS (
    SELECT *, min(first_ts) OVER (PARTITION BY src_ip) AS since,
           count(*) OVER (PARTITION BY src_ip ORDER BY first_ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS known,
           lag(first_ts) OVER (PARTITION BY src_ip ORDER BY first_ts) AS newest_before
    FROM asked
)
SELECT 'new_destination>' || name AS key, src_ip, [name] AS peers, first_ts AS first_seen, last_ts AS last_seen, n AS count,
       'First contact with ' || name AS title,
       {name: name, known_names: known, days_known: date_diff('day', since, first_ts)} AS facts, [ref] AS evidence
FROM life
WHERE known BETWEEN 1 AND $max_known AND first_ts >= since + to_days($learn_days::INTEGER)
  AND first_ts >= newest_before + to_days($quiet_days::INTEGER)
