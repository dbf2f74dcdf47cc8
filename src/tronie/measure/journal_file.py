"""The file of a journal: lines that are only ever added, each tied to all before it by a digest.

What a line says is `tronie.measure.journal`'s business. Here it is JSON that was whole on disk before the
call that added it came back.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, cast

from tronie.errors import BundleError, InputError, OutputError
from tronie.files import PRIVATE_MODE, atomic_write
from tronie.privacy.ledger_entries import Mark

FORMAT = 1

NAME, LOCK = "journal.jsonl", "lock"
"""Files of a journal's folder, besides states of trainings."""

Body: TypeAlias = Mapping[str, Any]

_FOLDER_MODE = 0o700

_BEGIN_ANEW = "Give another folder to begin anew; that is charged again."


class JournalFile:
    """An open journal, held by this process alone.

    Args:
        folder: Its folder.
        made_for: What a run was asked for -> a description or digest of it; all public. If None, the
            journal is there already, and whatever it was made for will do.

    Attributes:
        folder: Its folder.
        lines: What was written so far, after the first line, and the digest of each.

    Raises:
        BundleError: If it is damaged, or of a newer format.
        InputError: If it was made for something else.
        OutputError: If it cannot be read or written.

    Guarantee:
        A line that was changed, moved or taken out, other than at the end, is found out. What is
        missing at the end shows in the ledger; see `tronie.measure.journal.Journal`. The one damage that is
        mended is a last line of which only a part came to disk.
    """

    def __init__(self, folder: Path, made_for: Mapping[str, str] | None) -> None:
        self.folder = folder
        self.lines: list[tuple[Body, str]] = []
        self._path = folder / NAME
        self._size = 0
        self._made_for = dict(made_for or {})
        if made_for is not None and not self._path.exists():
            self._write_header()
        self._read()
        if made_for is not None:
            self._require_same(self.made_for)

    @property
    def made_for(self) -> Mapping[str, str]:
        """What its run was asked for."""
        return self._header["made_for"]

    @property
    def token(self) -> str:
        """The journal's name in the ledger: 128 random bits."""
        return self._header["token"]

    @property
    def start(self) -> Mark:
        """How far it had got before anything was charged."""
        return Mark(0, self._first)

    def append(self, body: Body) -> str:
        """Add a line; it is on disk when this returns.

        Returns:
            The line's digest.

        Raises:
            OutputError: If it cannot be written.
        """
        line, digest = _line(body, self._last)
        try:
            with self._path.open("rb+") as file:
                file.truncate(self._size)
                file.seek(self._size)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        self._size += len(line)
        self.lines.append((body, digest))
        return digest

    def drop(self) -> None:
        """Take the last line off again; the next one is written in its place."""
        line, _ = _line(self.lines[-1][0], self._before_last)
        self._size -= len(line)
        self.lines.pop()

    def restart(self) -> None:
        """Become a new journal, under another name, in which nothing was asked."""
        self._write_header()
        self._read()

    @property
    def _last(self) -> str:
        return self.lines[-1][1] if self.lines else self._first

    @property
    def _before_last(self) -> str:
        return self.lines[-2][1] if len(self.lines) > 1 else self._first

    def _write_header(self) -> None:
        header = {
            "kind": "journal",
            "format": FORMAT,
            "token": secrets.token_hex(16),
            "made_for": self._made_for,
        }
        atomic_write(self._path, _line(header, "")[0], mode=PRIVATE_MODE)
        _sync_folder(self.folder)

    def _read(self) -> None:
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        whole = content[: content.rfind(b"\n") + 1]
        digest, lines = "", list[tuple[Body, str]]()
        for number, line in enumerate(whole.splitlines(keepends=True), 1):
            body = _body(line, digest)
            if body is None:
                raise damaged(self.folder, f"line {number}")
            digest = _line(body, digest)[1]
            lines.append((body, digest))
        if not lines or lines[0][0].get("kind") != "journal":
            raise damaged(self.folder, "line 1")
        (self._header, self._first), *self.lines = lines
        self._size = len(whole)
        if self._header.get("format") != FORMAT:
            raise BundleError(
                f"the journal {self.folder} has format {self._header.get('format')}; this tronie reads "
                f"format {FORMAT}.",
                "Update tronie.",
            )

    def _require_same(self, then: Mapping[str, str]) -> None:
        names = dict.fromkeys([*then, *self._made_for])
        changed = [name for name in names if then.get(name) != self._made_for.get(name)]
        if changed:
            raise InputError(
                f"the journal {self.folder} was made for another run: not the same are "
                f"{', '.join(changed)}.",
                f"Give what its run began with. {_BEGIN_ANEW}",
            )


@contextmanager
def open_journal(folder: str | Path, made_for: Mapping[str, str] | None) -> Generator[JournalFile]:
    """Open a journal, or begin one, and keep all others out as long as the block runs.

    Args:
        folder: Its folder; made if it does not exist, unless `made_for` is None. Its owner alone may
            read it.
        made_for: As for `JournalFile`.

    Raises:
        InputError: If another process has it, or the folder holds something else; and as `JournalFile`.
        OutputError: If the folder cannot be made.
    """
    place = Path(folder)
    if made_for is None and not (place / NAME).exists():
        raise InputError(f"the folder {place} is not a journal.", "Name the folder of a journal.")
    try:
        place.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        found = {path.name for path in place.iterdir()}
    except OSError as error:
        raise _unwritable(place, error) from None
    if found - {LOCK} and NAME not in found:
        raise InputError(f"the folder {place} is not a journal.", "Give a new or an empty folder.")
    with _locked(place):
        yield JournalFile(place, made_for)


def damaged(folder: Path, where: str) -> BundleError:
    """The error of a journal that is not as it was written."""
    return BundleError(
        f"the journal {folder} is damaged, at {where}. Nothing was asked.",
        f"Put back what was changed. {_BEGIN_ANEW}",
    )


def _line(body: Body, before: str) -> tuple[bytes, str]:
    """A line, and its digest."""
    text = json.dumps(body, separators=(",", ":"))
    digest = hashlib.sha256(f"{before} {text}".encode()).hexdigest()
    return f'{{"digest":"{digest}","body":{text}}}\n'.encode(), digest


def _body(line: bytes, before: str) -> Body | None:
    """What a line says, if it is as it was written."""
    try:
        body: Any = json.loads(line)["body"]
    except (ValueError, KeyError, TypeError):
        return None
    is_same = isinstance(body, dict) and _line(cast("Body", body), before)[0] == line
    return cast("Body", body) if is_same else None


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Keep others out. SQLite's lock works on every system, and is gone when its process dies."""
    path = folder / LOCK
    try:
        path.touch(PRIVATE_MODE)
    except OSError as error:
        raise _unwritable(folder, error) from None
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error:
            raise InputError(
                f"the journal {folder} is in use by another run.",
                "Let that run end first, or stop it.",
            ) from None
        yield


def _sync_folder(folder: Path) -> None:
    """Wait until a new file's name is on disk, where the system knows how."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the journal {folder} cannot be read or written: {error.strerror or 'the disk refused it'}.",
        "Free some space or choose another folder; what it holds is safe.",
    )
