"""Gretel's score by its published formulas."""

from __future__ import annotations

import datetime as dt
import math
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tronie.evaluate.gretel import (
    EMPTY,
    GretelScore,
    combine,
    correlation_score,
    correlations,
    distribution_score,
    grade,
    gretel,
    jensen_shannon,
    numeric_distance,
    structure_score,
    theils_u,
)
from tronie.evaluate.tables import Tables, read_tables
from tronie.schema.grid import Floats
from tronie.schema.schema import Schema

weights = arrays(np.float64, 6, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0]))


@given(weights, weights)
def test_the_distance_is_scipys(one: Floats, two: Floats) -> None:
    found = jensen_shannon(one, two)
    if one.any() and two.any():
        assert found == pytest.approx(jensenshannon(one, two, base=2), abs=1e-7)
    else:
        assert found == EMPTY


def test_scores_are_the_published_polynomials() -> None:
    assert distribution_score(0.5) == pytest.approx(7.44 * 0.25 - 16.646 * 0.5 + 10.305)
    assert [distribution_score(d) for d in (0.0199, 0.991)] == [10.0, 0.0]
    assert correlation_score(0.2) == pytest.approx(37.562 * 0.04 - 35.643 * 0.2 + 10.056)
    assert [correlation_score(d) for d in (0.0099, 0.461)] == [10.0, 0.0]
    assert structure_score(0.5) == pytest.approx(10 * math.exp(-0.8))


def test_the_overall_score_is_a_weighted_mean() -> None:
    assert combine(9.9, 7.0, 6.9) == round((0.84 * 6.9 + 0.86 * 9.9 + 7.0) / 2.7, 1)
    assert combine(9.9, None, None) == 9.9
    assert combine(9.9, 7.0, None) == round((0.86 * 9.9 + 7.0) / 1.86, 1)
    grades = [grade(score) for score in (0.0, 1.9, 2.0, 5.9, 6.0, 8.0, 10.0)]
    assert grades == [
        "Very Poor",
        "Very Poor",
        "Poor",
        "Moderate",
        "Good",
        "Excellent",
        "Excellent",
    ]


def test_theils_u_by_hand() -> None:
    # The first variable is a fair coin; the second tells it in half of the cases.
    table = np.array([[2, 0, 2], [0, 2, 2]])
    assert theils_u(table) == pytest.approx(0.5)
    # The second has entropy 1.5 bits, 1 bit of it left when the first is known.
    assert theils_u(table.T) == pytest.approx(0.5 / 1.5)
    assert theils_u(np.array([[3, 4]])) == 1.0


def test_associations_by_hand() -> None:
    nan = np.nan
    columns = {
        "x": np.array([1.0, 2.0, 3.0, 5.0, nan, 9.0]),
        "y": np.array([2.0, 1.0, nan, 4.0, 7.0, 6.0]),
        "a": np.array([0.0, 0.0, 1.0, 1.0, nan, nan]),
        "b": np.array([0.0, 1.0, 1.0, 1.0, 0.0, 1.0]),
        "constant": np.full(6, 3.0),
    }
    found = correlations(columns, {"a", "b"})
    assert np.diag(found).tolist() == [1.0] * 5
    assert found[4, :4].tolist() == found[:4, 4].tolist() == [0.0] * 4
    wanted = stats.pearsonr([1, 2, 5, 9], [2, 1, 4, 6]).statistic
    assert found[0, 1] == found[1, 0] == pytest.approx(wanted)
    # a is {0: x 1, 2}, {1: x 3, 5}, {missing: x 9}; x has the mean 4.
    between = 2 * 2.5**2 + 2 * 0 + 25
    assert found[0, 2] == found[2, 0] == pytest.approx(math.sqrt(between / 40))
    # b given a: one bit where a is 0 or missing, none where it is 1. Row: what is told about.
    log = np.log2
    entropy = -(2 / 6 * log(2 / 6) + 4 / 6 * log(4 / 6))
    told = entropy - 4 / 6
    assert found[2, 3] == pytest.approx(told / entropy)
    assert found[3, 2] == pytest.approx(told / log(3))


def test_numbers_without_a_common_row_have_no_correlation() -> None:
    nan = np.nan
    columns = {"x": np.array([1.0, 2.0, nan, nan]), "y": np.array([nan, nan, 1.0, 2.0])}
    assert correlations(columns, set())[0, 1] == 0.0


def test_numbers_are_compared_in_bins() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=500)
    assert numeric_distance(one, one) == 0.0
    assert numeric_distance(one, one + 100) == 1.0
    edges = np.histogram_bin_edges(np.concatenate([one, one + 1]), "doane")
    histograms = [np.histogram(v, edges)[0] for v in (one, one + 1)]
    assert numeric_distance(one, one + 1) == pytest.approx(jensenshannon(*histograms, base=2))
    # However far away a single value is, there are few bins.
    far = np.append(rng.normal(size=10_000), 1e12)
    assert len(np.histogram_bin_edges(far, "doane")) < 100
    assert numeric_distance(far, far[:-1]) < 0.02


COLUMNS: dict[str, Any] = {
    "few": {"kind": "integer", "min": -5, "max": 90},
    "many": {"kind": "integer", "min": 0, "max": 1000, "nullable": True},
    "real": {"kind": "decimal", "min": 0, "max": 10, "resolution": 0.1},
    "day": {"kind": "date", "min": "2020-01-01", "max": "2024-12-31"},
    "a": {"kind": "category", "values": ["p", "q", "r"], "nullable": True},
    "key": {"kind": "category", "values": [f"k{i}" for i in range(200)]},
    "nothing": {"kind": "integer", "min": 0, "max": 9, "nullable": True},
}
SCHEMA = Schema.model_validate({"name": "test", "columns": COLUMNS})


def table(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 1001, n)
    return pa.table(
        {
            "few": (x // 200).tolist(),
            "many": [
                None if g else v for v, g in zip(x.tolist(), rng.random(n) < 0.1, strict=True)
            ],
            "real": np.round(x / 125 + rng.random(n), 1).tolist(),
            "day": [dt.date(2020, 1, 1) + dt.timedelta(days=v) for v in x.tolist()],
            "a": [("p", "q", "r", None)[v // 251] for v in x.tolist()],
            "key": [f"k{i}" for i in rng.permutation(n) % 200],
            "nothing": pa.array([None] * n, pa.int64()),
        }
    )


@pytest.fixture(scope="module")
def tables() -> Tables:
    real = table(200, 0)
    rng = np.random.default_rng(3)
    alone = pa.table({n: real[n].take(rng.permutation(200)) for n in COLUMNS})
    negative = table(200, 0).set_column(0, "few", pa.array([-2, -1] * 100))
    gone = table(200, 0).set_column(1, "many", pa.array([None] * 200, pa.int64()))
    synthetic = {"copy": real, "other": table(150, 1), "alone": alone}
    synthetic |= {"negative": negative, "gone": gone}
    return read_tables(real, synthetic, SCHEMA)


def test_scores_of_known_tables(tables: Tables) -> None:
    assert gretel(tables, "copy") == GretelScore(10.0, 10.0, 10.0, 10.0, "Excellent")
    other, alone = gretel(tables, "other"), gretel(tables, "alone")
    assert alone.distribution == 10.0
    assert other.correlation is not None
    assert alone.correlation is not None
    assert alone.structure is not None
    assert other.structure is not None
    assert alone.correlation < other.correlation - 3
    assert alone.structure < other.structure
    for found in (other, alone):
        overall = combine(found.distribution, found.correlation, found.structure)
        assert found.overall == overall
        assert found.grade == grade(overall)


def test_a_column_of_another_kind_is_compared_value_by_value(tables: Tables) -> None:
    found = gretel(tables, "negative")
    # One column of four has nothing in common; the others are equal.
    assert found.distribution == round(distribution_score(1 / 4), 1)


def test_an_empty_column_is_passed_over(tables: Tables) -> None:
    found = gretel(tables, "gone")
    assert found.distribution == 10.0
    assert found.structure == 10.0
    assert found.correlation is not None
    assert found.correlation < 8


def test_a_small_example_by_hand() -> None:
    columns = {
        "a": {"kind": "category", "values": ["p", "q"]},
        "b": {"kind": "boolean"},
    }
    schema = Schema.model_validate({"name": "test", "columns": columns})
    real = pa.table({"a": ["p", "p", "p", "q"] * 5, "b": [True, True, True, False] * 5})
    made = pa.table({"a": ["p", "p", "q", "q"] * 5, "b": [True, False, True, False] * 5})
    found = gretel(read_tables(real, {"made": made}, schema), "made")
    distance = jensenshannon([0.75, 0.25], [0.5, 0.5], base=2)
    assert found.distribution == round(distribution_score(distance), 1)
    # Theil's U is 1 in the real table and 0 in the synthetic one; the diagonal is 1 in both.
    assert found.correlation == round(max(correlation_score(0.5), 0), 1) == 0.0
    # Counts in the real rows: p and True 15, q and False 5, so both features are 0.577 or -1.732.
    one = np.array([2 * 0.57735] * 15 + [-2 * 1.73205] * 5) / math.sqrt(2)
    two = np.repeat([2 * 0.57735, 0.57735 - 1.73205, -2 * 1.73205], [5, 10, 5]) / math.sqrt(2)
    along = numeric_distance(one, two)
    across = np.repeat([0.0, 2.3094 / math.sqrt(2), -2.3094 / math.sqrt(2)], [10, 5, 5])
    aside = numeric_distance(np.zeros(20), across)
    assert found.structure == round(structure_score((along + aside) / 2), 1)


def test_few_columns() -> None:
    schema = Schema.model_validate({"name": "test", "columns": {"b": {"kind": "boolean"}}})
    real = pa.table({"b": [True, False] * 20})
    found = gretel(read_tables(real, {"made": real}, schema), "made")
    assert found == GretelScore(10.0, None, None, 10.0, "Excellent")
    columns = {"x": COLUMNS["nothing"], "key": COLUMNS["key"]}
    schema = Schema.model_validate({"name": "test", "columns": columns})
    keys = [f"k{i}" for i in range(20)]
    real = pa.table({"x": pa.array([None] * 20, pa.int64()), "key": keys})
    found = gretel(read_tables(real, {"made": real}, schema), "made")
    assert found == GretelScore(0.0, None, None, 0.0, "Very Poor")


def test_one_row() -> None:
    columns = {"x": COLUMNS["real"], "y": COLUMNS["real"]}
    schema = Schema.model_validate({"name": "test", "columns": columns})
    real = pa.table({"x": [1.0], "y": [2.0]})
    assert gretel(read_tables(real, {"made": real}, schema), "made").structure is None


def test_independent_columns_get_about_eight_on_adult() -> None:
    """The fault: structure is all that is wrong with these rows, and it is hardly seen."""
    folder = files("tronie") / "data"
    rows = pq.read_table(str(folder / "adult.parquet"))
    schema = Schema.read(str(folder / "adult.yaml"))
    rng = np.random.default_rng(0)
    order = rng.permutation(len(rows))
    real, hold = rows.take(order[:24_421]), rows.take(order[24_421:])
    alone = pa.table({n: real[n].take(rng.permutation(len(real))) for n in real.column_names})
    tables = read_tables(real, {"alone": alone, "hold": hold}, schema)
    assert gretel(tables, "alone").overall == pytest.approx(8.0, abs=0.2)
    assert gretel(tables, "hold").overall == pytest.approx(9.8, abs=0.2)
