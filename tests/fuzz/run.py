"""Fuzz the readers of foreign bytes with atheris, within limits of time and memory.

``scripts/fuzz [--seconds S] [TARGET...]``; without a target all but the slow ones take turns,
the first byte of the input choosing. A crash is written to ``crash-*`` and its input printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(
    include=[
        "guardian.collect",
        "guardian.model.secrets",
        "guardian.store.bundle",
        "guardian.detect.indicators",
        "guardian.intel.list_formats",
    ]
):
    from fuzz.targets import TARGETS

MEMORY_MB = 2048
"""Above this an input counts as a crash: Guardian's own budget is 600 MB, instruments take more."""
SLOW_S = 20
LONGEST_BYTES = 1 << 16


def main() -> None:
    """Run atheris; the exit code is not 0 when an input broke a reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="how long, in all")
    parser.add_argument("--runs", type=int, default=-1, help="how many inputs, in all")
    parser.add_argument("--seed", type=int, default=0, help="the same number, the same inputs")
    parser.add_argument("--corpus", type=Path, help="where to keep inputs that reach new code")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(
            f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}"
        )
    names = options.targets or [name for name, target in TARGETS.items() if not target.slow]

    def one(data: bytes) -> None:
        if data:
            TARGETS[names[data[0] % len(names)]].run(data[1:])

    with tempfile.TemporaryDirectory(prefix="guardian-fuzz-") as folder:
        corpus = options.corpus or Path(folder)
        corpus.mkdir(parents=True, exist_ok=True)
        for at, name in enumerate(names):
            for number, seed in enumerate(TARGETS[name].seeds()):
                (corpus / f"seed-{name}-{number}").write_bytes(bytes([at]) + seed[:LONGEST_BYTES])
        limits = [
            f"-max_total_time={options.seconds}", f"-rss_limit_mb={MEMORY_MB}",
            f"-timeout={SLOW_S}", f"-max_len={LONGEST_BYTES}", "-verbosity=1",
            f"-runs={options.runs}", f"-seed={options.seed}",
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], str(corpus), *limits], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
