"""Where the shared test material is, if it is on this machine."""

from __future__ import annotations

import os
from pathlib import Path

REPO = Path(__file__).parents[2]
SHARED = Path(os.environ.get("GUARDIAN_SHARED", REPO.parent / "shared"))
