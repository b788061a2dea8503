"""Run a program of the system: words, no shell, a deadline, and its last words on failure."""

from __future__ import annotations

import asyncio

from guardian.errors import ComponentAbsentError, ResponderError


async def run(command: tuple[str, ...], timeout_s: float, *, stdin: str | None = None) -> str:
    """Run a command and return what it wrote on standard output.

    Raises:
        ComponentAbsentError: there is no such program.
        ResponderError: it failed, or did not end in time.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        msg = f"cannot run {command[0]}: {error.strerror}"
        raise ComponentAbsentError(msg) from error
    try:
        async with asyncio.timeout(timeout_s):
            out, said = await process.communicate(None if stdin is None else stdin.encode())
    except TimeoutError as error:
        process.kill()
        await process.wait()
        msg = f"{command[0]} did not end within {timeout_s:g} s"
        raise ResponderError(msg) from error
    if process.returncode:
        text = (said or out)[-300:].decode(errors="replace").strip()
        msg = f"{' '.join(command)} failed ({process.returncode}): {text}"
        raise ResponderError(msg)
    return out.decode(errors="replace")
