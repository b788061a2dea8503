-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5db006
-- title: A cloud shows an expired certificate
-- status: test
-- class: policy_violation
-- level: low
-- tags: [attack.credential-access, attack.t1557]
-- description: A device goes on talking to an outside server whose certificate had expired or was not yet valid. It does not check whom it talks to, so that anybody on the way can read and change what it says.
-- falsepositives:
--   - A capture from the past; the time of the capture is what counts.
-- reads: [tls]
-- window_s: 86400
-- parameters:
--   min_contacts: {default: 2, unit: connections, reason: "a device that checks would not come back"}
--   grace_days: {default: 1, unit: days, reason: "clocks differ"}
SELECT 'old_certificate>' || coalesce(lower(sni), dest_ip) AS key, t.src_ip, list_distinct(min(DISTINCT dest_ip, 10) || coalesce(min(DISTINCT lower(sni), 1), [])) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       'Accepts the expired certificate of ' || coalesce(any_value(sni), any_value(dest_ip)) AS title,
       {server: coalesce(any_value(sni), any_value(dest_ip)), expired: max(notafter)::VARCHAR, subject: any_value(subject)[:200]} AS facts,
       list_transform(min(t.id, 60), lambda i: 'tls:' || i) AS evidence
FROM tls t JOIN address_info d ON d.ip = t.dest_ip AND NOT d.home
WHERE ts BETWEEN $since AND $until AND notafter IS NOT NULL AND notafter < ts - to_days($grace_days::INTEGER)
GROUP BY t.src_ip, coalesce(lower(sni), dest_ip) HAVING count(*) >= $min_contacts
