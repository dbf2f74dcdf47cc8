"""Train on synthetic rows, test on real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tronie.errors import InputError
from tronie.evaluate import use as module
from tronie.evaluate.range_queries import range_queries
from tronie.evaluate.tables import Tables, read_tables
from tronie.evaluate.use import Task, Use, UseReference, use
from tronie.schema.schema import Schema

COLUMNS: dict[str, Any] = {
    "x": {"kind": "integer", "min": 0, "max": 1000, "nullable": True},
    "when": {"kind": "date", "min": "2020-01-01", "max": "2029-12-31"},
    "level": {"kind": "category", "values": ["low", "middle", "high"], "ordered": True},
    "town": {"kind": "category", "values": ["p", "q", "r"], "other": True, "nullable": True},
    "paid": {"kind": "boolean", "nullable": True},
}
SCHEMA = Schema.model_validate({"name": "test", "columns": COLUMNS})
DAY = np.datetime64("2020-01-01")


def table(n: int, seed: int) -> pa.Table:
    """All columns but the date depend on x."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 1001, n)
    town = np.where(rng.random(n) < 0.8, x // 251, rng.integers(0, 4, n))
    paid = (x + rng.normal(0, 120, n)) > 700
    days = DAY + np.minimum(3 * x + rng.integers(0, 300, n), 3600)
    gone = rng.random((2, n)) < 0.05
    return pa.table(
        {
            "x": x.tolist(),
            "when": pa.array(days.astype("datetime64[D]")),
            "level": [("low", "middle", "high")[v] for v in (x // 334).tolist()],
            "town": [
                None if g else ("p", "q", "r", "elsewhere")[v]
                for v, g in zip(town.tolist(), gone[0], strict=True)
            ],
            "paid": [None if g else bool(v) for v, g in zip(paid, gone[1], strict=True)],
        }
    )


@pytest.fixture(scope="module")
def tables() -> Tables:
    real = table(500, 0)
    rng = np.random.default_rng(5)
    alone = pa.table({n: real[n].take(rng.permutation(500)) for n in COLUMNS})
    return read_tables(real, {"other": table(500, 1), "alone": alone}, SCHEMA, table(400, 2))


def by_name(found: Use) -> dict[tuple[str, str], Task]:
    return {(task.learner, task.metric): task for task in found.tasks}


def test_the_last_column_is_predicted(tables: Tables) -> None:
    reference = UseReference.of(tables)
    found, alone = use(tables, "other", reference), use(tables, "alone", reference)
    tasks = by_name(found)
    assert list(tasks) == [
        ("logistic regression", "AUC"),
        ("logistic regression", "F1"),
        ("boosted trees", "AUC"),
        ("boosted trees", "F1"),
    ]
    assert {(task.target, task.kind) for task in found.tasks} == {("paid", "classification")}
    present = int((tables.holdout.points["paid"] < 2).sum()) if tables.holdout else 0
    assert found.tested_on == f"{present} holdout rows"
    assert (found.target, found.skipped) == ("paid", None)
    for task in found.tasks:
        assert task.synthetic > task.floor + 0.2
        assert task.synthetic == pytest.approx(task.real, abs=0.1)
    # What is learned from columns that do not depend on one another is chance.
    assert all(task.synthetic < task.real - 0.2 for task in alone.tasks)
    assert found.importance_agreement is not None
    assert alone.importance_agreement is not None
    assert found.importance_agreement > 0.5
    assert found.range_queries == range_queries(tables, "other")
    assert [score.name for score in found.scores][-1] == "range queries"
    for task, score in zip(found.tasks, found.scores, strict=False):
        assert (score.value, score.floor, score.ceiling) == (task.synthetic, task.floor, task.real)
        assert score.name == f"{task.learner}: {task.metric}"


def test_the_floor_is_the_best_constant_guess(tables: Tables) -> None:
    trial = UseReference.of(tables).trial
    assert trial is not None
    share = trial.truth.mean()
    assert share < 0.5
    # To say that all are the rarer class finds all of them, with a precision of their share.
    assert trial.floors == {"AUC": 0.5, "F1": pytest.approx(2 * share / (1 + share))}


def test_several_classes(tables: Tables) -> None:
    reference = UseReference.of(tables, target="town")
    trial = reference.trial
    assert trial is not None
    assert trial.classes == 4
    assert trial.occurring.tolist() == [0, 1, 2, 3]
    shares = np.bincount(trial.truth.astype(int)) / len(trial.truth)
    most = float(shares.max())
    assert trial.floors["F1"] == pytest.approx(2 * most / (1 + most) / 4)
    found = by_name(use(tables, "other", reference))
    assert found["boosted trees", "AUC"].synthetic > 0.8
    assert found["boosted trees", "F1"].synthetic > 0.6


@pytest.mark.parametrize("target", ["x", "when"])
def test_ordered_columns_are_regressed(tables: Tables, target: str) -> None:
    found = use(tables, "other", target=target)
    assert [(task.learner, task.metric, task.floor) for task in found.tasks] == [
        ("linear regression", "R2", 0.0),
        ("boosted trees", "R2", 0.0),
    ]
    assert {task.kind for task in found.tasks} == {"regression"}
    assert all(0.7 < task.synthetic < 1 and 0.7 < task.real < 1 for task in found.tasks)


def test_a_short_ordered_category_is_classified(tables: Tables) -> None:
    found = use(tables, "other", target="level")
    assert {task.kind for task in found.tasks} == {"classification"}
    assert found.tasks[0].synthetic > 0.9


def test_without_a_holdout_it_says_so() -> None:
    tables = read_tables(table(400, 0), {"other": table(300, 1)}, SCHEMA)
    found = use(tables, "other")
    assert "which the synthetic table may have been made from" in found.tested_on
    tested = int(found.tested_on.split()[0])
    # 30 % of the rows, less those without a value.
    assert 100 < tested < 120
    assert use(tables, "other") == found
    assert use(tables, "other", seed=1) != found


SKIPPED: dict[str, tuple[dict[str, Any], str]] = {
    "one column": ({"b": {"kind": "boolean"}}, "only one column"),
    "ordered": (
        {"b": {"kind": "boolean"}, "x": {"kind": "integer", "min": 0, "max": 9}},
        "not nominal",
    ),
    "many values": (
        {
            "b": {"kind": "boolean"},
            "town": {"kind": "category", "values": [f"v{i}" for i in range(21)]},
        },
        "has 21 values",
    ),
}


@pytest.mark.parametrize(("columns", "why"), SKIPPED.values(), ids=SKIPPED)
def test_nothing_to_predict(columns: dict[str, Any], why: str) -> None:
    schema = Schema.model_validate({"name": "test", "columns": columns})
    values = {"b": [True, False] * 30, "x": [1, 2] * 30, "town": ["v1", "v2"] * 30}
    real = pa.table({name: values[name] for name in columns})
    tables = read_tables(real, {"made": real}, schema)
    found = use(tables, "made")
    assert found.tasks == ()
    assert found.skipped is not None
    assert why in found.skipped
    assert (found.importance_agreement, found.target, found.tested_on) == (None, None, "")
    assert found.scores == (found.range_queries.score,)


def test_targets_that_cannot_be_predicted(tables: Tables) -> None:
    with pytest.raises(InputError, match="'nobody' cannot be predicted") as error:
        use(tables, "other", target="nobody")
    assert "x, when, level, town, paid" in error.value.remedy
    schema = Schema.model_validate({"name": "test", "columns": SKIPPED["many values"][0]})
    real = pa.table({"b": [True, False] * 30, "town": ["v1", "v2"] * 30})
    with pytest.raises(InputError, match="it has 21 values"):
        use(read_tables(real, {"made": real}, schema), "made", target="town")


def small(
    columns: dict[str, Any], real: dict[str, Any], made: dict[str, Any] | None = None
) -> Tables:
    schema = Schema.model_validate({"name": "test", "columns": columns})
    types = pa.schema([(n, pa.int64() if n == "x" else pa.bool_()) for n in columns])
    tables = [pa.table(rows, schema=types) for rows in (real, made or real)]
    return read_tables(tables[0], {"made": tables[1]}, schema)


TWO: dict[str, Any] = {
    "x": {"kind": "integer", "min": 0, "max": 9},
    "b": {"kind": "boolean", "nullable": True},
}


def test_too_little_to_learn_from() -> None:
    one = {"x": list(range(10)) * 20, "b": [False, True] * 100}
    missing = {"x": list(range(10)) * 20, "b": [True] * 5 + [None] * 195}
    constant = {"x": list(range(10)) * 20, "b": [True] * 200}
    assert "constant in the test rows" in str(use(small(TWO, constant), "made").skipped)
    assert "too few real rows" in str(use(small(TWO, missing), "made").skipped)
    skipped = use(small(TWO, one, missing), "made")
    assert skipped.skipped == "only 5 synthetic rows have a value of b."
    assert skipped.tasks == ()
    alone = small({"b": TWO["b"]}, {"b": one["b"]})
    assert "only one column" in str(use(alone, "made", target="b").skipped)


def test_one_class_in_the_synthetic_table_is_a_constant_guess() -> None:
    real = {"x": list(range(10)) * 20, "b": [v > 6 for v in range(10)] * 20}
    made = {"x": list(range(10)) * 20, "b": [False] * 200}
    found = use(small(TWO, real, made), "made")
    assert [(t.metric, t.synthetic) for t in found.tasks] == [("AUC", 0.5), ("F1", 0.0)] * 2
    assert all(task.real > 0.9 for task in found.tasks)
    assert found.importance_agreement is None


def test_large_tables_are_sampled(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TRAINED", 100)
    monkeypatch.setattr(module, "MOST_SHUFFLED", 50)
    sizes: list[int] = []
    real = module.learners.boosted_classifier

    def counted(features: Any, *more: Any, **named: Any) -> Any:
        sizes.append(len(features))
        return real(features, *more, **named)

    monkeypatch.setattr(module.learners, "boosted_classifier", counted)
    assert use(tables, "other").tasks
    assert sizes == [100, 100]
