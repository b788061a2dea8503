"""Evenings of speakers, cameras, laptops and phones, each with a double."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab.scene_parts import BLANK, CAMERA, ECHO, LAPTOP, beats, home

if TYPE_CHECKING:
    import random

    from guardian.lab.scene_rows import Scene


def _echo(scene: Scene, chance: random.Random) -> None:
    name, ip = "avs-alexa-4-na.amazon.com", "198.51.100.40"
    scene.ask(ECHO[0], name, ip, 5)
    beats(scene, ECHO, ip, chance=chance, every_s=300, count=60, up=900, down=700, name=name)


def echo_idle(chance: random.Random) -> Scene:
    """An Echo to which nobody speaks: its heartbeat."""
    scene = home(ECHO, name="amazon-echo")
    _echo(scene, chance)
    return scene


def echo_spoken(chance: random.Random) -> Scene:
    """An Echo that is spoken to seven times."""
    scene = home(ECHO, name="amazon-echo")
    _echo(scene, chance)
    for index in range(7):
        scene.connect(
            ECHO[0],
            "198.51.100.40",
            700 + index * 1900,
            up=chance.randint(40_000, 160_000),
            down=20_000,
            lasts_s=chance.uniform(3, 12),
            mac=ECHO[1],
            name="avs-alexa-4-na.amazon.com",
        )
    return scene


def _camera(scene: Scene, chance: random.Random) -> None:
    scene.ask(CAMERA[0], "aws-iot.wyzecam.com", "198.51.100.50", 5)
    beats(
        scene,
        CAMERA,
        "198.51.100.50",
        chance=chance,
        every_s=62,
        count=180,
        up=700,
        down=600,
        name="aws-iot.wyzecam.com",
    )


def camera_idle(chance: random.Random) -> Scene:
    """A camera that sees nothing: its keep-alive."""
    scene = home(CAMERA, name="WyzeCam")
    _camera(scene, chance)
    return scene


def camera_watches(chance: random.Random) -> Scene:
    """A camera that uploads five clips."""
    scene = home(CAMERA, name="WyzeCam")
    _camera(scene, chance)
    for index in range(5):
        scene.connect(
            CAMERA[0],
            "198.51.100.50",
            400 + index * 1500,
            up=chance.randint(2_000_000, 9_000_000),
            down=60_000,
            lasts_s=chance.uniform(15, 60),
            mac=CAMERA[1],
            name="aws-iot.wyzecam.com",
        )
    return scene


def cloud_backup(chance: random.Random) -> Scene:
    """A laptop's backup: as much as a camera sends, from what has no lens."""
    scene = home(LAPTOP, name="Annas-MacBook")
    for index in range(5):
        scene.connect(
            LAPTOP[0],
            "198.51.100.51",
            100 + index * 900,
            up=chance.randint(2_000_000, 90_000_000),
            down=90_000,
            lasts_s=60,
            mac=LAPTOP[1],
        )
    return scene


def laptop_asks_model(chance: random.Random) -> Scene:
    """A laptop whose editor asks a language model."""
    scene = home(LAPTOP, name="Annas-MacBook")
    scene.ask(LAPTOP[0], "api.anthropic.com", "198.51.100.60", 5)
    for index in range(20):
        scene.connect(
            LAPTOP[0],
            "198.51.100.60",
            20 + index * 70 + chance.uniform(0, 30),
            up=90_000,
            down=30_000,
            lasts_s=20,
            name="api.anthropic.com",
            mac=LAPTOP[1],
        )
    return scene


def camera_asks_model(chance: random.Random) -> Scene:
    """A camera that sends pictures to a recognition service and asks a language model."""
    scene = home(CAMERA, name="WyzeCam")
    for index in range(12):
        for name, ip in (
            ("rekognition.eu-west-1.amazonaws.com", "198.51.100.61"),
            ("api.openai.com", "198.51.100.62"),
        ):
            scene.connect(
                CAMERA[0],
                ip,
                30 + index * 200 + chance.uniform(0, 60),
                up=180_000,
                down=4000,
                lasts_s=3,
                name=name,
                mac=CAMERA[1],
            )
    return scene


def reads_about_models(chance: random.Random) -> Scene:
    """A laptop that reads about language models on a page that is not theirs."""
    scene = home(LAPTOP, name="Annas-MacBook")
    for index in range(20):
        scene.connect(
            LAPTOP[0],
            "198.51.100.63",
            20 + index * 50 + chance.uniform(0, 30),
            up=2000,
            down=80_000,
            name="openai.com.news.example",
            mac=LAPTOP[1],
        )
    return scene


def broker(chance: random.Random) -> Scene:
    """A phone's app that shares its identifiers with a broker."""
    scene = home(BLANK, name="Pixel-8")
    for index in range(8):
        scene.connect(
            BLANK[0],
            "198.51.100.70",
            40 + index * 300 + chance.uniform(0, 100),
            up=1500,
            down=900,
            name="idsync.rlcdn.com",
            mac=BLANK[1],
        )
    return scene


def home_mapper(chance: random.Random) -> Scene:
    """A speaker that asks twelve devices of the home what they are, every two hours."""
    scene = home(ECHO, name="amazon-echo")
    for sweep in range(2):
        for host in range(12):
            scene.connect(
                ECHO[0],
                f"192.168.7.{100 + host}",
                sweep * 7200 + host * 0.4 + chance.uniform(0, 0.1),
                up=240,
                down=300,
                port=1900,
                proto="UDP",
                mac=ECHO[1],
            )
    return scene


def casting(chance: random.Random) -> Scene:
    """A phone that casts to one speaker and prints once."""
    scene = home(BLANK, name="Pixel-8")
    for index in range(30):
        scene.connect(
            BLANK[0],
            "192.168.7.101",
            20 + index * 10 + chance.uniform(0, 3),
            up=900,
            down=500,
            port=8009,
            mac=BLANK[1],
        )
    scene.connect(
        BLANK[0], "192.168.7.102", 400, up=90_000, down=900, port=5353, proto="UDP", mac=BLANK[1]
    )
    return scene
