"""Make gold items out of a labelled corpus: the incident of each entry, with its label's verdict.

Whether an item is held out is decided by the digest of the capture's name, so that nobody chooses.
What words must say is written here by class, from what the behaviour is, and not from what the
templates happen to say.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from guardian.detect import indicators
from guardian.errors import GuardianError
from guardian.lab.evaluate import READ_KINDS, labels
from guardian.store import Store
from guardian.triage import gold_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from guardian.store import Reader

_MADE_BY = re.compile(r"^suricata\d+-")
_ENDING = re.compile(r"(\.eve)?\.(json|pcap|pcapng|log|csv|cap)(\.gz)?$")
ALARM = ("malicious", "suspicious")
QUIET = ("benign", "undetermined", "surveillance")
MUST = {
    "c2_beacon": "every|regular|keeps calling|again and again",
    "malware": "malware|program|harmful",
    "exploit": "attack|break|weak|exploit",
    "port_scan": "port|scan|door|tried",
    "host_scan": "scan|search|looked|tried|address",
    "lan_recon": "network|looked|search",
    "brute_force": "password|log in|login|guess|tried",
    "dns_tunnel": "dns|names|look-up",
    "dga": "names",
    "exfiltration": "sent|upload",
    "crypto_mining": "mining|coin|currency",
    "lateral_movement": "network|other devices|share|inside",
    "arp_spoof": "address|pretend|claims|between",
    "rogue_dhcp": "address|dhcp",
    "threat_intel": "list",
}
"""By class, what words about it must speak of; alternatives between ``|``."""


def build(
    corpus: Path,
    replay: Callable[[Path, Store], object],
    *,
    progress: Callable[[str], object] = lambda _line: None,
) -> list[dict[str, Any]]:
    """Return an item for each scored or observed entry in which Guardian found a story.

    Raises:
        InputError: the corpus has no readable ``labels.jsonl``.
    """
    items = []
    for label in labels(corpus / "labels.jsonl"):
        if label["kind"] not in READ_KINDS or not (label.get("scored") or label.get("observe")):
            continue
        made = list(_of(corpus, label, replay))
        items += made
        progress(f"{len(made)} of {label['file']}")
    return items


def _of(
    corpus: Path, label: dict[str, Any], replay: Callable[[Path, Store], object]
) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="guardian-gold-") as folder:
        store = Store.open(Path(folder))
        try:
            if label.get("needs"):
                indicators.load(store, corpus / label["needs"], "corpus")
            replay(corpus / label["file"].rstrip("/"), store)
            with store.read() as reader:
                yield from _items(reader, label)
        except GuardianError:
            return
        finally:
            store.close()


def _items(reader: Reader, label: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the story that the label is about, or the gravest of an entry without one."""
    wanted = label["accept"] if label["malicious"] else label.get("observe") or []
    rows = reader.rows(
        "SELECT id, classes, level FROM incident WHERE merged_into IS NULL "
        "AND ($any OR list_has_any(classes, $wanted)) "
        "ORDER BY array_position(['critical','high','medium','low','informational'], level), id "
        "LIMIT 1",
        {"wanted": wanted, "any": not wanted},
    )
    for row in rows:
        said = [each for each in wanted if each in row["classes"]]
        item = gold_item.from_incident(
            reader,
            row["id"],
            ident=label["file"],
            source="corpus",
            accept=_accept(label),
            must=[MUST[each] for each in said[:1] if each in MUST],
            must_not=gold_item.NEVER if label["malicious"] else gold_item.NEVER_QUIET,
            held_out=held_out(label["file"]),
        )
        if item is not None:
            yield item


def _accept(label: dict[str, Any]) -> Sequence[str]:
    if label["malicious"]:
        return ALARM
    return ("surveillance", *QUIET[:2]) if label.get("observe") else QUIET


def held_out(name: str) -> bool:
    """Return whether an entry is in the part that detections were not tuned on.

    The digest of the capture's bare name decides, so an EVE log goes with its capture; the
    same parting as in ``docs/detection.md``.
    """
    bare = _ENDING.sub("", _MADE_BY.sub("", PurePosixPath(name).name))
    return hashlib.sha256(bare.encode()).digest()[-1] % 2 == 1
