-- id: 2b0f2a54-6f0e-4d0e-9f3c-5a3c4b5d9c02
-- title: DNS that goes past the home's resolver, encrypted
-- status: test
-- class: doh_bypass
-- level: low
-- tags: [attack.command-and-control, attack.t1071.004, attack.t1572]
-- description: A device speaks DNS over HTTPS, TLS or QUIC to an outside resolver, so that the home's resolver neither answers nor logs nor filters.
-- falsepositives:
--   - The home's own resolver, when it forwards over TLS; name it in detect.resolvers.
-- reads: [flow, tls, quic, http, dns, dns_log]
-- window_s: 86400
-- parameters:
--   names: {default: [dns.google, dns.google.com, google-public-dns-a.google.com, dns64.dns.google, cloudflare-dns.com, chrome.cloudflare-dns.com, mozilla.cloudflare-dns.com, one.one.one.one, 1dot1dot1dot1.cloudflare-dns.com, security.cloudflare-dns.com, family.cloudflare-dns.com, cloudflare-gateway.com, dns.quad9.net, dns9.quad9.net, dns10.quad9.net, dns11.quad9.net, doh.opendns.com, dns.opendns.com, dns.umbrella.com, doh.umbrella.com, doh.familyshield.opendns.com, dns.nextdns.io, doh.nextdns.io, anycast.dns.nextdns.io, dns.adguard.com, dns.adguard-dns.com, dns-family.adguard.com, unfiltered.adguard-dns.com, doh.cleanbrowsing.org, adult-filter-dns.cleanbrowsing.org, family-filter-dns.cleanbrowsing.org, security-filter-dns.cleanbrowsing.org, doh.mullvad.net, dns.mullvad.net, doh.dns.sb, dns.sb, dot.sb, doh.pub, dot.pub, dns.alidns.com, doh.360.cn, dot.360.cn, dns.twnic.tw, doh.libredns.gr, dns.digitale-gesellschaft.ch, dns.switch.ch, doh.applied-privacy.net, odvr.nic.cz, dns.controld.com, freedns.controld.com, doh.dns.apple.com, mask.icloud.com, mask-h2.icloud.com, doh.xfinity.com, dns.comcast.net, doh.cox.net, dns.cloudflare.com, doh.tiar.app, dns0.eu, zero.dns0.eu, kids.dns0.eu, dns.njal.la, dns.bebasid.com, jp.tiar.app, doh.dnscrypt.info, basic.rethinkdns.com, max.rethinkdns.com, sky.rethinkdns.com, dns.decloudus.com, wikimedia-dns.org, doh.ffmuc.net, dot.ffmuc.net, public.dns.iij.jp, dns.seia.io, dns.brahma.world, dns.oszx.co, doh.crypto.sx, ordns.he.net, base.dns.mullvad.net, dns.circl.lu, private.canadianshield.cira.ca, protected.canadianshield.cira.ca, family.canadianshield.cira.ca], unit: names, reason: "public encrypted resolvers by the names that clients put into TLS; below nextdns.io and dns.controld.com each customer has one"}
--   parents: {default: [dns.nextdns.io, dns.controld.com, dns.adguard-dns.com, d.adguard-dns.com, cloudflare-gateway.com], unit: names, reason: "services that give each customer a name of its own"}
--   addresses: {default: ["1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "9.9.9.10", "9.9.9.11", "208.67.222.222", "208.67.220.220", "94.140.14.14", "94.140.15.15", "45.90.28.0", "45.90.30.0", "76.76.2.0", "76.76.10.0", "194.242.2.2", "223.5.5.5", "223.6.6.6", "1.12.12.12", "120.53.53.53", "2606:4700:4700::1111", "2606:4700:4700::1001", "2001:4860:4860::8888", "2001:4860:4860::8844", "2620:fe::fe", "2620:fe::9"], unit: addresses, reason: "public resolvers whose port 443 serves nothing but DNS"}
WITH seen AS (
    SELECT src_ip, lower(sni) AS name, dest_ip, ts, 'tls:' || id AS ref,
           CASE WHEN dest_port = 853 THEN 'dns over tls' ELSE 'dns over https' END AS way
    FROM tls
    WHERE ts BETWEEN $since AND $until
      AND (dest_port = 853 OR list_contains($names, lower(sni))
           OR list_has_any($parents, [array_to_string(string_split(lower(sni), '.')[2:], '.')]))
    UNION ALL
    SELECT src_ip, lower(sni), dest_ip, ts, 'quic:' || id,
           CASE WHEN dest_port IN (784, 853, 8853) THEN 'dns over quic' ELSE 'dns over https (HTTP/3)' END
    FROM quic
    WHERE ts BETWEEN $since AND $until
      AND (dest_port IN (784, 853, 8853) OR list_contains($names, lower(sni))
           OR list_has_any($parents, [array_to_string(string_split(lower(sni), '.')[2:], '.')]))
    UNION ALL
    SELECT src_ip, NULL, dest_ip, ts, 'flow:' || id,
           CASE WHEN dest_port = 443 THEN 'dns over https'
                WHEN proto = 'UDP' THEN 'dns over quic' ELSE 'dns over tls' END
    FROM v_flow
    WHERE ts BETWEEN $since AND $until AND NOT dest_home AND direction <> 'local' -- A capture made on the host itself shows its local forwarder.
      AND dest_scope IN ('public', 'loopback')
      AND ((dest_port = 853 AND proto IN ('TCP', 'UDP'))
           OR (proto = 'UDP' AND dest_port IN (784, 8853) AND NOT failed AND coalesce(app_proto, 'failed') IN ('failed', 'quic'))
           OR (dest_port = 443 AND proto IN ('TCP', 'UDP') AND list_contains($addresses, dest_ip)))
    UNION ALL
    SELECT src_ip, lower(hostname), dest_ip, ts, 'http:' || id, 'dns over https'
    FROM http
    WHERE ts BETWEEN $since AND $until
      AND (http_content_type LIKE 'application/dns-%' OR regexp_matches(url, '^/dns-query(\?|$)'))
)
SELECT 'encrypted_dns>' || coalesce(max(name), min(dest_ip)) || '/' || way AS key, src_ip,
       list_distinct(coalesce(min(DISTINCT name, 10), []) || min(DISTINCT dest_ip, 20)) AS peers,
       min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count,
       -- What a machine says to itself leaves no house: the forwarder there is what goes out.
       CASE WHEN bool_and(coalesce(a.scope, '') = 'loopback') THEN 'informational' ELSE 'low' END AS level,
       'Goes past the home''s DNS: ' || way || ' to ' || coalesce(max(name), min(dest_ip)) AS title,
       {way: way, resolver: coalesce(max(name), min(dest_ip)), contacts: count(*)} AS facts,
       min(ref, 60) AS evidence
FROM seen s LEFT JOIN address_info d ON d.ip = s.dest_ip LEFT JOIN address_info a ON a.ip = s.src_ip
WHERE NOT coalesce(d.home AND NOT d.inferred, false)
GROUP BY src_ip, way, coalesce(name, (SELECT n.name FROM v_address_name n WHERE n.ip = s.dest_ip), dest_ip)
