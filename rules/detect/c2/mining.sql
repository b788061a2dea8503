-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b06
-- title: Talks to a mining pool
-- status: test
-- class: crypto_mining
-- level: medium
-- tags: [attack.impact, attack.t1496]
-- description: A device asks for, or keeps a connection to, a server by the name or port of a mining pool. What the payload shows is told by Suricata's signatures.
-- falsepositives:
--   - A miner that the keeper runs; a wallet that looks at its pool's page.
-- reads: [dns, dns_log, tls, flow]
-- window_s: 86400
-- parameters:
--   max_rate: {default: 2000, unit: bytes per second, reason: "a job every some seconds and a share now and then; more is use of another kind"}
--   pools: {default: [minexmr.com, supportxmr.com, nanopool.org, ethermine.org, f2pool.com, nicehash.com, 2miners.com, moneroocean.stream, hashvault.pro, minergate.com, xmrpool.eu, monerohash.com, dwarfpool.com, antpool.com, viabtc.com, poolin.com, slushpool.com, braiins.com, hiveon.net, flypool.org, unmineable.com, herominers.com, kryptex.network, zergpool.com, prohashing.com, c3pool.com, rx.unmineable.com, coinhive.com, coin-hive.com, crypto-loot.com, pool.gntl.co.uk, minerpool.pw], unit: names, reason: "public pools by the name that miners are given"}
--   ports: {default: [3333, 4444, 5555, 7777, 14433, 14444, 45560, 45700], unit: ports, reason: "where pools listen by custom"}
--   min_connection_s: {default: 300, unit: s, reason: "a miner keeps its connection to the pool"}
WITH named AS (
    SELECT q.src_ip, i.registrable AS pool, q.ts, q.ref, NULL AS dest_ip, 'name' AS how
    FROM dns_question($since, $until) q JOIN (
        -- Of all names ever asked, the few that are a pool's. The limit says that they are few:
        -- else DuckDB may hold all that was asked instead, where very many names are known.
        SELECT name, registrable FROM name_info
        WHERE list_contains($pools, registrable) OR list_contains($pools, name)
           OR regexp_matches(name, '(^|[.-])(stratum|xmr-pool|pool-xmr|xmrpool|minexmr|monero-?pool|ethpool)[0-9]?[.-]')
        LIMIT 1_000) i USING (name)
    UNION ALL
    SELECT t.src_ip, i.registrable, t.ts, 'tls:' || t.id, t.dest_ip, 'name'
    FROM tls t JOIN name_info i ON i.name = lower(t.sni)
    WHERE t.ts BETWEEN $since AND $until AND list_contains($pools, i.registrable)
    UNION ALL
    -- One long connection with little in it, a message every some seconds, at a pool's port.
    SELECT src_ip, dest_ip, ts, 'flow:' || id, dest_ip, 'port and shape'
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external') AND proto = 'TCP' AND NOT failed
      AND list_contains($ports, dest_port) AND epoch(coalesce(end_ts, ts) - ts) >= $min_connection_s
      AND coalesce(app_proto, 'failed') IN ('failed', 'unknown', 'tls', '-')
      AND bytes_toserver + bytes_toclient < $max_rate * epoch(end_ts - ts)
)
SELECT 'mining>' || pool AS key, src_ip, list_distinct([pool] || coalesce(min(DISTINCT dest_ip, 10), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN bool_or(how = 'name') THEN 'medium' ELSE 'low' END AS level,
       'Talks to a mining pool: ' || pool AS title,
       {pool: pool, how: list_distinct(list(how)), contacts: count(*)} AS facts, min(ref, 60) AS evidence
FROM named GROUP BY src_ip, pool
