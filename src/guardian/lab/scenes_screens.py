"""Evenings in front of a screen: sets that report what is on it, and what only looks so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.lab.scene_parts import (
    BLANK,
    CONSOLE,
    LAPTOP,
    METER,
    PLUG,
    TV,
    beats,
    everyday,
    home,
)

if TYPE_CHECKING:
    import random

    from guardian.lab.scene_parts import Who
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
    """A device without a name that reports to a bare address every minute while it is on."""
    scene = home(BLANK)
    everyday(scene, BLANK, chance=chance, last_s=5600)
    beats(scene, BLANK, "198.51.100.13", chance=chance, every_s=62, count=90, up=3900, down=800)
    standby(scene, BLANK, chance=chance, first_s=5700, last_s=9000)
    return scene


def standby(
    scene: Scene, who: Who, *, chance: random.Random, first_s: float, last_s: float
) -> None:
    """Let a set that is off keep its line to its maker, seldom and small."""
    second = first_s
    while second < last_s:
        scene.connect(who[0], "198.51.100.91", second, up=300, down=260, mac=who[1])
        second += chance.uniform(580, 640)


def acr_power(chance: random.Random, *, every_s: float, name: str | None, hidden: bool) -> Scene:
    """A set that is on for two hours and off for two; its reports follow its power."""
    scene = home(TV, name="Living room TV")
    ip = "198.51.100.22"
    if name:
        scene.ask(TV[0], name, ip, 5)
    everyday(scene, TV, chance=chance, last_s=7200)
    beats(
        scene, TV, ip, chance=chance, every_s=every_s, count=int(7190 / every_s), up=2600, down=300,
        name=None if hidden else name, hidden=hidden, resumed=every_s < 30,
    )  # fmt: skip
    standby(scene, TV, chance=chance, first_s=7300, last_s=14_400)
    return scene


def acr_named_15(chance: random.Random) -> Scene:
    """An LG set: its endpoint by name, every 15 s, gone when it is switched off."""
    return acr_power(chance, every_s=15, name="tkacr318.alphonso.tv", hidden=False)


def acr_named_60(chance: random.Random) -> Scene:
    """A Samsung set: its endpoint by name, every minute, gone when it is switched off."""
    return acr_power(chance, every_s=60, name="acr-us-prd.samsungcloud.tv", hidden=False)


def acr_unnamed_15(chance: random.Random) -> Scene:
    """A set whose TLS hello shows no name and who asked no resolver: every 15 s while on."""
    return acr_power(chance, every_s=15, name=None, hidden=True)


def acr_unnamed_60(chance: random.Random) -> Scene:
    """As before, every minute."""
    return acr_power(chance, every_s=60, name=None, hidden=True)


def acr_now_and_then(chance: random.Random) -> Scene:
    """A set that speaks to a known endpoint four times in an hour, by no clock."""
    scene = home(TV, name="Living room TV")
    scene.ask(TV[0], "acr-eu-prd.samsungcloud.tv", "198.51.100.23", 5)
    for second in (40, 700, 1100, 2900):
        scene.connect(
            TV[0], "198.51.100.23", second + chance.uniform(0, 90), up=2200, down=500,
            name="acr-eu-prd.samsungcloud.tv", mac=TV[1],
        )  # fmt: skip
    return scene


def tv_asks_model(chance: random.Random) -> Scene:
    """A set that talks with a language model."""
    scene = home(TV, name="Living room TV")
    for index in range(10):
        scene.connect(
            TV[0], "198.51.100.24", 60 + index * 130 + chance.uniform(0, 40), up=9000, down=14_000,
            lasts_s=6, name="api.openai.com", mac=TV[1],
        )  # fmt: skip
    return scene


def always_on(chance: random.Random) -> Scene:
    """A set that says the same every minute for a day, on or off: no screen is on so long."""
    scene = home(TV, name="Living room TV")
    everyday(scene, TV, chance=chance, last_s=7200)
    beats(scene, TV, "198.51.100.25", chance=chance, every_s=60, count=1430, up=1200, down=300)
    return scene


def app_polls(chance: random.Random) -> Scene:
    """An app on a set that asks for news every minute, with a whole handshake each time."""
    scene = home(TV, name="Living room TV")
    everyday(scene, TV, chance=chance, last_s=7200)
    beats(
        scene, TV, "198.51.100.26", chance=chance, every_s=60, count=110, up=350, down=900,
        name="news.widgets.example",
    )  # fmt: skip
    return scene


def music(chance: random.Random) -> Scene:
    """Music on a set: a piece of a song every 10 to 20 s, and a report of each song."""
    scene = home(TV, name="Living room TV")
    for index in range(200):
        scene.connect(
            TV[0], "198.51.100.27", 10 + index * 15 + chance.uniform(-5, 5), up=900,
            down=chance.randint(80_000, 160_000), name="audio.songs.example", mac=TV[1],
        )  # fmt: skip
    for index in range(15):
        scene.connect(
            TV[0], "198.51.100.28", 60 + index * 200 + chance.uniform(0, 60), up=1500, down=300,
            name="plays.songs.example", mac=TV[1],
        )  # fmt: skip
    return scene


def energy_meter(chance: random.Random) -> Scene:
    """A meter without a name that sends a kilobyte of readings every minute, day and night."""
    scene = home(METER)
    scene.ask(METER[0], "push.sunmeter.example", "198.51.100.29", 5)
    beats(scene, METER, "198.51.100.29", chance=chance, every_s=60, count=1000, up=1300, down=200)
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
    for index in range(240):
        scene.connect(
            TV[0],
            "198.51.100.21",
            10 + index * 15 + chance.uniform(-4, 4),
            up=chance.randint(900, 1500),
            down=chance.randint(60_000, 160_000),
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
