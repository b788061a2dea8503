-- Only adds: which of an address's names stands for it, said once.

-- What was spoken to it wins over what DNS said, and the latest wins. An encrypted hello (ECH)
-- shows the name of the relay: that is the address of a thousand services, and the name of none.
-- For rules that group only the addresses they look at; the view weighs every name there is.
CREATE OR REPLACE MACRO best_name(name, kind, last_seen) AS
    arg_max(name, (CASE kind WHEN 'sni' THEN 3 WHEN 'http' THEN 2 ELSE 1 END, last_seen, name))
        FILTER (name <> 'cloudflare-ech.com');
CREATE OR REPLACE VIEW v_address_name AS
SELECT ip, best_name(name, kind, last_seen) AS name FROM address_name
GROUP BY ip HAVING best_name(name, kind, last_seen) IS NOT NULL;
