"""Tables side by side: equal values get equal numbers, and equal rows too. INTERNAL: it reads rows.

Values are compared by type. With a schema they are points of its lattices, so that 1, 1.0 and "1" in a
column of integers are one value. Without one, numbers are compared as numbers (in the narrower precision,
if one table has narrow floats), moments as moments, and text as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.errors import InputError, SchemaMismatch
from tronie.schema.columns import Modelled, is_nominal
from tronie.schema.grid import Ints
from tronie.schema.schema import Schema
from tronie.tables import reading
from tronie.tables.arrays import Bools, Values, chunks_of, is_text, plain_text
from tronie.tables.codec import encode
from tronie.tables.sources import Source, open_source

_MOST = 2**62
"""Row keys stay below this."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparable:
    """Tables whose values can be compared.

    Attributes:
        tables: One mapping for each table: column -> a number for each value, shape (rows,); equal
            numbers mean equal values, in this table and in the others.
        ordered: Columns whose numbers are in the order of the values.
        missing: Column -> the number that stands for a missing value.
    """

    tables: tuple[Mapping[str, Ints], ...]
    ordered: frozenset[str]
    missing: Mapping[str, int]

    @property
    def columns(self) -> tuple[str, ...]:
        """The compared columns."""
        return tuple(self.tables[0])


def comparable(
    tables: Sequence[Any], schema: Schema | None = None, columns: Sequence[str] | None = None
) -> Comparable:
    """Read tables so that their values can be compared.

    Args:
        tables: One or more tables, as for `tronie.fit`.
        schema: What the columns are. Columns that have no lattice are left out.
        columns: Compare these alone; all that every table has when not given.

    Raises:
        InputError: If there is no column to compare.
        SchemaMismatch: If a table lacks a column, or holds values outside a declared domain, or types
            that cannot be compared.
    """
    sources = [open_source(table) for table in tables]
    if schema is not None:
        return _by_lattice(sources, schema, columns)
    names = columns if columns is not None else _shared(sources)
    if not names:
        raise InputError("the tables have no column in common.", "Give tables of the same columns.")
    found = [_read(source, names) for source in sources]
    coded = {name: _value_codes(name, [table[name] for table in found]) for name in names}
    return Comparable(
        tuple(
            {name: codes.tables[place] for name, codes in coded.items()}
            for place in range(len(found))
        ),
        frozenset(name for name, codes in coded.items() if codes.ordered),
        {name: codes.missing for name, codes in coded.items()},
    )


def row_keys(tables: Sequence[Mapping[str, Ints]]) -> list[Ints]:
    """One number for each row; equal numbers mean equal rows, in one table or in two.

    Args:
        tables: Column -> numbers of its values, the same columns in each.

    Returns:
        For each table numbers from 0, shape (rows,).

    >>> one, two = row_keys([{"a": np.array([1, 2])}, {"a": np.array([2, 2, 3])}])
    >>> one.tolist(), two.tolist()
    ([0, 1], [1, 1, 2])
    """
    names = list(tables[0])
    sizes = [len(table[names[0]]) if names else 0 for table in tables]
    keys, most = np.zeros(sum(sizes), np.int64), 1
    for name in names:
        values, span = _from_zero(np.concatenate([table[name] for table in tables]))
        if most * span >= _MOST:
            keys, most = _compressed(keys)
        keys, most = keys * span + values, most * span
    return np.split(_compressed(keys)[0], np.cumsum(sizes)[:-1])


def read_points(table: Any, columns: Mapping[str, Modelled]) -> dict[str, Ints]:
    """Lattice indices of a table's columns, each of shape (rows,).

    Raises:
        SchemaMismatch: If the table lacks a column, or holds values outside its domain.
    """
    found = _read(open_source(table), list(columns))
    return {name: encode(name, c, found[name]).astype(np.int64) for name, c in columns.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Codes:
    """Numbers of one column's values in each table."""

    tables: tuple[Ints, ...]
    ordered: bool
    missing: int


def _by_lattice(
    sources: Sequence[Source], schema: Schema, columns: Sequence[str] | None
) -> Comparable:
    lattices = schema.lattices
    names = columns if columns is not None else list(lattices)
    unknown = [name for name in names if name not in lattices]
    if unknown or not names:
        raise InputError(
            f"the schema knows no values of {', '.join(map(repr, unknown)) or 'any column'}.",
            f"Choose among {', '.join(lattices) or 'the columns of another schema'}.",
        )
    chosen = {name: lattices[name] for name in names}
    return Comparable(
        tuple(read_points(source, chosen) for source in sources),
        frozenset(name for name, column in chosen.items() if not is_nominal(column)),
        {name: column.points + 1 for name, column in chosen.items()},
    )


def _shared(sources: Sequence[Source]) -> list[str]:
    """Columns that all tables have, in the order of the first."""
    return [n for n in sources[0].schema.names if all(n in s.schema.names for s in sources)]


def _read(source: Source, names: Sequence[str]) -> pa.Table:
    absent = [name for name in names if name not in source.schema.names]
    if absent:
        raise SchemaMismatch(
            f"a table lacks the column {absent[0]!r}.", "Compare tables that have the same columns."
        )
    schema = pa.schema([source.schema.field(name) for name in names])
    return pa.Table.from_batches(list(source.batches(list(names))), schema=schema)


def _value_codes(name: str, arrays: Sequence[pa.ChunkedArray]) -> _Codes:
    """Number the values of one column alike in all tables."""
    kinds = {kind for array in arrays if (kind := _kind(name, array.type))}
    if "moment" in kinds and "number" in kinds:
        raise SchemaMismatch(
            f"column {name!r} holds dates in one table and numbers in another.",
            "Give it the same type in all tables.",
        )
    if "moment" in kinds:
        return _number_codes([_joined(array, reading.moments) for array in arrays])
    if "number" in kinds:
        whole = all(_is_whole(array.type) for array in arrays)
        reader = reading.integers if whole else reading.numbers
        return _number_codes([_joined(array, reader) for array in arrays])
    return _text_codes(arrays)


def _kind(name: str, kind: pa.DataType) -> str:
    is_ = pa.types
    if is_.is_dictionary(kind):
        return _kind(name, kind.value_type)
    if is_.is_null(kind):
        return ""
    if is_text(kind):
        return "text"
    decimal = is_.is_decimal(kind) and kind.bit_width <= 128
    if is_.is_integer(kind) or is_.is_floating(kind) or is_.is_boolean(kind) or decimal:
        return "number"
    if is_.is_date(kind) or is_.is_timestamp(kind):
        return "moment"
    raise SchemaMismatch(
        f"column {name!r} is of type {kind}, which cannot be compared.", "Leave it out."
    )


def _is_whole(kind: pa.DataType) -> bool:
    is_ = pa.types
    if is_.is_dictionary(kind):
        return _is_whole(kind.value_type)
    return is_.is_integer(kind) or is_.is_boolean(kind) or is_.is_null(kind)


def _joined(array: pa.ChunkedArray, reader: reading.Reader) -> tuple[Values, Bools, Bools]:
    """Values, and where they are missing or unreadable."""
    parts = [reader(chunk) for chunk in chunks_of(array)] or [reader(pa.nulls(0))]
    return (
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.missing for part in parts]),
        np.concatenate([part.unreadable | part.inexact for part in parts]),
    )


def _number_codes(tables: Sequence[tuple[Values, Bools, Bools]]) -> _Codes:
    """Ranks of numbers; what cannot be read is equal to nothing in another table."""
    kinds = {values.dtype for values, _, _ in tables}
    floats = [kind for kind in kinds if kind.kind == "f"]
    kind = min(floats, key=lambda k: k.itemsize) if floats else np.dtype(np.int64)
    plain: list[Values] = []
    for values, missing, unreadable in tables:
        with np.errstate(over="ignore"):
            narrow = values.astype(kind) + kind.type(0)
        plain.append(np.where(missing | unreadable, kind.type(0), narrow))
    ranks, most = _compressed(np.concatenate(plain))
    found: list[Ints] = []
    start = 0
    for place, (values, missing, unreadable) in enumerate(tables):
        codes = ranks[start : start + len(values)]
        start += len(values)
        found.append(np.where(missing, most, np.where(unreadable, most + 1 + place, codes)))
    return _Codes(tuple(found), ordered=True, missing=most)


def _text_codes(arrays: Sequence[pa.ChunkedArray]) -> _Codes:
    parts = [
        plain_text(chunk.dictionary_decode() if isinstance(chunk, pa.DictionaryArray) else chunk)
        for array in arrays
        for chunk in chunks_of(array.cast(pa.large_string()) if _is_null(array) else array)
    ]
    joined = pa.chunked_array(parts, pa.large_string()).combine_chunks()
    whole = joined.dictionary_encode()
    read = reading.per_distinct(whole, lambda distinct: _places(len(distinct)))
    codes = np.where(read.missing, len(whole.dictionary), read.values).astype(np.int64)
    ends = np.cumsum([len(array) for array in arrays])[:-1]
    return _Codes(tuple(np.split(codes, ends)), ordered=False, missing=len(whole.dictionary))


def _is_null(array: pa.ChunkedArray) -> bool:
    return pa.types.is_null(array.type)


def _places(count: int) -> reading.Reading:
    return reading.Reading.of(np.arange(count), np.zeros(count, np.bool_))


def _from_zero(values: Ints) -> tuple[Ints, int]:
    """Numbers of the same values from 0, and one more than the largest."""
    if not len(values):
        return values, 1
    low, high = int(values.min()), int(values.max())
    if high - low >= 2**31:
        return _compressed(values)
    return values - low, high - low + 1


def _compressed(values: Values) -> tuple[Ints, int]:
    """Ranks of the distinct values, and how many there are."""
    distinct, ranks = np.unique(values, return_inverse=True)
    return ranks.astype(np.int64), max(len(distinct), 1)
