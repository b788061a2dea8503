"""How what is held of a device is said on its page."""

from __future__ import annotations

HOW = {
    "answer": ("the home's DNS had told it", True),
    "cached": ("the home's DNS had told it, a while before", True),
    "name": ("it had asked the home's DNS for the name", True),
    "house": ("the home's DNS had told another device", True),
    "own": ("its own work as router or DNS server", True),
    "early": ("too early to say", None),
    "outside": ("another DNS server told it", False),
    "encrypted": ("it asks an encrypted DNS server outside", False),
    "literal": ("an address that its programs carry with them", False),
    "unknown": ("nothing seen explains it", False),
}
"""Kinds of explanation: in words, and whether they rest on the home's own DNS."""

NAMED_BY = {
    "dns": "it asked for this name",
    "sni": "it named it when it connected",
    "http": "it named it when it connected",
    "certificate": "the server's certificate",
    "dns_other": "another device asked for this name",
    "reverse_dns": "the address's owner says so",
}
"""Where the name of a destination comes from."""

NAMED_SHORT = {
    "dns": "asked for",
    "sni": "TLS name",
    "http": "HTTP host",
    "certificate": "certificate",
    "dns_other": "asked for by another",
    "reverse_dns": "reverse look-up",
}
"""The same beside a row of evidence."""

SOURCES = {
    "dhcp_name": "Name it gives the router",
    "mdns_name": "Name it announces (mDNS)",
    "ssdp_name": "Name it announces (SSDP)",
    "netbios_name": "Windows name",
    "client_name": "Name in the home's DNS",
    "model": "Model it tells",
    "vendor_class": "DHCP program",
    "dhcp_params": "DHCP fingerprint",
    "duid": "DHCPv6 identifier",
    "service": "Offers",
    "server": "Server line",
    "user_agent": "Programs",
    "tls_client": "TLS fingerprint (JA4, JA3)",
    "ja3": "TLS fingerprint (JA3)",
    "domain": "Telling names it calls",
    "router": "Router",
    "resolver": "DNS server",
    "own": "Guardian",
}
"""Hints, in the order of the page."""

CERTAINTY = {
    "strong": "strong evidence",
    "some": "some evidence",
    "weak": "weak evidence",
}
