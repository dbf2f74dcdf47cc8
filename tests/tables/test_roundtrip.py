"""Values come back as they went in: of every kind, in every type that can hold them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal as Exact
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.schema.columns import RESOLUTIONS, Boolean, Category, Date, Datetime, Decimal, Integer
from tronie.schema.points import value_of
from tronie.tables.codec import decode, encode, output_type

INT64 = st.integers(-(2**63), 2**63 - 1)
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]
INTEGERS += [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
EPOCH = dt.datetime(1970, 1, 1)


def check(column: Any, array: pa.Array) -> None:
    """Encoding and decoding gives the same array, of the same type."""
    index = encode("x", column, array)
    assert ((index >= 0) & (index <= column.points + 1)).all()
    back = decode(column, index, array.type)
    back.validate(full=True)
    assert back.type == array.type
    assert back.to_pylist() == array.to_pylist()
    assert (encode("x", column, back) == index).all()


def some(values: Any) -> Any:
    """Lists of values and missing ones."""
    return st.lists(st.none() | values, max_size=20)


@given(st.data(), st.sampled_from(INTEGERS))
def test_integers(data: st.DataObject, kind: pa.DataType) -> None:
    limits = np.iinfo(kind.to_pandas_dtype())
    top = min(int(limits.max), 2**63 - 1)
    low, high = sorted(data.draw(st.tuples(*[st.integers(int(limits.min), top)] * 2)))
    column = Integer(min=low, max=min(high, low + 2**53 - 1))
    check(column, pa.array(data.draw(some(st.integers(low, column.max))), kind))
    assert output_type(column, kind) == kind


@given(st.data(), st.sampled_from(FLOATS))
def test_integers_in_floats(data: st.DataObject, kind: pa.DataType) -> None:
    top = 2 ** {16: 11, 32: 24, 64: 51}[kind.bit_width]
    column = Integer(min=-top, max=top)
    values = data.draw(some(st.integers(-top, top)))
    dtype = kind.to_pandas_dtype()
    check(column, pa.array([None if v is None else dtype(v) for v in values], kind))
    assert output_type(column, kind) == kind


@given(st.data(), st.integers(1, 38), st.integers(0, 5))
def test_integers_in_decimals(data: st.DataObject, digits: int, scale: int) -> None:
    precision = min(38, digits + scale)
    top = min(10 ** (precision - scale) - 1, 2**51)
    column, kind = Integer(min=-top, max=top), pa.decimal128(precision, scale)
    values = data.draw(some(st.integers(-top, top)))
    check(column, pa.array([None if v is None else Exact(v) for v in values], kind))
    assert output_type(column, kind) == kind


@given(some(INT64), st.integers(-(2**62), 2**62))
def test_integers_as_text(values: list[int | None], low: int) -> None:
    column = Integer(min=low, max=low + 2**53 - 1)
    texts = [None if v is None else str(v) for v in values]
    index = encode("x", column, pa.array(texts, pa.string()))
    assert (index == encode("x", column, pa.array(values, pa.int64()))).all()
    natural = output_type(column, pa.string())
    assert natural == pa.int64()
    clipped = [None if v is None else min(max(v, low), column.max) for v in values]
    assert decode(column, index, natural).to_pylist() == clipped


@st.composite
def decimals(draw: st.DrawFn) -> Decimal:
    digits = draw(st.integers(0, 6))
    unit = Exact(1).scaleb(-digits)
    low = draw(st.integers(-(10**9), 10**9))
    steps, step = draw(st.integers(0, 10**9)), draw(st.sampled_from([1, 2, 5, 25, 3]))
    return Decimal(
        min=float(low * unit), max=float((low + steps * step) * unit), resolution=float(step * unit)
    )


@given(st.data(), decimals())
def test_decimals(data: st.DataObject, column: Decimal) -> None:
    """The floats are those nearest to the decimal numbers: the ones that their text is read as."""
    index = np.array(data.draw(st.lists(st.integers(0, column.points - 1), max_size=20)), np.int64)
    floats = decode(column, index, pa.float64())
    assert floats.to_pylist() == [value_of(column, point) for point in index.tolist()]
    check(column, floats)
    texts = pa.array([repr(value) for value in floats.to_pylist()], pa.string())
    assert (encode("x", column, texts) == index).all()


@given(st.data(), decimals(), st.integers(0, 12))
def test_decimals_in_decimals(data: st.DataObject, column: Decimal, scale: int) -> None:
    kind = pa.decimal128(38, scale)
    assert output_type(column, kind) == kind
    index = np.array(data.draw(st.lists(st.integers(0, column.points - 1), max_size=20)), np.int64)
    decoded = decode(column, index, kind)
    exact = [Exact(repr(value_of(column, point))) for point in index.tolist()]
    unit = Exact(1).scaleb(-scale)
    assert all(abs(a - b) * 2 <= unit for a, b in zip(decoded.to_pylist(), exact, strict=True))
    if column.exact_step >= 2 * unit:
        assert (encode("x", column, decoded) == index).all()


@given(
    st.floats(-1e15, 1e15), st.floats(1e-9, 1e15), st.lists(st.integers(0, 2**20 - 1), max_size=20)
)
def test_decimals_without_a_resolution(low: float, width: float, points: list[int]) -> None:
    column = Decimal(min=low, max=low + width)
    if column.points < 2 or column.step < 8 * np.spacing(max(abs(low), abs(low + width))):
        return
    index = np.array(points, np.int64)
    decoded = decode(column, index, pa.float64())
    assert all(column.min <= value <= column.max for value in decoded.to_pylist())
    expected = [value_of(column, point) for point in points]
    slack = 2 * np.spacing(max(abs(low), abs(low + width)))
    assert decoded.to_pylist() == pytest.approx(expected, rel=0, abs=slack)
    assert (encode("x", column, decoded) == index).all()


@given(st.floats(-1e9, 1e9), st.integers(0, 20), st.lists(st.integers(0, 2**20 - 1), max_size=20))
def test_decimals_without_a_resolution_in_decimals(
    low: float, scale: int, points: list[int]
) -> None:
    column = Decimal(min=low, max=low + 1000)
    index = np.array(points, np.int64)
    decoded = decode(column, index, pa.decimal128(38, scale)).to_pylist()
    floats = decode(column, index, pa.float64()).to_pylist()
    slack = Exact(1).scaleb(-scale) + 2 * Exact(float(np.spacing(abs(low) + 1000)))
    assert all(abs(a - Exact(b)) <= slack for a, b in zip(decoded, floats, strict=True))


@given(some(st.integers(0, 50)), st.sampled_from(INTEGERS))
def test_decimals_in_integers(values: list[int | None], kind: pa.DataType) -> None:
    column = Decimal(min=0, max=50, resolution=1)
    check(column, pa.array(values, kind))
    assert output_type(column, kind) == kind
    assert output_type(Decimal(min=0, max=1, resolution=0.5), kind) == pa.float64()


@given(some(st.dates()), st.dates(), st.dates())
def test_dates(values: list[dt.date | None], one: dt.date, other: dt.date) -> None:
    column = Date(min=min(one, other), max=max(one, other))
    inside = [None if v is None else min(max(v, column.min), column.max) for v in values]
    array = pa.array(inside, pa.date32())
    for kind in (pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("us", "UTC")):
        check(column, array.cast(pa.date32()).cast(kind))
        assert output_type(column, kind) == kind
    texts = pa.array([None if v is None else v.isoformat() for v in inside], pa.string())
    assert (encode("x", column, texts) == encode("x", column, array)).all()
    assert (encode("x", column, pa.array(values, pa.date32())) == encode("x", column, array)).all()


@given(
    some(st.datetimes()),
    st.datetimes(),
    st.datetimes(),
    st.sampled_from(sorted(RESOLUTIONS)),
    st.sampled_from([None, "UTC", "+02:00"]),
)
def test_datetimes(
    values: list[dt.datetime | None],
    one: dt.datetime,
    other: dt.datetime,
    resolution: Any,
    zone: str | None,
) -> None:
    least, most = min(one, other), max(one, other)
    if (most - least) / dt.timedelta(microseconds=RESOLUTIONS[resolution]) >= 2**53 - 1:
        most = least + dt.timedelta(days=100)
    column = Datetime(min=least, max=most, resolution=resolution)
    raw = encode("x", column, pa.array(values, pa.timestamp("us")))
    clipped = [
        None
        if v is None
        else least + (min(max(v, least), most) - least) // _step(column) * _step(column)
        for v in values
    ]
    decoded = decode(column, raw, pa.timestamp("us"))
    assert decoded.to_pylist() == clipped
    check(column, decoded.cast(pa.timestamp("us", zone)))
    texts = pa.array([None if v is None else v.isoformat() for v in values], pa.string())
    assert (encode("x", column, texts) == raw).all()


def _step(column: Datetime) -> dt.timedelta:
    return dt.timedelta(microseconds=column.step)


@given(some(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))))
def test_datetimes_of_any_unit(values: list[dt.datetime | None]) -> None:
    column = Datetime(min=dt.datetime(1700, 1, 1), max=dt.datetime(2200, 1, 1))
    whole = [None if v is None else v.replace(microsecond=0) for v in values]
    for unit in ("s", "ms", "us", "ns"):
        kind = pa.timestamp(unit)
        check(column, pa.array(whole, pa.timestamp("s")).cast(kind))
        assert output_type(column, kind) == kind


@given(some(st.booleans()), st.sampled_from([pa.bool_(), *INTEGERS, *FLOATS]))
def test_booleans(values: list[bool | None], kind: pa.DataType) -> None:
    numbers = [None if v is None else int(v) for v in values]
    array = pa.array(values, pa.bool_()) if kind == pa.bool_() else pa.array(numbers).cast(kind)
    check(Boolean(), array)
    assert output_type(Boolean(), kind) == kind


listed_texts = st.lists(st.text(max_size=5), min_size=1, max_size=30, unique=True)


@given(st.data(), listed_texts, st.sampled_from(TEXTS), st.booleans())
def test_categories_of_text(
    data: st.DataObject, listed: list[str], kind: pa.DataType, dictionary: bool
) -> None:
    values = pa.array(data.draw(some(st.sampled_from(listed))), pa.string()).cast(kind)
    column = Category(values=tuple(listed))
    check(column, values)
    if dictionary:
        for encoded in (pa.dictionary(pa.int8(), kind), pa.dictionary(pa.uint16(), kind, True)):
            assert output_type(column, encoded) == encoded
            index = encode("x", column, values)
            back = decode(column, index, encoded)
            back.validate(full=True)
            assert back.type == encoded
            assert back.to_pylist() == values.to_pylist()


@given(st.data(), st.lists(INT64, min_size=1, max_size=20, unique=True))
def test_categories_of_integers(data: st.DataObject, listed: list[int]) -> None:
    values = data.draw(some(st.sampled_from(listed)))
    column = Category(values=tuple(listed))
    check(column, pa.array(values, pa.int64()))
    texts = pa.array([None if v is None else str(v) for v in values], pa.string())
    assert decode(column, encode("x", column, texts), output_type(column, pa.string())).equals(
        pa.array(values, pa.int64())
    )


@given(
    st.data(),
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20, unique=True
    ),
)
def test_categories_of_floats(data: st.DataObject, listed: list[float]) -> None:
    values = data.draw(some(st.sampled_from(listed)))
    check(Category(values=tuple(listed)), pa.array(values, pa.float64()))


@given(some(st.sampled_from(["a", "b", "c", "d"])), st.sampled_from([None, "rest", "a"]))
def test_discovered_categories(values: list[str | None], label: str | None) -> None:
    column = Category(values=("a", "b"), other=True, other_label=label)
    index = encode("x", column, pa.array(values, pa.string()))
    expected = [v if v in ("a", "b", None) else label for v in values]
    for kind in (pa.string(), pa.dictionary(pa.int8(), pa.string())):
        back = decode(column, index, kind)
        back.validate(full=True)
        assert back.type == kind
        assert back.to_pylist() == expected


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.dictionary(pa.int8(), pa.string())])
def test_a_discovered_category_may_list_nothing(kind: pa.DataType) -> None:
    column = Category(values=(), other=True)
    back = decode(column, np.array([0, 1]), kind)
    assert back.type == kind
    assert back.to_pylist() == [None, None]


def test_no_rows_of_any_kind() -> None:
    columns: list[tuple[Any, list[pa.DataType]]] = [
        (Integer(min=0, max=9), [*INTEGERS, *FLOATS, pa.decimal128(5, 2)]),
        (Decimal(min=0, max=1, resolution=0.1), [*FLOATS, pa.decimal128(5, 2)]),
        (Date(min=dt.date(2024, 1, 1), max=dt.date(2024, 1, 9)), [pa.date32(), pa.timestamp("s")]),
        (Datetime(min=EPOCH, max=EPOCH), [pa.timestamp("ns"), pa.timestamp("s", "UTC")]),
        (Boolean(), [pa.bool_(), pa.int8(), pa.float32()]),
        (Category(values=("a",)), [*TEXTS, pa.dictionary(pa.int8(), pa.string())]),
    ]
    for column, kinds in columns:
        for kind in kinds:
            empty = decode(column, np.array([], np.int32), kind)
            assert (empty.type, len(empty)) == (kind, 0)
            check(column, empty)
            gone = decode(column, np.array([column.points + 1] * 2), kind)
            assert gone.to_pylist() == [None, None]
