from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_strategies import functions, modelled, ordered

from tronie.errors import SchemaError
from tronie.schema.columns import (
    Boolean,
    Category,
    Column,
    Date,
    Datetime,
    Decimal,
    Integer,
    Modelled,
    Ordered,
)
from tronie.schema.constraints import Function, Range
from tronie.schema.points import (
    axis,
    coordinate,
    function_points,
    point_of,
    range_points,
    region,
    value_of,
)
from tronie.schema.schema import Schema

TENTHS = Decimal(min=-1, max=1, resolution=0.1)
HOURS = Datetime(min=dt.datetime(2020, 1, 1), max=dt.datetime(2020, 1, 2), resolution="hour")
JANUARY = Date(min=dt.date(2020, 1, 1), max=dt.date(2020, 1, 31))


@given(modelled, st.data())
def test_values_and_points_are_inverse(column: Modelled, data: st.DataObject) -> None:
    point = data.draw(st.integers(0, column.points - 1))
    value = value_of(column, point)
    assert value is not None
    assert point_of(column, value) == point


@given(modelled)
def test_missing_values_come_last(column: Modelled) -> None:
    assert value_of(column, column.points + 1) is None
    if column.nullable:
        assert point_of(column, None) == column.points + 1
    else:
        with pytest.raises(SchemaError, match="missing values"):
            point_of(column, None)


@given(ordered, st.data())
def test_axis_and_coordinate_agree(column: Ordered, data: st.DataObject) -> None:
    point = data.draw(st.integers(0, min(column.points - 1, 10**6)))
    value = value_of(column, point)
    assert value is not None
    origin, step = axis(column)
    assert float(coordinate(column, value)) == pytest.approx(origin + step * point, rel=1e-12)


def test_decimals_are_the_nearest_doubles() -> None:
    assert [value_of(TENTHS, point) for point in (0, 9, 11, 13, 20)] == [-1.0, -0.1, 0.1, 0.3, 1.0]
    assert point_of(TENTHS, 0.34) == 13
    assert value_of(Decimal(min=0.1, max=0.7), 2**20 - 1) == 0.7


def test_datetimes_belong_to_the_point_before() -> None:
    assert point_of(HOURS, "2020-01-01T12:59:59") == 12
    assert point_of(HOURS, dt.date(2020, 1, 2)) == 24
    assert value_of(HOURS, 12) == dt.datetime(2020, 1, 1, 12)


def test_numbers_are_found_whatever_their_type_but_truth_is_none() -> None:
    column = Category(values=(1, 1.0, True, "1", 2.0, -0.0))
    assert [point_of(column, value) for value in (1, 1.0, True, "1", 2, 0)] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(SchemaError, match="False is not in the domain"):
        point_of(column, False)
    with pytest.raises(SchemaError, match="1 is not in the domain"):
        point_of(Boolean(), 1)


def test_unlisted_values_are_others_where_there_is_a_cell_for_them() -> None:
    column = Category(values=("a",), other=True, other_label="rest")
    assert point_of(column, "b") == 1
    assert value_of(column, 1) == "rest"
    assert value_of(column, 2) is None
    with pytest.raises(SchemaError, match="'b' is not in the domain"):
        point_of(Category(values=("a",)), "b")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Integer(min=0, max=9), 10),
        (Integer(min=0, max=9), 1.5),
        (Integer(min=0, max=9), True),
        (Integer(min=0, max=9), "1"),
        (TENTHS, 1.06),
        (TENTHS, float("nan")),
        (TENTHS, float("inf")),
        (JANUARY, "2020-02-01"),
        (JANUARY, "January"),
        (JANUARY, 3),
        (HOURS, "2019-12-31T23:59:59"),
        (HOURS, "noon"),
    ],
    ids=str,
)
def test_values_outside_the_domain(column: Ordered, value: Any) -> None:
    with pytest.raises(SchemaError):
        point_of(column, value)


@pytest.mark.parametrize("kind", [Integer, Decimal, Date, Datetime])
def test_what_needs_bounds(kind: type[Ordered]) -> None:
    with pytest.raises(SchemaError, match="no bounds"):
        axis(kind())


@given(ordered, st.data())
def test_a_range_holds_exactly_the_values_between(column: Ordered, data: st.DataObject) -> None:
    place = st.integers(0, column.points - 1)
    low, high = sorted([data.draw(place), data.draw(place)])
    probe = data.draw(place)
    wanted = Range.model_validate({"min": value_of(column, low), "max": value_of(column, high)})
    assert range_points(column, wanted) == (low, high)
    ((first, last),) = region(column, wanted)
    assert (first <= probe <= last) == (low <= probe <= high)
    assert region(column, Range()) == ((0, column.points - 1),)


def test_ranges_round_inwards() -> None:
    assert range_points(Integer(min=0, max=9), Range(min=1.5, max=3.5)) == (2, 3)
    assert range_points(TENTHS, Range(min=0.05, max=0.3)) == (11, 13)
    assert range_points(HOURS, Range(min="2020-01-01T00:00:01", max="2020-01-01T02:30")) == (1, 2)
    assert range_points(JANUARY, Range(min="2019-01-01", max="2020-01-02")) == (0, 1)


def test_regions_of_lists() -> None:
    column = Category(values=("a", "b", "c"))
    assert region(column, ("c", None, "a", "c")) == ((0, 0), (2, 2), (4, 4))
    assert region(Integer(min=10, max=19), (12, 19)) == ((2, 2), (9, 9))
    with pytest.raises(SchemaError, match="not in the domain"):
        region(column, ("d",))
    with pytest.raises(SchemaError, match="no value of the column"):
        region(Integer(min=0, max=9), Range(min=10))
    with pytest.raises(SchemaError, match="needs an ordered column"):
        region(column, Range())


def test_rules_beyond_a_found_domain_name_nothing() -> None:
    found = Category(values=("a",), other=True, origin="released", nullable=False)
    assert region(found, ("a", "b", None)) == ((0, 0),)
    ages = Integer(min=0, max=9, origin="released")
    assert region(ages, (3, 50, None)) == ((3, 3), (11, 11))
    assert region(ages, Range(min=10)) == ()
    assert region(ages, Range(min=-5, max=2)) == ((0, 2),)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_function_is_its_table(data: st.DataObject) -> None:
    columns: dict[str, Column] = {}
    rule = data.draw(functions(columns).filter(lambda rule: rule.table is not None))
    schema = Schema(name="x", columns=columns, constraints=(rule,))
    of, gives = columns[rule.of], columns[rule.gives]
    given_points = function_points(schema, rule)
    assert given_points.shape == (of.points + 2,)
    assert rule.table is not None
    for determining, determined in rule.table:
        if determining is not None:
            found = value_of(gives, int(given_points[point_of(of, determining)]))
            assert repr(found) == repr(determined)
    assert (given_points[of.points] >= 0) == getattr(of, "other", False)
    assert (given_points[of.points + 1] >= 0) == of.nullable
    assert (given_points <= gives.points + 1).all()


def function(of: Column, gives: Column, table: Any, **fields: Any) -> np.ndarray:
    rule = Function(of="a", gives="b", table=table, **fields)
    return function_points(
        Schema(name="x", columns={"a": of, "b": gives}, constraints=(rule,)), rule
    )


def test_missing_values_give_missing_values_unless_the_table_says_otherwise() -> None:
    ab, numbers = Category(values=("a", "b")), Integer(min=1, max=3)
    assert function(ab, numbers, (("a", 3), ("b", 1))).tolist() == [2, 0, -1, 4]
    assert function(ab, numbers, (("a", 3), ("b", 1), (None, 2))).tolist() == [2, 0, -1, 1]
    assert function(ab, numbers, (("a", None), ("b", 1))).tolist() == [4, 0, -1, 4]


def test_unlisted_values_give_what_missing_ones_give() -> None:
    some = Category(values=("a",), other=True, nullable=False)
    assert function(some, Boolean(), (("a", True),)).tolist() == [1, 3, -1]
    assert function(some, Boolean(nullable=False), (("a", True), (None, False))).tolist() == [
        1,
        0,
        -1,
    ]
    named = Category(values=("a",), other=True, other_label="rest", nullable=False)
    table = (("a", True), ("rest", False))
    assert function(named, Boolean(nullable=False), table).tolist() == [1, 0, -1]


def test_learned_tables_may_repeat_what_is_sampled_alike() -> None:
    of = Category(values=("a",), other=True, origin="released")
    gives = Category(values=("x",), other=True, nullable=False, origin="released")
    table = (("a", "x"), (None, None), (None, "x"))
    assert function(of, gives, table, origin="released").tolist() == [0, 0, 0]
    table = (("a", None), (None, "x"))
    assert function(of, gives, table, origin="released").tolist() == [1, 0, 0]


AB = Category(values=("a", "b"), nullable=False)


@pytest.mark.parametrize(
    ("of", "gives", "table", "what"),
    [
        (AB, Boolean(), (("a", True),), "leaves out 'b'"),
        (AB, Boolean(), (("a", True), ("b", True), ("a", True)), "lists 'a' twice"),
        (AB, Boolean(), (("a", True), ("c", True)), "'c' is not in the domain"),
        (AB, Boolean(), (("a", True), ("b", 1)), "1 is not in the domain"),
        (AB, Boolean(), (("a", True), ("b", True), (None, True)), "None is not in the domain"),
        (AB, Boolean(nullable=False), (("a", None), ("b", True)), "missing values"),
        (
            Boolean(),
            Boolean(nullable=False),
            ((True, True), (False, True)),
            "a missing value gives",
        ),
        (
            Category(values=("a",), other=True, nullable=False),
            Boolean(nullable=False),
            (("a", True),),
            "a missing value gives",
        ),
    ],
)
def test_refused_tables(of: Column, gives: Column, table: Any, what: str) -> None:
    with pytest.raises(SchemaError) as caught:
        function(of, gives, table)
    assert what in caught.value.what
    assert "constraint 1 (function)" in caught.value.what


def test_a_table_needs_listed_columns() -> None:
    schema = Schema(name="x", columns={"a": Integer(), "b": Integer()})
    with pytest.raises(SchemaError, match="cannot lead from integer to integer"):
        function_points(schema, Function(of="a", gives="b", table=()))
