"""Synthetic rows: an Arrow table that any Arrow consumer reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from tronie.files import PRIVATE_MODE
from tronie.models.expansion import code_spans
from tronie.models.factor import Factor
from tronie.privacy.disclaimer import NOT_PRIVATE
from tronie.schema.columns import Boolean, Category, Identifier, Modelled, Text
from tronie.schema.grid import Coding, Floats, Ints
from tronie.schema.points import value_of
from tronie.schema.schema import Schema
from tronie.tables.arrays import strings
from tronie.tables.codec import decode
from tronie.tables.sinks import holds_metadata, write_table
from tronie.tables.stamp import KEY, NO, is_stamped, remove_stamp, stamped, write_stamp

BLOCK_ROWS = 2**18
"""Rows that are decoded at once."""

NO_TEXTS: Mapping[str, Sequence[str | None]] = MappingProxyType({})
"""No columns of free text."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Synthetic rows.

    Any library that speaks the Arrow PyCapsule interface reads them directly, such as
    ``pandas.DataFrame.from_arrow(rows)`` or ``polars.DataFrame(rows)``.

    Attributes:
        table: The rows as an Arrow table.
    """

    table: pa.Table

    @property
    def dp(self) -> bool:
        """False if the rows are stamped as made without privacy."""
        return not is_stamped(self.table.schema)

    def not_private(self) -> Rows:
        """The same rows, stamped as made without privacy."""
        return Rows(stamped(self.table))

    @classmethod
    def decode(
        cls,
        schema: Schema,
        types: pa.Schema,
        points: Mapping[str, Ints],
        n: int,
        texts: Mapping[str, Sequence[str | None]] = NO_TEXTS,
    ) -> Rows:
        """Turn lattice indices into values of the private table's types.

        Args:
            schema: The schema, its unknowns found.
            types: Names and types of the result, in order.
            points: Column -> lattice indices, shape (n,).
            n: Number of rows.
            texts: Column -> free text of each row, None where it is missing.
        """
        columns: dict[str, pa.ChunkedArray] = {}
        for field in types:
            column = schema.columns[field.name]
            if isinstance(column, Identifier):
                columns[field.name] = _identifiers(column.pattern or "", field.type, n)
            elif isinstance(column, Text):
                columns[field.name] = _strings(texts[field.name], field.type)
            else:
                columns[field.name] = _decoded(column, points[field.name], field.type)  # type: ignore[arg-type]
        return cls(pa.table(columns, schema=types))

    @classmethod
    def of_marginal(
        cls,
        schema: Schema,
        codings: Mapping[str, Coding],
        marginal: Factor,
        error: Floats | None = None,
    ) -> Rows:
        """One row per cell: a label for each column, the expected number of rows, its standard error."""
        labels = [code_labels(schema.modelled[name], codings[name]) for name in marginal.columns]
        cells = np.indices(marginal.domain.shape).reshape(len(labels), -1).tolist()
        columns = {
            name: strings([names[code] for code in index])
            for name, names, index in zip(marginal.columns, labels, cells, strict=True)
        }
        counts = "rows" if "rows" not in columns else "expected rows"
        errors = "standard_error" if "standard_error" not in columns else "standard error of rows"
        values = pa.nulls(marginal.values.size, pa.float64()) if error is None else error.ravel()
        return cls(pa.table({**columns, counts: marginal.values.ravel(), errors: values}))

    def __len__(self) -> int:
        return self.table.num_rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows as an Arrow stream (PyCapsule interface)."""
        return self.table.__arrow_c_stream__(requested_schema)

    def write(self, path: str | Path) -> Path:
        """Write the rows to a file; the suffix says how (.parquet, .csv, .arrow, .feather).

        Rows that are not private can be read by their owner only (mode 0600) and say so: in the file's
        metadata, and where it can hold none, in a file beside it that is written first. Private rows
        written over them take that file away again.

        Raises:
            OutputError: If the file cannot be written; nothing is left half-written.
        """
        place = Path(path)
        if self.dp:
            write_table(self.table, place)
            remove_stamp(place)
            return place
        if not holds_metadata(place):
            write_stamp(place, NOT_PRIVATE)
        write_table(self.table, place, metadata={KEY: NO}, mode=PRIVATE_MODE)
        return place


def code_labels(column: Modelled, coding: Coding) -> list[str]:
    """A name for each code: an interval, a value, or ``(missing)`` and ``(other values)``."""
    if isinstance(column, Category | Boolean) and not getattr(column, "ordered", False):
        members = np.bincount(coding.groups)
        first = {int(code): cell for cell, code in reversed(list(enumerate(coding.groups)))}
        return [
            _label(column, int(coding.grid.starts[first[code]]))
            if members[code] == 1
            else f"({members[code]} rare values)"
            for code in range(coding.size)
        ]
    low, high = code_spans(coding)
    return [
        _label(column, a) if a == b else f"{_label(column, a)}..{_label(column, b)}"
        for a, b in zip(low.tolist(), high.tolist(), strict=True)
    ]


def _label(column: Modelled, point: int) -> str:
    if point == column.points:
        return "(other values)"
    if point > column.points:
        return "(missing)"
    return str(value_of(column, point))


def _decoded(column: Modelled, points: Ints, kind: pa.DataType) -> pa.ChunkedArray:
    starts = range(0, max(len(points), 1), BLOCK_ROWS)
    return pa.chunked_array(
        [decode(column, points[start : start + BLOCK_ROWS], kind) for start in starts], type=kind
    )


def _identifiers(pattern: str, kind: pa.DataType, n: int) -> pa.ChunkedArray:
    return _strings([pattern.format(n=number) for number in range(1, n + 1)], kind)


def _strings(values: Sequence[str | None], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([strings(values).cast(kind)], type=kind)
