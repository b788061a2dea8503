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
WITH answer AS (
    SELECT d.src_ip AS server, any_value(src_mac) AS mac, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen,
           min(id, 40) AS ids, any_value(routers) AS routers, any_value(dns_servers) AS dns_servers
    FROM dhcp d
    WHERE ts BETWEEN $since AND $until AND dhcp_type IN ('offer', 'ack') AND src_ip IS NOT NULL
      AND src_ip <> '0.0.0.0' AND (src_port = 67 OR src_port IS NULL) AND type = 'reply'
    GROUP BY src_ip
),
ranked AS (SELECT *, row_number() OVER (ORDER BY first_seen, n DESC) AS rank FROM answer)
SELECT 'second_server>' || r.server AS key, r.server AS src_ip, [f.server] AS peers, r.first_seen, r.last_seen, r.n AS count,
       'A second server gives out addresses: ' || r.server AS title,
       {server: r.server, server_mac: r.mac, first_server: f.server, routers: r.routers, dns_servers: r.dns_servers} AS facts,
       list_transform(r.ids, lambda i: 'dhcp:' || i) AS evidence
FROM ranked r JOIN ranked f ON f.rank = 1 WHERE r.rank > 1 AND r.n >= $min_answers
  AND r.mac IS DISTINCT FROM f.mac
