"""Evenings of things that look like a watched home and are none: calls, games, meters, nights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab.scene_parts import BLANK, CAMERA, CONSOLE, LAPTOP, NAS, TV, beats, home

if TYPE_CHECKING:
    import random

    from guardian.lab.scene_rows import Scene

NIGHT = 8 * 3600.0
"""The second at which the deep night begins in a scene."""


def tv_call(chance: random.Random) -> Scene:
    """A video call on the TV: pictures both ways, and a steady tick to the meeting."""
    scene = home(TV, name="Living room TV")
    for index in range(2):
        scene.connect(
            TV[0], "198.51.100.110", 20 + index * 3, up=180_000_000, down=260_000_000,
            lasts_s=2400, port=3478, proto="UDP", mac=TV[1], packets=150_000,
        )  # fmt: skip
    beats(
        scene, TV, "198.51.100.110", chance=chance, every_s=15, count=160, up=1300, down=1400,
        port=3478, proto="UDP",
    )  # fmt: skip
    beats(
        scene, TV, "198.51.100.111", chance=chance, every_s=60, count=40, up=1100, down=2600,
        name="meet.calls.example",
    )  # fmt: skip
    return scene


def cloud_game(chance: random.Random) -> Scene:
    """A game that runs elsewhere: little up, a film's worth down, statistics by the minute."""
    scene = home(CONSOLE, name="Nintendo Switch")
    scene.connect(
        CONSOLE[0], "198.51.100.112", 30, up=40_000_000, down=9_000_000_000, lasts_s=5400,
        port=49005, proto="UDP", mac=CONSOLE[1], packets=900_000,
    )  # fmt: skip
    beats(
        scene, CONSOLE, "198.51.100.113", chance=chance, every_s=60, count=90, up=2400, down=500,
        name="sessions.cloudplay.example",
    )  # fmt: skip
    return scene


def e_reader(chance: random.Random) -> Scene:
    """An e-reader: it looks for books when it is woken, and gets more than it sends."""
    scene = home(BLANK, name="eReader")
    scene.ask(BLANK[0], "sync.books.example", "198.51.100.114", 5)
    for index in range(9):
        for part in range(6):
            scene.connect(
                BLANK[0], "198.51.100.114", 40 + index * 3000 + part * 15 + chance.uniform(-2, 2),
                up=chance.randint(700, 1200), down=chance.randint(2_000, 900_000), mac=BLANK[1],
                name="sync.books.example",
            )  # fmt: skip
    return scene


def thermostat(chance: random.Random) -> Scene:
    """A thermostat without a known name: a reading every minute, day and night, and the weather."""
    scene = home(BLANK, name="thermostat-hall")
    beats(
        scene, BLANK, "198.51.100.115", chance=chance, every_s=60, count=700, up=1500, down=300,
        name="readings.warmth.example", resumed=True,
    )  # fmt: skip
    beats(
        scene, BLANK, "198.51.100.116", chance=chance, every_s=900, count=46, up=700, down=4200,
        name="weather.warmth.example",
    )  # fmt: skip
    return scene


def inverter(chance: random.Random) -> Scene:
    """A solar inverter: yields every minute, the tariff now and then; all of it ends at dusk."""
    scene = home(BLANK, name="inverter")
    beats(
        scene, BLANK, "198.51.100.117", chance=chance, every_s=60, count=150, up=1900, down=260,
        name="yield.sunpower.example", resumed=True,
    )  # fmt: skip
    beats(
        scene, BLANK, "198.51.100.118", chance=chance, every_s=300, count=30, up=700, down=4200,
        name="tariff.sunpower.example",
    )  # fmt: skip
    return scene


def baby_monitor(chance: random.Random) -> Scene:
    """A baby monitor that parents watch at night, inside the house: nothing leaves it."""
    scene = home(CAMERA, name="nursery")
    scene.device(*LAPTOP, name="Annas-MacBook")
    for index in range(6):
        scene.connect(
            LAPTOP[0], CAMERA[0], NIGHT + index * 1200 + chance.uniform(0, 300), up=60_000,
            down=chance.randint(4_000_000, 12_000_000), lasts_s=120, port=554, mac=LAPTOP[1],
        )  # fmt: skip
    return scene


def night_backup(chance: random.Random) -> Scene:
    """A NAS that stores itself elsewhere at night: hours of upload, in even pieces."""
    scene = home(NAS, name="diskstation")
    beats(
        scene, NAS, "198.51.100.119", chance=chance, every_s=60, count=120, up=64_000_000,
        down=90_000, start=NIGHT, name="vault.offsite.example",
    )  # fmt: skip
    return scene
