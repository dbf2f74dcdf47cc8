"""How a command ends: with a result, or with one paragraph that says what to do and an exit code."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from tronie.errors import BudgetExceeded, Cancelled, TronieError

DONE, FAILED, BAD_INPUT, REFUSED, FAULT, STOPPED = 0, 1, 2, 3, 70, 130

EXIT_CODES = {
    DONE: "done",
    FAILED: "verify: the certificate does not hold, or nothing is claimed; audit: a violation was found",
    BAD_INPUT: "bad input, no room to write, or too little memory",
    REFUSED: "the ledger's cap forbids the release",
    FAULT: "a fault in tronie itself",
    STOPPED: "stopped by the user",
}
"""Exit code -> what it says."""

DEBUG = "TRONIE_DEBUG"
"""Environment variable that asks for tracebacks; they may show private values."""


class Commands(click.Group):
    """Commands in the order in which they were added, whose errors end in a paragraph."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of work."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error becomes a paragraph and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # click ends quietly when the reader of a pipe has gone
            if os.environ.get(DEBUG) == "1":
                traceback.print_exc()
            what, remedy, code = ending(error)
            click.echo(click.style(f"Error: {_one_line(what)}", fg="red"), err=True)
            click.echo(f"  {_one_line(remedy)}", err=True)
            ctx.exit(code)


def ending(error: BaseException) -> tuple[str, str, int]:
    """What to say about an error, what to do about it, and the exit code.

    The message of an error that is not tronie's own is not shown: it may quote a private value.
    """
    if isinstance(error, KeyboardInterrupt | Cancelled):
        return (
            "stopped before the end.",
            (
                "Nothing was left half-written; `tronie budget` shows whether anything was spent. "
                "With --journal, the same command goes on."
            ),
            STOPPED,
        )
    if isinstance(error, TronieError):
        code = REFUSED if isinstance(error, BudgetExceeded) else BAD_INPUT
        return error.what, error.remedy or "See `tronie COMMAND --help`.", code
    if isinstance(error, MemoryError):
        return (
            f"there is too little memory, at {_place(error.__traceback__)}.",
            "Use fewer columns or a larger machine; `tronie plan` says what a run will need.",
            BAD_INPUT,
        )
    return (
        f"a fault in tronie: {type(error).__name__} at {_place(error.__traceback__)}.",
        f"Please report it. Run again with {DEBUG}=1 for details; they may show private values.",
        FAULT,
    )


def _place(trace: TracebackType | None) -> str:
    """File and line of the innermost frame of tronie's own code."""
    root = Path(__file__).resolve().parents[1]
    frames = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(trace)]
    own = [(path, line) for path, line in frames if path.is_relative_to(root)]
    if not own:
        return "an unknown place"
    path, line = own[-1]
    return f"{path.relative_to(root).as_posix()}:{line}"


def _one_line(text: str) -> str:
    """Text as part of a paragraph, without what would steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
