"""Evenings in front of a screen: sets that report what is on it, and what only looks so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab.scene_parts import BLANK, CONSOLE, LAPTOP, PLUG, TV, beats, home

if TYPE_CHECKING:
    import random

    from guardian.lab.scene_rows import Scene


def acr_named(chance: random.Random) -> Scene:
    """A Samsung set: its endpoint by name, once a minute."""
    scene = home(TV, name="Samsung TV")
    name, ip = "acr-us-prd.samsungcloud.tv", "198.51.100.10"
    scene.ask(TV[0], name, ip, 5)
    beats(scene, TV, ip, chance=chance, every_s=60, count=120, up=2600, down=900, name=name)
    return scene


def acr_answered(chance: random.Random) -> Scene:
    """An LG set whose connection hides its name: the DNS answer before it tells."""
    scene = home(TV, name="LG webOS TV")
    scene.ask(TV[0], "tkacr318.alphonso.tv", "198.51.100.11", 5)
    beats(scene, TV, "198.51.100.11", chance=chance, every_s=15, count=240, up=1800, down=700)
    return scene


def acr_rhythm_15(chance: random.Random) -> Scene:
    """A set that reports every 15 s to a name that nobody lists."""
    scene = home(TV, name="Living room TV")
    scene.ask(TV[0], "ingest.viewmetrics.example", "198.51.100.12", 5)
    beats(scene, TV, "198.51.100.12", chance=chance, every_s=15, count=200, up=1800, down=600)
    return scene


def acr_rhythm_60(chance: random.Random) -> Scene:
    """A device without a name that reports every minute to a bare address."""
    scene = home(BLANK)
    beats(scene, BLANK, "198.51.100.13", chance=chance, every_s=62, count=90, up=3900, down=800)
    return scene


def ntp_client(chance: random.Random) -> Scene:
    """A set that asks the time every 64 s."""
    scene = home(TV, name="Living room TV")
    scene.ask(TV[0], "0.pool.ntp.org", "198.51.100.14", 5)
    beats(
        scene,
        TV,
        "198.51.100.14",
        chance=chance,
        every_s=64,
        count=120,
        up=90,
        down=90,
        port=123,
        proto="UDP",
    )
    return scene


def tuya_heartbeat(chance: random.Random) -> Scene:
    """A plug that pings its maker once a minute."""
    scene = home(PLUG, name="tuya-plug")
    scene.ask(PLUG[0], "m2.tuyaus.com", "198.51.100.15", 5)
    beats(
        scene,
        PLUG,
        "198.51.100.15",
        chance=chance,
        every_s=60,
        count=120,
        up=700,
        down=600,
        port=8883,
    )
    return scene


def video_call(chance: random.Random) -> Scene:
    """A call of forty minutes: much, both ways, in a few long flows."""
    scene = home(LAPTOP, name="Annas-MacBook")
    for index in range(4):
        scene.connect(
            LAPTOP[0],
            "198.51.100.16",
            20 + index * 3,
            up=240_000_000,
            down=310_000_000,
            lasts_s=2400,
            port=3478,
            proto="UDP",
            mac=LAPTOP[1],
            packets=200_000,
        )
    beats(
        scene,
        LAPTOP,
        "198.51.100.17",
        chance=chance,
        every_s=15,
        count=150,
        up=1400,
        down=1500,
        port=3478,
        proto="UDP",
    )
    return scene


def game_console(chance: random.Random) -> Scene:
    """A console: a steady tick to a match server, in equal amounts both ways."""
    scene = home(CONSOLE, name="Nintendo Switch")
    beats(
        scene,
        CONSOLE,
        "198.51.100.18",
        chance=chance,
        every_s=15,
        count=200,
        up=900,
        down=950,
        port=45000,
        proto="UDP",
    )
    return scene


def updater(chance: random.Random) -> Scene:
    """A set that looks for updates every minute and gets more than it sends."""
    scene = home(TV, name="Living room TV")
    scene.ask(TV[0], "updates.tvmaker.example", "198.51.100.19", 5)
    beats(
        scene,
        TV,
        "198.51.100.19",
        chance=chance,
        every_s=60,
        count=120,
        up=900,
        down=5200,
        name="updates.tvmaker.example",
    )
    return scene


def keep_alive(chance: random.Random) -> Scene:
    """A set's app that keeps its line open: a few bytes every 15 s."""
    scene = home(TV, name="Living room TV")
    beats(scene, TV, "198.51.100.20", chance=chance, every_s=15, count=240, up=160, down=120)
    return scene


def film(chance: random.Random) -> Scene:
    """A film on a set: segments every few seconds, nearly all of it towards the set."""
    scene = home(TV, name="Living room TV")
    for index in range(600):
        scene.connect(
            TV[0],
            "198.51.100.21",
            10 + index * 6 + chance.uniform(-2, 2),
            up=chance.randint(900, 1500),
            down=chance.randint(900_000, 4_000_000),
            mac=TV[1],
        )
    return scene


def browsing(chance: random.Random) -> Scene:
    """A set's browser: calls when a person presses a key."""
    scene = home(TV, name="Living room TV")
    second = 10.0
    for index in range(150):
        second += chance.expovariate(1 / 20)
        scene.connect(
            TV[0],
            f"198.51.100.{30 + index % 5}",
            second,
            up=chance.randint(500, 9000),
            down=chance.randint(2000, 90_000),
            mac=TV[1],
        )
    return scene
