"""A process that asks a model and is killed meanwhile: ``DATA_DIR URL`` on the command line."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from guardian import triage
from guardian.store import Store

if __name__ == "__main__":
    directory, url = sys.argv[1:]
    store = Store.open(Path(directory))
    endpoint = triage.Endpoint(url=url, model="small", name="gpu")
    settings = triage.Settings(endpoints=(endpoint,), timezone="UTC")
    asyncio.run(triage.explain_pending(store, settings))
