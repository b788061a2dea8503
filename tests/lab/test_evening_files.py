"""The bundled evening is what its script makes, and fits the bundle."""

from __future__ import annotations

import gzip
import json
import tomllib
from typing import TYPE_CHECKING

import pytest

from guardian import resources
from guardian.lab import evening

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_BYTES = 5_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evening")
    evening.write(folder)
    return folder


@pytest.mark.parametrize("name", [evening.CAPTURE, evening.PIHOLE_LOG])
def test_the_script_makes_the_bundled_bytes(made: Path, name: str) -> None:
    # The packed bytes are zlib's; another zlib may pack alike content differently.
    bundled = resources.path(f"pcaps/{name}").read_bytes()
    assert gzip.decompress((made / name).read_bytes()) == gzip.decompress(bundled)


def test_the_bundle_is_small() -> None:
    files = [each for each in resources.path("pcaps").iterdir() if each.is_file()]
    assert sum(each.stat().st_size for each in files) < LIMIT_BYTES


def test_every_capture_is_in_the_manifest_with_its_licence() -> None:
    folder = resources.path("pcaps")
    manifest = tomllib.loads((folder / "MANIFEST.toml").read_text())
    listed = {name for entry in manifest.values() for name in entry["files"]}
    assert listed == {each.name for each in folder.iterdir() if each.name != "MANIFEST.toml"}
    for entry in manifest.values():
        assert entry["licence"] in {"Apache-2.0", "MIT", "BSD-3-Clause"}
        assert entry["origin"]


def test_the_eve_log_is_of_this_capture() -> None:
    lines = gzip.decompress(resources.path(f"pcaps/{evening.EVE}").read_bytes()).splitlines()
    events = [json.loads(line) for line in lines]
    names = {each["tls"].get("sni") for each in events if each["event_type"] == "tls"}
    assert {"eu-acr4.alphonso.tv", evening.C2_NAME, "dns.google", "api.openai.com"} <= names
    assert not any("/tmp" in line.decode() for line in lines)
    assert {"flow", "dns", "dhcp", "http", "tls", "fileinfo"} <= {
        each["event_type"] for each in events
    }
    assert not [each for each in events if each["event_type"] == "anomaly"]
