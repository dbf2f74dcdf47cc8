"""Random counts, answered from both tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tronie.evaluate.range_queries import (
    QUERIES,
    SANITY,
    Query,
    Workload,
    answer,
    answers,
    draw_queries,
    range_queries,
)
from tronie.evaluate.tables import Coded, Tables, read_tables
from tronie.schema.schema import Schema

COLUMNS: dict[str, Any] = {
    "x": {"kind": "integer", "min": 0, "max": 9, "nullable": True},
    "y": {"kind": "decimal", "min": 0, "max": 5, "resolution": 0.5},
    "a": {"kind": "category", "values": ["p", "q", "r"], "nullable": True},
    "b": {"kind": "boolean"},
    "level": {"kind": "category", "values": ["low", "middle", "high"], "ordered": True},
}
SCHEMA = Schema.model_validate({"name": "test", "columns": COLUMNS})


def table(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 10, n)
    return pa.table(
        {
            "x": [None if g else v for v, g in zip(x.tolist(), rng.random(n) < 0.1, strict=True)],
            "y": (x // 2 + rng.integers(0, 2, n) / 2).tolist(),
            "a": [("p", "q", "r", None)[v % 4] for v in x.tolist()],
            "b": (x > 5).tolist(),
            "level": [("low", "middle", "high")[v // 4] for v in x.tolist()],
        }
    )


@pytest.fixture(scope="module")
def tables() -> Tables:
    real = table(1000, 0)
    rng = np.random.default_rng(9)
    alone = pa.table({n: real[n].take(rng.permutation(1000)) for n in COLUMNS})
    return read_tables(real, {"copy": real, "other": table(500, 1), "alone": alone}, SCHEMA)


def by_hand(query: Query, rows: Coded) -> float:
    """Row after row."""
    count = 0
    for i in range(rows.rows):
        inside = True
        for name, condition in query.items():
            point = int(rows.points[name][i])
            if isinstance(condition, tuple):
                inside &= condition[0] <= point <= condition[1]
            else:
                inside &= bool(condition[point])
        count += inside
    return count / rows.rows


def test_queries_rest_on_the_schema_alone(tables: Tables) -> None:
    drawn = draw_queries(SCHEMA.lattices, 200, 7)
    assert len(drawn) == 200
    assert {len(query) for query in drawn} == {2, 3}
    for query in drawn:
        for name, condition in query.items():
            points = SCHEMA.lattices[name].points
            if isinstance(condition, tuple):
                assert name in {"x", "y", "level"}
                assert 0 <= condition[0] <= condition[1] < points
            else:
                assert name in {"a", "b"}
                assert condition.shape == (points + 2,)
                assert condition[:points].any()
    other = read_tables(table(30, 5), {"made": table(30, 6)}, SCHEMA)
    assert all(map(same, Workload.of(tables, seed=3).queries, Workload.of(other, seed=3).queries))
    assert not all(map(same, drawn, draw_queries(SCHEMA.lattices, 200, 8)))


def same(one: Query, two: Query) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


def test_answers_by_hand(tables: Tables) -> None:
    drawn = draw_queries(SCHEMA.lattices, 40, 0)
    rows = tables.synthetic["other"]
    wanted = [by_hand(query, rows) for query in drawn]
    assert answers(drawn, rows).tolist() == pytest.approx(wanted)
    assert any(0 < share < 1 for share in wanted)


def test_a_missing_value_is_in_no_range(tables: Tables) -> None:
    everything: Query = {"x": (0, 9)}
    missing = int((tables.real.points["x"] == 11).sum())
    assert missing
    assert answer(everything, tables.real) == 1 - missing / 1000


def test_errors_by_hand(tables: Tables) -> None:
    workload = Workload.of(tables, queries=50, seed=1)
    found = range_queries(tables, "other", workload)
    real = np.array([by_hand(q, tables.real) for q in workload.queries])
    made = np.array([by_hand(q, tables.synthetic["other"]) for q in workload.queries])
    errors = np.abs(real - made)
    assert found.queries == 50
    assert found.mean_error == pytest.approx(errors.mean())
    assert found.worst == pytest.approx(errors.max())
    assert found.relative_error == pytest.approx(np.median(errors / np.maximum(real, SANITY)))
    assert found.score.value == pytest.approx(1 - errors.mean())


def test_scores_lie_between_independent_columns_and_other_rows(tables: Tables) -> None:
    copy, other, alone = (range_queries(tables, n) for n in ("copy", "other", "alone"))
    assert copy.queries == QUERIES
    assert (copy.mean_error, copy.relative_error, copy.worst) == (0, 0, 0)
    assert copy.score.points == 100
    assert other.score.points > 85
    assert alone.score.points < 15
    assert alone.score.floor == pytest.approx(alone.score.value, abs=0.01)


def test_the_ceiling_is_what_another_sample_gets(tables: Tables) -> None:
    """Mean error of 20 other tables of the same population; its standard error is about 5 %."""
    many = read_tables(table(1000, 0), {str(i): table(500, 50 + i) for i in range(20)}, SCHEMA)
    workload = Workload.of(many)
    found = [range_queries(many, name, workload) for name in many.synthetic]
    mean = np.mean([f.mean_error for f in found])
    assert 1 - found[0].score.ceiling == pytest.approx(float(mean), rel=0.3)


def test_one_column() -> None:
    schema = Schema.model_validate({"name": "test", "columns": {"b": {"kind": "boolean"}}})
    real, made = pa.table({"b": [True, False, True]}), pa.table({"b": [True, True, False, False]})
    workload = Workload.of(tables := read_tables(real, {"made": made, "copy": real}, schema))
    assert {len(query) for query in workload.queries} == {1}
    assert range_queries(tables, "copy", workload).worst == 0
    assert range_queries(tables, "made", workload).worst == pytest.approx(1 / 6)
