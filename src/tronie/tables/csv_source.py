"""Rows of CSV files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv

from tronie.errors import SourceError
from tronie.tables.streams import pieces, reading, require_distinct

BLOCK_BYTES = 2**20
"""Bytes that are parsed at once; no row may be longer. Arrow reads some forty blocks ahead."""

_SEPARATORS = ",;\t|"
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER_OR_DATE = re.compile(r"[\d\s.,:/+-]*\d[\d\s.,:/+-]*")
_REMEDY = (
    "Check that each row has as many fields as the header and at most a mebibyte of text, and that "
    "quotation marks are closed."
)


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A CSV file with a header, plain or compressed.

    Every column is read as text, because guessing a type would look at private rows; the schema's
    kinds say how to read it. Empty fields are missing values, quoted or not. The separator is that of
    comma, semicolon, tab and bar which occurs most often in the header.

    Attributes:
        path: Where the file is.
        names: The header.
        separator: What stands between fields.
        ends: Whether nothing follows the header.
    """

    path: Path
    names: tuple[str, ...]
    separator: str
    ends: bool

    @classmethod
    def open(cls, path: Path) -> CsvSource:
        """Read the header.

        Raises:
            SourceError: If there is none, or the file cannot be read as text.
        """
        label = repr(path.name)
        with reading(label, _REMEDY), _text(path) as text:
            line = next((line for line in text if line.strip()), "")
        separator = max(_SEPARATORS, key=_QUOTED.sub("", line).count)
        with reading(label, _REMEDY), _text(path) as text:
            rows = csv.reader(text, delimiter=separator)
            names = next((tuple(row) for row in rows if row), ())
            ends = not text.read(1)
        _require_header(label, names)
        return cls(path, names, separator, ends)

    @property
    def schema(self) -> pa.Schema:
        """Names of the columns; all are text."""
        return pa.schema([pa.field(name, pa.string()) for name in self.names])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream some columns.

        Raises:
            SourceError: If the file is not CSV of valid UTF-8.
        """
        if self.ends:
            return
        with reading(repr(self.path.name), _REMEDY), _stream(self.path) as stream:
            yield from pieces(self._reader(stream, columns), columns)

    def describe(self) -> str:
        """What kind of source this is."""
        return "CSV file"

    def _reader(self, stream: pa.NativeFile, columns: Sequence[str]) -> pa.RecordBatchReader:
        return arrow_csv.open_csv(
            stream,
            read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.separator,
                newlines_in_values=True,
                # In a file of one column, an empty line is a missing value.
                ignore_empty_lines=len(self.names) > 1,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.string()),
                include_columns=list(columns),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )


def _stream(path: Path) -> pa.NativeFile:
    """The file's bytes, decompressed if its suffix says so."""
    return pa.input_stream(str(path), compression="detect")


def _text(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(_stream(path), encoding="utf-8-sig", newline="")


def _require_header(label: str, names: Sequence[str]) -> None:
    """Refuse a first line that is no header; it may be a private row, so nothing of it is shown."""
    if not names:
        raise SourceError(f"{label} is empty.", "Give a file with a header and rows.")
    if any(_NUMBER_OR_DATE.fullmatch(name) for name in names):
        raise SourceError(
            f"{label} has no header: its first line holds numbers or dates.",
            "Write the columns' names into the first line; no name may be a mere number.",
        )
    nameless = [place for place, name in enumerate(names, 1) if not name.strip()]
    if nameless:
        raise SourceError(
            f"column {nameless[0]} of {label} has no name.",
            "Name it in the first line, or leave it out (in pandas: to_csv(index=False)).",
        )
    require_distinct(label, names)
