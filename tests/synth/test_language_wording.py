"""The words in which a language model reads and writes codes."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import schema_of

from tronie.schema.columns import Category, Date, Datetime, Decimal, Integer
from tronie.schema.grid import Coding, Grid
from tronie.synth.wording import LONGEST, distinct, plain, roundest, texts_of


def words(column: dict[str, Any], coding: Coding) -> tuple[str, ...]:
    return texts_of(schema_of({"x": column}), {"x": coding})["x"]


def identity(column: Any, cells: int) -> Coding:
    return Coding.identity(Grid.of(column, cells))


def test_a_value_is_written_as_it_is_and_rare_ones_together() -> None:
    column = {"kind": "category", "values": ["red", "blue, light", 3, "3", "missing"]}
    grid = Grid.of(Category.model_validate(column), 5)
    groups, weights = np.array([0, 1, 2, 3, 4, 5]), np.ones(6)
    expected = ("red", "blue; light", "3", "3 2", "missing", "missing 2")
    assert words(column, Coding(grid, groups, weights)) == expected
    rare = Coding(grid, np.array([0, 1, 2, 3, 3, 3]), weights)
    assert words(column, rare)[3] == "other"


def test_neighbours_of_an_ordered_category_have_the_likeliest_value() -> None:
    column = {"kind": "category", "values": ["low", "mid", "high"], "ordered": True}
    grid = Grid.of(Category.model_validate(column), 3)
    coding = Coding(grid, np.array([0, 1, 1, 2]), np.array([1.0, 2.0, 9.0, 1.0]))
    assert words(column, coding) == ("low", "high", "missing")


def test_values_that_were_not_listed_have_a_word() -> None:
    column = {"kind": "category", "values": ["a"], "other": True}
    coding = identity(Category.model_validate(column), 1)
    assert words(column, coding) == ("a", "other", "missing")
    assert words({**column, "other_label": "b"}, coding) == ("a", "b", "missing")


def test_truth_values_have_words() -> None:
    grid = Grid(np.arange(3))
    assert words({"kind": "boolean", "nullable": False}, Coding.identity(grid)) == ("False", "True")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("17", "24", "20"),
        ("-24", "-17", "-20"),
        ("95", "105", "100"),
        ("-1", "1", "0"),
        ("0.125", "0.1875", "0.16"),
        ("41.5", "41.5", "41.5"),
        ("1000000", "2999999", "2000000"),
    ],
)
def test_numbers_are_round(low: str, high: str, text: str) -> None:
    assert roundest(Fraction(low), Fraction(high)) == text


@given(low=st.decimals(-(10**6), 10**6, places=3), width=st.decimals(0, 10**5, places=3))
def test_a_round_number_lies_within_its_bin(low: Any, width: Any) -> None:
    found = Fraction(roundest(Fraction(low), Fraction(low + width)))
    assert low <= found <= low + width


@given(
    cells=st.integers(1, 60),
    low=st.integers(-1000, 1000),
    points=st.integers(1, 5000),
    resolution=st.sampled_from([None, 1, 0.5, 0.01]),
)
def test_texts_of_bins_are_distinct_numbers_within_them(
    cells: int, low: int, points: int, resolution: float | None
) -> None:
    if resolution == 1:
        column: Any = Integer(min=low, max=low + points)
    else:
        column = Decimal(min=low, max=low + points, resolution=resolution)
    coding = identity(column, cells)
    *texts, missing = words(column.model_dump(exclude={"guessed"}), coding)
    step = column.step if isinstance(column, Decimal) else 1
    edges = low + coding.grid.edges * step
    assert missing == "missing"
    assert len(set(texts)) == len(texts)
    for text, first, after in zip(texts, edges, edges[1:], strict=False):
        assert first - 1e-9 <= float(text) <= after + 1e-9


@pytest.mark.parametrize(
    ("low", "high", "cells", "expected"),
    [
        ("1990-01-01", "2009-12-31", 2, ("1995", "2004")),
        ("2000-02-10", "2000-06-10", 2, ("2000-03", "2000-05")),
        ("2000-02-02", "2000-02-05", 2, ("2000-02-02", "2000-02-04")),
        ("0999-01-01", "0999-01-01", 1, ("0999",)),
        ("9999-12-30", "9999-12-31", 1, ("9999-12-30",)),
    ],
)
def test_days_are_written_as_the_coarsest_that_begins_there(
    low: str, high: str, cells: int, expected: tuple[str, ...]
) -> None:
    column = Date.model_validate({"kind": "date", "min": low, "max": high, "nullable": False})
    assert words(column.model_dump(exclude={"guessed"}), identity(column, cells)) == expected


def test_moments_are_written_as_finely_as_they_need() -> None:
    column = Datetime(
        min=dt.datetime(2020, 1, 1, 22, 59, 59),
        max=dt.datetime(2020, 1, 1, 23, 0, 2),
        resolution="microsecond",
        nullable=False,
    )
    points = column.points
    grid = Grid(np.array([0, 1, 500_000, 1_000_001, 1_000_005, 2_000_001, points]))
    found = words(column.model_dump(exclude={"guessed"}), Coding.identity(grid))
    assert found == (
        "2020-01-01 22:59:59",
        "2020-01-01 22:59:59.250000",
        "2020-01-01 23h",
        "2020-01-01 23:00:00.000003",
        "2020-01-01 23:00:01",
        "2020-01-01 23:00:02",
    )


def test_texts_are_short_and_on_one_line() -> None:
    assert plain("a\tb\x00c") == "a b c"
    assert len(plain("long " * 50)) <= LONGEST
    assert plain("") == "empty"


@given(st.lists(st.sampled_from(["a", "a 2", "a 3", "b", "a 2 2"]), max_size=12))
def test_no_text_is_given_twice(texts: list[str]) -> None:
    found = distinct(texts)
    assert len(set(found)) == len(found) == len(texts)
    assert {text for text in texts if texts.count(text) == 1} <= set(found)
