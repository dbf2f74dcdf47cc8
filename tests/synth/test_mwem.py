"""The workload's worst marginal in each round: which are measured, and what they cost."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import curator_of, schema_of

from tronie.measure.curator import Meter
from tronie.measure.queries import Selection
from tronie.models.markov import MarkovRandomField
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Exponential, Gaussian
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth import aim as aim_module
from tronie.synth.mwem import Mwem
from tronie.synth.settings import DEFAULTS, Settings
from tronie.synth.workload import Workload

FOUR = {"kind": "category", "values": [0, 1, 2, 3], "nullable": False}


def chain(rows: int) -> tuple[pa.Table, Schema]:
    """Four columns, each of which follows the one before with probability 0.7, and one alone."""
    rng = np.random.default_rng(5)
    columns = [rng.integers(0, 4, rows)]
    for _ in range(3):
        free = rng.integers(0, 4, rows)
        columns.append(np.where(rng.random(rows) < 0.7, columns[-1], free))
    table = pa.table(dict(zip("abcde", [*columns, rng.integers(0, 4, rows)], strict=True)))
    return table, schema_of(dict.fromkeys(table.column_names, FOUR))


def released(
    method: Mwem,
    table: pa.Table,
    schema: Schema,
    budget: Budget,
    settings: Settings = DEFAULTS,
) -> tuple[MarkovRandomField, Meter]:
    curator, meter = curator_of(table, schema, budget)
    fitted = method.fit(curator, schema, method.plan(schema, budget, settings))
    assert isinstance(fitted.model, MarkovRandomField)
    return fitted.model, meter


def rounds_of(meter: Meter) -> list[tuple[Exponential, Gaussian]]:
    """The choice and the measurement of each round; they alternate once columns are measured."""
    first = next((i for i, e in enumerate(meter.events) if e.query == "selection"), None)
    later = list(meter.events[first:]) if first is not None else []
    found: list[tuple[Exponential, Gaussian]] = []
    for choice, answer in zip(later[::2], later[1::2], strict=True):
        assert isinstance(choice, Exponential)
        assert isinstance(answer, Gaussian)
        found.append((choice, answer))
    return found


def test_much_budget_finds_the_chain_and_its_distribution() -> None:
    table, schema = chain(20_000)
    model, meter = released(Mwem(), table, schema, Budget(20.0, 1e-6))
    measured = [answer.columns for _, answer in rounds_of(meter)]
    assert set(measured[:3]) == {("a", "b"), ("b", "c"), ("c", "d")}
    for pair in itertools.combinations(table.column_names, 2):
        exact = np.zeros((4, 4))
        np.add.at(exact, tuple(table[c].to_numpy() for c in pair), 1 / table.num_rows)
        # 20,000 rows: a pair that no clique holds is off by sampling alone, below 0.02.
        assert np.abs(model.marginal(pair).values / model.total - exact).sum() / 2 < 0.02


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 9.0])
@pytest.mark.parametrize("rounds", [None, 1, 12])
def test_all_rounds_cost_the_same_and_the_budget_is_spent(
    epsilon: float, rounds: int | None
) -> None:
    table, schema = chain(1000)
    budget = Budget(epsilon, 1e-6)
    _, meter = released(Mwem(rounds), table, schema, budget)
    found = rounds_of(meter)
    assert len(found) == (rounds or 5)
    assert len({choice.epsilon for choice, _ in found}) == 1
    assert len({answer.sigma for _, answer in found}) == 1
    assert 0.99 * budget.mu <= total_mu(meter.events) <= budget.mu


def test_the_whole_workload_is_asked_about_and_nothing_else() -> None:
    table, schema = chain(3000)
    workload = Workload({("a", "b", "c"): 1.0, ("a", "e"): 1.0, ("d",): 5.0})
    _, meter = released(Mwem(), table, schema, Budget(5.0, 1e-6), Settings(workload=workload))
    found = rounds_of(meter)
    assert {choice.candidates for choice, _ in found} == {2}
    assert found[0][1].columns == ("a", "b", "c")
    assert {answer.columns for _, answer in found} <= {("a", "b", "c"), ("a", "e")}


def test_weights_count_and_noise_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = chain(3000)
    asked: list[Selection] = []
    honest = Selection.event

    def event(query: Selection, rows_per_unit: int) -> Any:
        asked.append(query)
        return honest(query, rows_per_unit)

    monkeypatch.setattr(Selection, "event", event)
    released(Mwem(), table, schema, Budget(5.0, 1e-6), Settings(target="e"))
    for query in asked:
        assert query.offsets is None
        assert query.weights == {
            pair: 1000 if "e" in pair else 250 for pair in itertools.combinations("abcde", 2)
        }


def test_what_makes_the_model_too_large_waits_until_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, schema = chain(3000)
    monkeypatch.setitem(aim_module.CELLS, "normal", 60)
    model, meter = released(Mwem(rounds=10), table, schema, Budget(9.0, 1e-6))
    # Early on even one pair is too large, and single columns are measured instead.
    assert {len(answer.columns) for _, answer in rounds_of(meter)[:3]} == {1}
    assert {len(answer.columns) for _, answer in rounds_of(meter)[-3:]} == {2}
    assert model.tree.cells <= 60


@pytest.mark.parametrize("workload", [{("d",): 1.0}, {("note",): 1.0}])
def test_a_workload_without_pairs_gives_single_columns(workload: dict[Clique, float]) -> None:
    table, _ = chain(500)
    schema = schema_of({**dict.fromkeys(table.column_names, FOUR), "note": {"kind": "text"}})
    noted = table.append_column("note", pa.array(["x"] * 500))
    budget = Budget(1.0, 1e-6)
    settings = Settings(workload=Workload(workload))
    _, meter = released(Mwem(), noted, schema, budget, settings)
    assert {len(answer.columns) for _, answer in rounds_of(meter)} == {1}
    assert total_mu(meter.events) >= 0.99 * budget.mu


def test_what_the_model_cannot_tell_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = chain(3000)
    honest = MarkovRandomField.marginals
    monkeypatch.setattr(
        MarkovRandomField,
        "marginals",
        lambda self, cliques, *, max_cells=16: honest(self, cliques, max_cells=min(max_cells, 16)),
    )
    settings = Settings(workload=Workload({("a", "b", "c"): 1.0, ("b", "d", "e"): 1.0}))
    _, meter = released(Mwem(), table, schema, Budget(5.0, 1e-6), settings)
    assert {len(answer.columns) for _, answer in rounds_of(meter)} == {1}


@pytest.mark.parametrize("columns", [1, 2])
def test_few_columns(columns: int) -> None:
    table, schema = chain(500)
    names = table.column_names[:columns]
    few = schema_of({name: schema.columns[name].model_dump() for name in names})
    budget = Budget(1.0, 1e-6)
    model, meter = released(Mwem(), table.select(names), few, budget)
    assert model.domain.columns == tuple(names)
    assert len(rounds_of(meter)) == (columns if columns > 1 else 0)
    assert total_mu(meter.events) >= 0.99 * budget.mu


def test_structural_zeros_hold() -> None:
    table, _ = chain(3000)
    rule = {"kind": "impossible", "when": {"a": [0], "b": [2, 3]}}
    schema = schema_of(dict.fromkeys(table.column_names, FOUR), constraints=[rule])
    model, _ = released(Mwem(), table, schema, Budget(3.0, 1e-6))
    assert model.marginal(("a", "b")).values[0, 2:].tolist() == [0.0, 0.0]


def test_shares_sum_to_one() -> None:
    _, schema = chain(1)
    plan = Mwem().plan(schema, Budget(1.0))
    assert math.isclose(sum(step.share for step in plan.steps), 1.0)
