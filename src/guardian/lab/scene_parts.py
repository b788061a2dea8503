"""What scenes of a home are made of: its devices, and how something calls again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab.scene_rows import Scene

if TYPE_CHECKING:
    import random

TV = ("192.168.7.20", "8c:ea:48:10:20:30")
BLANK = ("192.168.7.21", "02:11:22:33:44:55")
ECHO = ("192.168.7.22", "68:54:fd:10:20:30")
CAMERA = ("192.168.7.23", "9c:8e:cd:10:20:30")
LAPTOP = ("192.168.7.24", "f0:18:98:10:20:30")
CONSOLE = ("192.168.7.25", "7c:bb:8a:10:20:30")
SPEAKER = ("192.168.7.27", "00:0e:58:10:20:30")
PRINTER = ("192.168.7.28", "30:05:5c:10:20:30")
NAS = ("192.168.7.29", "00:11:32:10:20:30")
METER = ("192.168.7.30", "a8:03:2a:10:20:30")
PLUG = ("192.168.7.26", "68:57:2d:10:20:30")
Who = tuple[str, str]
"""A device's address and hardware address."""


def beats(
    scene: Scene,
    who: Who,
    ip: str,
    *,
    chance: random.Random,
    every_s: float,
    count: int,
    up: int,
    down: int,
    jitter_s: float = 0.3,
    spread: float = 0.02,
    name: str | None = None,
    port: int = 443,
    proto: str = "TCP",
    start: float = 10.0,
    hidden: bool = False,
    resumed: bool = False,
) -> None:
    """Call an address ``count`` times every ``every_s``, each a little early or late."""
    for index in range(count):
        second = start + index * every_s + chance.uniform(-jitter_s, jitter_s)
        scene.connect(
            who[0],
            ip,
            second,
            up=round(up * chance.uniform(1 - spread, 1 + spread)),
            down=round(down * chance.uniform(1 - spread, 1 + spread)),
            name=name,
            port=port,
            proto=proto,
            mac=who[1],
            hidden=hidden,
            resumed=resumed,
        )


def everyday(
    scene: Scene, who: Who, *, chance: random.Random, last_s: float, first_s: float = 20.0
) -> None:
    """Let a set do what sets do while they are on: look for news now and then, load parts."""
    second = first_s
    while second < last_s:
        scene.connect(
            who[0], "198.51.100.90", second, up=chance.randint(700, 1500),
            down=chance.randint(9000, 160_000), lasts_s=chance.uniform(1, 20), mac=who[1],
            name="menu.tv-maker.example",
        )  # fmt: skip
        second += chance.uniform(60, 240)


def home(who: Who, *, name: str | None = None) -> Scene:
    """Return a scene in which one device is seen."""
    scene = Scene()
    scene.device(*who, name=name)
    return scene
