"""Methods that fit a generator: `vae`, `gan` and `marginal_net`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import curator_of, schema_of

from tronie.models.nets.latent_field import LatentField
from tronie.privacy.accounting import epsilon_of, fits
from tronie.privacy.budget import Budget
from tronie.privacy.events import SampledGaussian
from tronie.schema.schema import Schema
from tronie.synth import glaze, marginal_net
from tronie.synth.gan import LEARNING_RATE, Gan
from tronie.synth.glaze import Glaze
from tronie.synth.learning import TRAIN
from tronie.synth.marginal_net import DENSE, TREE, MarginalNet
from tronie.synth.settings import Settings, Training
from tronie.synth.vae import Vae

FAST = Settings(effort="fast")


def three() -> dict[str, Any]:
    return {"kind": "category", "values": [0, 1, 2], "nullable": False}


STEPS = schema_of({name: three() for name in "abc"})
"""Three columns in step."""


def in_step(rows: int) -> pa.Table:
    a = np.random.default_rng(0).choice(3, rows, p=[0.2, 0.3, 0.5])
    return pa.table({"a": a, "b": a, "c": (a + 1) % 3})


def fitted(method: Any, table: pa.Table, schema: Schema, epsilon: float, **more: Any) -> Any:
    """What a method leaves behind, and what it was charged."""
    budget = Budget(epsilon, 1e-5)
    curator, meter = curator_of(table, schema, budget)
    return method.fit(curator, schema, method.plan(schema, budget, Settings(**more))), meter


def test_plans_say_what_is_trained_and_what_is_measured() -> None:
    budget = Budget(1.0)
    for method in (Vae(), Gan()):
        plan = method.plan(STEPS, budget)
        assert [step.name for step in plan.steps] == ["total", "columns", TRAIN]
        assert plan.method == method.name
    plan, glaze = MarginalNet().plan(STEPS, budget), Glaze().plan(STEPS, budget)
    assert plan.share("pairs") == pytest.approx(TREE * glaze.share("pairs"))
    assert plan.share(DENSE) == pytest.approx(1 - TREE)


@pytest.mark.parametrize("method", [Vae(), Gan(), MarginalNet()])
def test_a_single_column_needs_no_training(method: Any) -> None:
    schema = schema_of({"a": three()})
    found, meter = fitted(method, pa.table({"a": [0, 1, 1, 2] * 50}), schema, 1.0, effort="fast")
    assert not any(isinstance(event, SampledGaussian) for event in meter.events)
    rows = found.model.sample(10_000, np.random.default_rng(0))
    shares = found.model.marginal(["a"]).normalise().values
    np.testing.assert_allclose(np.bincount(rows["a"]) / 10_000, shares, atol=0.01)


@pytest.mark.parametrize(
    ("method", "least"), [(Vae(), 0.7), (Gan(), 0.7), (MarginalNet(), 0.97)], ids=str
)
def test_columns_in_step_are_learned(method: Any, least: float) -> None:
    """At epsilon 8 on 3,000 rows; columns that are independent would be in step in 2 rows of 5."""
    found, meter = fitted(method, in_step(3000), STEPS, 8.0, effort="fast")
    budget = Budget(8.0, 1e-5)
    assert fits(meter.events, budget)
    assert epsilon_of(meter.events, budget.delta) > 0.98 * budget.epsilon
    assert isinstance(found.model, LatentField)
    rows = found.model.sample(5000, np.random.default_rng(0))
    assert (rows["a"] == rows["b"]).mean() > least
    assert (rows["c"] == (rows["a"] + 1) % 3).mean() > least
    for column, true in (("a", [0.2, 0.3, 0.5]), ("c", [0.5, 0.2, 0.3])):
        np.testing.assert_allclose(np.bincount(rows[column]) / 5000, true, atol=0.02)
    given = {"a": np.array([1.0, 0.0, 0.0])}
    some = found.model.sample(2000, np.random.default_rng(1), given)
    assert (some["a"] == 0).all()
    assert (some["b"] == 0).mean() == pytest.approx(
        (rows["b"][rows["a"] == 0] == 0).mean(), abs=0.06
    )


@pytest.mark.parametrize("method", [Vae(), Gan(), MarginalNet()])
def test_equal_answers_give_equal_models(method: Any) -> None:
    more = {"effort": "fast", "training": Training(epochs=0.5)}
    one, two = (fitted(method, in_step(300), STEPS, 1.0, **more)[0].model for _ in range(2))
    arrays = one.to_arrays()
    assert all(np.array_equal(array, two.to_arrays()[name]) for name, array in arrays.items())


def test_a_gan_heeds_a_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def train(curator: Any, network: Any, columns: Any, descent: Any, **_: Any) -> None:
        seen.append(descent.learning_rate)

    monkeypatch.setattr("tronie.measure.curator.Curator.train", train)
    for training in (Training(), Training(learning_rate=0.5)):
        fitted(Gan(), in_step(100), STEPS, 1.0, training=training)
    assert seen == [LEARNING_RATE, 0.5]


def test_a_marginal_net_measures_what_the_tree_had_no_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six columns, all pairs dependent, and a tree of little memory: more pairs are measured."""
    rng = np.random.default_rng(0)
    level = rng.random(8000)
    columns = {name: (6 * (0.7 * level + 0.3 * rng.random(8000))).astype(int) for name in "abcdef"}
    schema = schema_of(
        {c: {"kind": "category", "values": list(range(6)), "nullable": False} for c in columns}
    )
    monkeypatch.setattr(glaze, "LEVELS", {"fast": glaze.Level(3, 250)})
    tree, _ = fitted(Glaze(), pa.table(columns), schema, 8.0, effort="fast")
    found, _ = fitted(MarginalNet(), pa.table(columns), schema, 8.0, effort="fast")
    pairs = [{frozenset(m.clique) for m in f.measured if len(m.clique) == 2} for f in (tree, found)]
    assert len(pairs[0]) == 5
    assert len(pairs[1]) > 8
    errors = []
    for one in (tree, found):
        worst = 0.0
        for a, b in (sorted(pair) for pair in pairs[1] - pairs[0]):
            true = np.histogram2d(columns[a], columns[b], [range(7), range(7)])[0] / 8000
            table = one.model.marginal([a, b]).normalise().values
            worst = max(worst, float(np.abs(table - true).sum() / 2))
        errors.append(worst)
    assert errors[1] < 0.7 * errors[0]


def test_the_tree_teaches_small_pairs_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"a": 2, "b": 3, "c": 4, "d": 5}
    schema = schema_of(
        {
            c: {"kind": "category", "values": list(range(n)), "nullable": False}
            for c, n in sizes.items()
        }
    )
    table = pa.table({c: np.arange(600) % n for c, n in sizes.items()})
    tree = fitted(Glaze(), table, schema, 8.0, effort="fast")[0].model
    assert len(marginal_net._taught(tree, [])) == 6
    monkeypatch.setattr(marginal_net, "TAUGHT_CELLS", 15)
    assert [m.clique for m in marginal_net._taught(tree, [])] == [("a", "b"), ("a", "c")]
