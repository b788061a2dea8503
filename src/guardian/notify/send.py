"""Send a letter through Apprise, one channel at a time, and say which took it.

A channel's address holds passwords and tokens, so neither it nor the library's own log
lines, which may quote it, are ever logged: only the channel's name and the outcome.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import apprise

from guardian.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.notify.digest import Digest
    from guardian.notify.settings import Channel, Settings

log = logging.getLogger(__name__)

FORMATS = {
    "html": apprise.NotifyFormat.HTML,
    "markdown": apprise.NotifyFormat.MARKDOWN,
    "text": apprise.NotifyFormat.TEXT,
}
MAX_CHANNELS = 20
"""More than this many at once is a mistake in the configuration."""

_MAIL = ("mailto", "mailtos")
# Apprise logs parts of an address when a delivery fails; the outcome is logged here instead.
logging.getLogger("apprise").disabled = True


def check(settings: Settings) -> None:
    """Look at every channel without sending.

    Raises:
        ConfigError: an address is not one Apprise knows, two channels share a name, or a
            format does not exist. The message names the channel, never its address.
    """
    names = [channel.name for channel in settings.channels]
    if len(names) > MAX_CHANNELS:
        msg = f"notify.channels: at most {MAX_CHANNELS} channels"
        raise ConfigError(msg)
    for channel in settings.channels:
        if names.count(channel.name) > 1:
            msg = f"notify.channels: two channels are called {channel.name!r}"
            raise ConfigError(msg)
        if channel.format not in {"", *FORMATS}:
            msg = f"notify.channels: {channel.name}: format must be one of {', '.join(FORMATS)}"
            raise ConfigError(msg)
        _service(channel)


def send(digest: Digest, settings: Settings, *, tag: str = "digest") -> dict[str, bool]:
    """Send a letter to every channel that wants ``tag``; return which took it.

    Channels are tried at the same time, each within ``timeout_s``; one that is slow or
    away does not hold up the others.

    Raises:
        ConfigError: a channel's address is wrong; nothing was sent.
    """
    check(settings)
    chosen = [channel for channel in settings.channels if tag in channel.tags]
    return _deliver(
        chosen, digest.title, {"html": digest.html, "text": digest.text}, settings.timeout_s
    )


def send_text(title: str, text: str, settings: Settings, *, tag: str) -> dict[str, bool]:
    """Send one short message, such as "Guardian is blind", to the channels that want it.

    Raises:
        ConfigError: a channel's address is wrong; nothing was sent.
    """
    check(settings)
    chosen = [channel for channel in settings.channels if tag in channel.tags]
    return _deliver(chosen, title, {"text": text}, settings.timeout_s)


def _deliver(
    channels: Sequence[Channel], title: str, forms: dict[str, str], timeout_s: float
) -> dict[str, bool]:
    if not channels:
        return {}
    pool = ThreadPoolExecutor(max_workers=len(channels), thread_name_prefix="notify")
    tasks = {channel.name: pool.submit(_one, channel, title, forms) for channel in channels}
    wait(tasks.values(), timeout=timeout_s)
    sent = {}
    for name, task in tasks.items():
        sent[name] = task.done() and task.exception() is None and task.result() is True
        if not sent[name]:
            why = "no answer in time" if not task.done() else "it was refused or not reached"
            log.warning("the channel %s did not take the message: %s", name, why)
    pool.shutdown(wait=False, cancel_futures=True)
    return sent


def _one(channel: Channel, title: str, forms: dict[str, str]) -> bool:
    service = _service(channel)
    form = channel.format or ("html" if _is_mail(channel) and "html" in forms else "text")
    if form == "html" and "html" in forms:
        body = forms["html"]
    else:
        form, body = ("markdown" if form == "markdown" else "text"), forms["text"]
    if form == "markdown":
        body = as_markdown(body)
    return _taken(service.notify(body=body, title=title, body_format=FORMATS[form]))


def _taken(result: object) -> bool:
    """Whether Apprise says that the service took it; nothing sent is not success.

    Before 2.0 it answers True, False or None; since then with an object that is never
    ``True`` itself.
    """
    return result is True or getattr(result, "status", None) is apprise.AppriseResultStatus.SUCCESS


def _service(channel: Channel) -> apprise.Apprise:
    service = apprise.Apprise()
    url = channel.url
    if _is_mail(channel) and "format=" not in url:
        url += ("&" if "?" in url else "/?") + f"format={channel.format or 'html'}"
    elif channel.format and "format=" not in url:
        url += ("&" if "?" in url else "/?") + f"format={channel.format}"
    if not service.add(url):
        msg = f"notify.channels: the address of {channel.name} is not one that Apprise knows"
        raise ConfigError(msg)
    return service


def _is_mail(channel: Channel) -> bool:
    return channel.url.partition(":")[0].lower() in _MAIL


def as_markdown(text: str) -> str:
    """Return plain text so that a Markdown reader shows just that, with links alive."""
    lines = []
    for line in text.split("\n"):
        bare = line.strip()
        if bare.startswith(("http://", "https://")) and " " not in bare:
            lines.append(f"<{bare}>")
            continue
        escaped = "".join(f"\\{each}" if each in "\\`*_{}[]<>#|~!" else each for each in bare)
        lines.append(escaped)
    return "  \n".join(lines)
