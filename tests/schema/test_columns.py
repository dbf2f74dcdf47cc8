from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from schema_strategies import columns, ordered

from tronie.errors import SchemaError
from tronie.schema.columns import (
    FLOAT_POINTS,
    Boolean,
    Category,
    Column,
    Date,
    Datetime,
    Decimal,
    Identifier,
    Integer,
    OpenCategory,
    Ordered,
)
from tronie.schema.literals import exact, parse_date, parse_datetime

ADAPTER: TypeAdapter[Column] = TypeAdapter(Column)


def make(**fields: Any) -> Column:
    return ADAPTER.validate_python(fields)


@given(columns)
def test_a_column_is_rebuilt_from_its_own_fields(column: Column) -> None:
    assert repr(ADAPTER.validate_python(column.model_dump())) == repr(column)
    assert repr(ADAPTER.validate_json(column.model_dump_json())) == repr(column)


def test_points_of_each_kind() -> None:
    assert Category(values=("a", "b")).points == 2
    assert Boolean().points == 2
    assert Boolean().values == (False, True)
    assert Integer(min=-3, max=3).points == 7
    assert Decimal(min=0.1, max=0.3, resolution=0.1).points == 3
    assert Decimal(min=0, max=1).points == FLOAT_POINTS
    assert Decimal(min=2, max=2).points == 1
    assert Date(min=dt.date(2020, 2, 28), max=dt.date(2020, 3, 1)).points == 3
    moments = Datetime(min=dt.datetime(2020, 1, 1), max=dt.datetime(2020, 1, 1, 1))
    assert moments.points == 3601
    assert moments.step == 1_000_000


@pytest.mark.parametrize(
    ("top", "resolution", "points"), [(1, 0.35, 3), (1, 0.3, 4), (0.3, 0.1, 4)]
)
def test_no_point_of_a_decimal_lies_above_its_max(
    top: float, resolution: float, points: int
) -> None:
    assert Decimal(min=0, max=top, resolution=resolution).points == points


@given(ordered)
def test_bounds_make_a_lattice(column: Ordered) -> None:
    assert column.bounded
    assert column.points >= 1
    assert not type(column)().bounded


@pytest.mark.parametrize("kind", [Integer, Decimal, Date, Datetime])
def test_a_lattice_needs_bounds(kind: type[Integer]) -> None:
    with pytest.raises(SchemaError, match="no bounds"):
        _ = kind().points


def test_the_step_of_a_decimal_needs_bounds() -> None:
    with pytest.raises(SchemaError, match="no bounds"):
        _ = Decimal().step
    assert Decimal(min=0, max=1, resolution=0.1).exact_step == Fraction(1, 10)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "category", "values": []}, "at least one value"),
        ({"kind": "category", "values": ["a", "a"]}, "twice"),
        ({"kind": "category", "values": [float("nan")]}, "finite"),
        ({"kind": "category", "values": ["\ud800"]}, "valid text"),
        ({"kind": "category", "values": ["a"], "outside": "clip"}, "'missing' or 'error'"),
        ({"kind": "integer", "min": 1}, "both min and max"),
        ({"kind": "integer", "max": 1}, "both min and max"),
        ({"kind": "integer", "min": 2, "max": 1}, "min is above max"),
        ({"kind": "integer", "min": 0, "max": 2**60}, "too fine"),
        ({"kind": "integer", "min": 0, "max": 2**63}, "less than or equal"),
        ({"kind": "decimal", "min": 0, "max": 1, "resolution": 0}, "greater than 0"),
        ({"kind": "decimal", "min": 0, "max": 1, "resolution": 1e-17}, "too fine"),
        ({"kind": "decimal", "min": 0, "max": float("inf")}, "finite"),
        ({"kind": "decimal", "min": -1e308, "max": 1e308}, "too far apart"),
        ({"kind": "decimal", "min": 0, "max": 5e-324}, "too close"),
        ({"kind": "date", "min": 0, "max": 1}, "written as 2020-01-31"),
        ({"kind": "date", "min": "2020-1-1", "max": "2020-01-02"}, "written as 2020-01-31"),
        ({"kind": "date", "min": dt.datetime(2020, 1, 1), "max": None}, "written as"),
        ({"kind": "datetime", "min": 5, "max": 6}, "written as 2020-01-31T12:30:00"),
        ({"kind": "datetime", "min": "now", "max": "later"}, "written as 2020-01-31T12:30:00"),
        ({"kind": "integer", "outside": "missing", "nullable": False}, "needs nullable: true"),
        ({"kind": "category", "values": [1], "outside": "missing", "nullable": False}, "nullable"),
        ({"kind": "identifier", "pattern": "C-1"}, "running number"),
        ({"kind": "identifier", "pattern": "C-{m}"}, "one field n"),
        ({"kind": "identifier", "pattern": "C-{n:s}"}, "one field n"),
        ({"kind": "boolean", "values": [1]}, "Extra inputs"),
        ({"kind": "whole"}, "does not match"),
    ],
)
def test_refused_columns(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        make(**fields)


def test_columns_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Integer().min = 3  # type: ignore[misc]


def test_values_of_different_types_are_different() -> None:
    column = Category(values=(1, 1.0, True, "1"))
    assert [type(value) for value in column.values] == [int, float, bool, str]


def test_a_discovered_category_may_be_empty() -> None:
    assert Category(values=(), other=True).points == 0


def test_patterns_and_open_categories() -> None:
    assert Identifier(pattern="C-{n:06d}").pattern == "C-{n:06d}"
    assert OpenCategory(value_type="integer").kind == "open_category"


def test_datetimes_are_utc_without_a_zone() -> None:
    column = make(kind="datetime", min="2020-01-01T02:00:00+02:00", max=dt.date(2020, 1, 2))
    assert isinstance(column, Datetime)
    assert column.min == dt.datetime(2020, 1, 1)
    assert column.max == dt.datetime(2020, 1, 2)
    with pytest.raises(ValueError, match="written as"):
        parse_datetime("0001-01-01T00:00:00+02:00")


@given(st.dates())
def test_dates_as_text_come_back(day: dt.date) -> None:
    assert parse_date(day.isoformat()) == parse_date(day) == day
    assert parse_date(None) is None


@given(st.datetimes())
def test_datetimes_as_text_come_back(moment: dt.datetime) -> None:
    assert parse_datetime(moment.isoformat()) == parse_datetime(str(moment)) == moment
    assert parse_datetime(None) is None


@given(st.integers(-(10**12), 10**12), st.integers(0, 3))
def test_exact_reads_decimals(number: int, digits: int) -> None:
    assert exact(number / 10**digits) == Fraction(number, 10**digits)
