"""What a long run is doing, on standard error, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def progress() -> Generator[Callable[[str], None]]:
    """A function that shows the stage of a run, with a spinner and the time elapsed.

    The line is gone when the block ends. Where standard error is not a terminal nothing is shown.
    """
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    stages = TextColumn("{task.description}", markup=False)
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), stages, TimeElapsedColumn(), console=console, transient=True
    ) as display:
        task = display.add_task("starting", total=None)
        yield lambda stage: display.update(task, description=stage)
