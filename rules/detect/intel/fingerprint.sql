-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9d03
-- title: TLS fingerprint or certificate on a threat list
-- status: test
-- class: threat_intel
-- level: medium
-- tags: [attack.command-and-control, attack.t1071.001, attack.t1573]
-- description: A TLS client or server presented a JA3, JA4 or certificate hash that a threat list holds. Client fingerprints are shared by everything built with the same library.
-- falsepositives:
--   - Another program built with the same TLS library and options.
-- reads: [tls, quic]
-- window_s: 0
WITH seen AS (
    SELECT id, ts, src_ip, dest_ip, sni, unnest([
        {kind: 'ja3', value: ja3}, {kind: 'ja3', value: ja3s}, {kind: 'ja4', value: ja4},
        {kind: 'cert_sha1', value: replace(lower(fingerprint), ':', '')}], recursive := true)
    FROM tls WHERE ts BETWEEN $since AND $until
)
SELECT 'fingerprint>' || t.value AS key, s.src_ip,
       list_distinct(min(DISTINCT s.dest_ip, 20) || coalesce(min(DISTINCT s.sni, 10), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN t.kind = 'cert_sha1' THEN 'high' ELSE 'medium' END AS level,
       'TLS ' || t.kind || ' on the list ' || any_value(t.list) AS title,
       {indicator: t.value, kind: t.kind, lists: list_distinct(list(t.list)), info: any_value(t.info)} AS facts,
       list_transform(min(id, 60), lambda i: 'tls:' || i) AS evidence
FROM seen s JOIN indicator t ON t.kind = s.kind AND t.value = s.value
GROUP BY s.src_ip, t.kind, t.value
