"""Positions of values in a list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tronie.schema.columns import Value
from tronie.tables import reading
from tronie.tables.arrays import (
    Values,
    array_of,
    is_text,
    missing_of,
    plain_text,
    strings,
    values_of,
)
from tronie.tables.text import Reading

_INT64 = np.iinfo(np.int64)


def look_up(listed: Sequence[Value], array: pa.Array) -> Reading:
    """Position of each value of an array in a list.

    Text is looked for among the list's texts, then among its numbers, then among its truth values,
    so that one list serves a CSV file and a typed table alike.

    Args:
        listed: Distinct values.
        array: Of text, numbers or booleans, or a dictionary of such.

    Returns:
        Positions; `unreadable` where a value is not listed.
    """
    if isinstance(array, pa.DictionaryArray):
        return reading.per_distinct(array, lambda distinct: look_up(listed, distinct))
    if pa.types.is_null(array.type):
        return reading.integers(array)
    if not is_text(array.type):
        return _among_numbers(listed, array, (bool, int, float))
    text = plain_text(array)
    if all(isinstance(value, str) for value in listed):
        return _among_texts(listed, text)
    return reading.per_distinct(text.dictionary_encode(), lambda t: _among_all(listed, t))


def _among_all(listed: Sequence[Value], text: pa.Array) -> Reading:
    found = _among_texts(listed, text)
    found = _or_else(found, _among_numbers(listed, text, (int, float)))
    truth = reading.truths(text)
    numbers = Reading(truth.values.astype(np.int64), truth.missing, truth.unreadable, truth.inexact)
    return _or_else(found, _match(listed, numbers, (bool,)))


def _or_else(first: Reading, second: Reading) -> Reading:
    """What the first found, and elsewhere what the second did."""
    open_ = first.unreadable
    return Reading.of(
        np.where(open_, second.values, first.values),
        first.missing | (open_ & second.missing),
        unreadable=open_ & second.unreadable,
    )


def _among_texts(listed: Sequence[Value], text: pa.Array) -> Reading:
    at = [i for i, value in enumerate(listed) if isinstance(value, str)]
    found = pc.index_in(text, value_set=strings([str(listed[i]) for i in at]))
    missing = missing_of(text)
    return _positions(at, found, missing, missing_of(found) & ~missing)


def _among_numbers(
    listed: Sequence[Value], array: pa.Array, kinds: tuple[type[Value], ...]
) -> Reading:
    keys = [value for value in listed if type(value) in kinds]
    whole = all(not isinstance(x, float) and _INT64.min <= int(x) <= _INT64.max for x in keys)
    read = reading.integers(array) if whole else reading.numbers(array)
    return _match(listed, read, kinds)


def _match(listed: Sequence[Value], read: Reading, kinds: tuple[type[Value], ...]) -> Reading:
    """Positions of numbers among the list's values of some kinds."""
    at = [i for i, value in enumerate(listed) if type(value) in kinds]
    dtype = read.values.dtype
    keys = np.array([listed[i] for i in at], np.float64 if dtype.kind == "f" else np.int64)
    found = pc.index_in(_plain(read.values), value_set=_plain(keys.astype(dtype)))
    unlisted = (missing_of(found) | read.unreadable | read.inexact) & ~read.missing
    return _positions(at, found, read.missing, unlisted)


def _plain(values: Values) -> pa.Array:
    """An array in which equal numbers are equal: no negative zero, no half floats."""
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    values = values + values.dtype.type(0)
    return array_of(values, pa.from_numpy_dtype(values.dtype))


def _positions(at: list[int], found: pa.Array, missing: Values, unlisted: Values) -> Reading:
    if not at:
        return Reading.of(np.zeros(len(found), np.int64), missing, unreadable=~missing)
    position = np.where(missing_of(found), 0, values_of(found))
    return Reading.of(np.array(at, np.int64)[position], missing, unreadable=unlisted)
