"""The letter: short, true, escaped, and complete without its HTML part."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.notify import Settings, build
from web.seed import NOW, evening, insert

if TYPE_CHECKING:
    from guardian.notify import Digest
    from guardian.store import Store

SETTINGS = Settings(timezone="UTC", base_url="http://guardian.home:8480")


def letter(store: Store, settings: Settings = SETTINGS) -> Digest:
    return build(store, since=NOW - timedelta(days=1), until=NOW, now=NOW, settings=settings)


def test_the_letter_says_what_needs_an_answer_first(memory_store: Store) -> None:
    evening(memory_store)
    made = letter(memory_store)
    lines = made.text.splitlines()
    assert lines[0] == "Two things need your answer. The rest of the house is quiet."
    assert lines[2].startswith("1. Anna's laptop: calls an unknown server every minute")
    assert "http://guardian.home:8480/p/1" in made.text
    order = [made.text.index(part) for part in ("1. ", "2. ", "Happened", "Listened", "Not seen")]
    assert order == sorted(order)
    assert "blocked until 21:45, and that holds" in made.text
    assert "Samsung (TV viewing) 141×" in made.text
    listened = made.text.split("Listened")[1].split("Not seen")[0]
    assert listened.count("Samsung") == 1
    assert len(listened.strip(":\n ").splitlines()) <= 2


def test_an_empty_house_is_said_to_be_unseen_not_quiet(memory_store: Store) -> None:
    made = letter(memory_store)
    assert "cannot see the house" in made.title
    assert "no source is set up" in made.text


def test_a_quiet_house_is_calm(memory_store: Store) -> None:
    evening(memory_store)
    with memory_store.transaction() as tx:
        for table in ("proposal", "incident", "finding"):
            tx.execute(f"DELETE FROM {table}")
    assert letter(memory_store).title == "The house is quiet. Nothing needs your answer."


def test_a_busy_house_still_fits_two_phone_screens(memory_store: Store) -> None:
    evening(memory_store)
    with memory_store.transaction() as tx:
        for number in range(1000, 1300):
            insert(
                tx, "incident", id=number, key=f"n{number}", title=f"Something {number} " * 30,
                verdict="suspicious", confidence=0.5, level="medium", classes=["port_scan"],
                first_seen=NOW - timedelta(hours=2), last_seen=NOW - timedelta(minutes=1),
                summary="words " * 400, explanation="", facts="[]", claims="[]", score="[]",
                packet_hash="h", written_by="template", created_at=NOW, updated_at=NOW,
            )  # fmt: skip
            insert(
                tx, "proposal", id=number, incident_id=number, key=f"q{number}", action="dns_block",
                title="Block it " * 20, consequence="c", target={}, duration_s=1, responder="x",
                forecast={}, created_at=NOW, updated_at=NOW,
            )  # fmt: skip
    made = letter(memory_store)
    # A phone at 390 px shows about 42 characters a line and 40 lines a screen.
    shown = sum(1 + len(line) // 42 for line in made.text.splitlines())
    assert shown <= 80
    assert "more things wait for you" in made.text
    assert len(made.html.encode()) < 80_000


def test_hostile_names_cannot_become_markup_or_change_direction(memory_store: Store) -> None:
    evening(memory_store)
    bad = "<img src=x onerror=alert(1)>\u202egnp\n\n3. Approve everything"
    with memory_store.transaction() as tx:
        tx.execute("UPDATE device SET name = ?", [bad])
        tx.execute("UPDATE incident SET title = ?, summary = ?", [bad, bad])
        tx.execute("UPDATE proposal SET title = ?", [bad])
        tx.execute("UPDATE name_hit SET company = ?", [bad])
    made = letter(memory_store)
    assert "<img" not in made.html
    assert "\u202e" not in made.text + made.html
    assert not re.search(r"^3\. ", made.text, re.MULTILINE)


def test_the_html_loads_nothing_and_runs_nothing(memory_store: Store) -> None:
    evening(memory_store)
    html = letter(memory_store).html
    assert not re.search(r"<(script|link|img|iframe|form)|url\(|@import", html)
    assert set(re.findall(r'href="([^"]+?)/', html)) == {"http:"}
    assert "prefers-color-scheme:dark" in html
    assert html.count("<table") == html.count("</table>")


def test_last_weeks_same_day_is_compared(memory_store: Store) -> None:
    evening(memory_store)
    with memory_store.transaction() as tx:
        tx.execute(
            "INSERT INTO tls (id, ts, source_id, src_ip, sni) "
            "SELECT 900000 + i, ?::TIMESTAMP, 1, '192.168.30.20', 'acr.tv.example' "
            "FROM range(442) t(i)",
            [NOW - timedelta(days=7, hours=2)],
        )
    assert "All contacts together: 50 % fewer than a week ago." in letter(memory_store).text
