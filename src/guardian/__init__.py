"""Guardian: a home network security appliance.

It watches a home network, explains what it sees, asks a person, acts, proves
that it worked and undoes it on time. See ``docs/architecture.md``.
"""

import os

# DuckDB, Polars and Arrow bring allocators of their own. As they come, each keeps what it freed,
# for every thread and for seconds: 110 of the daemon's megabytes. They read these when they are
# loaded, so this comes first (docs/performance.md). What a person set stands.
os.environ.setdefault(
    "DUCKDB_JE_MALLOC_CONF", "tcache_max:4096,dirty_decay_ms:500,muzzy_decay_ms:0"
)
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:500,muzzy_decay_ms:0,narenas:1")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

__version__ = "0.1.0"
