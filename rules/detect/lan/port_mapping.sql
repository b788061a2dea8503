-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da007
-- title: Opens a port of the router
-- status: test
-- class: exposed_service
-- level: low
-- tags: [attack.command-and-control, attack.t1090, attack.t1133]
-- description: A device asks the router by UPnP, NAT-PMP or PCP to let the internet in at a port. Games and calls do so for themselves; malware does so to be reached, and a device that asks for another one opens a door that its owner knows nothing of.
-- falsepositives:
--   - A game console, a torrent client, a video call.
-- reads: [alert, flow, http]
-- window_s: 3600
-- parameters:
--   mapping_sids: {default: [9000430, 9000431, 9000432], unit: sid, reason: "Guardian's own signatures for a request to map a port"}
--   risky_ports: {default: [21, 22, 23, 80, 135, 139, 443, 445, 554, 1433, 1883, 2375, 3306, 3389, 5000, 5432, 5555, 5900, 5985, 6379, 7547, 8080, 8291, 9200, 27017, 37777], unit: ports, reason: "logins, shares, cameras and databases, which are attacked within minutes"}
--   pmp_port: {default: 5351, unit: port, reason: "NAT-PMP (RFC 6886) and PCP (RFC 6887)"}
WITH asked AS (
    -- What the payload shows: the request itself.
    SELECT a.src_ip, a.dest_ip AS router, CASE signature_id WHEN 9000430 THEN 'UPnP' WHEN 9000431 THEN 'NAT-PMP' ELSE 'PCP' END AS way,
           true AS sure, try_cast(regexp_extract(payload_printable, '<NewInternalPort[^>]*>\s*([0-9]{1,5})', 1) AS INTEGER) AS port,
           nullif(regexp_extract(payload_printable, '<NewInternalClient[^>]*>\s*([0-9.]{7,15})', 1), '') AS client,
           a.ts, 'alert:' || a.id AS ref
    FROM alert a WHERE ts BETWEEN $since AND $until AND list_contains($mapping_sids, signature_id)
    UNION ALL
    -- Without the payload: the router answered at the port of the protocol, or at the page of the service.
    SELECT f.src_ip, f.dest_ip, 'NAT-PMP or PCP', false, NULL, NULL, f.ts, 'flow:' || f.id
    FROM v_flow f WHERE ts BETWEEN $since AND $until AND f.proto = 'UDP' AND f.dest_port = $pmp_port AND f.direction = 'internal' AND NOT f.failed
    UNION ALL
    SELECT h.src_ip, h.dest_ip, 'UPnP', false, NULL, NULL, h.ts, 'http:' || h.id
    FROM http h JOIN address_info d ON d.ip = h.dest_ip AND d.home
    WHERE h.ts BETWEEN $since AND $until AND h.http_method = 'POST' AND regexp_matches(lower(h.url), '(wanip|wanppp|ipconn|pppconn|upnp/control)')
)
SELECT 'port_mapping>' || router AS key, src_ip, list_distinct([router] || coalesce(list(client) FILTER (client IS NOT NULL AND client <> src_ip), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN bool_or(client <> src_ip) OR bool_or(list_contains($risky_ports, port)) THEN 'medium'
            WHEN bool_or(sure) THEN 'low' ELSE 'informational' END AS level,
       CASE WHEN bool_or(sure) THEN 'Opens a port of the router' || coalesce(' (' || min(port) || ')', '')
            ELSE 'Speaks the protocol by which ports of the router are opened' END AS title,
       {router: router, way: list_distinct(list(way)), ports: list_distinct(list(port) FILTER (port IS NOT NULL)),
        for_device: min(client), request_seen: bool_or(sure)} AS facts,
       min(ref, 60) AS evidence
FROM asked GROUP BY src_ip, router
