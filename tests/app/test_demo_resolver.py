"""The demo's resolver starts wherever the data folder is."""

from __future__ import annotations

import shutil
from pathlib import Path

import dns.message
import dns.query
import pytest

from guardian.app.demo_resolver import ANSWER, DemoResolver


@pytest.mark.skipif(
    shutil.which("dnsmasq", path="/usr/sbin:/usr/bin") is None, reason="dnsmasq is not installed"
)
def test_a_relative_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    resolver = DemoResolver.start(Path("data"))
    assert resolver is not None
    try:
        question = dns.message.make_query("any.example", "A")
        answer = dns.query.udp(question, "127.0.0.1", port=resolver.port, timeout=10)
        assert ANSWER in answer.to_text()
    finally:
        resolver.close()
