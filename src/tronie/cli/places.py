"""Whether a result will find room, asked before anything is spent."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tronie.errors import OutputError
from tronie.files import atomic_path

ROOM = 2**20
"""Bytes that must fit where a result is to be written."""


class _Enough(Exception):
    """Leaves a block; it is no error."""


def require_new(path: Path) -> None:
    """Refuse to replace what cannot be had again for free.

    Raises:
        OutputError: If something is there already.
    """
    if path.exists() or path.is_symlink():
        raise OutputError(f"{str(path)!r} exists already.", "Choose another name, or remove it.")


def require_room(path: Path) -> None:
    """Refuse a place that cannot be written to; nothing is left there.

    Raises:
        OutputError: If a file of some size cannot be written at the place of `path`.
    """
    with suppress(_Enough), atomic_path(path) as trial:
        trial.write_bytes(bytes(ROOM))
        raise _Enough
