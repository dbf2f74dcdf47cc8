"""Rows of Parquet files, Arrow files, and tables in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tronie.errors import SourceError
from tronie.tables.streams import BATCH_ROWS, bare, pieces, reading, require_distinct

_PARQUET_REMEDY = "Check that it is a complete Parquet file; write it anew if it is not."
_ARROW_REMEDY = "Check that it is a complete Arrow (Feather version 2) file; write it anew."
_CULPRIT = re.compile(r"Conversion failed for column (.+) with type \w+")


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """One Parquet file, or all those of a folder as one table.

    Attributes:
        paths: The files, at least one.
        schema: Names and types of the columns; the same in all files.
    """

    paths: tuple[Path, ...]
    schema: pa.Schema

    @classmethod
    def open(cls, path: Path) -> ParquetSource:
        """Read names and types.

        Raises:
            SourceError: If a file is not Parquet, or the files of a folder differ.
        """
        paths = tuple(sorted(path.glob("*.parquet"))) if path.is_dir() else (path,)
        if not paths:
            raise SourceError(
                f"the folder {path.name!r} holds no Parquet files.",
                "Give a folder of files whose names end in .parquet.",
            )
        schemas = [_parquet_schema(path) for path in paths]
        for other, schema in zip(paths, schemas, strict=True):
            if schema.names != schemas[0].names or schema.types != schemas[0].types:
                raise SourceError(
                    f"{paths[0].name!r} and {other.name!r} have different columns or types.",
                    "Write them with one schema, or give one file.",
                )
        return cls(paths, schemas[0])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream some columns; no others are read.

        Raises:
            SourceError: If a file is damaged.
        """
        for path in self.paths:
            with reading(repr(path.name), _PARQUET_REMEDY), _parquet_file(path) as file:
                batches = file.iter_batches(
                    batch_size=BATCH_ROWS, columns=list(columns), use_threads=False
                )
                yield from pieces(batches, columns)

    def describe(self) -> str:
        """What kind of source this is."""
        return "Parquet file" if len(self.paths) == 1 else f"{len(self.paths)} Parquet files"


@dataclass(frozen=True, slots=True)
class ArrowSource:
    """An Arrow IPC file or stream, or a Feather file of version 2.

    Attributes:
        path: Where the file is.
        schema: Names and types of the columns.
    """

    path: Path
    schema: pa.Schema

    @classmethod
    def open(cls, path: Path) -> ArrowSource:
        """Read names and types.

        Raises:
            SourceError: If the file is not one of Arrow's.
        """
        label = repr(path.name)
        with reading(label, _ARROW_REMEDY), pa.memory_map(str(path)) as file:
            schema = bare(_ipc_reader(file).schema)
        require_distinct(label, schema.names)
        return cls(path, schema)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream some columns; no others are read.

        Raises:
            SourceError: If the file is damaged.
        """
        with reading(repr(self.path.name), _ARROW_REMEDY), pa.memory_map(str(self.path)) as file:
            names = _ipc_reader(file).schema.names
            options = pa.ipc.IpcReadOptions(included_fields=[names.index(c) for c in columns])
            yield from pieces(_ipc_batches(_ipc_reader(file, options)), columns)

    def describe(self) -> str:
        """What kind of source this is."""
        return "Arrow file"


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table in memory.

    Attributes:
        table: The rows.
    """

    table: pa.Table

    @classmethod
    def of(cls, frame: Any) -> TableSource:
        """Take in an object with the Arrow PyCapsule interface.

        A reader that can be consumed once is consumed here, and kept in memory.

        Raises:
            SourceError: If the object is not a table, or a column mixes types.
        """
        kind = type(frame).__name__
        try:
            table = pa.table(frame)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise _not_a_table(kind, error) from None
        require_distinct(f"the {kind}", table.schema.names)
        return cls(table)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return bare(self.table.schema)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Go through some columns, without copying them."""
        chosen = self.table.select(list(columns))
        yield from pieces(chosen.to_batches(max_chunksize=BATCH_ROWS), columns)

    def describe(self) -> str:
        """What kind of source this is."""
        return "table in memory"


def _parquet_file(path: Path) -> parquet.ParquetFile:
    # With buffering, pyarrow holds the whole file's bytes at the end.
    return parquet.ParquetFile(path, pre_buffer=False)


def _parquet_schema(path: Path) -> pa.Schema:
    label = repr(path.name)
    with reading(label, _PARQUET_REMEDY):
        schema = bare(parquet.read_schema(path))
    require_distinct(label, schema.names)
    return schema


def _ipc_reader(file: pa.NativeFile, options: Any = None) -> Any:
    """A reader of the file format if its first bytes say so, otherwise of the stream format."""
    file.seek(0)
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(file, options=options)


def _ipc_batches(reader: Any) -> Iterable[pa.RecordBatch]:
    if isinstance(reader, pa.RecordBatchReader):
        return reader
    return (reader.get_batch(place) for place in range(reader.num_record_batches))


def _not_a_table(kind: str, error: Exception) -> SourceError:
    """Name the column that is to blame, if pyarrow names it apart from the values."""
    culprit = _CULPRIT.fullmatch(str(error.args[-1])) if len(error.args) > 1 else None
    if culprit:
        return SourceError(
            f"column {culprit[1]!r} of the {kind} mixes types, or holds one that Arrow lacks.",
            "Convert it to text, numbers or dates before.",
        )
    return SourceError(f"the {kind} is not a table.", "Give a data frame, or an Arrow table.")
