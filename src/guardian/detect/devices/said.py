"""What devices say of themselves, and what others say of them: names, models, programs.

All of it is a stranger's text: bounded and made printable here, and never trusted alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guardian.detect.devices.clues import TELLING_DOMAINS
from guardian.detect.devices.home import is_home
from guardian.intel.vendors import normal_mac

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader

TEXT_LIMIT = 120
"""Characters kept of anything a device says of itself."""


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing said by or known of the holder of ``mac``, or else of ``ip``."""

    mac: str | None
    ip: str | None
    source: str
    value: str
    first: datetime
    last: datetime


_SAID = """
SELECT mac, ip, source, value, min(ts) AS first, max(ts) AS last FROM (
    SELECT lower(client_mac) AS mac, NULL AS ip, 'dhcp_name' AS source, hostname AS value, ts
    FROM dhcp WHERE id > $low AND id <= $high AND hostname IS NOT NULL AND type = 'request'
    UNION ALL
    SELECT lower(client_mac), NULL, 'vendor_class', vendor_class, ts
    FROM dhcp WHERE id > $low AND id <= $high AND vendor_class IS NOT NULL AND type = 'request'
    UNION ALL
    SELECT lower(client_mac), NULL, 'dhcp_params', array_to_string(params, ','), ts
    FROM dhcp WHERE id > $low AND id <= $high AND len(params) > 0 AND type = 'request'
    UNION ALL
    SELECT NULL, src_ip, 'user_agent', http_user_agent, ts
    FROM http WHERE id > $low AND id <= $high AND http_user_agent IS NOT NULL AND {home}
    UNION ALL
    SELECT NULL, src_ip, 'tls_client', coalesce(ja4, ja3), ts
    FROM tls WHERE id > $low AND id <= $high AND coalesce(ja4, ja3) IS NOT NULL AND {home}
    UNION ALL
    SELECT NULL, src_ip, 'ja3', ja3, ts
    FROM tls WHERE id > $low AND id <= $high AND ja3 IS NOT NULL AND ja4 IS NOT NULL AND {home}
    UNION ALL
    SELECT NULL, src_ip, 'tls_client', ja4, ts
    FROM quic WHERE id > $low AND id <= $high AND ja4 IS NOT NULL AND {home}
    UNION ALL
    SELECT NULL, src_ip, 'client_name', client_name, ts
    FROM dns_log WHERE id > $low AND id <= $high AND client_name IS NOT NULL AND {home}
)
WHERE value <> '' GROUP BY ALL
ORDER BY source, value, mac, ip LIMIT 50000
"""

_CALLED = """
SELECT src_ip AS ip, rrname AS value, min(ts) AS first, max(ts) AS last FROM (
    SELECT src_ip, rrname, ts FROM dns WHERE id > $low AND id <= $high AND type = 'query' AND {home}
      AND src_ip NOT IN (SELECT dest_ip FROM dns WHERE id > $low AND id <= $high)
    UNION ALL
    SELECT src_ip, rrname, ts FROM dns_log WHERE id > $low AND id <= $high AND {home}
)
GROUP BY ALL HAVING regexp_matches(rrname, $telling) ORDER BY ip, value LIMIT 20000
"""

_GATEWAYS = """
SELECT ip, min(ts) AS first, max(ts) AS last FROM (
    SELECT unnest(routers) AS ip, ts FROM dhcp
    WHERE id > $low AND id <= $high AND dhcp_type = 'ack'
) GROUP BY 1 ORDER BY 1
"""

_RESOLVERS = """
SELECT dest_ip AS ip, min(ts) AS first, max(ts) AS last FROM dns
WHERE id > $low AND id <= $high AND dest_port = 53 AND type = 'answer' AND {home}
GROUP BY 1 HAVING count(DISTINCT src_ip) >= 2 ORDER BY 1
"""

_SIGHTED = """
SELECT lower(mac) AS mac, ip, method, name, model, detail::VARCHAR AS detail,
       min(ts) AS first, max(ts) AS last
FROM sighting
WHERE id > $low AND id <= $high AND (name IS NOT NULL OR model IS NOT NULL OR detail IS NOT NULL)
GROUP BY ALL ORDER BY first, mac, ip LIMIT 50000
"""

_NAME_SOURCE = {
    "mdns": "mdns_name",
    "ssdp": "ssdp_name",
    "nbns": "netbios_name",
    "llmnr": "mdns_name",
    "dhcp": "dhcp_name",
    "lease": "dhcp_name",
    "dhcpv6": "dhcp_name",
}


def collect(reader: Reader, span: dict[str, int]) -> list[Hint]:
    """Return what the rows with ``low < id <= high`` say of devices, each distinct thing once."""
    home = is_home("src_ip")
    found = [
        Hint(
            normal_mac(row["mac"]),
            row["ip"],
            row["source"],
            clean(row["value"]),
            row["first"],
            row["last"],
        )
        for row in reader.rows(_SAID.format(home=home), span)
    ]
    found += [
        Hint(
            None,
            row["ip"],
            "router",
            "is the way out that DHCP hands out",
            row["first"],
            row["last"],
        )
        for row in reader.rows(_GATEWAYS, span)
    ]
    found += [
        Hint(None, row["ip"], "domain", clean(row["value"]), row["first"], row["last"])
        for row in reader.rows(_CALLED.format(home=home), {**span, "telling": TELLING_DOMAINS})
    ]
    for row in reader.rows(_SIGHTED, span):
        found += _from_sighting(row)
    found += [
        Hint(
            None,
            row["ip"],
            "resolver",
            "answers other devices' DNS questions",
            row["first"],
            row["last"],
        )
        for row in reader.rows(_RESOLVERS.format(home=is_home("dest_ip")), span)
    ]
    return [hint for hint in found if hint.value and (hint.mac or hint.ip)]


def _from_sighting(row: dict[str, Any]) -> list[Hint]:
    """Read a sighting's name, model and details; unknown details are left alone."""
    said: list[tuple[str, object]] = [("model", row["model"])]
    if row["method"] in _NAME_SOURCE:
        said.append((_NAME_SOURCE[row["method"]], row["name"]))
    detail: object = json.loads(row["detail"]) if row["detail"] else {}
    if isinstance(detail, dict):
        said += [
            (key, detail.get(key)) for key in ("server", "user_agent", "vendor_class", "model")
        ]
        if row["method"] == "dhcpv6":
            said.append(("duid", detail.get("client_duid")))
        for key in ("services", "service", "types", "nt", "st"):
            value = detail.get(key)
            said += [
                ("service", item) for item in (value if isinstance(value, list) else [value])[:40]
            ]
    return [
        Hint(normal_mac(row["mac"]), row["ip"], source, clean(value), row["first"], row["last"])
        for source, value in said
        if isinstance(value, str) and value.strip()
    ]


def clean(text: str) -> str:
    """Return a stranger's text as one printable line of bounded length."""
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * TEXT_LIMIT])
    return " ".join(printable.split())[:TEXT_LIMIT]
