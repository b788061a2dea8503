-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9b03
-- title: Looks up its own address, then sends files out
-- status: test
-- class: exfiltration
-- level: high
-- tags: [attack.exfiltration, attack.t1048, attack.t1567, attack.t1016]
-- description: A device asks a public service for its own outside address or whether it is a data centre, and within minutes sends by FTP, by mail without a mail program's name, or through a messenger's bot interface. Password stealers do exactly this.
-- falsepositives:
--   - A camera that checks its outside address and stores pictures by FTP at a provider.
-- reads: [raw_event, http, dns, dns_log, tls, flow]
-- window_s: 1800
-- parameters:
--   min_mail_bytes: {default: 1500, unit: bytes, reason: "to the server: more than a greeting and a refusal"}
--   within_s: {default: 900, unit: s, reason: "stealers look themselves up at their start and send their first report at once"}
--   lookups: {default: [ip-api.com, ipinfo.io, api.ipify.org, ipify.org, checkip.dyndns.org, checkip.amazonaws.com, icanhazip.com, ifconfig.me, ifconfig.co, whatismyipaddress.com, myexternalip.com, freegeoip.app, reallyfreegeoip.org, ipwho.is, ipapi.co, wtfismyip.com, ident.me, ip.sb, api.myip.com, geoiptool.com, showip.net, ipecho.net], unit: names, reason: "services that tell a caller its own address"}
WITH teller AS (
    SELECT name FROM name_info WHERE list_contains($lookups, name) OR list_contains($lookups, registrable)
),
asked AS (
    SELECT src_ip, lower(hostname) AS name, ts, 'http:' || id AS ref FROM http
    WHERE ts BETWEEN $since AND $until AND lower(hostname) IN (SELECT name FROM teller)
    UNION ALL SELECT src_ip, lower(sni), ts, 'tls:' || id FROM tls
    WHERE ts BETWEEN $since AND $until AND lower(sni) IN (SELECT name FROM teller)
    UNION ALL SELECT src_ip, name, ts, ref FROM dns_question($since, $until) WHERE name IN (SELECT name FROM teller)
),
sent AS (
    SELECT r.src_ip, r.dest_ip, r.ts, 'raw_event:' || r.id AS ref, 'ftp' AS way,
           coalesce(json_extract_string(raw, '$.ftp.command_data'), json_extract_string(raw, '$.ftp_data.filename')) AS what
    FROM raw_event r JOIN address_info d ON d.ip = r.dest_ip AND NOT d.home
    WHERE ts BETWEEN $since AND $until AND event_type IN ('ftp', 'ftp_data')
      AND coalesce(json_extract_string(raw, '$.ftp.command'), json_extract_string(raw, '$.ftp_data.command')) IN ('STOR', 'APPE')
    UNION ALL
    SELECT r.src_ip, r.dest_ip, r.ts, 'raw_event:' || r.id, 'mail', json_extract_string(raw, '$.email.subject')
    FROM raw_event r JOIN address_info d ON d.ip = r.dest_ip AND NOT d.home
    WHERE ts BETWEEN $since AND $until AND event_type = 'smtp'
    UNION ALL
    -- Mail over TLS shows no more than its port.
    SELECT src_ip, dest_ip, ts, 'flow:' || id, 'mail', NULL
    FROM v_flow WHERE ts BETWEEN $since AND $until AND direction IN ('outbound', 'external') AND NOT failed
      AND (app_proto = 'smtp' OR dest_port IN (25, 465, 587)) AND bytes_toserver > $min_mail_bytes
    UNION ALL
    SELECT src_ip, dest_ip, ts, 'tls:' || id, 'bot', sni FROM tls
    WHERE ts BETWEEN $since AND $until AND sni = 'api.telegram.org'
)
SELECT 'stealer_upload>' || s.dest_ip AS key, s.src_ip,
       list_distinct([s.dest_ip] || min(DISTINCT a.name, 5) || coalesce((SELECT list(n.name) FROM v_address_name n WHERE n.ip = s.dest_ip), [])) AS peers,
       least(min(a.ts), min(s.ts)) AS first_seen, max(s.ts) AS last_seen, count(DISTINCT s.ref) AS count,
       'Looked up its own address, then sent by ' || min(s.way) || ' to ' || s.dest_ip AS title,
       {way: min(s.way), looked_up: min(a.name), destination: s.dest_ip, sent: list_distinct(min(s.what[:120], 5)),
        delay_s: round(min(epoch(s.ts - a.ts)), 1)} AS facts,
       list_distinct(min(s.ref, 40) || min(a.ref, 10)) AS evidence
FROM sent s JOIN asked a ON a.src_ip = s.src_ip
     AND s.ts BETWEEN a.ts - INTERVAL 5 SECOND AND a.ts + to_seconds($within_s::BIGINT)
GROUP BY s.src_ip, s.dest_ip
