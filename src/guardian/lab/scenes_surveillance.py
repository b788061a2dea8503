"""Evenings with known truth: each behaviour that the surveillance detectors tell, and its doubles.

A scene is one device doing one thing. ``truth`` are the finding classes that it must
give; every other class of ``JUDGED`` is a false one. The doubles (an NTP client, a
Tuya heartbeat, a video call, a game console, an updater and more) look alike to
somebody who only looks at one feature. Names are real ones, addresses are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.lab import scenes_devices as devices
from guardian.lab import scenes_doubles as doubles
from guardian.lab import scenes_screens as screens

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from guardian.lab.scene_rows import Scene

JUDGED = (
    "acr",
    "voice_assistant",
    "camera_cloud",
    "llm_api",
    "ai_media_api",
    "biometric_api",
    "data_broker",
    "ad_tracking",
    "iot_telemetry",
    "lan_recon",
)
"""The classes that are judged: what a family would be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A scene with its truth.

    ``rhythm``, ``bursts``, ``uplink`` and ``crawler`` are detectors that must, or must not, have
    spoken. ``certainty`` is that of its ACR finding, ``power`` whether its reports must
    be found to end when the set is switched off. ``level`` is the highest level of its
    findings of class ``truth``. ``double``: it only looks like something else.
    """

    name: str
    truth: frozenset[str]
    make: Callable[[random.Random], Scene]
    rhythm: bool | None = None
    bursts: bool | None = None
    uplink: bool | None = None
    crawler: bool | None = None
    certainty: str | None = None
    power: bool | None = None
    level: str | None = None

    @property
    def double(self) -> bool:
        """Whether it is a near miss."""
        return self.name.startswith("near miss")


def _acr(
    name: str, make: Callable[[random.Random], Scene], certainty: str, *, power: bool | None = None
) -> Told:
    return Told(
        name=name, truth=frozenset({"acr"}), make=make, rhythm=certainty == "possible",
        certainty=certainty, power=power,
    )  # fmt: skip


def _miss(
    name: str, make: Callable[[random.Random], Scene], *truth: str, rhythm: bool | None = None,
    bursts: bool | None = None, uplink: bool | None = None, crawler: bool | None = None,
) -> Told:  # fmt: skip
    return Told(
        name=f"near miss: {name}", truth=frozenset(truth), make=make, rhythm=rhythm,
        bursts=bursts, uplink=uplink, crawler=crawler,
    )  # fmt: skip


def _one(
    name: str, make: Callable[[random.Random], Scene], *truth: str, bursts: bool | None = None,
    uplink: bool | None = None, crawler: bool | None = None, level: str | None = None,
) -> Told:  # fmt: skip
    return Told(
        name=name, truth=frozenset(truth), make=make, bursts=bursts, uplink=uplink,
        crawler=crawler, level=level,
    )  # fmt: skip


SCENES = (
    _acr("TV reports by name, once a minute", screens.acr_named, "validated"),
    _acr("TV reports every 15 s, named by DNS only", screens.acr_answered, "validated"),
    _acr("TV reports every 15 s to an unknown name", screens.acr_rhythm_15, "possible"),
    _acr("unnamed device reports while on", screens.acr_rhythm_60, "possible", power=True),
    _acr("TV, 15 s by name, then off", screens.acr_named_15, "validated", power=True),
    _acr("TV, 60 s by name, then off", screens.acr_named_60, "validated", power=True),
    _acr("TV, 15 s without a name, then off", screens.acr_unnamed_15, "possible", power=True),
    _acr("TV, 60 s without a name, then off", screens.acr_unnamed_60, "possible", power=True),
    _acr("TV, known name, no rhythm", screens.acr_now_and_then, "likely"),
    _miss("NTP client", screens.ntp_client, rhythm=False),
    _miss("Tuya heartbeat", screens.tuya_heartbeat, "iot_telemetry", rhythm=False),
    _miss("video call", screens.video_call, rhythm=False),
    _miss("game console", screens.game_console, rhythm=False),
    _miss("updater of a TV", screens.updater, rhythm=False),
    _miss("keep-alive of an app", screens.keep_alive, rhythm=False),
    _miss("a film", screens.film, rhythm=False),
    _miss("a person browses on the TV", screens.browsing, rhythm=False),
    _miss("TV that says the same all day, on or off", screens.always_on, rhythm=False),
    _miss("app that polls every minute", screens.app_polls, rhythm=False),
    _miss("music streaming", screens.music, rhythm=False),
    _miss("energy meter without a name", screens.energy_meter, rhythm=False),
    _miss("smart plug", devices.smart_plug, rhythm=False),
    _miss("printer", devices.printer, rhythm=False),
    _miss("software updater", devices.software_updater, rhythm=False, uplink=False),
    _one("voice assistant, idle", devices.echo_idle, "voice_assistant", bursts=False),
    _one("voice assistant, spoken to", devices.echo_spoken, "voice_assistant", bursts=True),
    _one(
        "voice assistant, bursts at night",
        devices.echo_at_night,
        "voice_assistant",
        bursts=True,
        level="medium",
    ),
    _one("camera, idle", devices.camera_idle, "camera_cloud", uplink=False),
    _one("camera uploads clips", devices.camera_watches, "camera_cloud", uplink=True),
    _miss("cloud backup of a laptop", devices.cloud_backup, uplink=False),
    _miss("backup of a NAS", devices.nas_backup, uplink=False, rhythm=False),
    _one("laptop asks a model's API", devices.laptop_asks_model, "llm_api", level="informational"),
    _one(
        "person uses a model's page", devices.laptop_reads_model, "llm_api", level="informational"
    ),
    _one(
        "camera asks a language model",
        devices.camera_asks_model,
        "llm_api",
        "biometric_api",
        level="medium",
    ),
    _one("TV asks a language model", screens.tv_asks_model, "llm_api", level="medium"),
    _miss("a page that has a known name in its own", devices.reads_about_models),
    _one(
        "speaker sends sound to be transcribed",
        devices.speaker_transcribes,
        "ai_media_api",
        level="medium",
    ),
    _one("app shares identifiers with a broker", devices.broker, "data_broker"),
    _one("page records what somebody does", devices.replayed_session, "ad_tracking"),
    _one("speaker maps the home", devices.home_mapper, "lan_recon"),
    _miss("casting to one speaker", devices.casting),
    _one("crawler of an AI company reads the home's site", devices.crawled, crawler=True),
    _miss("people read the home's site", devices.read_by_people, crawler=False),
    _miss("video call on a TV", doubles.tv_call, rhythm=False),
    _miss("console that plays in a cloud", doubles.cloud_game, rhythm=False),
    _miss("e-reader", doubles.e_reader, rhythm=False),
    _miss("thermostat without a known name", doubles.thermostat, rhythm=False),
    _miss("solar inverter, ends at dusk", doubles.inverter, rhythm=False),
    _miss("baby monitor watched at night", doubles.baby_monitor, uplink=False),
    _miss("night backup of a NAS", doubles.night_backup, rhythm=False, uplink=False),
)
