"""What values become which lattice indices, and what becomes of those that have none."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import traceback
from decimal import Decimal as Exact
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tronie.errors import SchemaError, SchemaMismatch, SourceError
from tronie.schema.columns import Boolean, Category, Date, Datetime, Decimal, Integer
from tronie.tables.codec import decode, encode, numbers

SECRET = "s3cr3t"
AGES = Integer(min=17, max=90)
CENTS = Decimal(min=0, max=1, resolution=0.01)
DAYS = Date(min=dt.date(2024, 1, 1), max=dt.date(2024, 12, 31))
SECONDS = Datetime(min=dt.datetime(2024, 1, 1), max=dt.datetime(2024, 1, 2))
HOURS = SECONDS.model_copy(update={"resolution": "hour"})
COLOURS = Category(values=("red", "grün", "blue"))


def points(column: Any, values: Any, kind: Any = None) -> list[int]:
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, kind)
    return encode("column", column, array).tolist()


# --- integers ----------------------------------------------------------------------------------------

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]
UNSIGNED = [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]


@pytest.mark.parametrize("kind", [*INTEGERS, *UNSIGNED, *FLOATS, pa.decimal128(5, 1)])
def test_integers_of_any_type(kind: pa.DataType) -> None:
    values = [np.float16(v) for v in (17, 90, 42)] if kind == pa.float16() else [17, 90, 42]
    assert points(AGES, pa.array([*values, None], kind)) == [0, 73, 25, 75]
    assert points(AGES, pa.array([*values, None], kind)[1:]) == [73, 25, 75]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_integers_as_text(kind: pa.DataType) -> None:
    texts = ["17", " 90 ", "+42", "42.0", "4.2e1", "", "nan", None]
    assert points(AGES, texts, kind) == [0, 73, 25, 25, 25, 75, 75, 75]


def test_integers_of_pandas_with_missing_values() -> None:
    frame = pd.DataFrame(
        {"floats": [17.0, None, 42.0], "nullable": pd.array([17, None, 42], "Int32")}
    )
    for column in pa.table(frame).columns:
        assert points(AGES, column) == [0, 75, 25]


def test_integers_outside_are_clipped() -> None:
    assert points(AGES, [-(2**63), 2**63 - 1, 16, 91]) == [0, 73, 0, 73]
    assert points(AGES, [2**64 - 1, 0], pa.uint64()) == [73, 0]
    assert points(AGES, [float("inf"), float("-inf"), 1e300, 40.4]) == [73, 0, 73, 23]
    assert points(AGES, ["9" * 18, "-" + "9" * 19, "9" * 50, "1e999", "-inf"]) == [73, 0, 73, 73, 0]
    assert points(AGES, [Exact(10**30), Exact("17.6")], pa.decimal128(38, 1)) == [73, 1]


def test_integers_in_decimals_with_many_digits() -> None:
    exact = [Exact(20), Exact("20." + "0" * 19 + "1"), Exact(99999)]
    assert points(AGES, exact, pa.decimal128(38, 20)) == [3, 3, 73]
    assert points(AGES, [Exact(20)], pa.decimal128(5, -1)) == [3]


def test_integers_at_the_ends_of_64_bits() -> None:
    top, bottom = 2**63 - 1, -(2**63)
    high, low = Integer(min=top - 9, max=top), Integer(min=bottom, max=bottom + 9)
    for values in ([top, top - 9], [str(top), str(top - 9)], [Exact(top), Exact(top - 9)]):
        array = pa.array(values, pa.decimal128(38, 0)) if isinstance(values[0], Exact) else None
        assert points(high, array or values) == [9, 0]
        assert points(low, array or values) == [9, 9]
    assert points(high, [bottom, 0]) == [0, 0]
    assert points(high, [2**64 - 1, top - 1], pa.uint64()) == [9, 8]
    assert points(low, [bottom + 1, str(bottom)][:1]) == [1]
    assert points(low, [str(bottom), "-1e30"]) == [0, 0]


@pytest.mark.parametrize(
    "values",
    [[16], [91], [40.5], [float("inf")], ["16"], ["4.5"], [SECRET], ["9" * 30], ["1e30"]],
)
def test_the_policy_error_refuses_what_is_not_in_the_domain(values: list[Any]) -> None:
    strict = AGES.model_copy(update={"outside": "error"})
    with pytest.raises(SchemaMismatch, match="column 'age' holds values outside") as caught:
        encode("age", strict, pa.array(values))
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert not any(character.isdigit() for character in str(caught.value))


def test_the_policy_missing() -> None:
    lenient = AGES.model_copy(update={"outside": "missing"})
    assert points(lenient, [16, 17, None, 91]) == [75, 0, 75, 75]
    assert points(lenient, ["?", "17", "17.5"]) == [75, 0, 75]


def test_clipping_makes_the_unreadable_missing() -> None:
    assert points(AGES, ["?", "17", "$20"]) == [75, 0, 75]


def test_whether_a_value_is_readable_does_not_depend_on_others() -> None:
    texts = ["17", "1e400", "0x11", "٣", "1_0", "1,000", "--1", "1.2.3", "∞", "19 "]
    together = points(AGES, texts)
    assert together == [index for text in texts for index in points(AGES, [text])]


# --- missing values ----------------------------------------------------------------------------------

REQUIRED: list[tuple[Any, Any]] = [
    (AGES, 20),
    (CENTS, 0.5),
    (DAYS, dt.date(2024, 2, 1)),
    (SECONDS, dt.datetime(2024, 1, 1)),
    (COLOURS, "red"),
    (Boolean(), True),
]


@pytest.mark.parametrize(("column", "value"), REQUIRED)
def test_missing_values_need_a_nullable_column(column: Any, value: Any) -> None:
    strict = column.model_copy(update={"nullable": False})
    assert points(strict, [value]) == points(column, [value])
    assert points(column, [None, value])[0] == column.points + 1
    for policy in ("error", "clip", "missing"):
        settled = strict.model_copy(update={"outside": policy})
        with pytest.raises(SchemaMismatch, match=r"not nullable(.|\n)*nullable: true"):
            encode("column", settled, pa.array([None, value]))


@pytest.mark.parametrize(("column", "value"), REQUIRED)
def test_a_column_of_nulls_of_no_type(column: Any, value: Any) -> None:
    assert points(column, pa.nulls(3)) == [column.points + 1] * 3


def test_unreadable_values_need_a_nullable_column() -> None:
    with pytest.raises(SchemaMismatch, match="unreadable"):
        encode("age", AGES.model_copy(update={"nullable": False}), pa.array(["?"]))


@pytest.mark.parametrize(("column", "value"), REQUIRED)
def test_no_rows(column: Any, value: Any) -> None:
    empty = pa.array([value])[:0]
    assert points(column, empty) == []
    assert points(column, pa.chunked_array([], empty.type)) == []
    assert points(column, pa.chunked_array([[value], [None], []], empty.type)) == points(
        column, [value, None]
    )


def test_nan_is_missing() -> None:
    for kind in FLOATS:
        nan = np.array([np.nan], kind.to_pandas_dtype())
        assert points(AGES, pa.array(nan)) == [75]
        assert points(CENTS, pa.array(nan)) == [102]
        assert points(Boolean(), pa.array(nan)) == [3]
        assert points(Category(values=(1.5, 2.5)), pa.array(nan)) == [3]


# --- decimals ----------------------------------------------------------------------------------------


def test_decimals_go_to_the_nearest_point() -> None:
    assert points(CENTS, [0.07, 0.0749, 0.0751, 0.29, 1.0, None]) == [7, 7, 8, 29, 100, 102]
    assert points(CENTS, ["0.07", "7e-2", ".07", " 1 ", "nan"]) == [7, 7, 7, 100, 102]
    assert points(CENTS, [Exact("0.07"), Exact("0.99")], pa.decimal128(10, 2)) == [7, 99]
    assert points(CENTS, [0, 1]) == [0, 100]
    assert points(CENTS, [float("inf"), float("-inf"), 3.0, -1e308]) == [100, 0, 100, 0]


def test_decimals_in_narrow_floats_are_not_outside_for_their_rounding() -> None:
    strict = Decimal(min=0.1, max=0.7, resolution=0.1, outside="error")
    for kind in FLOATS:
        values = np.array([0.1, 0.3, 0.7], kind.to_pandas_dtype())
        assert points(strict, pa.array(values)) == [0, 2, 6]
    with pytest.raises(SchemaMismatch):
        points(strict, [0.7000001])


def test_decimals_of_a_resolution_that_does_not_divide_the_range() -> None:
    thirds = Decimal(min=0, max=1, resolution=0.3, outside="error")
    assert points(thirds, [0.0, 0.9, 1.0]) == [0, 3, 3]
    assert decode(thirds, np.arange(4), pa.float64()).to_pylist() == [0.0, 0.3, 0.6, 0.9]


def test_decimals_without_a_resolution() -> None:
    free = Decimal(min=-1, max=3)
    index = encode("x", free, pa.array([-1.0, 3.0, 1.0]))
    assert index.tolist() == [0, 2**20 - 1, 2**19]
    back = decode(free, np.arange(2**20), pa.float64())
    assert encode("x", free, back).tolist() == list(range(2**20))
    assert (back[0].as_py(), back[-1].as_py()) == (-1.0, 3.0)


def test_decimals_are_decoded_to_the_nearest_doubles() -> None:
    wide = Decimal(min=-10, max=10, resolution=0.001)
    back = decode(wide, np.arange(wide.points), pa.float64()).to_pylist()
    assert back == [float(f"{n / 1000:.3f}") for n in range(-10_000, 10_001)]


def test_decimals_beyond_what_doubles_can_count() -> None:
    huge = Decimal(min=-1e300, max=1e300, resolution=1e290)
    index = np.array([0, 1, huge.points // 2, huge.points - 1])
    back = decode(huge, index, pa.float64())
    assert (back[0].as_py(), back[3].as_py()) == (-1e300, 1e300)
    assert encode("x", huge, back).tolist() == index.tolist()


def test_a_point_has_one_value() -> None:
    one = Decimal(min=2.5, max=2.5)
    assert points(one, [2.5, 9.0, None]) == [0, 0, 2]
    assert decode(one, np.array([0, 2]), pa.float64()).to_pylist() == [2.5, None]


# --- dates and datetimes -----------------------------------------------------------------------------


def test_dates() -> None:
    day, last = dt.date(2024, 3, 1), dt.date(2024, 12, 31)
    for kind in (pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns")):
        assert points(DAYS, pa.array([day, last, None]).cast(kind)) == [60, 365, 367]
    assert points(DAYS, ["2024-03-01", "2024-12-31 23:59", "2024-02-30", ""]) == [60, 365, 367, 367]
    noon = dt.datetime(2024, 3, 1, 12)
    assert points(DAYS, [noon], pa.timestamp("us")) == [60]
    assert points(DAYS, [dt.date(1, 1, 1), dt.date(9999, 12, 31)]) == [0, 365]


def test_dates_before_1970() -> None:
    old = Date(min=dt.date(1900, 1, 1), max=dt.date(1969, 12, 31))
    assert points(old, [dt.datetime(1969, 12, 31, 23)], pa.timestamp("ms")) == [old.points - 1]
    assert points(old, [dt.date(1969, 12, 30)], pa.date64()) == [old.points - 2]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_datetimes_of_any_unit(unit: str) -> None:
    moment = dt.datetime(2024, 1, 1, 0, 1, 5)
    assert points(SECONDS, [moment, None], pa.timestamp(unit)) == [65, SECONDS.points + 1]
    assert points(HOURS, [dt.datetime(2024, 1, 1, 1, 59, 59)], pa.timestamp(unit)) == [1]


def test_datetimes_with_a_zone_are_moved_to_utc() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    moment = dt.datetime(2024, 1, 1, 3, tzinfo=zone)
    assert points(HOURS, [moment], pa.timestamp("s", "+02:00")) == [1]
    assert points(HOURS, ["2024-01-01T03:00+02:00", "2024-01-01T01:00Z"]) == [1, 1]


def test_datetimes_as_text() -> None:
    texts = ["2024-01-01", "2024-01-01T00:01:05", "2024-01-01 00:01:05.9", "2024-01-01T25:00", ""]
    null = SECONDS.points + 1
    assert points(SECONDS, texts) == [0, 65, 65, null, null]


def test_datetimes_far_away_are_clipped() -> None:
    last = SECONDS.points - 1
    for unit in ("s", "ms", "us", "ns"):
        ends = pa.array([-(2**63) + 1, 2**63 - 1]).cast(pa.timestamp(unit))
        assert points(SECONDS, ends) == [0, last]
        assert points(DAYS, ends) == [0, DAYS.points - 1]
    ends = pa.array([-(2**31), 2**31 - 1], pa.int32()).cast(pa.date32())
    assert points(SECONDS, ends) == [0, last]


def test_steps_count_from_the_least_moment() -> None:
    odd = Datetime(
        min=dt.datetime(2024, 1, 1, 0, 30), max=dt.datetime(2024, 1, 1, 3), resolution="hour"
    )
    moments = [dt.datetime(2024, 1, 1, 1, 29), dt.datetime(2024, 1, 1, 1, 30), odd.max]
    assert points(odd, moments) == [0, 1, 2]


# --- categories and booleans -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string()),
    ],
)
def test_categories_of_text(kind: pa.DataType) -> None:
    lenient = COLOURS.model_copy(update={"outside": "missing"})
    array = pa.array(["blue", None, "grün", "Red", "red"], pa.string()).cast(kind)
    assert points(lenient, array) == [2, 4, 1, 4, 0]
    assert points(lenient, array[2:]) == [1, 4, 0]


def test_categories_of_frames() -> None:
    values = ["red", None, "blue"]
    frames = (
        pd.DataFrame({"s": values, "c": pd.Categorical(values)}),
        pl.DataFrame({"s": values, "c": pl.Series(values, dtype=pl.Categorical)}),
        pl.DataFrame({"e": pl.Series(values, dtype=pl.Enum(["red", "grün", "blue"]))}),
    )
    for frame in frames:
        for column in pa.table(frame).columns:
            assert points(COLOURS, column) == [0, 4, 2]


def test_an_unlisted_value_has_a_cell_in_a_discovered_category() -> None:
    found = Category(values=("red",), other=True)
    assert points(found, ["red", "violet", None]) == [0, 1, 2]
    assert points(Category(values=(), other=True), ["red", None]) == [0, 1]
    assert points(Category(values=(), other=True), [5, None]) == [0, 1]
    assert points(Category(values=(5,), other=True), [5, 6, None]) == [0, 1, 2]


def test_an_unlisted_value_is_not_named() -> None:
    with pytest.raises(SchemaMismatch, match="List all values") as caught:
        points(COLOURS, ["red", SECRET])
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_categories_of_numbers() -> None:
    codes = Category(values=(3, 1, 2), outside="missing")
    for kind in (*INTEGERS, *UNSIGNED, pa.float32(), pa.float64(), pa.decimal128(3, 0)):
        assert points(codes, [1, 2, 3, None, 4], kind) == [1, 2, 0, 4, 4]
    assert points(codes, [1.5, 1.0]) == [4, 1]
    assert points(codes, ["1", "2.0", " 3", "x", "", None]) == [1, 2, 0, 4, 4, 4]
    halves = Category(values=(0.0, 0.1, 2), outside="missing")
    for kind in FLOATS:
        assert points(halves, pa.array(np.array([0.1, -0.0, 2], kind.to_pandas_dtype()))) == [
            1,
            0,
            2,
        ]
    assert points(halves, ["0.1", "2", "-0"]) == [1, 2, 0]
    assert points(halves, [2, 0]) == [2, 0]


def test_categories_of_large_numbers_are_exact() -> None:
    big = Category(values=(2**62, 2**62 + 1), outside="missing")
    assert points(big, [2**62 + 1, 2**62, 2**62 + 2]) == [1, 0, 3]
    assert points(big, [str(2**62 + 1)]) == [1]


def test_categories_of_truth_values() -> None:
    column = Category(values=(True, False))
    assert points(column, [True, False, None]) == [0, 1, 3]
    assert points(column, ["true", "False", "yes", "0"]) == [0, 1, 0, 1]


def test_categories_of_mixed_types_read_text_first() -> None:
    mixed = Category(values=("1", 2, True, "none"), outside="missing")
    assert points(mixed, ["1", "2", "true", "none", "3"]) == [0, 1, 2, 3, 5]


def test_ten_thousand_categories() -> None:
    many = Category(values=tuple(f"wörd {n}" for n in range(10_000)))
    index = np.random.default_rng(0).integers(0, 10_000, 50_000)
    array = decode(many, index, pa.dictionary(pa.int32(), pa.string()))
    assert (encode("c", many, array) == index).all()
    assert (encode("c", many, array.cast(pa.string())) == index).all()


@pytest.mark.parametrize("kind", [pa.bool_(), *INTEGERS, *UNSIGNED, pa.float32(), pa.float64()])
def test_booleans_of_any_type(kind: pa.DataType) -> None:
    assert points(Boolean(), pa.array([1, 0, None]).cast(kind)) == [1, 0, 3]


def test_booleans_as_text() -> None:
    texts = ["true", "FALSE", "Yes", "no", "1", "0", "1.0", "", None]
    assert points(Boolean(), texts) == [1, 0, 1, 0, 1, 0, 1, 3, 3]
    for value in ("maybe", "2", SECRET):
        with pytest.raises(SchemaMismatch, match="lists its values"):
            points(Boolean(), [value])
    with pytest.raises(SchemaMismatch):
        points(Boolean(), [0, 2])


# --- dictionaries, damage, bounds ---------------------------------------------------------------------


def test_dictionaries_of_anything() -> None:
    for column, values in (
        (AGES, [20, None, 30]),
        (DAYS, [dt.date(2024, 2, 1), None, dt.date(2024, 2, 2)]),
        (CENTS, ["0.5", None, "0.25"]),
    ):
        plain = pa.array(values)
        assert points(column, plain.dictionary_encode()) == points(column, plain)
    nothing = pa.array([None, None], pa.string()).dictionary_encode()
    assert points(AGES, nothing) == [75, 75]
    holes = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array([20, None]))
    assert points(AGES, holes) == [3, 75, 75]


def test_text_that_is_not_utf8_is_refused_without_its_bytes() -> None:
    data = SECRET.encode() + b"\xff"
    offsets = np.array([0, len(data)], np.int32)
    array = pa.StringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(data))
    for column in (AGES, CENTS, DAYS, COLOURS, Boolean()):
        with pytest.raises(SourceError, match="UTF-8") as caught:
            points(column, array)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_type_that_cannot_hold_the_kind() -> None:
    for column, array in (
        (AGES, pa.array([dt.date(2024, 1, 1)])),
        (DAYS, pa.array([1])),
        (COLOURS, pa.array([1])),
        (Boolean(), pa.array([[True]])),
        (AGES, pa.array([b"20"])),
    ):
        with pytest.raises(SchemaMismatch, match=r"'column' is declared as .* but is of type"):
            points(column, array)


def test_an_ordered_column_needs_bounds() -> None:
    for column in (Integer(), Decimal(), Date(), Datetime()):
        with pytest.raises(SchemaError, match="bounds"):
            points(column, pa.nulls(1))


def test_indices_are_as_narrow_as_they_can_be() -> None:
    for points_, dtype in ((2**31 - 2, np.int32), (2**31 - 1, np.int64), (2**53, np.int64)):
        column = Integer(min=1, max=points_)
        index = encode("x", column, pa.array([1, points_, None]))
        assert index.dtype == dtype
        assert index.tolist() == [0, points_ - 1, points_ + 1]


def test_values_as_numbers() -> None:
    origin = dt.datetime(2025, 1, 1)
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert numbers(Integer(), pa.array(["3", "x", None]), origin).tolist() == [3.0, nan, nan]
    assert numbers(Decimal(), pa.array([0.5, float("inf")]), origin).tolist() == [0.5, float("inf")]
    days = pa.chunked_array([[dt.date(2025, 1, 3)], [dt.date(2024, 12, 31)]])
    assert numbers(Date(), days, origin).tolist() == [2.0, -1.0]
    moments = pa.array(["2025-01-01T00:00:01", "soon"])
    assert numbers(Datetime(), moments, origin).tolist() == [1e6, nan]
    assert numbers(Integer(), pa.nulls(2), origin).tolist() == [nan, nan]


# --- cost --------------------------------------------------------------------------------------------


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, datetime as dt, numpy as np, pyarrow as pa\n"
        "from tronie.schema.columns import *\n"
        "from tronie.tables.arrays import strings\n"
        "from tronie.tables.codec import decode, encode\n"
        "from tronie.tables.counting import count_keys\n"
        "columns = [(Integer(min=0, max=9), '3', pa.int64()), (Boolean(), 'yes', pa.bool_()),\n"
        "  (Decimal(min=0, max=1, resolution=.1), '.3', pa.decimal128(5, 2)),\n"
        "  (Date(min=dt.date(2024,1,1), max=dt.date(2025,1,1)), '2024-02-01', pa.date32()),\n"
        "  (Category(values=('a', 'b')), 'b', pa.dictionary(pa.int8(), pa.string())),\n"
        "  (Category(values=('a', 'b')), 'b', pa.string()), (Category(values=(1, 2)), '2', pa.int8())]\n"
        "for column, text, kind in columns:\n"
        "    index = encode('x', column, strings([text]))\n"
        "    assert index[0] < column.points, column\n"
        "    assert decode(column, index, kind).null_count == 0\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
