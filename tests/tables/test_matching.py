"""Tables side by side."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import InputError, SchemaMismatch
from tronie.schema.schema import Schema
from tronie.tables.matching import comparable, read_points, row_keys
from tronie.tables.vectors import MOST_VALUES, vectors


def equal(one: pa.Array, two: pa.Array) -> list[bool]:
    """Whether values of two columns count as equal, place by place."""
    found = comparable([pa.table({"x": one}), pa.table({"x": two})])
    left, right = found.tables
    return (left["x"] == right["x"]).tolist()


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (pa.array([1, 2, None]), pa.array([1.0, 2.5, float("nan")]), [True, False, True]),
        (pa.array([0.1], pa.float64()), pa.array([0.1], pa.float32()), [True]),
        (pa.array([0.1], pa.float64()), pa.array([0.1000001], pa.float64()), [False]),
        (pa.array([-0.0]), pa.array([0.0]), [True]),
        (pa.array([True, False]), pa.array([1, 1]), [True, False]),
        (pa.array([2**53 + 1]), pa.array([2**53]), [False]),
        (pa.array(["1", "x", None]), pa.array([1, 2, None]), [True, False, True]),
        (pa.array(["x", "x"]), pa.array([None, None], pa.null()), [False, False]),
        (pa.array(["a", "b"]), pa.array(["a", "c"]).dictionary_encode(), [True, False]),
        (pa.array([decimal.Decimal("1.50")]), pa.array([1.5]), [True]),
        (pa.array([7]).dictionary_encode(), pa.array([7]), [True]),
        (
            pa.array([dt.date(2020, 1, 2)]),
            pa.array([dt.datetime(2020, 1, 2)], pa.timestamp("ns")),
            [True],
        ),
        (pa.array([None, None], pa.null()), pa.array([None, None], pa.null()), [True, True]),
    ],
)
def test_values_are_compared_by_type(one: pa.Array, two: pa.Array, same: list[bool]) -> None:
    assert equal(one, two) == same


def test_unreadable_values_match_nothing_in_another_table() -> None:
    text = pa.table({"x": ["odd", "1"]})
    found = comparable([text, text, pa.table({"x": [1, 2]})])
    assert found.tables[0]["x"][0] != found.tables[1]["x"][0]
    assert found.tables[0]["x"][1] == found.tables[2]["x"][0]


def test_dates_and_numbers_are_not_compared() -> None:
    dates, numbers = pa.table({"x": [dt.date(2020, 1, 1)]}), pa.table({"x": [1]})
    with pytest.raises(SchemaMismatch, match="dates in one table and numbers"):
        comparable([dates, numbers])


def test_types_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(SchemaMismatch, match="cannot be compared"):
        comparable([pa.table({"x": [[1, 2]]})])


def test_columns_in_common_are_compared_and_absent_ones_refused() -> None:
    one, two = pa.table({"a": [1], "b": [2]}), pa.table({"c": [2], "b": [2]})
    assert comparable([one, two]).columns == ("b",)
    with pytest.raises(SchemaMismatch, match="lacks the column 'a'"):
        comparable([one, two], columns=["a"])
    with pytest.raises(InputError, match="no column in common"):
        comparable([one, pa.table({"c": [1]})])


SCHEMA = Schema.model_validate(
    {
        "name": "x",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 9},
            "cost": {"kind": "decimal", "min": 0, "max": 1, "resolution": 0.1},
            "town": {"kind": "category", "values": ["Delft", "Gouda"]},
            "id": {"kind": "identifier"},
        },
    }
)


def test_with_a_schema_values_are_lattice_points() -> None:
    one = pa.table({"age": [3, 12], "cost": [0.31, 0.3], "town": ["Delft", None], "id": ["a", "b"]})
    two = pa.table({"age": ["3", "9"], "cost": [0.3, 0.34], "town": ["Delft", None]})
    found = comparable([one, two], SCHEMA)
    assert found.columns == ("age", "cost", "town")
    assert found.ordered == {"age", "cost"}
    keys = row_keys(found.tables)
    assert keys[0].tolist() == keys[1].tolist()
    assert found.tables[0]["town"][1] == found.missing["town"]
    assert read_points(one, {"age": SCHEMA.lattices["age"]})["age"].tolist() == [3, 9]
    with pytest.raises(InputError, match="knows no values of 'id'"):
        comparable([one, two], SCHEMA, ["id"])


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2**62), st.sampled_from([0, 2**40]))),
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2**62), st.sampled_from([0, 2**40]))),
)
def test_keys_are_equal_where_rows_are(one: list[Any], two: list[Any]) -> None:
    tables = [
        {
            f"c{i}{j}": np.array([row[i] for row in rows], np.int64)
            for j in range(3)
            for i in range(3)
        }
        for rows in (one, two)
    ]
    keys = [key for table in row_keys(tables) for key in table.tolist()]
    rows = one + two
    assert len(set(keys)) == len(set(rows))
    assert len(set(zip(keys, rows, strict=True))) == len(set(rows))


def test_no_columns_give_no_keys() -> None:
    assert [keys.tolist() for keys in row_keys([{}, {}])] == [[], []]


def test_vectors_put_unlike_rows_apart() -> None:
    rng = np.random.default_rng(1)
    rows = 4000
    table = pa.table(
        {
            "skewed": rng.lognormal(0, 3, rows),
            "town": rng.choice(["a", "b", "c"], rows),
            "holes": pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.5),
        }
    )
    (found,) = vectors(comparable([table]))
    assert found.shape == (rows, 1 + 3 + 2)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    assert found[:, 0].std() == pytest.approx(1.0, abs=0.01)
    two = np.unique(found[:, 1:4], axis=0)
    assert ((two[0] - two[1]) ** 2).sum() == pytest.approx(2.0)
    few, again = vectors(comparable([table, table.slice(0, 10)]), dimensions=2)
    assert few.shape == (rows, 2)
    np.testing.assert_allclose(few[:10], again)


def test_rare_values_share_the_origin() -> None:
    table = pa.table({"word": [f"w{i}" for i in range(100)] + ["common"] * 50})
    (found,) = vectors(comparable([table]))
    assert found.shape[1] == MOST_VALUES
    assert len(np.unique(found.round(9), axis=0)) == MOST_VALUES + 1
