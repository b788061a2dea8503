"""What a regular call is weighed by, against the quartiles of Python's own library."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from statistics import quantiles

import pytest

from guardian import detect
from guardian.detect.engine import detectors

from .cases import START, filled

RULE = "c2.beacon"
OTHERS = tuple(each.name for each in detectors(detect.Settings())[0] if each.name != RULE)


def test_each_pair_has_its_own_quartiles() -> None:
    made = random.Random(7)
    rows, expected = [], {}
    for i, calls in enumerate((13, 40, 41, 42, 43, 44)):  # quartiles on a value, and between two
        gaps_ms = [made.randint(50_000, 70_000) + 10_000 * i for _ in range(calls - 1)]
        sizes = [made.randint(600, 700) for _ in range(calls)]
        ip = f"198.51.100.{i + 1}"
        for call, size in enumerate(sizes):
            row = {"src_ip": "192.168.1.66", "dest_ip": ip, "bytes_toserver": size}
            rows.append(row | {"ts": sum(gaps_ms[:call]) / 1000})
        # A second connection of the first call: no call of its own, and no interval.
        rows.append(rows[-calls] | {"ts": 0.25})
        gaps_ms[0] -= 250
        low, middle, high = quantiles([gap / 1000 for gap in gaps_ms], n=4, method="inclusive")
        sizes.append(sizes[0])
        small, usual, large = quantiles(sizes, n=4, method="inclusive")
        expected[ip] = {
            "calls": calls,
            "interval_s": pytest.approx(middle, abs=0.006),
            "jitter_share": pytest.approx((high - low) / (high + low), abs=0.0006),
            "size_bytes": pytest.approx(usual),
            "size_dispersion": pytest.approx((large - small) / (large + small), abs=0.0006),
        }
    made.shuffle(rows)
    store = filled({"flow": rows})
    report = detect.run(store, detect.Settings(disabled=OTHERS), now=START + timedelta(hours=2))
    assert report.errors == ()
    with store.read() as reader:
        facts = [json.loads(row["facts"]) for row in reader.rows("SELECT facts FROM finding")]
    store.close()
    found = {each["destination"]: each for each in facts}
    assert {ip: {key: found[ip][key] for key in expected[ip]} for ip in found} == expected
    assert all(sum(each["interval_histogram"]) == each["calls"] for each in facts)
