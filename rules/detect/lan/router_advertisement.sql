-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5da008
-- title: Another machine says that it is the IPv6 router
-- status: test
-- class: rogue_dhcp
-- level: medium
-- tags: [attack.credential-access, attack.t1557]
-- description: Router advertisements come from a second machine with a network or a resolver of its own, from a machine that is no network device, from very many at once, or under the router's address from another card. Every device on the wire believes them and sends its IPv6 traffic there.
-- falsepositives:
--   - A second router that the keeper set up with a prefix of its own.
-- reads: [raw_event]
-- window_s: 86400
-- parameters:
--   flood_routers: {default: 6, unit: routers, reason: "a home has one or two; floods make up hundreds to exhaust the machines that listen"}
--   end_user_kinds: {default: [phone, laptop, tablet, tv, speaker, camera, doorbell, plug, console, printer], unit: kinds, reason: "things that route nothing; hubs and speakers with Thread advertise with lifetime 0 and are not meant"}
WITH said AS (
    SELECT id, ts, json_extract_string(raw, '$.ndp.src_ip') AS router, lower(coalesce(json_extract_string(raw, '$.ndp.link_address'),
               json_extract_string(raw, '$.ndp.src_mac'))) AS mac, lower(json_extract_string(raw, '$.ndp.src_mac')) AS frame_mac,
           coalesce(json_extract(raw, '$.ndp.router_lifetime_s')::INTEGER, 0) AS lifetime_s,
           coalesce(json_extract_string(raw, '$.ndp.prefixes[*]'), []) AS prefixes,
           coalesce(json_extract_string(raw, '$.ndp.dns_servers[*]'), []) AS dns_servers
    FROM raw_event WHERE ts BETWEEN $since AND $until AND event_type = 'ndp' AND json_extract_string(raw, '$.ndp.type') = 'ra'
),
router AS (
    SELECT frame_mac AS mac, min(router) AS router, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen, min(id, 40) AS ids,
           list_distinct(flatten(list(prefixes))) AS prefixes, list_distinct(flatten(list(dns_servers))) AS dns_servers,
           max(lifetime_s) AS lifetime_s, bool_or(mac IS DISTINCT FROM frame_mac) AS other_card
    FROM said WHERE frame_mac IS NOT NULL GROUP BY frame_mac
),
ranked AS (SELECT *, row_number() OVER (ORDER BY first_seen, n DESC, mac) AS rank, count(*) OVER () AS routers FROM router),
judged AS (
    SELECT r.*, f.mac AS first_mac, f.router AS first_router,
        (SELECT min(d.kind) FROM device d WHERE lower(d.mac) = r.mac) AS kind,
        -- It brings a network or a resolver that the first does not have, and wants to be the way out.
        r.lifetime_s > 0 AND (len(list_filter(r.prefixes, lambda p: NOT list_contains(f.prefixes, p))) > 0
            OR len(list_filter(r.dns_servers, lambda p: NOT list_contains(f.dns_servers, p))) > 0) AS differs,
        -- The same router's address, from another card: its advertisement is forged, mostly to end it.
        r.router = f.router AND r.mac <> f.mac AS forged
    FROM ranked r JOIN ranked f ON f.rank = 1
),
told AS (
    SELECT CASE WHEN routers >= $flood_routers THEN 'flood' ELSE 'router/' || mac END AS key, *,
           CASE WHEN routers >= $flood_routers THEN 'many routers at once'
                WHEN rank > 1 AND forged THEN 'the router''s address from another card'
                WHEN rank > 1 AND differs THEN 'a second router with a network of its own'
                WHEN lifetime_s > 0 AND list_contains($end_user_kinds, kind) THEN 'no network device' END AS why
    FROM judged
)
SELECT key, arg_max(router, n) AS src_ip, list_distinct([any_value(first_router)] || min(DISTINCT mac, 20)) AS peers,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(n)::BIGINT AS count,
       CASE WHEN key = 'flood' THEN 'high' ELSE 'medium' END AS level,
       'Says that it is the IPv6 router: ' || any_value(why) AS title,
       {why: any_value(why), mac: min(mac), first_router: any_value(first_router), first_mac: any_value(first_mac), routers: max(routers),
        prefixes: list_distinct(flatten(list(prefixes)))[:10], dns_servers: list_distinct(flatten(list(dns_servers)))[:10],
        lifetime_s: max(lifetime_s)} AS facts,
       list_transform(flatten(list(ids))[:60], lambda i: 'raw_event:' || i) AS evidence
FROM told WHERE why IS NOT NULL GROUP BY key
