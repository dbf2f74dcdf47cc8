"""Free text as it is read: each value by itself, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tronie.schema.columns import Text
from tronie.tables.arrays import chunks_of, missing_of


def read_lines(column: Text, array: pa.Array | pa.ChunkedArray) -> list[str | None]:
    r"""The text of each row, on one line and cut to the column's length; None where it is missing.

    Nothing that a text holds is refused, so that no error can tell anything about it: bytes that are not
    UTF-8 are left out, and a blank is a missing text, or an empty one if the column is not nullable.

    Args:
        column: How long a text may be.
        array: Strings of any layout, dictionaries of such, or nulls.

    >>> read_lines(Text(max_length=5), pa.array(["so\nlong", " ", None]))
    ['so lo', None, None]
    """
    nothing = None if column.nullable else ""
    return [
        nothing if content is None else column.line(content.decode("utf-8", "ignore")) or nothing
        for chunk in chunks_of(array)
        for content in _contents(chunk)
    ]


def _contents(array: pa.Array) -> Iterator[bytes | None]:
    """The bytes of each string, which nothing has checked."""
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    missing = missing_of(array)
    if pa.types.is_null(array.type) or not len(array):
        yield from [None] * len(array)
        return
    wide = pc.cast(array, pa.large_binary())
    _, ends, data = wide.buffers()
    bounds = np.frombuffer(ends, np.int64, count=len(wide) + 1, offset=8 * wide.offset)
    content = memoryview(data or b"")
    for row, absent in enumerate(missing.tolist()):
        yield None if absent else bytes(content[bounds[row] : bounds[row + 1]])
