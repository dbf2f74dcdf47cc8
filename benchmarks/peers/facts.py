"""Public facts about a table, and its values as integer codes by them.

This module is read by the harness and by every runner, in each peer's own interpreter; it needs NumPy and
pyarrow only. The facts of a column are a dictionary:

* ``kind``: ``category`` or ``number``;
* ``values`` (category): all values, in their order; ``ordered``, whether it means something;
* ``min``, ``max``, ``resolution`` (number): the public lattice;
* ``nullable``: whether values may be missing.

Codes are a convention of this benchmark, the same for every peer that wants codes: a category's place in
the list; a number's place on its lattice where that has at most 128 points, else one of 32 bins of equal
width; and one more code for missing where that may be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Column = dict[str, Any]
Facts = dict[str, Column]

MOST_POINTS = 128
BINS = 32


def read(path: str | Path) -> Facts:
    """The facts in a file that the harness wrote, by column."""
    return json.loads(Path(path).read_text())


def points(column: Column) -> int:
    """How many values a column can take, missing not counted."""
    if column["kind"] == "category":
        return len(column["values"])
    return round((column["max"] - column["min"]) / column["resolution"]) + 1


def is_binned(column: Column) -> bool:
    """Whether codes stand for bins rather than values."""
    return column["kind"] == "number" and points(column) > MOST_POINTS


def size(column: Column) -> int:
    """How many codes a column has, that for missing included."""
    return (BINS if is_binned(column) else points(column)) + bool(column["nullable"])


def plain(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array, dictionaries decoded."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def positions(values: pa.ChunkedArray | pa.Array, column: Column) -> np.ndarray:
    """Places of values in a category's list; -1 for missing and for anything else."""
    array = plain(values)
    numeric = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    listed = pa.array(column["values"], pa.float64() if numeric else pa.string())
    found = pc.index_in(array.cast(listed.type), listed)
    return np.asarray(found.fill_null(-1)).astype(np.int64)


def numbers(values: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Numbers as float64; NaN where missing."""
    array = plain(values).cast(pa.float64())
    return np.array(array.fill_null(float("nan")), dtype=np.float64)


def encode(values: pa.ChunkedArray | pa.Array, column: Column) -> np.ndarray:
    """Codes of a column's values, int64. Numbers beyond the public range go to its nearest end.

    Raises:
        ValueError: If a value is missing or unknown that the facts do not allow.
    """
    if column["kind"] == "category":
        codes = positions(values, column)
        missing = codes < 0
    else:
        given = numbers(values)
        missing = np.isnan(given)
        steps = np.where(missing, 0.0, (given - column["min"]) / column["resolution"])
        place = np.clip(np.rint(steps).astype(np.int64), 0, points(column) - 1)
        codes = place * BINS // points(column) if is_binned(column) else place
    if missing.any() and not column["nullable"]:
        raise ValueError("a value is missing or unknown in a column that allows none")
    return np.where(missing, size(column) - 1, codes)


def decode(
    codes: np.ndarray, column: Column, kind: pa.DataType, rng: np.random.Generator
) -> pa.Array:
    """Values of codes; within a bin, each point of the lattice is as likely as another."""
    missing = codes == size(column) - 1 if column["nullable"] else np.zeros(len(codes), bool)
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = np.where(missing, 0, codes)
    if column["kind"] == "category":
        listed = pa.array(column["values"])
        return listed.take(pa.array(known, mask=missing)).cast(kind)
    if is_binned(column):
        total = points(column)
        first = -(-known * total // BINS)
        last = -(-(known + 1) * total // BINS)
        known = rng.integers(first, last)
    return on_lattice(known, column, kind, missing)


def on_lattice(
    place: np.ndarray, column: Column, kind: pa.DataType, missing: np.ndarray
) -> pa.Array:
    """Numbers at places of the public lattice."""
    value = column["min"] + place * column["resolution"]
    if pa.types.is_integer(kind):
        value = np.rint(value).astype(np.int64)
    return pa.array(value, mask=missing).cast(kind)


def nearest(values: np.ndarray, column: Column, kind: pa.DataType) -> pa.Array:
    """Numbers at the nearest point of the public lattice; missing where they are NaN."""
    missing = np.isnan(values)
    steps = (np.where(missing, column["min"], values) - column["min"]) / column["resolution"]
    place = np.clip(np.rint(steps).astype(np.int64), 0, points(column) - 1)
    return on_lattice(place, column, kind, missing)


def sizes(facts: Facts) -> dict[str, int]:
    """Number of codes by column."""
    return {name: size(column) for name, column in facts.items()}


def encode_table(table: pa.Table, facts: Facts) -> dict[str, np.ndarray]:
    """Codes of all columns."""
    return {name: encode(table[name], column) for name, column in facts.items()}


def decode_table(codes: dict[str, np.ndarray], facts: Facts, schema: pa.Schema) -> pa.Table:
    """A table with the columns and types of ``schema``."""
    rng = np.random.default_rng()
    return pa.table(
        {
            name: decode(
                np.asarray(codes[name]).astype(np.int64), column, schema.field(name).type, rng
            )
            for name, column in facts.items()
        }
    )
