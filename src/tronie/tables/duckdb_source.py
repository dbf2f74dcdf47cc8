"""Rows of DuckDB databases."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tronie.errors import SourceError
from tronie.tables.streams import BATCH_ROWS, bare, pieces, require_distinct

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class DuckdbSource:
    """A table or view of a DuckDB database, which is opened for reading only.

    Attributes:
        path: Where the database is.
        table: Name of the table.
        schema: Names and types of the columns.
    """

    path: Path
    table: str
    schema: pa.Schema

    @classmethod
    def open(cls, path: Path, table: str | None) -> DuckdbSource:
        """Read names and types.

        Raises:
            SourceError: If duckdb is not installed, the file is not a database, or it has no such
                table.
        """
        with _connected(path) as connection:
            names = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
            if table is None or table not in names:
                raise _no_table(path, table, names)
            schema = bare(_reader(_select(connection, table, ("*",)).limit(0)).schema)
        require_distinct(repr(path.name), schema.names)
        return cls(path, table, schema)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream some columns; no others are read.

        Raises:
            SourceError: If the database is damaged, or locked by another program.
        """
        with _connected(self.path) as connection:
            chosen = _select(connection, self.table, map(_quoted, columns))
            yield from pieces(_reader(chosen), columns)

    def describe(self) -> str:
        """What kind of source this is."""
        return "DuckDB table"


@contextmanager
def _connected(path: Path) -> Generator[duckdb.DuckDBPyConnection, None, None]:
    """A connection that cannot write; errors quote nothing that is in the database."""
    try:
        import duckdb
    except ImportError:
        raise SourceError(
            f"reading {path.name!r} needs duckdb, which is not installed.",
            'Install it: pip install "tronie[duckdb]"',
        ) from None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            yield connection
    except (duckdb.Error, pa.ArrowException):
        raise SourceError(
            f"{path.name!r} cannot be read as a DuckDB database.",
            "Check that it is one, and that no other program has it open for writing.",
        ) from None


def _select(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[str]
) -> duckdb.DuckDBPyRelation:
    return connection.sql(" ".join(("SELECT", ", ".join(columns), "FROM", _quoted(table))))


def _reader(relation: duckdb.DuckDBPyRelation) -> pa.RecordBatchReader:
    untyped: Any = relation
    # Before duckdb 1.5 it had another name.
    stream = getattr(untyped, "to_arrow_reader", None) or untyped.fetch_arrow_reader
    return stream(BATCH_ROWS)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _no_table(path: Path, table: str | None, names: Sequence[str]) -> SourceError:
    known = ", ".join(map(repr, names)) or "no tables"
    if table is None:
        return SourceError(
            f"{path.name!r} is a database: which table is meant is not said.",
            f"Give its name, as in {path.name + '::TABLE'!r}; it has {known}.",
        )
    return SourceError(f"{path.name!r} has no table {table!r}.", f"It has {known}.")
