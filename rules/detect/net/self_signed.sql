-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db00c
-- title: A cloud shows a certificate that it made itself
-- status: test
-- class: policy_violation
-- level: informational
-- tags: [attack.credential-access, attack.t1557]
-- description: A device keeps talking to a named outside server whose certificate nobody but itself vouches for. Whoever stands on the way can show one of the same kind.
-- falsepositives:
--   - A device that knows its maker's own certificate by heart (pinning), which is safe, and looks the same from outside.
-- reads: [tls]
-- window_s: 86400
-- parameters:
--   min_contacts: {default: 2, unit: connections, reason: "a device that checks would not come back"}
--   gadget_kinds: {default: [tv, speaker, camera, doorbell, plug, hub, console, printer, appliance], unit: kinds, reason: "things whose checks nobody can look at; for them it is low, not informational"}
SELECT 'self_signed>' || coalesce(lower(sni), dest_ip) AS key, t.src_ip, list_distinct(min(DISTINCT dest_ip, 10) || coalesce(min(DISTINCT lower(sni), 1), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       CASE WHEN bool_or(exists (SELECT 1 FROM v_device_address a JOIN device g USING (device_id)
                WHERE a.ip = t.src_ip AND a.valid_to = TIMESTAMP '9999-12-31' AND list_contains($gadget_kinds, g.kind))) THEN 'low' ELSE 'informational' END AS level,
       'Accepts a certificate that ' || coalesce(any_value(sni), any_value(dest_ip)) || ' made itself' AS title,
       {server: coalesce(any_value(sni), any_value(dest_ip)), subject: any_value(subject)[:200], valid_until: max(notafter)::VARCHAR} AS facts,
       list_transform(min(t.id, 60), lambda i: 'tls:' || i) AS evidence
FROM tls t JOIN address_info d ON d.ip = t.dest_ip AND NOT d.home AND d.scope = 'public'
WHERE ts BETWEEN $since AND $until AND subject IS NOT NULL AND subject = issuerdn AND coalesce(sni, '') LIKE '%.%'
GROUP BY t.src_ip, coalesce(lower(sni), dest_ip) HAVING count(*) >= $min_contacts
