"""Free text as it is read: each value by itself, and nothing in it is refused."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import SchemaMismatch
from tronie.schema.columns import Text
from tronie.schema.schema import Schema
from tronie.tables.compatibility import check_types
from tronie.tables.free_text import read_lines

COLUMN = Text(max_length=8)
VALUES = ["été", None, "two\nlines", " ", "", "a" * 20, "so  so"]
LINES = ["été", None, "two line", None, None, "a" * 8, "so so"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
    ids=str,
)
def test_strings_of_every_layout_are_read(kind: pa.DataType) -> None:
    array = pa.array(VALUES, pa.string()).dictionary_encode()
    array = array.cast(kind) if pa.types.is_dictionary(kind) else pa.array(VALUES, kind)
    assert read_lines(COLUMN, array) == LINES
    assert read_lines(COLUMN, array[2:6]) == LINES[2:6]
    assert read_lines(COLUMN, pa.chunked_array([array, array[:1], array[:0]])) == [*LINES, "été"]


def test_nulls_are_missing_or_empty() -> None:
    strict = Text(max_length=8, nullable=False)
    assert read_lines(COLUMN, pa.nulls(2)) == [None, None]
    assert read_lines(strict, pa.nulls(1)) == [""]
    assert read_lines(strict, pa.array(VALUES)) == [line or "" for line in LINES]


def test_bytes_that_are_no_text_are_left_out() -> None:
    ends = b"".join(n.to_bytes(4, "little") for n in (0, 4, 6))
    data = b"a\xff\xc3b\xff\xc3"
    array = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(ends), pa.py_buffer(data)])
    assert read_lines(COLUMN, array) == ["ab", None]


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=4), st.integers(1, 9))
def test_a_line_is_printable_and_short_and_its_own(texts: list[Any], limit: int) -> None:
    column = Text(max_length=limit)
    lines = read_lines(column, pa.array(texts, pa.string()))
    assert lines == [read_lines(column, pa.array([text], pa.string()))[0] for text in texts]
    for line in lines:
        assert line is None or (line.isprintable() and 1 <= len(line) <= limit)
        assert line is None or column.line(line) == line == line.strip()


@pytest.mark.parametrize("kind", [pa.int64(), pa.bool_(), pa.binary(), pa.list_(pa.string())])
def test_what_is_no_text_is_refused_before_a_row_is_read(kind: pa.DataType) -> None:
    schema = Schema(name="x", columns={"a": Text(max_length=5)})
    with pytest.raises(SchemaMismatch, match=r"'a' is of kind text, but of type"):
        check_types(schema, pa.schema([("a", kind)]))
    check_types(Schema(name="x", columns={"a": Text()}), pa.schema([("a", kind)]))
    check_types(schema, pa.schema([("a", pa.dictionary(pa.int8(), pa.string()))]))
