"""NumPy views of Arrow arrays, and Arrow arrays of NumPy ones, buffer by buffer.

pyarrow's own roads (`Array.to_numpy`, `pyarrow.array`, `pyarrow.scalar`) import pandas wherever it is
installed, which costs half a second of CPU. These do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tronie.errors import SourceError

Bools: TypeAlias = NDArray[np.bool_]
Values: TypeAlias = NDArray[Any]


def values_of(array: pa.Array) -> Values:
    """The values of an array of numbers, booleans, days or moments; anything where one is missing.

    Args:
        array: Of a type of fixed width up to 64 bits. Days and moments become their integers,
            booleans 0 and 1.

    Returns:
        A view where the layout allows it, shape (len(array),); read-only.
    """
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.uint8())
    return _fixed(array, dtype_of(array.type), 1)


def words_of(array: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Low and high halves of the unscaled 128-bit integers of a decimal128 array."""
    words = _fixed(array, np.dtype(np.int64), 2).reshape(-1, 2)
    return words[:, 0].view(np.uint64), words[:, 1]


def missing_of(array: pa.Array) -> Bools:
    """Where values are missing, shape (len(array),)."""
    count = len(array)
    if pa.types.is_null(array.type):
        return np.ones(count, np.bool_)
    validity = array.buffers()[0] if array.null_count else None
    if validity is None:
        return np.zeros(count, np.bool_)
    bits = np.unpackbits(
        np.frombuffer(validity, np.uint8), count=array.offset + count, bitorder="little"
    )
    return bits[array.offset :] == 0


def array_of(values: Values, arrow_type: pa.DataType, missing: Bools | None = None) -> pa.Array:
    """An Arrow array of numbers, booleans, days or moments.

    Args:
        values: Of the width that `arrow_type` stores (bool for booleans, two int64 for a decimal128).
        arrow_type: The array's type.
        missing: Where values are missing, shape (rows,).
    """
    if values.dtype == np.bool_:
        data = np.packbits(values, bitorder="little")
    else:
        data = np.ascontiguousarray(values)
    validity = None
    if missing is not None and missing.any():
        validity = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(arrow_type, len(values), [validity, pa.py_buffer(data)])


def strings(values: Sequence[str | None]) -> pa.Array:
    """An Arrow array of large strings; None is a missing one."""
    encoded = [b"" if value is None else value.encode() for value in values]
    ends = np.cumsum([0, *(len(value) for value in encoded)], dtype=np.int64)
    there = np.array([value is not None for value in values], np.bool_)
    validity = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [validity, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def dtype_of(arrow_type: pa.DataType) -> np.dtype[Any]:
    """What numbers, booleans, days and moments are in NumPy; days and moments are integers."""
    is_ = pa.types
    if is_.is_boolean(arrow_type):
        return np.dtype(np.bool_)
    signed = is_.is_signed_integer(arrow_type) or is_.is_temporal(arrow_type)
    letter = "i" if signed else "u" if is_.is_integer(arrow_type) else "f"
    return np.dtype(f"{letter}{arrow_type.bit_width // 8}")


def is_text(arrow_type: pa.DataType) -> bool:
    """Whether values are strings, of whichever layout."""
    return any(arrow_type == text for text in (pa.string(), pa.large_string(), pa.string_view()))


def plain_text(array: pa.Array) -> pa.Array:
    """The same strings as large strings, which all of Arrow's functions know.

    Raises:
        SourceError: If a string is not valid UTF-8, which Parquet and Arrow files do not check.
    """
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        raise SourceError(
            "a column of text is not valid UTF-8.", "Write the table anew, its text as UTF-8."
        ) from None
    return pc.cast(array, pa.large_string())


def chunks_of(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """The pieces of an array."""
    return array.chunks if isinstance(array, pa.ChunkedArray) else [array]


def _fixed(array: pa.Array, dtype: np.dtype[Any], width: int) -> Values:
    """The data buffer from the array's first value to its last."""
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.empty(0, dtype)
    start = array.offset * width * dtype.itemsize
    return np.frombuffer(data, dtype, count=len(array) * width, offset=start)
