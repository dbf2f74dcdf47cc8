"""The ledger's file: SQLite, one transaction per call, on disk before a call returns.

A connection lives for one call only, so that neither threads nor forked processes ever share one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tronie.errors import BundleError, OutputError

APPLICATION_ID = 0x74726E65
FORMAT = 1

_WAIT_SECONDS = 30.0

_TABLES = (
    """
    CREATE TABLE release (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        dataset TEXT NOT NULL,
        created TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('reserved', 'touched', 'committed', 'cancelled')),
        epsilon REAL NOT NULL CHECK (epsilon >= 0),
        delta REAL NOT NULL CHECK (delta > 0 AND delta < 1),
        mu REAL NOT NULL CHECK (mu >= 0),
        fixed_delta REAL NOT NULL CHECK (fixed_delta >= 0),
        events TEXT NOT NULL,
        note TEXT NOT NULL
    )
    """,
    "CREATE INDEX release_dataset ON release (dataset)",
    """
    CREATE TABLE cap (
        dataset TEXT PRIMARY KEY,
        max_epsilon REAL NOT NULL CHECK (max_epsilon > 0),
        delta REAL CHECK (delta > 0 AND delta < 1)
    )
    """,
    """
    CREATE TRIGGER release_is_kept BEFORE DELETE ON release
    BEGIN SELECT RAISE(ABORT, 'a release is never deleted from the ledger'); END
    """,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)

_JOURNALS = """
    CREATE TABLE IF NOT EXISTS journal (
        release INTEGER PRIMARY KEY,
        token TEXT NOT NULL UNIQUE,
        length INTEGER NOT NULL CHECK (length >= 0),
        digest TEXT NOT NULL
    )
"""
"""Made when the first release with a journal is reserved; whoever does not know it can pass it over."""


class Rows:
    """The rows of an open ledger, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def entries(self, dataset: str | None) -> list[dict[str, Any]]:
        """Releases of one data set, or of all, oldest first."""
        query = "SELECT * FROM release WHERE ?1 IS NULL OR dataset = ?1 ORDER BY id"
        return [dict(row) for row in self._connection.execute(query, (dataset,))]

    def entry(self, number: int) -> dict[str, Any] | None:
        """One release, if it exists."""
        query = "SELECT * FROM release WHERE id = ?"
        row = self._connection.execute(query, (number,)).fetchone()
        return None if row is None else dict(row)

    def insert(self, values: Mapping[str, object]) -> int:
        """Add a release; returns its number."""
        query = """
            INSERT INTO release
                (dataset, created, state, epsilon, delta, mu, fixed_delta, events, note)
            VALUES
                (:dataset, :created, :state, :epsilon, :delta, :mu, :fixed_delta, :events, :note)
        """
        number = self._connection.execute(query, values).lastrowid
        assert number is not None
        return number

    def set_state(self, number: int, state: str) -> None:
        """Change the state of a release."""
        self._connection.execute("UPDATE release SET state = ? WHERE id = ?", (state, number))

    def set_mu(self, number: int, mu: float) -> None:
        """Change the mu that a release counts with until it is committed."""
        self._connection.execute("UPDATE release SET mu = ? WHERE id = ?", (mu, number))

    def set_cost(self, number: int, values: Mapping[str, object]) -> None:
        """Replace what a release costs, and commit it."""
        query = """
            UPDATE release SET state = 'committed', epsilon = :epsilon, mu = :mu,
                fixed_delta = :fixed_delta, events = :events WHERE id = :id
        """
        self._connection.execute(query, {**values, "id": number})

    def journal(self, token: str) -> int | None:
        """The release that a journal belongs to; only within a change."""
        self._connection.execute(_JOURNALS)
        query = "SELECT release FROM journal WHERE token = ?"
        row = self._connection.execute(query, (token,)).fetchone()
        return None if row is None else row["release"]

    def mark(self, number: int) -> tuple[int, str] | None:
        """How far the journal of a release has got; only within a change."""
        self._connection.execute(_JOURNALS)
        query = "SELECT length, digest FROM journal WHERE release = ?"
        row = self._connection.execute(query, (number,)).fetchone()
        return None if row is None else (row["length"], row["digest"])

    def insert_mark(self, number: int, token: str, length: int, digest: str) -> None:
        """Say which journal belongs to a release."""
        self._connection.execute(_JOURNALS)
        values = (number, token, length, digest)
        self._connection.execute("INSERT INTO journal VALUES (?, ?, ?, ?)", values)

    def set_mark(self, number: int, length: int, digest: str) -> None:
        """Note how far the journal of a release has got."""
        query = "UPDATE journal SET length = ?, digest = ? WHERE release = ?"
        self._connection.execute(query, (length, digest, number))

    def cap(self, dataset: str) -> tuple[float, float | None] | None:
        """A data set's cap on epsilon, and the delta at which it is stated."""
        query = "SELECT max_epsilon, delta FROM cap WHERE dataset = ?"
        row = self._connection.execute(query, (dataset,)).fetchone()
        return None if row is None else (row["max_epsilon"], row["delta"])

    def set_cap(self, dataset: str, max_epsilon: float | None, delta: float | None) -> None:
        """Store or remove a data set's cap."""
        self._connection.execute("DELETE FROM cap WHERE dataset = ?", (dataset,))
        if max_epsilon is not None:
            values = (dataset, max_epsilon, delta)
            self._connection.execute("INSERT INTO cap VALUES (?, ?, ?)", values)


class LedgerFile:
    """A ledger's place on disk.

    Args:
        path: The file; it need not exist before the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def write(self) -> Generator[Rows]:
        """Open the ledger for a change that is all there or not at all.

        Guarantee:
            Writers come one after the other. When the block ends well its changes are on disk, and
            survive a crash of the process or of the machine; when it fails nothing changed.

        Raises:
            BundleError: If the file is not a ledger, or a newer one.
            OutputError: If the file cannot be written, or stays locked for 30 seconds.
        """
        with self._sqlite_errors():
            self._create()
            with closing(self._connect()) as connection, _transaction(connection, "IMMEDIATE"):
                self._recognise(connection)
                yield Rows(connection)

    @contextmanager
    def read(self) -> Generator[Rows]:
        """Open the ledger as it is now; a missing file is an empty ledger.

        Raises:
            BundleError: If the file is not a ledger, or a newer one.
            OutputError: If the file stays locked for 30 seconds.
        """
        with self._sqlite_errors():
            found = self.path.exists() and self.path.stat().st_size > 0
            connection = self._connect() if found else sqlite3.connect(":memory:")
            connection.row_factory = sqlite3.Row
            with closing(connection), _transaction(connection, "DEFERRED"):
                self._recognise(connection)
                yield Rows(connection)

    def _create(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        # EXTRA also syncs the folder after a commit: power loss cannot bring a journal back.
        for pragma in ("synchronous = EXTRA", "fullfsync = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _recognise(self, connection: sqlite3.Connection) -> None:
        application, version, tables = (
            connection.execute(query).fetchone()[0]
            for query in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if application == 0 and tables == 0:
            for statement in _TABLES:
                connection.execute(statement)
        elif application != APPLICATION_ID:
            raise self._foreign()
        elif version != FORMAT:
            raise BundleError(
                f"the ledger {self.path} has format {version}; this tronie reads format {FORMAT}.",
                "Update tronie.",
            )

    def _foreign(self) -> BundleError:
        return BundleError(
            f"the file {self.path} is not a tronie ledger, or it is damaged.",
            "Restore it from a backup, or name another file with TRONIE_LEDGER. Do not start an "
            "empty ledger for data that was released before: what they spent would be forgotten.",
        )

    @contextmanager
    def _sqlite_errors(self) -> Generator[None]:
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            raise OutputError(
                f"the ledger {self.path} cannot be used: {error}.",
                "Check that its folder exists, is writable, and that no other program holds it.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._foreign() from error


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Generator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
