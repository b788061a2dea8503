"""What Guardian tells the allocators of its libraries, which only read it when they are loaded."""

import os
import subprocess
import sys

SETTINGS = ("DUCKDB_JE_MALLOC_CONF", "_RJEM_MALLOC_CONF", "ARROW_DEFAULT_MEMORY_POOL")
SAY = f"""
import os
import guardian.cli
import pyarrow
print(*(os.environ[name] for name in {SETTINGS!r}), pyarrow.default_memory_pool().backend_name)
"""


def said(**own: str) -> list[str]:
    environment = {k: v for k, v in os.environ.items() if k not in SETTINGS} | own
    return subprocess.run(
        [sys.executable, "-c", SAY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()


def test_they_give_back_what_was_freed() -> None:
    duckdb, polars, arrow, pool = said()
    assert "tcache_max:4096" in duckdb
    assert "dirty_decay_ms:500" in duckdb
    assert "dirty_decay_ms:500" in polars
    assert (arrow, pool) == ("system", "system")


def test_a_persons_own_setting_stands() -> None:
    duckdb, polars, arrow, pool = said(
        DUCKDB_JE_MALLOC_CONF="dirty_decay_ms:9000", ARROW_DEFAULT_MEMORY_POOL="mimalloc"
    )
    assert duckdb == "dirty_decay_ms:9000"
    assert "narenas:1" in polars
    assert (arrow, pool) == ("mimalloc", "mimalloc")
