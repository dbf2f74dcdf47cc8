"""What Arrow arrays of any type say, as plain numbers.

Text and dictionary arrays are read once per distinct value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tronie.tables.arrays import is_text, missing_of, plain_text, values_of, words_of
from tronie.tables.text import (
    DAY,
    Reading,
    floats_of_decimals,
    read_integers,
    read_moments,
    read_numbers,
    read_truths,
    whole_of_decimals,
    whole_of_floats,
)

Reader: TypeAlias = Callable[[pa.Array], Reading]

MICROSECONDS = {"s": 1_000_000, "ms": 1_000}
"""Of Arrow's time units that are coarser than a microsecond."""


def integers(array: pa.Array) -> Reading:
    """64-bit integers of an array of numbers, booleans or text."""
    return _read(array, _plain_integers, read_integers)


def numbers(array: pa.Array) -> Reading:
    """Floats of an array of numbers, booleans or text; narrow floats stay narrow."""
    return _read(array, _plain_numbers, read_numbers)


def truths(array: pa.Array) -> Reading:
    """Booleans of an array of booleans, numbers 0 and 1, or text."""
    return _read(array, _plain_truths, read_truths)


def moments(array: pa.Array) -> Reading:
    """Microseconds since 1970 (UTC where there is a zone) of dates, timestamps or ISO text."""
    return _read(array, _plain_moments, read_moments)


def days(array: pa.Array) -> Reading:
    """Days since 1970 (UTC where there is a zone) of dates, timestamps or ISO text."""
    reading = moments(array)
    return Reading(reading.values // DAY, reading.missing, reading.unreadable, reading.inexact)


def per_distinct(array: pa.DictionaryArray, reader: Reader) -> Reading:
    """Read a dictionary, then follow the array's pointers into it."""
    return reader(array.dictionary).take(values_of(array.indices), missing_of(array.indices))


def _read(array: pa.Array, plain: Reader, text: Reader) -> Reading:
    if pa.types.is_null(array.type):
        return Reading.of(np.zeros(len(array), np.int64), missing_of(array))
    if isinstance(array, pa.DictionaryArray):
        return per_distinct(array, lambda distinct: _read(distinct, plain, text))
    if is_text(array.type):
        return per_distinct(plain_text(array).dictionary_encode(), text)
    return plain(array)


def _plain_integers(array: pa.Array) -> Reading:
    missing = missing_of(array)
    if pa.types.is_decimal(array.type):
        whole = whole_of_decimals(*_words(array), array.type.scale)
        return Reading(whole.values, missing, whole.unreadable, whole.inexact & ~missing)
    values = values_of(array)
    if values.dtype.kind == "f":
        return whole_of_floats(values, missing)
    if values.dtype == np.uint64:
        top = np.iinfo(np.int64).max
        return Reading.of(np.minimum(values, top).astype(np.int64), missing, inexact=values > top)
    return Reading.of(values.astype(np.int64), missing)


def _plain_numbers(array: pa.Array) -> Reading:
    missing = missing_of(array)
    if pa.types.is_decimal(array.type):
        return Reading.of(floats_of_decimals(*_words(array), array.type.scale), missing)
    values = values_of(array)
    if values.dtype.kind != "f":
        return Reading.of(values.astype(np.float64), missing)
    return Reading.of(values, missing | np.isnan(values))


def _plain_truths(array: pa.Array) -> Reading:
    reading = _plain_numbers(array)
    values = reading.values == 1
    odd = ~values & (reading.values != 0) & ~reading.missing
    return Reading.of(values, reading.missing, unreadable=odd)


def _plain_moments(array: pa.Array) -> Reading:
    values = values_of(array).astype(np.int64)
    if pa.types.is_date32(array.type):
        moments = _times(values, DAY)
    elif pa.types.is_date64(array.type):
        moments = _times(values, MICROSECONDS["ms"])
    elif array.type.unit == "ns":
        moments = values // 1000
    else:
        moments = _times(values, MICROSECONDS.get(array.type.unit, 1))
    return Reading.of(moments, missing_of(array))


def _times(values: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    """The product, or a number beyond all years that a date can have."""
    limit = np.iinfo(np.int64).max // factor
    return np.clip(values, -limit, limit) * factor


def _words(array: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    wide = pa.decimal128(38, array.type.scale)
    return words_of(array if array.type.bit_width == 128 else array.cast(wide))
