-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9e01
-- title: Suricata alert
-- status: test
-- class: exploit
-- level: medium
-- tags: []
-- description: A Suricata signature matched. Alerts are grouped by signature and by the device they concern; the class comes from the signature's own metadata, its category or its family, the level from its severity.
-- falsepositives:
--   - Signatures are as good as their authors; informational families say what happens, not that it is bad.
-- reads: [alert]
-- window_s: 3600
-- parameters:
--   noise_first: {default: 2200000, unit: sid, reason: "Suricata's own decoder and stream events, which tell of the capture point more than of the house"}
--   noise_last: {default: 2299999, unit: sid, reason: "the last of them"}
--   own_first: {default: 9000001, unit: sid, reason: "Guardian's own signatures begin here"}
--   own_last: {default: 9000999, unit: sid, reason: "and end here; each names its class and level"}
WITH one AS (
    SELECT a.*, coalesce(client_ip, src_ip) AS c_ip, coalesce(server_ip, dest_ip) AS s_ip,
           signature_id BETWEEN $own_first AND $own_last AS own,
           lower(coalesce(json_extract_string(metadata, '$.guardian_class[0]'), '')) AS own_class,
           lower(coalesce(json_extract_string(metadata, '$.guardian_level[0]'), '')) AS own_level,
           lower(coalesce(json_extract_string(metadata, '$.signature_severity[0]'), '')) AS rated,
           list_filter(list_transform(coalesce(json_extract_string(metadata, '$.mitre_technique_id[*]'), []), lambda m: lower(m)),
                       lambda m: regexp_matches(m, '^t[0-9]{4}([.][0-9]{3})?$'))[:5] AS techniques,
           lower(coalesce(signature, '')) AS sig, lower(coalesce(category, '')) AS cat
    FROM alert a
    WHERE ts BETWEEN $since AND $until AND signature_id NOT BETWEEN $noise_first AND $noise_last
      -- Packets of scans are counted by a rule of their own.
      AND signature_id NOT IN (9000101, 9000102, 9000103)
      AND coalesce(json_extract_string(metadata, '$.guardian_use[0]'), '') <> 'evidence'
),
judged AS (
    SELECT *,
        CASE WHEN own AND own_class <> '' THEN own_class
             WHEN regexp_matches(sig, 'coinmin|cryptomin|stratum|monero|xmrig|miner ') OR cat LIKE '%crypto%' THEN 'crypto_mining'
             WHEN regexp_matches(sig, '\b(cnc|c2)\b|command and control|beacon') OR cat LIKE '%command and control%' THEN 'c2_beacon'
             WHEN regexp_matches(sig, '^et (malware|trojan|mobile_malware|worm|ja3|phishing|adware)|malware|trojan|ransom|backdoor|\brat\b')
                  OR regexp_matches(cat, 'malware|trojan|executable code was') THEN 'malware'
             WHEN regexp_matches(sig, '^et (exploit|web_server|web_client|web_specific|attack_response|shellcode|activex|sql|netbios)|exploit|cve-?20|sql injection|overflow')
                  OR regexp_matches(cat, 'web application attack|attempted (user|administrator)|successful|shellcode|vulnerable|exploit') THEN 'exploit'
             WHEN regexp_matches(sig, 'brute.?force|login attempt|suspicious login') THEN 'brute_force'
             WHEN regexp_matches(sig, '^et scan|\bscan\b|nmap|masscan|zmap|sweep') OR regexp_matches(cat, 'network scan|information leak|attempted-recon') THEN 'port_scan'
             WHEN regexp_matches(sig, '^et (drop|cins|compromised|tor|3coresec|dshield|threatview)|blocklist|poor reputation') AND NOT sig LIKE '%tor %' THEN 'threat_intel'
             WHEN regexp_matches(sig, '\btor\b|vpn|proxy|\.onion') THEN 'tor_vpn'
             WHEN regexp_matches(sig, 'cleartext|plain.?text|basic auth|unencrypted|password') THEN 'cleartext_secret'
             WHEN regexp_matches(sig, '\bdoh\b|dns over https|dns-over-https') THEN 'doh_bypass'
             -- Its author's words said nothing, but the technique that it is filed under does.
             ELSE CASE split_part(techniques[1], '.', 1)
                 WHEN 't1071' THEN 'c2_beacon' WHEN 't1095' THEN 'c2_beacon' WHEN 't1573' THEN 'c2_beacon' WHEN 't1219' THEN 'c2_beacon'
                 WHEN 't1102' THEN 'c2_beacon' WHEN 't1571' THEN 'c2_beacon' WHEN 't1105' THEN 'malware' WHEN 't1204' THEN 'malware'
                 WHEN 't1059' THEN 'malware' WHEN 't1190' THEN 'exploit' WHEN 't1203' THEN 'exploit' WHEN 't1210' THEN 'exploit'
                 WHEN 't1046' THEN 'port_scan' WHEN 't1595' THEN 'port_scan' WHEN 't1018' THEN 'host_scan' WHEN 't1110' THEN 'brute_force'
                 WHEN 't1041' THEN 'exfiltration' WHEN 't1048' THEN 'exfiltration' WHEN 't1567' THEN 'exfiltration' WHEN 't1496' THEN 'crypto_mining'
                 WHEN 't1021' THEN 'lateral_movement' WHEN 't1570' THEN 'lateral_movement' WHEN 't1568' THEN 'dga' WHEN 't1572' THEN 'dns_tunnel'
                 WHEN 't1090' THEN 'tor_vpn' WHEN 't1040' THEN 'cleartext_secret' WHEN 't1552' THEN 'cleartext_secret'
                 ELSE 'policy_violation' END END AS class
    FROM one
),
grouped AS (
    SELECT signature_id, any_value(signature) AS signature, any_value(category) AS category, class, own,
           CASE WHEN c.home OR NOT coalesce(s.home, false) THEN c_ip ELSE s_ip END AS actor,
           min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS n, min(severity) AS severity, flatten(list(DISTINCT techniques)) AS techniques,
           max(rated) AS rated, max(own_level) AS own_level,
           list_distinct(min(CASE WHEN c.home OR NOT coalesce(s.home, false) THEN s_ip ELSE c_ip END, 30)
               || coalesce(min(DISTINCT hostname, 5), []) || coalesce(min(DISTINCT sni, 5), []) || coalesce(min(DISTINCT rrname, 5), [])) AS peers,
           bool_and(NOT coalesce(c.home, false) AND coalesce(s.home, false)) AS inbound,
           any_value(url) AS url, any_value(http_user_agent) AS user_agent, min(id, 60) AS ids
    FROM judged j LEFT JOIN address_info c ON c.ip = j.c_ip LEFT JOIN address_info s ON s.ip = j.s_ip
    GROUP BY ALL
)
SELECT 'sid/' || signature_id AS key, actor AS src_ip, list_filter(peers, lambda p: p IS NOT NULL AND p <> actor) AS peers,
       first_seen, last_seen, n AS count, class,
       CASE WHEN own AND own_level <> '' THEN own_level
            WHEN class = 'policy_violation' OR class = 'tor_vpn' THEN CASE WHEN severity = 1 THEN 'low' ELSE 'informational' END
            WHEN rated = 'informational' THEN 'informational'
            WHEN rated = 'minor' THEN 'low'
            WHEN rated = 'critical' THEN 'critical'
            WHEN severity = 1 OR rated = 'major' THEN 'high'
            WHEN severity = 2 THEN 'medium'
            ELSE 'low' END AS level,
       coalesce(signature, 'Suricata signature ' || signature_id)[:200] AS title,
       {signature_id: signature_id, signature: signature[:200], category: category, severity: severity,
        inbound: inbound, url: url[:200], user_agent: user_agent[:200]} AS facts,
       list_transform(ids, lambda i: 'alert:' || i) AS evidence,
       list_transform(list_distinct(techniques)[:10], lambda m: 'attack.' || m) AS tags
FROM grouped
