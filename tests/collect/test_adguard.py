"""AdGuard Home's log and its API say the same of the same query."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from guardian.clients.adguard import Entry, Question
from guardian.collect import adguard_api, parser_spec
from guardian.collect.text_rows import LineParser
from guardian.collect.text_values import Clock

TIME = "2026-06-15T10:00:02Z"
REASONS = [
    # what the API says, what the log says, whether the log calls it filtered; what it is
    ("NotFilteredNotFound", 0, False, (False, "forwarded")),
    ("NotFilteredWhiteList", 1, False, (False, "forwarded")),
    ("NotFilteredError", 2, False, (False, "forwarded")),
    ("FilteredBlackList", 3, True, (True, "blocked")),
    ("FilteredSafeBrowsing", 4, True, (True, "blocked")),
    ("FilteredParental", 5, True, (True, "blocked")),
    ("FilteredInvalid", 6, True, (True, "blocked")),
    ("FilteredSafeSearch", 7, True, (False, "local")),
    ("FilteredBlockedService", 8, True, (True, "blocked")),
    ("Rewrite", 9, False, (False, "local")),
    ("RewriteEtcHosts", 10, False, (False, "local")),
    ("RewriteRule", 11, False, (False, "local")),
]


@pytest.mark.parametrize(("word", "number", "filtered", "meant"), REASONS)
def test_a_reason_means_the_same_in_the_log_and_in_the_api(
    *, word: str, number: int, filtered: bool, meant: tuple[bool, str]
) -> None:
    clock = Clock("UTC", datetime(2026, 6, 15))
    line = {
        "IP": "192.168.1.5", "T": TIME, "QH": "a.example", "QT": "A", "Elapsed": 1000,
        "Result": {"IsFiltered": filtered, "Reason": number},
    }  # fmt: skip
    made = LineParser(parser_spec.shipped("adguard"), clock).parse(json.dumps(line))
    question = Question(name="a.example", type="A")
    entry = Entry(time=TIME, client="192.168.1.5", question=question, reason=word)
    row = adguard_api._row(entry, clock)
    assert made is not None
    assert row is not None
    assert (made.row["blocked"], made.row["status"]) == meant
    assert (row["blocked"], row["status"]) == meant
