"""A stand-in for AdGuard Home: its rules API, and a resolver that obeys them a little later.

As in the real one: all rules are replaced at once, a missing key clears them, a wrong
content type is 415, a wrong password a bare 401, and the answer comes before the engine
has the new rules. Exchanges are checked against the published description.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from fakes.openapi import Description


@dataclass
class Adguard:
    user: str = "keeper"
    password: str = "secret"
    description: Description | None = None
    world: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    enabled: bool = True
    lag_s: float = 0.15
    """How long the engine goes on with the rules of before."""
    meddler: list[str] = field(default_factory=list)
    """Rules that somebody else writes right after our next write, one at a time."""
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._engine: list[tuple[float, list[str]]] = [(0.0, list(self.rules))]
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.dns_port = self._udp.getsockname()[1]
        for target in (lambda: self._http.serve_forever(0.02), self._serve_dns):
            threading.Thread(target=target, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._udp.close()

    def set(self, rules: list[str]) -> None:
        self.rules = rules
        self._engine.append((time.monotonic() + self.lag_s, list(rules)))

    def handle(self, method: str, target: str, kind: str | None, body: Any) -> tuple[int, Any]:
        url = urlsplit(target)
        path = url.path.removeprefix("/control")
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        status, answer = self._answer(method, path, query, kind, body)
        if self.description is not None:
            shown = answer if isinstance(answer, dict) else None
            self.violations += self.description.problems(method, path, body, status, shown)
        return status, answer

    def _answer(
        self, method: str, path: str, query: dict[str, str], kind: str | None, body: Any
    ) -> tuple[int, Any]:
        if method == "POST" and kind != "application/json":
            return 415, "only content-type application/json is allowed"
        match method, path:
            case "GET", "/filtering/status":
                return 200, {
                    "enabled": self.enabled, "interval": 24, "filters": [],
                    "whitelist_filters": [], "user_rules": list(self.rules),
                }  # fmt: skip
            case "POST", "/filtering/set_rules":
                self.set(list(body.get("rules") or []))
                if self.meddler:
                    self.set([*self.rules, self.meddler.pop(0)])
                return 200, "OK"
            case "GET", "/filtering/check_host":
                rule = self._match(query["name"], query.get("client", ""))
                if rule is None:
                    return 200, {"reason": "NotFilteredNotFound", "rules": []}
                reason = "NotFilteredWhiteList" if rule.startswith("@@") else "FilteredBlackList"
                return 200, {"reason": reason, "rules": [{"text": rule, "filter_list_id": 0}]}
        return 404, "not found"

    def _match(self, name: str, client: str) -> str | None:
        if not self.enabled:
            return None
        now = time.monotonic()
        rules = [rules for since, rules in self._engine if since <= now][-1]
        hits = [rule for rule in rules if _applies(rule, name, client)]
        return next((r for r in hits if r.startswith("@@")), hits[0] if hits else None)

    def _serve_dns(self) -> None:
        while True:
            try:
                data, sender = self._udp.recvfrom(4096)
            except OSError:
                return
            asked = dns.message.from_wire(data)
            question = asked.question[0]
            name = question.name.to_text().rstrip(".").lower()
            kind = dns.rdatatype.to_text(question.rdtype)
            answer = dns.message.make_response(asked)
            rule = self._match(name, sender[0])
            address = self.world.get(name) if kind == "A" else None
            if rule is not None and not rule.startswith("@@"):
                address = {"A": "0.0.0.0", "AAAA": "::"}.get(kind)
            elif name not in self.world:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            if address:
                answer.answer.append(dns.rrset.from_text(question.name, 10, "IN", kind, address))
            self._udp.sendto(answer.to_wire(), sender)


def _applies(rule: str, name: str, client: str) -> bool:
    parts = re.fullmatch(r"(?:@@)?(\|\|?)([^^$|!#]+)\^(?:\$client=(.+))?", rule)
    if parts is None:
        return False
    start, wanted, clients = parts.groups()
    if clients and f"'{client}'" not in clients.split("|"):
        return False
    return name == wanted or (start == "||" and name.endswith(f".{wanted}"))


def _handler(server: Adguard) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            right = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
            if self.headers.get("authorization") != f"Basic {right}":
                status, answer = 401, ""
            else:
                body = json.loads(raw) if raw else None
                status, answer = server.handle(
                    self.command, self.path, self.headers.get("content-type"), body
                )
            text = answer if isinstance(answer, str) else json.dumps(answer)
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _any  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler
