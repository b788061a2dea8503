"""Find the data that ships with Guardian: rules, blocklists, parsers, captures.

In a wheel they lie in ``guardian/_data``; in a checkout at the top level, so
that one set of files serves both.
"""

from __future__ import annotations

from pathlib import Path

from guardian.errors import GuardianError

_PACKAGED = Path(__file__).parent / "_data"
_CHECKOUT = Path(__file__).parents[2]


def path(name: str) -> Path:
    """Return the path of a shipped file or folder, such as ``rules/detect``.

    Raises:
        GuardianError: the installation lacks it.
    """
    for root in (_PACKAGED, _CHECKOUT):
        candidate = root / name
        if candidate.exists():
            return candidate
    msg = f"{name} is missing from this installation; install Guardian again"
    raise GuardianError(msg)
