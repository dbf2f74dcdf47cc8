"""Pairs in layers: which are chosen, what they cost, and what they gain over a tree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.models.junction import forecast_cells
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique, Domain
from tronie.schema.schema import Schema
from tronie.synth.glaze import Glaze, _greedy
from tronie.synth.method import Synthesizer
from tronie.synth.mst import Mst

NAMES = ("a", "b", "c", "d", "e")
DOMAIN = Domain(dict.fromkeys(NAMES, 4))
PAIRS = list(itertools.combinations(NAMES, 2))


def size(pairs: Sequence[Clique]) -> int:
    return forecast_cells(DOMAIN, pairs)


@given(st.lists(st.floats(-0.1, 0.5), min_size=10, max_size=10), st.integers(1, 10), st.booleans())
def test_a_batch_is_promising_small_and_no_larger_than_asked(
    gains: list[float], most: int, forest: bool
) -> None:
    of = dict(zip(PAIRS, gains, strict=True))
    batch = _greedy(of, size, most, 100, forest=forest)
    assert len(batch) == len(set(batch)) <= most
    assert all(of[pair] > 0 for pair in batch)
    assert size(batch) <= 100
    if forest:
        joined = {name: {name} for name in NAMES}
        for a, b in batch:
            assert joined[a] is not joined[b]
            joined[a] |= joined[b]
            for name in joined[a]:
                joined[name] = joined[a]


def test_the_best_pair_comes_first_and_growth_has_its_price() -> None:
    gains = {("a", "b"): 0.3, ("b", "c"): 0.2, ("a", "c"): 0.004, ("d", "e"): 0.02}
    batch = _greedy(gains, size, 10, 10_000, forest=False)
    assert batch[0] == ("a", "b")
    # Closing the circle of a, b and c makes one table of 64 cells out of two of 16.
    assert ("a", "c") not in batch
    dear = {**gains, ("a", "c"): 0.1}
    assert ("a", "c") in _greedy(dear, size, 10, 10_000, forest=False)
    assert ("a", "c") not in _greedy(dear, size, 10, 10_000, forest=True)


def circle(rows: int) -> tuple[pa.Table, Schema]:
    """Four columns that depend on one another in a circle, which no tree can hold."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, rows)
    b = (a + rng.integers(0, 2, rows)) % 4
    d = (a + 2 * rng.integers(0, 2, rows)) % 4
    c = np.where(rng.random(rows) < 0.5, b, d)
    columns = {"a": a, "b": b, "c": c, "d": d}
    kind = {"kind": "category", "values": [0, 1, 2, 3], "nullable": False}
    return pa.table(columns), schema_of(dict.fromkeys(columns, kind))


def mean_pair_error(method: Synthesizer, epsilon: float) -> float:
    rows = 20_000
    table, schema = circle(rows)
    budget = Budget(epsilon, 1e-6)
    curator, meter = curator_of(table, schema, budget)
    model = method.fit(curator, schema, method.plan(schema, budget)).model
    assert total_mu(meter.events) <= budget.mu
    # Once all pairs are measured nothing is left to choose, and that share stays unspent.
    assert total_mu(meter.events) >= 0.98 * budget.mu
    errors = []
    for pair in itertools.combinations(table.column_names, 2):
        truth = np.zeros((4, 4))
        np.add.at(truth, tuple(table[name].to_numpy() for name in pair), 1 / rows)
        errors.append(np.abs(model.marginal(pair).values / model.total - truth).sum() / 2)
    return float(np.mean(errors))


def test_a_circle_is_held_that_a_tree_cannot_hold() -> None:
    ours, tree = (mean_pair_error(method, 5.0) for method in (Glaze(), Mst()))
    assert ours < 0.01
    assert tree > 3 * ours


def test_little_budget_is_not_spent_on_noise_alone() -> None:
    """At an epsilon that hides everything the budget is spent all the same, and the fit holds."""
    assert mean_pair_error(Glaze(), 0.01) < 1.0


@pytest.mark.parametrize("columns", [1, 2])
def test_few_columns(columns: int) -> None:
    table, schema = circle(500)
    names = table.column_names[:columns]
    few = schema_of({name: schema.columns[name].model_dump() for name in names})
    budget = Budget(1.0, 1e-6)
    curator, meter = curator_of(table.select(names), few, budget)
    method = Glaze()
    fitted = method.fit(curator, few, method.plan(few, budget))
    assert fitted.model.domain.columns == tuple(names)
    # Once all pairs are measured nothing is left to choose, and that share stays unspent.
    assert total_mu(meter.events) >= 0.98 * budget.mu


def test_shares_sum_to_one() -> None:
    _, schema = circle(1)
    plan = Glaze().plan(schema, Budget(1.0))
    assert math.isclose(sum(step.share for step in plan.steps), 1.0)
