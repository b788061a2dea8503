-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b08
-- title: Speaks IRC
-- status: test
-- class: c2_beacon
-- level: low
-- tags: [attack.command-and-control, attack.t1071]
-- description: A device connects to an IRC server outside. People seldom do today; botnets of gadgets still take their orders there. Many attempts, or a server that is addressed by number, make it suspicious.
-- falsepositives:
--   - A person who chats by IRC, or a bot of one's own.
-- reads: [flow]
-- window_s: 86400
-- parameters:
--   min_attempts: {default: 10, unit: connections, reason: "in a day; a client that works connects once and stays"}
--   ports: {default: [6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697, 7000], unit: ports, reason: "registered for, or customary with, IRC"}
SELECT 'irc>' || dest_ip || ':' || dest_port AS key, src_ip, list_distinct([dest_ip] || coalesce(list(n.name), [])) AS peers,
       min(ts) AS first_seen, max(coalesce(end_ts, ts)) AS last_seen, count(*) AS count,
       CASE WHEN count(*) >= $min_attempts AND (count(n.name) = 0 OR count(*) FILTER (failed) * 2 >= count(*)) THEN 'medium' ELSE 'low' END AS level,
       'Speaks IRC to ' || coalesce(any_value(n.name), dest_ip) || ':' || dest_port AS title,
       {server: dest_ip, dest_port: dest_port, connections: count(*), unanswered: count(*) FILTER (failed),
        told_by: CASE WHEN bool_or(app_proto = 'irc') THEN 'protocol' ELSE 'port' END} AS facts,
       list_transform(min(f.id, 60), lambda i: 'flow:' || i) AS evidence
FROM v_flow f LEFT JOIN v_address_name n ON n.ip = f.dest_ip
WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external') AND proto = 'TCP' AND opened
  AND (app_proto = 'irc' OR (list_contains($ports, dest_port) AND coalesce(app_proto, 'failed') IN ('failed', 'unknown', '-')))
GROUP BY src_ip, dest_ip, dest_port
