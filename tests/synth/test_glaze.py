"""Pairs in layers: which are chosen, what they cost, and what they gain over a tree."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import curator_of, schema_of

from tronie.measure.curator import Meter
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Gaussian
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.glaze import LEVELS, Glaze, columns_share
from tronie.synth.method import Fitted, Synthesizer
from tronie.synth.mst import Mst
from tronie.synth.settings import DEFAULTS, Effort, Settings
from tronie.synth.workload import Workload


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


def test_little_budget_is_spent_all_the_same() -> None:
    """At an epsilon that hides everything no pair is promising; the last round spends what is left.

    Columns may have a single code then: that leaves nothing to choose, and its 4 % stay unspent.
    """
    table, schema = circle(2_000)
    budget = Budget(0.01, 1e-6)
    curator, meter = curator_of(table, schema, budget)
    model = Glaze().fit(curator, schema, Glaze().plan(schema, budget)).model
    assert 0.97 * budget.mu <= total_mu(meter.events) <= budget.mu
    assert model.convergence is not None
    assert model.convergence.converged


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


def parity(rows: int) -> tuple[pa.Table, Schema]:
    """Columns of which no two depend on one another, but three do."""
    rng = np.random.default_rng(0)
    a, b, d, e = rng.integers(0, 2, (4, rows))
    columns = {"a": a, "b": b, "c": a ^ b, "d": d, "e": e}
    kind = {"kind": "category", "values": [0, 1], "nullable": False}
    return pa.table(columns), schema_of(dict.fromkeys(columns, kind))


def fitted(
    table: pa.Table, schema: Schema, epsilon: float, settings: Settings = DEFAULTS
) -> tuple[Fitted, Meter]:
    budget = Budget(epsilon, 1e-6)
    curator, meter = curator_of(table, schema, budget)
    method = Glaze()
    return method.fit(curator, schema, method.plan(schema, budget, settings)), meter


def test_a_triple_is_found_that_no_pair_shows() -> None:
    table, schema = parity(20_000)
    found, _ = fitted(table, schema, 2.0)
    counts = found.model.marginal(["a", "b", "c"]).values
    assert counts[0, 0, 1] + counts[0, 1, 0] < 0.03 * counts.sum()


def measured(meter: Meter) -> dict[Clique, float]:
    """Budget (mu squared) of each measured pair or triple."""
    spent: dict[Clique, float] = {}
    for event in meter.events:
        if isinstance(event, Gaussian) and event.query == "marginal" and len(event.columns) > 1:
            spent[event.columns] = spent.get(event.columns, 0.0) + event.mu**2
    return spent


def test_a_target_gets_more_of_the_budget() -> None:
    table, schema = circle(20_000)
    _, plain = fitted(table, schema, 1.0)
    _, aimed = fitted(table, schema, 1.0, Settings(target="c"))
    share = [
        sum(mu for clique, mu in spent.items() if "c" in clique) / sum(spent.values())
        for spent in (measured(plain), measured(aimed))
    ]
    assert share[1] > share[0]


def test_only_pairs_of_the_workload_are_measured() -> None:
    table, schema = circle(20_000)
    _, meter = fitted(table, schema, 1.0, Settings(workload=Workload({("a", "b"): 1.0})))
    assert set(measured(meter)) == {("a", "b")}
    _, meter = fitted(table, schema, 1.0, Settings(workload=Workload({("a",): 1.0})))
    assert 0.9 * Budget(1.0, 1e-6).mu <= total_mu(meter.events)


def test_a_model_keeps_to_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = circle(20_000)
    free, _ = fitted(table, schema, 5.0)
    monkeypatch.setattr("tronie.synth.settings.CELL_BYTES", 2**20)
    bound, _ = fitted(table, schema, 5.0, Settings(max_memory=64))
    assert bound.model.tree.cells <= 64 < free.model.tree.cells


@pytest.mark.parametrize("effort", LEVELS)
def test_effort_says_how_many_rounds(effort: Effort) -> None:
    table, schema = circle(20_000)
    _, meter = fitted(table, schema, 1.0, Settings(effort=effort))
    selections = sum(1 for e in meter.events if isinstance(e, Gaussian) and e.query == "misfits")
    assert 1 <= selections <= LEVELS[effort].rounds


def test_single_columns_get_less_where_they_are_small() -> None:
    small, large = (
        schema_of({f"c{i}": {"kind": "category", "values": list(range(n))} for i in range(5)})
        for n in (2, 100)
    )
    for mu in (0.02, 0.2, 2.0):
        assert 0.05 <= columns_share(small, mu) < columns_share(large, mu) <= 0.6
