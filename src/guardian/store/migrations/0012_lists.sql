-- What an address stands for, where the connection itself names nobody. An encrypted hello (ECH)
-- shows the name of the relay: that is the address of a thousand services, and the name of none.
CREATE OR REPLACE VIEW v_address_name AS
SELECT ip, arg_max(name, (CASE kind WHEN 'sni' THEN 3 WHEN 'http' THEN 2 ELSE 1 END, last_seen, name)) AS name
FROM address_name WHERE name <> 'cloudflare-ech.com' GROUP BY ip;
