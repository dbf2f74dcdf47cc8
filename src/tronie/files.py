"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tronie.errors import OutputError

NOT_PRIVATE = "NOT-PRIVATE.json"
"""A file that says of all others in its folder that they were made without privacy."""

PRIVATE_MODE = 0o600
"""Mode of files that only their owner may read."""


@contextmanager
def atomic_path(path: str | Path) -> Generator[Path, None, None]:
    """Write a file under a temporary name; it takes its own name when the block ends well.

    The temporary file lies in the same folder and keeps the suffix. It is removed if the block
    raises, and a file that was there before is then left as it was.

    Args:
        path: Where the file is to appear. A file that is there already is replaced.

    Yields:
        The temporary path, at which nothing exists yet.

    Raises:
        OutputError: If the folder is missing, the place is taken by something that is not a file,
            or the block or the renaming fails with an `OSError` (a full disk, no permission).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "greeting.txt") as temporary:
    ...         _ = temporary.write_text("hello")
    ...     [file.name for file in Path(folder).iterdir()]
    ['greeting.txt']
    """
    target = Path(os.path.realpath(path))
    _require_place(path, target)
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(6)}{target.suffix}")
    try:
        yield temporary
        _to_disk(temporary)
        temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"{str(path)!r} could not be written: {error.strerror or 'the disk refused it'}.",
            "Nothing was left half-written; free some space or choose another place.",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: str | Path, content: bytes, *, mode: int | None = None) -> None:
    """Write a whole file at once.

    Args:
        path: Where the file is to appear. A file that is there already is replaced.
        content: All of its bytes.
        mode: Who may read it; as the process's mask says when not given.

    Raises:
        OutputError: As `atomic_path`.
    """
    with atomic_path(path) as temporary:
        if mode is not None:
            reserve(temporary, mode)
        temporary.write_bytes(content)


def reserve(path: Path, mode: int) -> None:
    """Make an empty file of some mode, before anything that not all may read is in it."""
    path.touch(mode, exist_ok=False)
    path.chmod(mode)


def _require_place(path: str | Path, target: Path) -> None:
    """Refuse what a renamed file must not replace, such as a folder or ``/dev/null``."""
    if not target.parent.is_dir():
        raise OutputError(
            f"{str(path)!r} could not be written: there is no such folder.", "Create it first."
        )
    if target.exists() and not target.is_file():
        raise OutputError(
            f"{str(path)!r} could not be written: it is not a file.", "Choose another name."
        )


def _to_disk(path: Path) -> None:
    """Wait until the file's bytes have left the operating system's buffers."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
