-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da002
-- title: Two servers give out addresses
-- status: test
-- class: rogue_dhcp
-- level: medium
-- tags: [attack.credential-access, attack.t1557.003]
-- description: Offers and acknowledgements come from more than one DHCP server. A second one can name itself as router or resolver and so take over every device that asks.
-- falsepositives:
--   - Two servers that the keeper set up for availability; a new router beside the old one.
-- reads: [dhcp]
-- window_s: 86400
-- parameters:
--   min_answers: {default: 1, unit: answers, reason: "one forged answer is enough to mislead a device"}
--   near_s: {default: 86400, unit: seconds, reason: "a lease lasts about a day; a server not heard for longer was replaced, or is of another recording"}
--   near_other_s: {default: 1800, unit: seconds, reason: "where no client heard both, only servers of one network at one time are taken to share a wire; a sensor may see several networks"}
WITH reply AS (
    SELECT id, ts, src_ip AS server, src_mac, routers, dns_servers, client_mac,
           ts - lag(ts) OVER (PARTITION BY src_ip ORDER BY ts, id) > to_seconds($near_s) AS pause
    FROM dhcp
    WHERE ts BETWEEN $since AND $until AND dhcp_type IN ('offer', 'ack') AND src_ip IS NOT NULL
      AND src_ip <> '0.0.0.0' AND (src_port = 67 OR src_port IS NULL) AND type = 'reply'
),
spell AS (
    SELECT *, count(*) FILTER (pause) OVER (PARTITION BY server ORDER BY ts, id) AS spell FROM reply
),
answer AS (
    SELECT server, any_value(src_mac) AS mac, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen,
           min(id, 40) AS ids, any_value(routers) AS routers, any_value(dns_servers) AS dns_servers,
           coalesce(list(DISTINCT client_mac) FILTER (client_mac IS NOT NULL), []) AS clients, regexp_replace(server, '[.][0-9]+$', '') AS net
    FROM spell GROUP BY server, spell
)
SELECT 'second_server>' || r.server AS key, r.server AS src_ip, [f.server] AS peers, r.first_seen, r.last_seen, r.n AS count,
       'A second server gives out addresses: ' || r.server AS title,
       {server: r.server, server_mac: r.mac, first_server: f.server, routers: r.routers, dns_servers: r.dns_servers} AS facts,
       list_transform(r.ids, lambda i: 'dhcp:' || i) AS evidence
FROM answer r JOIN answer f
  ON f.server <> r.server AND r.mac IS DISTINCT FROM f.mac
 AND (f.first_seen < r.first_seen OR (f.first_seen = r.first_seen AND (f.n > r.n OR (f.n = r.n AND f.server < r.server))))
 AND f.last_seen >= r.first_seen - to_seconds($near_s)
 -- One wire: a client that heard both, or two of one network within a short time.
 AND (list_has_any(r.clients, f.clients)
      OR (r.net = f.net AND f.last_seen >= r.first_seen - to_seconds($near_other_s)))
WHERE r.n >= $min_answers
QUALIFY row_number() OVER (PARTITION BY r.server ORDER BY r.first_seen DESC, f.first_seen, f.server) = 1
