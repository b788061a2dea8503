"""A stand-in for Pi-hole v6: its API, and a resolver that obeys what the API set.

Made from measured behaviour of a real one: 201 also for an item that failed, one
session table with sixteen seats, rows unique by name and type, a read-only second
while lists are swapped. With a description it checks each exchange against it and
collects what does not fit in ``violations``.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

if TYPE_CHECKING:
    from fakes.openapi import Description

READ_ONLY = "attempt to write a readonly database"
IMPRECISE = "Invalid request: Specify list to modify more precisely"
Answer = tuple[int, Any]


@dataclass
class Pihole:
    """The server's state; change it from a test to play what may happen."""

    password: str | None = "secret"
    description: Description | None = None
    max_sessions: int = 16
    world: dict[str, str] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    domains: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    clients: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)
    devices: list[dict[str, Any]] = field(default_factory=list)
    leases: list[dict[str, Any]] = field(default_factory=list)
    blocking: bool = True
    swapping: int = 0
    """So many writes fail as they do while gravity swaps its database."""
    busy: int = 0
    """So many requests are answered 429."""
    accept_only: bool = False
    """Writes are accepted but never come into force."""
    log: list[tuple[str, str]] = field(default_factory=list)
    logins: int = 0
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.groups.append(self._row({"name": "Default", "comment": "", "enabled": True}, 0))
        self._next: dict[int, int] = {}
        self._lock = threading.Lock()
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

    def snapshot(self) -> Any:
        """What a revert must leave as it was."""
        return json.loads(json.dumps([self.domains, self.groups, self.clients, self.blocking]))

    # --- the API -----------------------------------------------------------------

    def handle(self, method: str, target: str, sid: str | None, body: Any) -> Answer:
        url = urlsplit(target)
        path = url.path.removeprefix("/api")
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        with self._lock:
            self.log.append((method, path))
            status, answer = self._answer(method, path, query, sid, body)
        if isinstance(answer, dict):
            answer["took"] = 0.001
        if self.description is not None:
            self.violations += self.description.problems(method, path, body, status, answer)
        return status, answer

    def _answer(
        self, method: str, path: str, query: dict[str, str], sid: str | None, body: Any
    ) -> Answer:
        if self.busy:
            self.busy -= 1
            return 429, _error("rate_limiting", "Rate-limiting login attempts")
        if path == "/auth":
            return self._auth(method, sid, body)
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if self.password is not None and sid not in self.sessions:
            return 401, _error("unauthorized", "Unauthorized")
        match parts:
            case ["queries"]:
                return self._queries(query)
            case ["network", "devices"]:
                return 200, {"devices": self.devices[: int(query.get("max_devices", 10))]}
            case ["dhcp", "leases"]:
                return 200, {"leases": self.leases}
            case ["domains", *rest]:
                return self._domains(method, rest, body)
            case ["groups", *rest]:
                return self._items(method, self.groups, "groups", "name", rest, body)
            case ["clients", *rest]:
                return self._items(method, self.clients, "clients", "client", rest, body)
            case ["dns", "blocking"]:
                return 200, {"blocking": "enabled" if self.blocking else "disabled", "timer": None}
        return 404, _error("not_found", "Not found", path)

    def _auth(self, method: str, sid: str | None, body: Any) -> Answer:
        if method == "POST":
            self.logins += 1
            if not isinstance(body, dict) or "password" not in body:
                return 400, _error("bad_request", "No password found in JSON payload")
            if self.password is None:
                return 200, _session(None, "no password set")
            if body["password"] != self.password:
                return 401, _session(None, "password incorrect", valid=False)
            if len(self.sessions) >= self.max_sessions:
                return 429, _error("api_seats_exceeded", "API seats exceeded")
            new = base64.b64encode(secrets.token_bytes(16)).decode()
            self.sessions.add(new)
            return 200, _session(new, "password correct")
        if method == "DELETE":
            if sid not in self.sessions:
                return 401, _error("unauthorized", "Unauthorized")
            self.sessions.discard(sid or "")
            return 204, None
        return 200, _session(sid, "correct password")

    def _queries(self, query: dict[str, str]) -> Answer:
        rows = sorted(self.queries, key=lambda row: -row["id"])
        newest = rows[0]["id"] if rows else -1
        cursor = int(query.get("cursor", newest))
        if "cursor" in query and (cursor < 0 or cursor > newest):
            return 400, _error("bad_request", "Requested cursor is invalid")
        rows = [row for row in rows if row["id"] <= cursor]
        if "from" in query:
            rows = [row for row in rows if row["time"] >= float(query["from"])]
        if "until" in query:
            rows = [row for row in rows if row["time"] < float(query["until"])]
        length, start = int(query.get("length", 100)), int(query.get("start", 0))
        page = rows[start:] if length == -1 else rows[start : start + length]
        total = len(self.queries)
        return 200, {
            "queries": page, "cursor": cursor, "recordsTotal": total,
            "recordsFiltered": len(rows), "draw": 0,
        }  # fmt: skip

    def _domains(self, method: str, rest: list[str], body: Any) -> Answer:
        if rest and rest[0] not in {"allow", "deny"}:
            return 400, _error(
                "uri_error", "Invalid request: Specify list to modify more precisely"
            )
        if method == "GET":
            found = [
                d for d in self.domains
                if all(part in {d["type"], d["kind"], d["domain"]} for part in rest)
            ]  # fmt: skip
            return 200, {"domains": found}
        if len(rest) < 2:
            return 400, _error(
                "uri_error", "Invalid request: Specify list to modify more precisely"
            )
        kind_of_list, kind = rest[:2]
        if method == "DELETE":
            return self._remove(
                self.domains,
                lambda d: (d["type"], d["kind"], d["domain"]) == (kind_of_list, kind, rest[2]),
            )
        asked = [rest[2]] if method == "PUT" else body.get("domain", [])
        if not asked:
            return 400, _error("bad_request", 'Invalid request: No valid "domain" in payload')
        items = asked if isinstance(asked, list) else [asked]
        for item in items:
            if re.search(r"\s", item):
                return 400, _error(
                    "bad_request", "Spaces, newlines and tabs are not allowed in domains and URLs"
                )
            if kind == "regex" and not _compiles(item):
                return 400, _error("regex_error", "Regex validation failed", "Missing ')'")
        done, errors = [], []
        last = None
        for item in items:
            name = item if kind == "regex" else item.lower().encode("idna").decode()
            same = [
                d for d in self.domains
                if (d["domain"], d["type"], d["kind"]) == (name, kind_of_list, kind)
            ]  # fmt: skip
            if self._read_only(errors, name):
                continue
            if same and method == "POST":
                constraint = "domainlist.domain, domainlist.type"
                errors.append({"item": name, "error": f"UNIQUE constraint failed: {constraint}"})
                last = same[0]
                continue
            row = same[0] if same else self._new(self.domains)
            groups = body.get("groups", [0])
            known = {group["id"] for group in self.groups}
            wrong = [group for group in groups if group not in known]
            row.update(
                domain=name, unicode=name, type=kind_of_list, kind=kind,
                comment=body.get("comment"), groups=[] if wrong else groups,
                enabled=body.get("enabled", True),
            )  # fmt: skip
            last = row
            if wrong:
                errors.append({"item": name, "error": "FOREIGN KEY constraint failed"})
            else:
                done.append({"item": name})
        shown = [last] if last else []
        return (201 if method == "POST" else 200), {
            "domains": shown, "processed": {"errors": errors, "success": done},
        }  # fmt: skip

    def _items(
        self, method: str, rows: list[dict[str, Any]], kind: str, key: str, rest: list[str],
        body: Any,
    ) -> Answer:  # fmt: skip
        if method == "GET":
            return 200, {kind: [row for row in rows if not rest or row[key] == rest[0]]}
        if method == "DELETE":
            if kind == "groups":
                gone = {row["id"] for row in rows if row["name"] == rest[0]}
                for other in (*self.domains, *self.clients):
                    other["groups"] = [g for g in other["groups"] if g not in gone]
            return self._remove(rows, lambda row: row[key] == rest[0])
        name = rest[0] if method == "PUT" else body[key]
        same = [row for row in rows if row[key] == name]
        errors: list[dict[str, str]] = []
        row = same[0] if same else None
        if not self._read_only(errors, name):
            if same and method == "POST":
                column = "client.ip" if kind == "clients" else "group.name"
                errors.append({"item": name, "error": f"UNIQUE constraint failed: {column}"})
            else:
                row = row or self._new(rows)
                row.update({key: name, "comment": body.get("comment")})
                if kind == "clients":
                    row.update(name="", groups=body.get("groups", [0]))
                else:
                    row["enabled"] = body.get("enabled", True)
        done = [] if errors else [{"item": name}]
        return (201 if method == "POST" else 200), {
            kind: [row] if row else [], "processed": {"errors": errors, "success": done},
        }  # fmt: skip

    def _read_only(self, errors: list[dict[str, str]], item: str) -> bool:
        if not self.swapping:
            return False
        self.swapping -= 1
        errors.append({"item": item, "error": READ_ONLY})
        return True

    def _remove(self, rows: list[dict[str, Any]], match: Any) -> Answer:
        found = [row for row in rows if match(row)]
        for row in found:
            rows.remove(row)
        return (204, None) if found else (404, {})

    def _new(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        number = self._next.get(id(rows), max((each["id"] for each in rows), default=0)) + 1
        self._next[id(rows)] = number
        row = self._row({}, number)
        rows.append(row)
        return row

    @staticmethod
    def _row(values: dict[str, Any], number: int) -> dict[str, Any]:
        now = int(time.time())
        return {**values, "id": number, "date_added": now, "date_modified": now}

    # --- the resolver ------------------------------------------------------------

    def _serve_dns(self) -> None:
        while True:
            try:
                data, sender = self._udp.recvfrom(4096)
            except OSError:
                return
            asked = dns.message.from_wire(data)
            self._udp.sendto(self._resolve(asked, sender[0]).to_wire(), sender)

    def _resolve(self, asked: dns.message.Message, client: str) -> dns.message.Message:
        question = asked.question[0]
        name = question.name.to_text().rstrip(".").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        address = None
        if self._blocked(name, client):
            address = {"A": "0.0.0.0", "AAAA": "::"}.get(kind)
        elif name not in self.world:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif kind == "A":
            address = self.world[name]
        if address:
            answer.answer.append(dns.rrset.from_text(question.name, 2, "IN", kind, address))
        return answer

    def _blocked(self, name: str, client: str) -> bool:
        if not self.blocking or self.accept_only:
            return False
        with self._lock:
            mine = next((c["groups"] for c in self.clients if c["client"] == client), [0])
            live = {group["id"] for group in self.groups if group["enabled"]} & set(mine)
            hits = {
                rule["type"] for rule in self.domains
                if rule["enabled"] and live & set(rule["groups"]) and _matches(rule, name)
            }  # fmt: skip
        return hits == {"deny"}


def _matches(rule: dict[str, Any], name: str) -> bool:
    if rule["kind"] == "exact":
        return bool(rule["domain"] == name)
    return re.search(rule["domain"], name, re.IGNORECASE) is not None


def _compiles(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _error(key: str, message: str, hint: str | None = None) -> dict[str, Any]:
    return {"error": {"key": key, "message": message, "hint": hint}}


def _session(sid: str | None, message: str, *, valid: bool = True) -> dict[str, Any]:
    session: dict[str, Any] = {
        "valid": valid, "totp": False, "sid": sid, "validity": 1800 if sid else -1,
        "message": message,
    }  # fmt: skip
    if sid:
        session["csrf"] = "x" * 24
    return {"session": session}


def _handler(server: Pihole) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(length)
            try:
                body = json.loads(raw) if raw else None
            except ValueError:
                body = raw.decode(errors="replace")
            sid = self.headers.get("X-FTL-SID")
            status, answer = server.handle(self.command, self.path, sid, body)
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler
