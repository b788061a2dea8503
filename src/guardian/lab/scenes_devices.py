"""Evenings of speakers, cameras, laptops and phones, each with a double."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab.scene_parts import (
    BLANK,
    CAMERA,
    ECHO,
    LAPTOP,
    NAS,
    PLUG,
    PRINTER,
    SPEAKER,
    beats,
    home,
)

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


def echo_at_night(chance: random.Random) -> Scene:
    """An Echo that sends four bursts after midnight."""
    scene = home(ECHO, name="amazon-echo")
    name, ip = "avs-alexa-4-na.amazon.com", "198.51.100.40"
    scene.ask(ECHO[0], name, ip, 5)
    beats(scene, ECHO, ip, chance=chance, every_s=300, count=110, up=900, down=700, name=name)
    for index in range(4):
        scene.connect(
            ECHO[0], ip, 6.5 * 3600 + index * 1300, up=chance.randint(40_000, 160_000), down=20_000,
            lasts_s=chance.uniform(3, 12), mac=ECHO[1], name=name,
        )  # fmt: skip
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


def laptop_reads_model(chance: random.Random) -> Scene:
    """A person types to a language model on its web page."""
    scene = home(LAPTOP, name="Annas-MacBook")
    scene.ask(LAPTOP[0], "chatgpt.com", "198.51.100.64", 5)
    for index in range(12):
        scene.connect(
            LAPTOP[0], "198.51.100.64", 20 + index * 90 + chance.uniform(0, 40), up=4000,
            down=22_000, lasts_s=15, name="chatgpt.com", mac=LAPTOP[1],
        )  # fmt: skip
    return scene


def speaker_transcribes(chance: random.Random) -> Scene:
    """A speaker that streams sound to a transcription service."""
    scene = home(SPEAKER, name="Kitchen speaker")
    scene.ask(SPEAKER[0], "api.deepgram.com", "198.51.100.65", 5)
    for index in range(6):
        scene.connect(
            SPEAKER[0], "198.51.100.65", 50 + index * 500 + chance.uniform(0, 90),
            up=chance.randint(60_000, 200_000), down=5000, lasts_s=20, name="api.deepgram.com",
            mac=SPEAKER[1],
        )  # fmt: skip
    return scene


def replayed_session(chance: random.Random) -> Scene:
    """A laptop's browser whose every movement a page's recorder takes."""
    scene = home(LAPTOP, name="Annas-MacBook")
    scene.ask(LAPTOP[0], "script.hotjar.com", "198.51.100.66", 5)
    for index in range(20):
        scene.connect(
            LAPTOP[0], "198.51.100.66", 30 + index * 20 + chance.uniform(0, 9), up=6000, down=300,
            name="ws.hotjar.com", mac=LAPTOP[1],
        )  # fmt: skip
    return scene


def nas_backup(chance: random.Random) -> Scene:
    """A NAS that sends its nightly backup away."""
    scene = home(NAS, name="DiskStation")
    for index in range(8):
        scene.connect(
            NAS[0], "198.51.100.67", 18_000 + index * 120 + chance.uniform(0, 30), up=90_000_000,
            down=80_000, lasts_s=40, name="backup.store.example", mac=NAS[1],
        )  # fmt: skip
    return scene


def smart_plug(chance: random.Random) -> Scene:
    """A plug that reports its power every 30 s over MQTT."""
    scene = home(PLUG, name="shelly-plug")
    beats(
        scene, PLUG, "198.51.100.68", chance=chance, every_s=30, count=240, up=900, down=300,
        port=8883,
    )  # fmt: skip
    return scene


def printer(chance: random.Random) -> Scene:
    """A printer that is printed on and asks for ink news every hour."""
    scene = home(PRINTER, name="Brother HL-L2350DW")
    for index in range(3):
        scene.connect(
            PRINTER[0], "198.51.100.69", 100 + index * 3600 + chance.uniform(0, 20), up=1900,
            down=2500, name="ink.printers.example", mac=PRINTER[1],
        )  # fmt: skip
        scene.connect(
            LAPTOP[0], PRINTER[0], 300 + index * 900, up=140_000, down=900, port=631, mac=LAPTOP[1]
        )
    return scene


def software_updater(chance: random.Random) -> Scene:
    """A laptop that looks for updates every hour and gets one."""
    scene = home(LAPTOP, name="Annas-MacBook")
    for index in range(6):
        scene.connect(
            LAPTOP[0], "198.51.100.71", 60 + index * 3600 + chance.uniform(0, 300), up=1500,
            down=900_000 if index == 2 else 4000, name="updates.system.example", mac=LAPTOP[1],
        )  # fmt: skip
    return scene


def crawled(chance: random.Random) -> Scene:
    """A site served from the home, read by a crawler and by a person."""
    scene = home(NAS, name="DiskStation")
    agents = ("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",)
    for index in range(5):
        scene.fetch(
            "198.51.100.72", NAS[0], 100 + index * 30 + chance.uniform(0, 9),
            host="garden.example", path=f"/page/{index}", agent=agents[0],
        )  # fmt: skip
    return scene


def read_by_people(chance: random.Random) -> Scene:
    """The same site, read by people with browsers."""
    scene = home(NAS, name="DiskStation")
    for index in range(5):
        scene.fetch(
            "198.51.100.73", NAS[0], 100 + index * 30 + chance.uniform(0, 9),
            host="garden.example", path=f"/page/{index}",
            agent="Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        )  # fmt: skip
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
