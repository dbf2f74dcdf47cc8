"""Networks on single columns: `transformer`, `lstm` and `hybrid`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import curator_of, schema_of

from tronie.models.nets.net_field import NetField
from tronie.privacy.accounting import epsilon_of, fits
from tronie.privacy.budget import Budget
from tronie.privacy.events import SampledGaussian
from tronie.synth.glaze import Glaze
from tronie.synth.hybrid import MARGINALS, Hybrid
from tronie.synth.learning import TRAIN
from tronie.synth.settings import Settings, Training
from tronie.synth.transformer import Transformer

BIT: dict[str, Any] = {"kind": "category", "values": [0, 1], "nullable": False}

PARITY = schema_of({name: dict(BIT) for name in "abcd"})
"""The last column is the parity of the others: every three columns are independent."""

FAST = Settings(effort="fast")


def parity(rows: int) -> pa.Table:
    bits = np.random.default_rng(0).integers(2, size=(rows, 3))
    return pa.table({**dict(zip("abc", bits.T, strict=True)), "d": bits.sum(axis=1) % 2})


def test_plans_say_what_is_trained_and_what_is_measured() -> None:
    budget = Budget(1.0)
    for method in (Transformer(), Transformer("lstm")):
        plan = method.plan(PARITY, budget)
        assert [step.name for step in plan.steps] == ["total", "columns", TRAIN]
        assert plan.method == method.name
    hybrid, glaze = Hybrid().plan(PARITY, budget), Glaze().plan(PARITY, budget)
    assert hybrid.share("pairs") == pytest.approx(MARGINALS * glaze.share("pairs"))
    assert hybrid.share(TRAIN) == 1 - MARGINALS


@pytest.mark.parametrize("method", [Transformer(), Transformer("lstm"), Hybrid()])
def test_a_single_column_needs_no_training(method: Any) -> None:
    schema = schema_of({"a": BIT})
    budget = Budget(1.0)
    curator, meter = curator_of(pa.table({"a": [0, 1, 1, 1] * 50}), schema, budget)
    fitted = method.fit(curator, schema, method.plan(schema, budget, FAST))
    assert not any(isinstance(event, SampledGaussian) for event in meter.events)
    rows = fitted.model.sample(10_000, np.random.default_rng(0))
    shares = fitted.model.marginal(["a"]).normalise().values
    assert rows["a"].mean() == pytest.approx(shares[1], abs=0.01)


def test_what_no_pair_and_no_triple_shows_is_learned() -> None:
    """The parity of three bits, at epsilon 8 on 10,000 rows: 9 of 10 rows have it, by chance half."""
    budget = Budget(8.0, 1e-5)
    curator, meter = curator_of(parity(10_000), PARITY, budget)
    wishes = Settings(training=Training(epochs=5))
    fitted = Transformer().fit(curator, PARITY, Transformer().plan(PARITY, budget, wishes))
    assert fits(meter.events, budget)
    assert epsilon_of(meter.events, budget.delta) > 0.99 * budget.epsilon
    rows = fitted.model.sample(5000, np.random.default_rng(0))
    right = (rows["a"] + rows["b"] + rows["c"]) % 2 == rows["d"]
    assert right.mean() > 0.9
    given = fitted.model.sample(
        5000, np.random.default_rng(0), {"d": np.array([1.0, 0.0]), "c": np.array([0.0, 1.0])}
    )
    assert (given["d"] == 0).all()
    assert (given["a"] != given["b"]).mean() > 0.9


def test_a_hybrid_ties_the_pairs_that_it_measured() -> None:
    """Three columns in step, at epsilon 4 on 3,000 rows; pairs of codes are within 0.01."""
    schema = schema_of(
        {c: {"kind": "category", "values": [0, 1, 2], "nullable": False} for c in "abc"}
    )
    a = np.random.default_rng(0).choice(3, 3000, p=[0.2, 0.3, 0.5])
    table = pa.table({"a": a, "b": a, "c": (a + 1) % 3})
    budget = Budget(4.0, 1e-5)
    curator, _ = curator_of(table, schema, budget)
    fitted = Hybrid().fit(curator, schema, Hybrid().plan(schema, budget, FAST))
    assert isinstance(fitted.model, NetField)
    assert fitted.model.ties
    assert {marginal.clique for marginal in fitted.measured} > {("a",), ("b",), ("c",)}
    rows = fitted.model.sample(3000, np.random.default_rng(0))
    found = np.histogram2d(rows["a"], rows["c"], [range(4), range(4)])[0] / 3000
    true = np.histogram2d(a, (a + 1) % 3, [range(4), range(4)])[0] / 3000
    np.testing.assert_allclose(found, true, atol=0.02)


def test_equal_answers_give_equal_models() -> None:
    budget = Budget(1.0)
    found = []
    for _ in range(2):
        curator, _ = curator_of(parity(300), PARITY, budget)
        fitted = Hybrid().fit(curator, PARITY, Hybrid().plan(PARITY, budget, FAST))
        found.append(fitted.model.to_arrays())
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])
