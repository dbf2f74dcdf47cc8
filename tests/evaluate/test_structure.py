"""The shape of the cloud of rows."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA

from tronie.errors import InputError
from tronie.evaluate import structure as module
from tronie.evaluate.features import Encoder
from tronie.evaluate.structure import (
    BINS,
    LEAST_TESTED,
    StructureReference,
    principal_components,
    structure,
)
from tronie.evaluate.tables import Tables, read_tables
from tronie.schema.schema import Schema

COLUMNS: dict[str, Any] = {
    "x": {"kind": "integer", "min": 0, "max": 1000},
    "y": {"kind": "integer", "min": -2000, "max": 2000, "nullable": True},
    "a": {"kind": "category", "values": ["p", "q", "r"]},
    "b": {"kind": "boolean"},
}
SCHEMA = Schema.model_validate({"name": "test", "columns": COLUMNS})


def table(n: int, seed: int, **changed: Any) -> pa.Table:
    """y depends on x, and a on both."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 1001, n)
    y = x + rng.integers(-100, 101, n)
    columns = {
        "x": x.tolist(),
        "y": [None if g else v for v, g in zip(y.tolist(), rng.random(n) < 0.05, strict=True)],
        "a": [("p", "q", "r")[min(max(v, 0) // 350, 2)] for v in y.tolist()],
        "b": (rng.random(n) < 0.5).tolist(),
    }
    return pa.table(columns | changed)


@pytest.fixture(scope="module")
def tables() -> Tables:
    real = table(600, 0)
    rng = np.random.default_rng(5)
    alone = pa.table({n: real[n].take(rng.permutation(600)) for n in COLUMNS})
    synthetic = {"other": table(600, 1), "copy": real, "alone": alone, "few": table(20, 2)}
    return read_tables(real, synthetic, SCHEMA, table(500, 3))


@pytest.fixture(scope="module")
def reference(tables: Tables) -> StructureReference:
    return StructureReference.of(tables)


def test_directions_are_scikit_learns(tables: Tables) -> None:
    values = Encoder.fit(tables, tables.real, list(COLUMNS)).transform(tables.real)
    directions, explained = principal_components(values)
    wanted = PCA(2).fit(values)
    assert np.allclose(np.abs(directions.T @ wanted.components_.T), np.eye(2), atol=1e-8)
    assert explained == pytest.approx(wanted.explained_variance_ratio_)
    assert (directions[np.abs(directions).argmax(axis=0), [0, 1]] > 0).all()


def test_one_feature_has_one_direction() -> None:
    directions, explained = principal_components(np.array([[1.0], [-1.0]]))
    assert directions.tolist() == [[1.0, 0.0]]
    assert explained == (1.0, 0.0)
    assert principal_components(np.zeros((3, 2)))[1] == (0.0, 0.0)


def test_the_projection_by_hand(tables: Tables, reference: StructureReference) -> None:
    found = structure(tables, "other", reference, learn=False)
    p = found.projection
    assert found.test is None
    assert len(p.x_edges) == len(p.y_edges) == BINS + 1
    assert (np.diff(p.x_edges) > 0).all()
    assert np.array(p.real).shape == np.array(p.synthetic).shape == (BINS, BINS)
    edges = [np.array(p.x_edges), np.array(p.y_edges)]
    inside = [np.clip(reference.real[:, i], e[0], e[-1]) for i, e in enumerate(edges)]
    wanted, *_ = np.histogram2d(*inside, bins=edges)
    assert np.allclose(p.real, wanted / 600)
    assert np.array(p.synthetic).sum() == pytest.approx(1)
    distance = np.abs(np.array(p.real) - np.array(p.synthetic)).sum() / 2
    assert p.overlap == pytest.approx(1 - distance)
    assert p.explained == reference.explained
    assert 0.3 < p.explained[0] < 1


def test_the_projections_score(tables: Tables, reference: StructureReference) -> None:
    scores = {
        name: structure(tables, name, reference, learn=False).scores[0]
        for name in ("other", "copy", "alone")
    }
    assert scores["copy"].value == pytest.approx(1)
    assert scores["copy"].points == 100
    assert scores["other"].points > 85
    assert scores["alone"].points < 15
    assert scores["other"].value == pytest.approx(scores["other"].ceiling, abs=0.05)


def test_other_rows_cannot_be_told_apart(tables: Tables, reference: StructureReference) -> None:
    found = structure(tables, "other", reference).test
    assert found is not None
    assert found.rows == 600
    # The standard deviation of an AUC of guesses is 0.017 here.
    assert abs(found.auc - 0.5) < 0.06
    assert found.holdout_auc is not None
    assert abs(found.holdout_auc - 0.5) < 0.06
    assert found.score.points > 80


def test_copied_rows_are_below_guessing(tables: Tables, reference: StructureReference) -> None:
    found = structure(tables, "copy", reference).test
    assert found is not None
    assert found.auc < 0.45
    assert found.score.value == 1


def test_independent_columns_are_told_apart(tables: Tables, reference: StructureReference) -> None:
    whole = structure(tables, "alone", reference)
    found = whole.test
    assert found is not None
    assert found.auc > 0.95
    assert found.score.points < 10
    assert {"x", "y"} <= {name for name, _ in found.giveaways}
    assert "b" not in {name for name, _ in found.giveaways}
    worths = [worth for _, worth in found.giveaways]
    assert worths == sorted(worths, reverse=True)
    assert [score.name for score in whole.scores] == ["projection", "cannot be told apart"]
    assert whole.scores[1] is found.score
    assert found.giveaways[0][0] in found.score.meaning


def test_the_column_that_gives_rows_away_is_named() -> None:
    real = table(300, 0)
    made = table(300, 1, b=[True] * 300)
    tables = read_tables(real, {"made": made}, SCHEMA)
    found = structure(tables, "made").test
    assert found is not None
    assert found.giveaways[0][0] == "b"
    assert found.holdout_auc is None
    assert "rests on b" in found.score.meaning
    assert found.score.ceiling == pytest.approx(0.98, abs=0.01)


def test_seeds_repeat() -> None:
    tables = read_tables(table(200, 0), {"made": table(300, 1)}, SCHEMA)
    one, two = structure(tables, "made", seed=4), structure(tables, "made", seed=4)
    other = structure(tables, "made", seed=5)
    assert one == two
    assert one.test is not None
    assert one.test.rows == 200
    assert one.projection == other.projection
    assert one.test != other.test


def test_few_rows_are_not_tested(tables: Tables, reference: StructureReference) -> None:
    found = structure(tables, "few", reference)
    assert found.test is None
    assert len(found.scores) == 1
    assert tables.synthetic["few"].rows < LEAST_TESTED
    small = read_tables(table(20, 0), {"made": table(300, 1)}, SCHEMA, table(20, 5))
    assert structure(small, "made").test is None


def test_without_learning_scikit_learn_is_not_needed(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    reference = StructureReference.of(tables, learn=False)
    assert (reference.holdout_auc, reference.independent_auc) == (None, None)
    assert structure(tables, "other", learn=False).test is None
    with pytest.raises(InputError, match="scikit-learn is not installed"):
        structure(tables, "other")
    monkeypatch.undo()
    found = structure(tables, "other", reference).test
    assert found is not None
    assert found.score.floor == 0


def test_large_tables_are_sampled(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PROJECTED", 100)
    monkeypatch.setattr(module, "MOST_TESTED", 50)
    reference = StructureReference.of(tables)
    assert reference.real.shape == (100, 2)
    found = structure(tables, "other", reference)
    assert found.test is not None
    assert found.test.rows == 50
    assert np.array(found.projection.synthetic).sum() == pytest.approx(1)


def test_constant_tables_have_a_projection() -> None:
    schema = Schema.model_validate({"name": "test", "columns": {"x": COLUMNS["x"]}})
    tables = read_tables(pa.table({"x": [5] * 9}), {"made": pa.table({"x": [5] * 4})}, schema)
    found = structure(tables, "made").projection
    assert found.overlap == 1
    assert found.explained == (0.0, 0.0)
    assert found.x_edges[0] < 0 < found.x_edges[-1]
