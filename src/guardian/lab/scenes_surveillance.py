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
    "iot_telemetry",
    "lan_recon",
)
"""The classes that are judged: what a family would be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A scene with its truth. ``extra`` are detectors that must, or must not, have spoken."""

    name: str
    truth: frozenset[str]
    make: Callable[[random.Random], Scene]
    rhythm: bool | None = None
    bursts: bool | None = None
    uplink: bool | None = None


SCENES = (
    Told(
        name="TV reports by name, once a minute",
        truth=frozenset({"acr"}),
        make=screens.acr_named,
        rhythm=False,
    ),
    Told(
        name="TV reports every 15 s, named by DNS only",
        truth=frozenset({"acr"}),
        make=screens.acr_answered,
        rhythm=False,
    ),
    Told(
        name="TV reports every 15 s to an unknown name",
        truth=frozenset({"acr"}),
        make=screens.acr_rhythm_15,
        rhythm=True,
    ),
    Told(
        name="unnamed device reports every minute",
        truth=frozenset({"acr"}),
        make=screens.acr_rhythm_60,
        rhythm=True,
    ),
    Told(name="near miss: NTP client", truth=frozenset(), make=screens.ntp_client, rhythm=False),
    Told(
        name="near miss: Tuya heartbeat",
        truth=frozenset({"iot_telemetry"}),
        make=screens.tuya_heartbeat,
        rhythm=False,
    ),
    Told(name="near miss: video call", truth=frozenset(), make=screens.video_call, rhythm=False),
    Told(
        name="near miss: game console", truth=frozenset(), make=screens.game_console, rhythm=False
    ),
    Told(name="near miss: updater", truth=frozenset(), make=screens.updater, rhythm=False),
    Told(
        name="near miss: keep-alive of an app",
        truth=frozenset(),
        make=screens.keep_alive,
        rhythm=False,
    ),
    Told(name="near miss: a film", truth=frozenset(), make=screens.film, rhythm=False),
    Told(
        name="near miss: a person browses on the TV",
        truth=frozenset(),
        make=screens.browsing,
        rhythm=False,
    ),
    Told(
        name="voice assistant, idle",
        truth=frozenset({"voice_assistant"}),
        make=devices.echo_idle,
        bursts=False,
    ),
    Told(
        name="voice assistant, spoken to",
        truth=frozenset({"voice_assistant"}),
        make=devices.echo_spoken,
        bursts=True,
    ),
    Told(
        name="camera, idle",
        truth=frozenset({"camera_cloud"}),
        make=devices.camera_idle,
        uplink=False,
    ),
    Told(
        name="camera uploads clips",
        truth=frozenset({"camera_cloud"}),
        make=devices.camera_watches,
        uplink=True,
    ),
    Told(
        name="near miss: cloud backup of a laptop",
        truth=frozenset(),
        make=devices.cloud_backup,
        uplink=False,
    ),
    Told(
        name="laptop asks a language model",
        truth=frozenset({"llm_api"}),
        make=devices.laptop_asks_model,
    ),
    Told(
        name="camera asks a model and a recogniser",
        truth=frozenset({"llm_api", "biometric_api"}),
        make=devices.camera_asks_model,
    ),
    Told(
        name="near miss: page with a model's name in its own",
        truth=frozenset(),
        make=devices.reads_about_models,
    ),
    Told(
        name="app shares identifiers with a broker",
        truth=frozenset({"data_broker"}),
        make=devices.broker,
    ),
    Told(name="speaker maps the home", truth=frozenset({"lan_recon"}), make=devices.home_mapper),
    Told(name="near miss: casting to one speaker", truth=frozenset(), make=devices.casting),
)
