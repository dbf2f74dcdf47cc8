"""Where private rows are, and how they are streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import pyarrow as pa

from tronie.errors import SourceError
from tronie.tables.arrow_source import ArrowSource, ParquetSource, TableSource
from tronie.tables.csv_source import CsvSource
from tronie.tables.duckdb_source import DuckdbSource

_CSV = (".csv", ".tsv")
_COMPRESSED = (".gz", ".bz2", ".zst")
_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".feather", ".ipc")
_DUCKDB = (".duckdb", ".ddb")


class Source(Protocol):
    """A table whose rows can be streamed any number of times."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns, known without reading a row."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream the rows of some columns, from the first row on, in constant memory.

        Args:
            columns: Names, at least one; batches hold them in this order.

        Yields:
            Batches of at most `streams.BATCH_ROWS` rows.
        """
        ...

    def describe(self) -> str:
        """What kind of source this is."""
        ...


def open_source(obj: Any, *, table: str | None = None) -> Source:
    """Find out how to stream a table; no row is read.

    Args:
        obj: Path of a CSV file (also ``.tsv``, also compressed), a Parquet file or a folder of such,
            an Arrow or Feather file, or a DuckDB database (``people.duckdb::table``); an object with
            the Arrow PyCapsule interface, such as a pandas or polars frame; or a source.
        table: Name of the table, for a database.

    Raises:
        SourceError: If there is no such table, or it cannot be read. No value of it is shown.

    >>> open_source(pa.table({"age": [31, 45]})).schema.names
    ['age']
    """
    if isinstance(obj, str | Path):
        return _open_path(*_split(obj, table))
    if table is not None:
        raise SourceError("a table's name was given, but no database.", "Leave the name out.")
    if _is_source(obj):
        return obj
    if hasattr(obj, "__arrow_c_stream__"):
        return TableSource.of(obj)
    raise SourceError(
        f"an object of type {type(obj).__name__} is not a table.",
        "Give a path, or a data frame that speaks Arrow (pandas 2.2 or polars 1.0 and newer).",
    )


def _is_source(obj: object) -> TypeGuard[Source]:
    """Ask the type, because asking a lazy frame for its schema may run a query."""
    return all(hasattr(type(obj), name) for name in ("schema", "batches", "describe"))


def _split(path: str | Path, table: str | None) -> tuple[Path, str | None]:
    """The path and the table's name of ``people.duckdb::table``."""
    stem, mark, name = str(path).rpartition("::")
    if mark and table is None and Path(stem).suffix.lower() in _DUCKDB:
        return Path(stem), name
    return Path(path), table


def _open_path(path: Path, table: str | None) -> Source:
    suffix = path.suffix.lower()
    if table is not None and suffix not in _DUCKDB:
        raise SourceError(
            f"{str(path)!r} is not a database, so it has no tables.", "Leave the table's name out."
        )
    if not path.exists():
        raise SourceError(f"{str(path)!r} does not exist.", "Check the path.")
    if path.is_dir():
        return ParquetSource.open(path)
    if path.stat().st_size == 0:
        raise SourceError(f"{str(path)!r} is empty.", "Give a file with a table in it.")
    if suffix in _DUCKDB:
        return DuckdbSource.open(path, table)
    if suffix in _PARQUET:
        return ParquetSource.open(path)
    if suffix in _ARROW:
        return ArrowSource.open(path)
    if suffix in _CSV or (suffix in _COMPRESSED and Path(path.stem).suffix.lower() in _CSV):
        return CsvSource.open(path)
    raise SourceError(
        f"{str(path)!r} is of a kind that is not known.",
        f"Give a file whose name ends in {', '.join((*_CSV, *_PARQUET, *_ARROW, *_DUCKDB))}.",
    )
