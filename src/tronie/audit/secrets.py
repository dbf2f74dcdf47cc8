"""Combinations of values that no row of a table has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from tronie.errors import InputError
from tronie.schema.schema import Schema
from tronie.tables import reading
from tronie.tables.arrays import array_of, chunks_of
from tronie.tables.codec import decode, output_type
from tronie.tables.matching import comparable, row_keys

Secrets: TypeAlias = Callable[[int, np.random.Generator], pa.Table]
"""Draws a number of secrets: a table of the columns that make one up."""

ATTEMPTS = 20
"""How often secrets are drawn until enough are new."""

_DECIMALS = 6


def draw_secrets(
    rows: pa.Table,
    count: int,
    rng: np.random.Generator,
    schema: Schema | None,
    columns: Sequence[str] | None,
    secrets: Secrets | None = None,
) -> pa.Table:
    """Distinct secrets that are not in a table.

    Args:
        rows: The table.
        count: Number of secrets.
        rng: Source of randomness.
        schema: What the columns are.
        columns: Columns of a secret; all that can be compared, when not given.
        secrets: Draws them; else they are drawn evenly from lattices, ranges or listed values.

    Returns:
        A table of `count` rows and the secret's columns, in the types of the table.

    Raises:
        InputError: If there are too few combinations.
    """
    names = list(comparable([rows.slice(0, 0)], schema, columns).columns)
    kinds = pa.schema([rows.schema.field(name) for name in names])
    found = kinds.empty_table()
    for _ in range(ATTEMPTS):
        more = secrets(count, rng) if secrets else _drawn(rows, names, count, rng, schema)
        both = pa.concat_tables([found, more.select(names).cast(kinds)])
        known, keys = row_keys(comparable([rows, both], schema, names).tables)
        _, first = np.unique(keys, return_index=True)
        new = np.sort(first[~np.isin(keys[first], known)])
        found = both.take(pa.array(new[:count]))
        if found.num_rows == count:
            return found
    raise InputError(
        f"the columns {', '.join(map(repr, names))} hold too few values for {count} secrets.",
        "Name more columns, or ask for fewer secrets.",
    )


def _drawn(
    rows: pa.Table,
    names: Sequence[str],
    count: int,
    rng: np.random.Generator,
    schema: Schema | None,
) -> pa.Table:
    columns = {
        name: _in_range(rows[name], count, rng)
        if schema is None
        else _on_lattice(schema, name, rows[name].type, count, rng)
        for name in names
    }
    return pa.table(columns)


def _on_lattice(
    schema: Schema, name: str, kind: pa.DataType, count: int, rng: np.random.Generator
) -> pa.Array:
    column = schema.lattices[name]
    points = rng.integers(0, column.points, count)
    return decode(column, points, output_type(column, kind)).cast(kind)


def _in_range(column: pa.ChunkedArray, count: int, rng: np.random.Generator) -> pa.Array:
    """Numbers evenly between the least and the greatest; other values as often as one another."""
    kind = column.type
    if not pa.types.is_floating(kind) and not pa.types.is_integer(kind):
        distinct = column.unique()
        distinct = distinct.dictionary_decode() if pa.types.is_dictionary(kind) else distinct
        drawn = distinct.take(pa.array(rng.integers(0, len(distinct), count)))
        return drawn.cast(kind)
    parts = [reading.numbers(chunk) for chunk in chunks_of(column)]
    values = np.concatenate([part.values[~part.missing] for part in parts]).astype(np.float64)
    low, high = values.min(), values.max()
    if pa.types.is_integer(kind):
        whole = rng.integers(int(low), int(high) + 1, count)
        return array_of(whole, pa.int64()).cast(kind)
    digits = _digits(values)
    return array_of(np.round(rng.uniform(low, high, count), digits), pa.float64()).cast(kind)


def _digits(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> int:
    """Digits after the point that values are written with, `_DECIMALS` at most."""
    for digits in range(_DECIMALS):
        if np.allclose(values, np.round(values, digits), rtol=0, atol=1e-9):
            return digits
    return _DECIMALS
