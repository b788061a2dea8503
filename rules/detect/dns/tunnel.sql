-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9c01
-- title: Data hidden in DNS names
-- status: test
-- class: dns_tunnel
-- level: high
-- tags: [attack.command-and-control, attack.exfiltration, attack.t1071.004, attack.t1048.003, attack.t1572]
-- description: Under one registered name, one host asks for many different long, random-looking names, or for record types that carry data. Tunnels write what they send into the name.
-- falsepositives:
--   - Reputation look-ups of antivirus programs and mail servers, when their name is not among those explained.
-- reads: [dns, dns_log]
-- window_s: 3600
-- parameters:
--   min_sub: {default: 4, unit: characters, reason: "before the registered name; shorter carries nothing"}
--   min_txt_length: {default: 8, unit: characters, reason: "mean length of names asked for TXT; mail checks have short ones"}
--   huge_label: {default: 50, unit: characters, reason: "one label; 63 is the most there is"}
--   min_huge: {default: 3, unit: names, reason: "with such a label; one may be a key"}
--   huge_entropy: {default: 3.5, unit: bits per character, reason: "so long and so random"}
--   min_names: {default: 25, unit: names, reason: "different names below one registered name in the window, each asked once or twice"}
--   min_length: {default: 24, unit: characters, reason: "mean length of what stands before the registered name; people's host names are short"}
--   min_entropy: {default: 3.0, unit: bits per character, reason: "hexadecimal gives up to 4, base32 up to 5; words below 3"}
--   min_data_queries: {default: 10, unit: queries, reason: "NULL, PRIVATE and KEY records: nothing in a home asks for them"}
--   min_txt_names: {default: 20, unit: names, reason: "TXT answers carry most data downwards; mail checks ask a few"}
--   min_encoded_length: {default: 40, unit: characters, reason: "with characters that no host name has, as base64 does, one long name is enough"}
--   explained: {default: [sophosxl.net, mcafee.com, e5.sk, eset.com, spamhaus.org, spamcop.net, surbl.org, uribl.com, barracudacentral.org, senderbase.org, sorbs.net, dnswl.org, trendmicro.com, avast.com, avg.com, kaspersky.com, kaspersky-labs.com, bitdefender.net, akadns.net, akamai.net, akamaiedge.net, cloudfront.net, amazonaws.com, googleusercontent.com, 1e100.net, azure.com, trafficmanager.net, office.com, outlook.com, cedexis-radar.net, dnsleaktest.com, browserleaks.com], unit: names, reason: "reputation look-ups, content networks and measurements that write data into names"}
WITH typed AS (
    SELECT lower(rrname) AS name, rrtype FROM dns WHERE ts BETWEEN $since AND $until AND rrtype NOT IN ('A', 'AAAA', 'HTTPS', 'PTR')
    UNION ALL SELECT lower(rrname), rrtype FROM dns_log WHERE ts BETWEEN $since AND $until AND rrtype NOT IN ('A', 'AAAA', 'HTTPS', 'PTR')
),
possible AS (
    -- A mean length needs one name as long; all else needs a record type. That leaves few to count.
    SELECT registrable FROM name_info WHERE sub_len >= least($min_length, $min_encoded_length) OR encoded
    UNION SELECT i.registrable FROM typed t JOIN name_info i USING (name)
    WHERE t.rrtype IN ('NULL', 'PRIVATE', 'KEY', 'SIG', 'TXT') OR t.rrtype LIKE 'TYPE%'
    EXCEPT SELECT unnest($explained::VARCHAR[])
),
asked AS (
    SELECT q.src_ip, i.registrable, q.name, any_value(i.sub_len) AS len, any_value(i.entropy) AS entropy,
           any_value(i.longest) AS longest, any_value(i.digit_share) AS digits, bool_or(i.encoded) AS encoded,
           count(*) AS n, min(q.ts) AS first_seen, max(q.ts) AS last_seen, min(q.ref) AS ref,
           bool_or(q.rrtype IN ('NULL', 'PRIVATE', 'KEY', 'SIG', 'TYPE65399') OR q.rrtype LIKE 'TYPE%') AS data,
           bool_or(q.rrtype = 'TXT') AS txt, min(q.resolver) AS resolver
    FROM dns_question($since, $until) q JOIN name_info i USING (name)
    WHERE i.sub_len >= $min_sub AND i.registrable IN (SELECT registrable FROM possible)
    GROUP BY ALL
),
owner AS (
    SELECT src_ip, registrable, count(*) AS names, sum(n) AS n, avg(len) AS len, avg(entropy) AS entropy,
           max(longest) AS longest, sum(len) AS bytes,
           count(*) FILTER (data) AS data, count(*) FILTER (txt) AS txt,
           avg(len) FILTER (txt) AS txt_len,
           count(*) FILTER (encoded AND len >= $min_encoded_length AND entropy >= $min_entropy) AS encoded,
           count(*) FILTER (longest >= $huge_label) AS huge,
           min(first_seen) AS first_seen, max(last_seen) AS last_seen,
           min(name, 5) AS samples, min(resolver) AS resolver, min(ref, 60) AS evidence
    FROM asked GROUP BY ALL
)
SELECT 'dns_tunnel>' || registrable AS key, src_ip,
       [registrable] || CASE WHEN resolver IS NULL THEN [] ELSE [resolver] END AS peers,
       first_seen, last_seen, n::BIGINT AS count,
       'Data hidden in DNS names below ' || registrable AS title,
       {registered: registrable, names: names, mean_length: round(len, 1), entropy_bits: round(entropy, 2),
        longest_label: longest, characters: bytes, data_type_queries: data, txt_names: txt,
        encoded_names: encoded, samples: list_transform(samples, lambda s: s[:80])} AS facts,
       evidence
FROM owner
-- A resolver that forwards the questions of others is the way, not the one who asks.
WHERE NOT exists (SELECT 1 FROM owner o WHERE o.resolver = owner.src_ip
                  AND o.registrable = owner.registrable AND o.src_ip <> owner.src_ip)
  AND ((names >= $min_names AND len >= $min_length AND entropy >= $min_entropy)
   OR data >= $min_data_queries
   OR (txt >= $min_txt_names AND txt_len >= $min_txt_length)
   OR encoded >= 1
   OR (huge >= $min_huge AND len >= $huge_label AND entropy >= $huge_entropy))
