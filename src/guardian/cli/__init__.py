"""The command line: parse, call, print; every error is one line and an exit code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.logging import RichHandler

from guardian.cli.parser import build_parser
from guardian.errors import GuardianError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = build_parser().parse_args(arguments)
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_path=False, markup=False)],
    )
    for chatty in ("httpx", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        module, function = options.run.split(":")
        run = getattr(importlib.import_module(f"guardian.cli.{module}"), function)
        return int(run(options))
    except GuardianError as error:
        console.print(
            f"guardian: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        return error.exit_code
    except PermissionError as error:
        console.print(
            f"guardian: {error.filename or 'files'}: {error.strerror}; run it as the user that "
            "Guardian runs as, or as root",
            style="red", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        return UsageError.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
