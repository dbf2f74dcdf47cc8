"""Associations between columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tronie.evaluate import dependence as module
from tronie.evaluate.dependence import (
    Dependence,
    DependenceReference,
    associations,
    correlation_accuracy,
    cramers_v,
    dependence,
    mean_difference,
)
from tronie.evaluate.tables import Tables, read_tables
from tronie.schema.schema import Schema

COLUMNS: dict[str, Any] = {
    "x": {"kind": "integer", "min": 0, "max": 1000, "nullable": True},
    "y": {"kind": "decimal", "min": -1000, "max": 1000, "resolution": 0.01, "nullable": True},
    "a": {"kind": "category", "values": ["p", "q", "r"], "nullable": True},
    "b": {"kind": "boolean"},
    "level": {"kind": "category", "values": ["low", "middle", "high"], "ordered": True},
}
NAMES = list(COLUMNS)
SCHEMA = Schema.model_validate({"name": "test", "columns": COLUMNS})


def table(n: int, seed: int) -> pa.Table:
    """Columns that depend on one another, with missing values."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 1001, n)
    y = np.round(x / 4 + rng.normal(0, 100, n), 2)
    a = np.where(rng.random(n) < 0.6, x // 334, rng.integers(0, 3, n))
    level = np.minimum(np.abs(y + 100) // 150, 2).astype(int)
    b = (a == 1) ^ (rng.random(n) < 0.2)
    gone = rng.random((3, n)) < 0.1
    return pa.table(
        {
            "x": [None if g else int(v) for v, g in zip(x, gone[0], strict=True)],
            "y": [None if g else float(v) for v, g in zip(y, gone[1], strict=True)],
            "a": [None if g else "pqr"[v] for v, g in zip(a, gone[2], strict=True)],
            "b": b.tolist(),
            "level": [["low", "middle", "high"][v] for v in level],
        }
    )


@pytest.fixture(scope="module")
def tables() -> Tables:
    real, other = table(800, 0), table(800, 1)
    rng = np.random.default_rng(2)
    alone = pa.table({n: real[n].take(rng.permutation(len(real))) for n in NAMES})
    synthetic = {"other": other, "copy": real, "alone": alone, "few": other.slice(0, 200)}
    return read_tables(real, synthetic, SCHEMA)


def by_hand_v(one: list[Any], two: list[Any]) -> float:
    """Bergsma's formula, from scipy's chi-squared."""
    keys, others = sorted(set(one), key=str), sorted(set(two), key=str)
    pairs = list(zip(one, two, strict=True))
    counts = np.array([[pairs.count((k, o)) for o in others] for k in keys])
    n, (r, c) = len(one), counts.shape
    phi2 = stats.chi2_contingency(counts, correction=False)[0] / n
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1)) / least))


def by_hand_ratio(groups: list[Any], values: list[float | None]) -> float:
    kept = [(g, v) for g, v in zip(groups, values, strict=True) if v is not None]
    mean = np.mean([v for _, v in kept])
    parts = [[v for g, v in kept if g == key] for key in {g for g, _ in kept}]
    between = sum(len(p) * (np.mean(p) - mean) ** 2 for p in parts)
    return float(np.sqrt(between / sum((v - mean) ** 2 for _, v in kept)))


def test_every_pair_by_hand(tables: Tables) -> None:
    rows = table(800, 0).to_pydict()
    found = associations(tables, tables.real)
    at = {name: i for i, name in enumerate(NAMES)}
    assert np.array_equal(found, found.T)
    assert np.diag(found).tolist() == [1.0] * 5
    rank = {"low": 0, "middle": 1, "high": 2}
    numbers = {"x": rows["x"], "y": rows["y"], "level": [rank[v] for v in rows["level"]]}
    for one, two in (("x", "y"), ("x", "level"), ("y", "level")):
        both = [
            (v, w)
            for v, w in zip(numbers[one], numbers[two], strict=True)
            if v is not None and w is not None
        ]
        wanted = stats.pearsonr(*zip(*both, strict=True)).statistic
        assert found[at[one], at[two]] == pytest.approx(wanted, abs=1e-9)
    assert found[at["a"], at["b"]] == pytest.approx(by_hand_v(rows["a"], rows["b"]))
    for nominal in ("a", "b"):
        for ordered, values in numbers.items():
            wanted = by_hand_ratio(rows[nominal], values)
            assert found[at[nominal], at[ordered]] == pytest.approx(wanted)


def test_order_can_be_left_aside(tables: Tables) -> None:
    rows = table(800, 0).to_pydict()
    found = associations(tables, tables.real, ranked=False)
    assert found[4, 2] == pytest.approx(by_hand_v(rows["level"], rows["a"]))
    assert found[4, 0] == pytest.approx(by_hand_ratio(rows["level"], rows["x"]))
    assert found[0, 1] == associations(tables, tables.real)[0, 1]


def test_constant_columns_have_no_association() -> None:
    real = pa.table(
        {
            "x": pa.array([5, 5, None, 5], pa.int64()),
            "y": [1.0, 2.0, 3.0, 4.0],
            "a": ["p", "p", "p", "p"],
            "b": [True, False, True, False],
            "level": ["low", "low", "low", "low"],
        }
    )
    found = associations(read_tables(real, {"made": real}, SCHEMA), read(real))
    assert np.diag(found).tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert (found[[0, 2, 4]] == 0).all()
    assert found[1, 3] > 0


def read(real: pa.Table) -> Any:
    return read_tables(real, {"made": real}, SCHEMA).real


def test_a_column_and_its_copy_are_fully_associated() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1001, 60)
    names = ["pqr"[v % 3] for v in values.tolist()]
    columns = {"x": COLUMNS["x"], "y": COLUMNS["x"], "a": COLUMNS["a"], "b": COLUMNS["a"]}
    schema = Schema.model_validate({"name": "test", "columns": columns})
    real = pa.table({"x": values, "y": 1000 - values, "a": names, "b": names})
    found = associations(
        read_tables(real, {"m": real}, schema), read_tables(real, {"m": real}, schema).real
    )
    assert found[0, 1] == pytest.approx(-1)
    assert found[2, 3] == pytest.approx(1)


def test_many_values_are_compared_by_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = [f"v{i}" for i in range(300)]
    columns = {"a": {"kind": "category", "values": values}, "b": {"kind": "boolean"}}
    schema = Schema.model_validate({"name": "test", "columns": columns})
    chosen = rng.integers(0, 300, 2000)
    real = pa.table({"a": [values[i] for i in chosen], "b": (chosen % 2 == 0).tolist()})
    tables = read_tables(real, {"made": real}, schema)
    merged = associations(tables, tables.real)[0, 1]
    monkeypatch.setattr(module, "MOST_VALUES", 302)
    # As many values as these take some of the full association away as bias.
    assert 0.9 < associations(tables, tables.real)[0, 1] < 1
    assert 0.1 < merged < 0.9


@given(st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=4))
def test_cramers_v_is_between_0_and_1_whatever_the_table(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    found = cramers_v(counts)
    assert 0 <= found <= 1
    assert found == pytest.approx(cramers_v(counts.T))
    assert found == pytest.approx(cramers_v(np.vstack([counts, np.zeros(3, np.int64)])))


def test_correlation_accuracy_counts_levels_as_dp_2stage_does() -> None:
    # Levels of the real entries above the diagonal: weak, strong (negative), middle.
    real = np.array([[1, 0.29, -0.01], [0.29, 1, 0.3], [-0.01, 0.3, 1]])
    made = np.array([[1, 0.1, 0.01], [0.1, 1, 0.5], [0.01, 0.5, 1]])
    # The diagonal's three and the first pair agree; the others do not.
    assert correlation_accuracy(real, made) == pytest.approx(5 / 9)
    assert correlation_accuracy(real, real) == 1
    assert correlation_accuracy(np.zeros((0, 0)), np.zeros((0, 0))) == 1
    edges = np.array([[0.0999, 0.1, 0.2999, 0.3, 0.4999, 0.5]])
    same = np.array([[0.0, 0.2, 0.2, 0.4, 0.4, -1.0]])
    assert correlation_accuracy(edges, same) == 1


def test_scores_lie_between_independent_columns_and_other_rows(tables: Tables) -> None:
    reference = DependenceReference.of(tables)
    found = {name: dependence(tables, name, reference) for name in tables.synthetic}
    points = {name: [score.points for score in d.scores] for name, d in found.items()}
    assert points["copy"] == [100.0, 100.0]
    assert points["alone"][0] < 10
    assert points["other"][0] > 85
    assert found["copy"].difference == pytest.approx(0, abs=1e-12)
    assert found["copy"].correlation_accuracy == 1.0
    assert found["other"].difference < found["few"].difference < found["alone"].difference
    for name, d in found.items():
        assert d.columns == tuple(NAMES)
        assert np.allclose(d.synthetic, associations(tables, tables.synthetic[name]))
        assert np.allclose(d.real, associations(tables, tables.real))
        difference = mean_difference(np.array(d.real), np.array(d.synthetic))
        assert d.difference == pytest.approx(difference)
        assert d.scores[0].value == pytest.approx(1 - difference)
        assert all(score.floor < score.ceiling <= 1 for score in d.scores)
    assert dependence(tables, "other") == found["other"]


def test_the_ceiling_is_what_another_sample_gets(tables: Tables) -> None:
    """Expected difference to other rows of the same population, averaged over 20 tables."""
    reference = DependenceReference.of(tables)
    score = dependence(tables, "other", reference).scores[0]
    many = read_tables(table(800, 0), {str(i): table(800, 100 + i) for i in range(20)}, SCHEMA)
    mean = np.mean([dependence(many, name, reference).difference for name in many.synthetic])
    assert 1 - score.ceiling == pytest.approx(float(mean), rel=0.35)


def test_the_larger_table_is_cut_for_the_accuracy(tables: Tables) -> None:
    fewer = dependence(tables, "few")
    reference = DependenceReference.of(tables)
    whole = correlation_accuracy(
        reference.unordered, associations(tables, tables.synthetic["few"], ranked=False)
    )
    assert 0.5 < fewer.correlation_accuracy <= 1
    assert whole >= 0.5
    more = read_tables(table(200, 1), {"made": table(800, 0)}, SCHEMA)
    assert 0.5 < dependence(more, "made").correlation_accuracy <= 1


def test_large_tables_are_sampled(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 300)
    reference = DependenceReference.of(tables)
    assert reference.rows.rows == 300
    found = dependence(tables, "other", reference)
    assert isinstance(found, Dependence)
    assert found.difference < 0.1


def test_one_column_and_one_row() -> None:
    schema = Schema.model_validate({"name": "test", "columns": {"b": {"kind": "boolean"}}})
    real = pa.table({"b": [True, False, True]})
    found = dependence(read_tables(real, {"made": real}, schema), "made")
    assert (found.difference, found.correlation_accuracy, found.real) == (0.0, 1.0, ((1.0,),))
    single = read_tables(table(50, 0).slice(0, 1), {"made": table(50, 0)}, SCHEMA)
    nothing = dependence(single, "made")
    assert not np.array(nothing.real).any()
    assert np.isfinite([score.points for score in nothing.scores]).all()
