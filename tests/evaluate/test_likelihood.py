"""Likelihood of rows under a model, exactly."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import latent_tables
import lm_tables
import nets_tables
import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.errors import InputError
from tronie.evaluate.likelihood import (
    likelihood,
    log_likelihoods,
    perplexity,
    within_code,
)
from tronie.evaluate.tables import Tables, read_tables
from tronie.measure.noise import InsecureNoise
from tronie.models.gibbs import GibbsField
from tronie.models.junction import junction_tree
from tronie.models.likelihood import code_log_likelihoods
from tronie.models.markov import MarkovRandomField
from tronie.models.sampling import sample
from tronie.schema.domain import Domain
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema

COLUMNS: dict[str, Any] = {
    "x": {"kind": "integer", "min": 0, "max": 29},
    "a": {"kind": "category", "values": ["p", "q", "r"]},
    "b": {"kind": "boolean"},
}
SCHEMA = Schema.model_validate({"name": "test", "columns": COLUMNS})


def table(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = np.minimum(rng.geometric(0.15, n) - 1, 29)
    a = np.where(rng.random(n) < 0.7, np.minimum(x // 4, 2), rng.integers(0, 3, n))
    b = (a == 1) ^ (rng.random(n) < 0.1)
    return pa.table({"x": x, "a": [("p", "q", "r")[v] for v in a], "b": b})


Fit = Callable[..., tronie.Model]


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    ledger: Path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"

    def fitted(rows: pa.Table, method: str, epsilon: float = 20.0) -> tronie.Model:
        options: dict[str, Any] = {"noise": InsecureNoise(0), "ledger": ledger}
        return tronie.fit(rows, SCHEMA, epsilon=epsilon, delta=1e-6, method=method, **options)

    return fitted


@pytest.fixture(scope="module")
def model(fit: Fit) -> tronie.Model:
    return fit(table(2000, 0), "mst")


def read(real: pa.Table, model: tronie.Model, holdout: pa.Table | None = None) -> Tables:
    return read_tables(real, {"made": table(50, 1)}, model.schema, holdout)


def test_codes_by_hand() -> None:
    """A chain of three columns: p(b) p(a | b) p(c | b)."""
    rng = np.random.default_rng(0)
    tree = junction_tree(Domain({"a": 2, "b": 3, "c": 2}), [("a", "b"), ("b", "c")])
    joint = rng.random((2, 3)) @ np.diag([1.0, 2.0, 3.0])
    joint /= joint.sum()
    other = joint.sum(axis=0)[:, None] * (rows := rng.dirichlet([1, 1], 3))
    tables = {frozenset("ab"): ("ab", joint), frozenset("bc"): ("bc", other)}
    beliefs: list[Any] = []
    for clique in tree.cliques:
        order, values = tables[frozenset(clique)]
        beliefs.append(values if tuple(order) == clique else values.T)
    field = MarkovRandomField(tree, 100.0, tuple(beliefs))
    cells = np.array(list(itertools.product(range(2), range(3), range(2))))
    codes = {name: cells[:, i] for i, name in enumerate("abc")}
    found = code_log_likelihoods(field, codes)
    assert set(found) == {"a", "b", "c"}
    total = sum(found.values())
    wanted = [joint[a, b] * rows[b, c] for a, b, c in cells]
    assert np.exp(total) == pytest.approx(wanted)
    assert field.marginal("abc").values.ravel() / 100 == pytest.approx(wanted)


def test_points_of_a_code_add_up_to_one() -> None:
    # Cells of 2, 3, 1 and 4 points; the third and fourth belong to one code, and weigh nothing.
    grid = Grid(np.array([0, 2, 5, 6, 10]), null=True)
    coding = Coding(grid, np.array([0, 0, 1, 1, 2]), np.array([3.0, 1.0, 0.0, 0.0, 1.0]))
    points = np.array([*range(10), 11])
    codes = coding.code_of(points)
    found = np.exp(within_code(coding, points, codes))
    wanted = [3 / 8, 3 / 8, *[1 / 12] * 3, *[1 / 5] * 5, 1]
    assert found == pytest.approx(wanted)
    assert np.bincount(codes, found) == pytest.approx([1, 1, 1])
    assert np.isneginf(within_code(coding, np.array([0]), np.array([1])))


def test_all_rows_together_have_probability_one(model: tronie.Model) -> None:
    values = [[None, *range(30)], [None, "p", "q", "r"], [None, True, False]]
    rows = list(zip(*itertools.product(*values), strict=True))
    every = pa.table({name: list(column) for name, column in zip(COLUMNS, rows, strict=True)})
    tables = read(every, model)
    found = log_likelihoods(tables, model, tables.real)
    assert np.exp(np.sum(list(found.values()), axis=0)).sum() == pytest.approx(1)


def test_means_and_shares(model: tronie.Model) -> None:
    tables = read(table(2000, 0), model, table(1000, 7))
    found = likelihood(tables, model)
    assert set(found.columns) == set(COLUMNS)
    assert sum(found.columns.values()) == pytest.approx(found.row)
    assert found.perplexity == {}
    assert found.holdout_row == pytest.approx(found.row, rel=0.05)
    # The entropy of the distribution that the rows come from, about, is the least that can be had.
    rows = list(zip(*(table(200_000, 5)[n].to_pylist() for n in COLUMNS), strict=True))
    _, counts = np.unique([f"{r}" for r in rows], return_counts=True)
    entropy = -float((counts / 2e5) @ np.log(counts / 2e5))
    assert entropy - 0.05 < found.row + 0.01 * found.impossible
    assert found.row < entropy + 0.2


def test_dependence_makes_rows_likelier(model: tronie.Model, fit: Fit) -> None:
    alone = fit(table(2000, 0), "independent")
    tables = read(table(2000, 0), model, table(1000, 7))
    one, two = likelihood(tables, model), likelihood(read(table(2000, 0), alone), alone)
    assert one.row < two.row - 0.3
    assert two.holdout_row is None


def test_impossible_rows_are_counted_apart(model: tronie.Model) -> None:
    coding = model.codings["x"]
    shared = [c for c in coding.groups.tolist() if (coding.groups == c).sum() > 1]
    cell = int(np.flatnonzero(coding.groups == shared[0])[-1])
    weights = np.where(np.arange(len(coding.weights)) == cell, 0.0, coding.weights)
    assert weights[coding.groups == shared[0]].sum() > 0
    changed = {**model.codings, "x": Coding(coding.grid, coding.groups, weights)}
    never = int(coding.grid.starts[cell])
    odd = dataclasses.replace(model, codings=changed)
    real = pa.table({"x": [never, 0, 1, never], "a": ["p"] * 4, "b": [True] * 4})
    found = likelihood(read(real, odd, real.slice(0, 1)), odd)
    assert found.impossible == 0.5
    assert math.isfinite(found.row)
    assert found.row == likelihood(read(real.slice(1, 2), odd), odd).row
    assert found.holdout_row == math.inf
    only = likelihood(read(real.slice(3), odd), odd)
    assert (only.row, only.impossible) == (math.inf, 1.0)
    assert likelihood(read(real.slice(3), model), model).impossible == 0


def test_other_models_are_refused(model: tronie.Model) -> None:
    tables = read(table(100, 0), model)
    assert isinstance(model.field, MarkovRandomField)
    population = sample(model.field, 100, np.random.default_rng(0))
    gibbs = dataclasses.replace(model, field=GibbsField(model.field, (), population))
    with pytest.raises(InputError, match="no exact likelihood"):
        likelihood(read(table(100, 0), gibbs), gibbs)
    wider = {**COLUMNS, "x": {"kind": "integer", "min": 0, "max": 99}}
    schema = Schema.model_validate({"name": "test", "columns": wider})
    other = read_tables(table(100, 0), {"made": table(50, 1)}, schema)
    with pytest.raises(InputError, match="'x' is not that of the compared tables"):
        likelihood(other, model)
    assert likelihood(tables, model).row > 0


def with_field(model: tronie.Model, kind: Any, **more: Any) -> tronie.Model:
    """The same codes under another kind of model, with any parameters."""
    sizes = {name: coding.size for name, coding in model.codings.items()}
    return dataclasses.replace(model, field=kind(Domain(sizes), **more))


@pytest.mark.parametrize("kind", [nets_tables.field_of, latent_tables.latent_field])
def test_networks_are_asked_too(kind: Any, model: tronie.Model) -> None:
    odd = with_field(model, kind)
    found = likelihood(read(table(300, 0), odd, table(100, 7)), odd)
    assert found.holdout_row == pytest.approx(found.row, rel=0.1)
    assert sum(found.columns.values()) == pytest.approx(found.row)
    assert found.row > likelihood(read(table(300, 0), model), model).row
    assert (found.perplexity, found.rows, found.impossible) == ({}, None, 0)


def test_all_rows_together_have_probability_one_under_a_language_model(
    model: tronie.Model,
) -> None:
    pytest.importorskip("transformers")
    odd = with_field(model, lm_tables.field_of)
    values = [[None, *range(30)], [None, "p", "q", "r"], [None, True, False]]
    rows = list(zip(*itertools.product(*values), strict=True))
    every = pa.table({name: list(column) for name, column in zip(COLUMNS, rows, strict=True)})
    tables = read(every, odd)
    found = log_likelihoods(tables, odd, tables.real)
    assert np.exp(np.sum(list(found.values()), axis=0)).sum() == pytest.approx(1, abs=1e-4)
    assert set(likelihood(tables, odd).perplexity) == {"value", "decision"}


def test_only_some_rows_are_read_where_each_takes_long(
    model: tronie.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other row of each table, as evenly as can be."""
    odd = with_field(model, nets_tables.field_of)
    real, holdout = table(200, 0), table(50, 7)
    tables = read(real, odd, holdout)
    every = log_likelihoods(tables, odd, tables.real)
    monkeypatch.setattr("tronie.evaluate.likelihood.MOST_ROWS", 100)
    found = likelihood(tables, odd)
    assert found.rows == 100
    assert found.row == pytest.approx(-float(sum(v[::2].mean() for v in every.values())))
    assert likelihood(tables, model).rows is None


def test_a_large_language_model_reads_few_rows(
    model: tronie.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    odd = with_field(model, lm_tables.field_of)
    monkeypatch.setattr("tronie.models.lm.lm_field.LARGE", 10)
    monkeypatch.setattr("tronie.evaluate.likelihood.FEW_ROWS", 5)
    assert likelihood(read(table(40, 0), odd), odd).rows == 5


def test_perplexity_by_class() -> None:
    chances = [0.5, 0.25, 0.1, 1.0]
    found = perplexity(np.log(chances), ["value", "value", "key", "other"])
    assert found == {
        "key": pytest.approx(10),
        "other": pytest.approx(1),
        "value": pytest.approx(math.sqrt(8)),
    }
    with pytest.raises(InputError, match="2 tokens have 1 classes"):
        perplexity(np.zeros(2), ["value"])
    assert perplexity(np.zeros(0), []) == {}
