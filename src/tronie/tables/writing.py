"""Plain numbers as Arrow arrays of any type that can hold them; the inverse of `reading`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tronie.tables.arrays import Bools, Values, array_of, dtype_of, is_text, strings
from tronie.tables.reading import MICROSECONDS
from tronie.tables.text import DAY

Ints = NDArray[np.int64]
_LONGEST = 18
"""Digits that every 64-bit integer can have."""


def write_numbers(values: Values, arrow_type: pa.DataType, missing: Bools) -> pa.Array:
    """Integers, floats or booleans as one of Arrow's types of them.

    Args:
        values: Shape (rows,); whole where the type is of integers, 0 or 1 where it is of booleans.
        arrow_type: A type of integers, floats or booleans.
        missing: Where values are missing, shape (rows,).
    """
    return array_of(values.astype(dtype_of(arrow_type)), arrow_type, missing)


def write_scaled(values: Ints, scale: int, arrow_type: pa.DataType, missing: Bools) -> pa.Array:
    """The numbers ``values / 10**scale`` as floats, integers or decimals.

    Floats are the nearest there are, if `values` are below 2**53 and `scale` at most 22. Decimals
    with fewer digits after the point are rounded.
    """
    if not pa.types.is_decimal(arrow_type):
        return write_numbers(values / 10.0**scale if scale else values, arrow_type, missing)
    if arrow_type.scale < scale:
        unit = 10 ** (scale - arrow_type.scale)
        values, scale = (values + unit // 2) // unit, arrow_type.scale
    words = np.stack([values, values >> 63], axis=1)
    return pc.cast(array_of(words, pa.decimal128(38, scale), missing), arrow_type)


def write_floats(
    values: NDArray[np.float64], largest: float, arrow_type: pa.DataType, missing: Bools
) -> pa.Array:
    """Numbers of at most some size as floats or decimals, with as many digits as 64 bits hold."""
    if not pa.types.is_decimal(arrow_type):
        return write_numbers(values, arrow_type, missing)
    scale = min(arrow_type.scale, max(0, _LONGEST - math.ceil(math.log10(max(largest, 1.0)))))
    scaled = np.rint(values * 10.0**scale).astype(np.int64)
    return write_scaled(scaled, scale, arrow_type, missing)


def write_moments(values: Ints, arrow_type: pa.DataType, missing: Bools) -> pa.Array:
    """Microseconds since 1970 as dates or timestamps; what a type cannot hold is cut off."""
    if pa.types.is_date32(arrow_type):
        return array_of((values // DAY).astype(np.int32), arrow_type, missing)
    if pa.types.is_date64(arrow_type):
        units = values // DAY * (DAY // 1000)
    elif arrow_type.unit == "ns":
        units = values * 1000
    else:
        units = values // MICROSECONDS.get(arrow_type.unit, 1)
    return array_of(units, arrow_type, missing)


def write_labels(labels: Sequence[Any], at: Ints, arrow_type: pa.DataType) -> pa.Array:
    """Labels by their positions.

    Args:
        labels: Texts, or numbers where the type is of numbers.
        at: Position of each row's label, shape (rows,); -1 where it is missing.
        arrow_type: A type of texts or numbers, or a dictionary of such.
    """
    if not labels:
        return pa.nulls(len(at), arrow_type)
    missing = at < 0
    at = np.where(missing, 0, at)
    if pa.types.is_dictionary(arrow_type):
        indices = array_of(at.astype(np.int64), pa.int64(), missing)
        indices = pc.cast(indices, arrow_type.index_type)
        values = write_labels(labels, np.arange(len(labels)), arrow_type.value_type)
        return pa.DictionaryArray.from_arrays(indices, values, ordered=arrow_type.ordered)
    if is_text(arrow_type):
        values = strings([_written(label) for label in labels])
        return pc.cast(pc.take(values, array_of(at, pa.int64(), missing)), arrow_type)
    return write_numbers(np.array(labels)[at], arrow_type, missing)


def _written(label: Any) -> str:
    """A label as text: the texts of a column that mixes them with numbers."""
    return str(label).lower() if isinstance(label, bool) else str(label)
