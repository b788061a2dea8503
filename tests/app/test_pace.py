"""A source is looked at often, read when it has news, and left alone after a long reading."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from guardian.app import pace
from guardian.app.pace import Pace
from guardian.collect.eve import EveCollector
from guardian.collect.network_logs import NetflowCollector

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_when_it_grew_was_replaced_or_to_be_sure(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_bytes(b"one\n")
    source = Pace(EveCollector(path=log))
    assert source.due()
    source.begin()
    assert not source.due()
    with log.open("ab") as file:
        file.write(b"two\n")
    assert source.due()
    source.begin()
    assert not source.due()
    log.rename(tmp_path / "eve.json.1")
    assert source.due()  # gone: whether that is an error is the collector's to say
    log.write_bytes(b"ten\n")
    source.begin()
    os.utime(log, (1, 1))
    assert source.due()
    source.begin()
    source._read_at -= pace.SURE_S
    assert source.due()


def test_after_a_failure_it_is_tried_again(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_bytes(b"one\n")
    source = Pace(EveCollector(path=log))
    source.begin()
    assert source.rest_s(0, failed=True) > 0
    assert source.due()


def test_the_longer_a_reading_took_the_longer_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: now))
    log = tmp_path / "eve.json"
    log.write_bytes(b"one\n")
    source = Pace(EveCollector(path=log))
    source.begin()
    assert source.rest_s(10) == pytest.approx(pace.LOOK_S)
    now += 0.2
    assert source.rest_s(500) == pytest.approx(0.4)
    now += 5
    assert source.rest_s(500) == pace.LONGEST_REST_S
    assert source.rest_s(pace.BUSY_EVENTS) == 0.0


def test_a_port_without_news_is_asked_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    source = Pace(NetflowCollector("127.0.0.1", 0))
    source.begin()
    assert source.due()
    assert source.rest_s(0) == pace.IDLE_S
    assert source.rest_s(3) < pace.IDLE_S
