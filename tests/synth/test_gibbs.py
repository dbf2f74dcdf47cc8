"""All pairs that are worth their noise: which, how finely, at what price, and what they gain."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.models.gibbs import GibbsField
from tronie.models.markov import MarkovRandomField
from tronie.models.uncertainty import error_bound
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Gaussian
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth import gibbs
from tronie.synth.gibbs import Choice, Gibbs, Grain, _even_groups, _grains, choose
from tronie.synth.layers import Level
from tronie.synth.method import Fitted, Synthesizer
from tronie.synth.mst import Mst
from tronie.synth.prepare import prepare
from tronie.synth.settings import Settings
from tronie.synth.workload import Workload

CHOICES = st.lists(
    st.tuples(st.floats(-0.2, 1.0), st.integers(4, 3000), st.floats(0.1, 8.0)),
    min_size=1,
    max_size=4,
)


@given(
    st.lists(CHOICES, min_size=1, max_size=15),
    st.floats(1e-6, 1e-2),
    st.integers(1, 15),
    st.integers(10, 10_000),
)
def test_what_is_chosen_is_worth_its_noise(
    grains: list[list[tuple[float, int, float]]], scale: float, most: int, cells: int
) -> None:
    candidates: dict[Clique, list[Choice]] = {
        ("a", str(i)): [Choice(k, *facts) for k, facts in enumerate(pair)]
        for i, pair in enumerate(grains)
    }
    chosen = choose(candidates, scale, most=most, cells=cells)
    assert len(chosen) <= most
    assert sum(choice.cells for choice in chosen.values()) <= cells
    total = sum(choice.part for choice in chosen.values())
    for pair, choice in chosen.items():
        assert choice in candidates[pair]
        noise = scale * choice.cells * (total / choice.part) ** 0.5
        assert choice.distance > noise


def test_strong_pairs_are_measured_finely_and_weak_ones_coarsely() -> None:
    candidates: dict[Clique, list[Choice]] = {
        ("a", "strong"): [Choice(0, 0.9, 1000, 1.0), Choice(1, 0.5, 60, 1.0)],
        ("a", "weak"): [Choice(0, 0.11, 1000, 1.0), Choice(1, 0.1, 60, 1.0)],
        ("a", "none"): [Choice(0, 0.01, 1000, 1.0), Choice(1, 0.002, 60, 1.0)],
    }
    chosen = choose(candidates, 1e-4, most=5, cells=10_000)
    assert {pair[1]: choice.grain for pair, choice in chosen.items()} == {"strong": 0, "weak": 1}
    assert not choose(candidates, 1.0, most=5, cells=10_000)


@given(st.lists(st.floats(0, 1000), min_size=3, max_size=60), st.integers(2, 8), st.integers(0, 2))
def test_groups_are_neighbours_without_gaps(mass: list[float], parts: int, alone: int) -> None:
    groups = _even_groups(np.array(mass), parts, len(mass) - alone)
    assert groups[0] == 0
    assert set(np.diff(groups).tolist()) <= {0, 1}
    assert groups[-1] < parts + alone
    assert np.bincount(groups)[len(np.unique(groups)) - alone :].tolist() == [1] * alone


def ring(rows: int, codes: int = 4, seed: int = 0) -> pa.Table:
    """Four columns that depend on one another in a circle, which no tree can hold."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, codes, rows)
    b = (a + rng.integers(0, 2, rows)) % codes
    d = (a + 2 * rng.integers(0, 2, rows)) % codes
    c = np.where(rng.random(rows) < 0.5, b, d)
    return pa.table({"a": a, "b": b, "c": c, "d": d})


def listed(table: pa.Table, codes: int = 4, **more: Any) -> Schema:
    kind = {"kind": "category", "values": list(range(codes)), "nullable": False}
    return schema_of(dict.fromkeys(table.column_names, kind), **more)


def run(
    method: Synthesizer,
    table: pa.Table,
    schema: Schema,
    budget: Budget,
    settings: Settings | None = None,
    *,
    spent: float = 0.99,
) -> tuple[Fitted, Any]:
    """A fit whose spending was checked."""
    curator, meter = curator_of(table, schema, budget)
    fitted = method.fit(curator, schema, method.plan(schema, budget, settings or Settings()))
    assert spent * budget.mu <= total_mu(meter.events) <= budget.mu
    return fitted, meter


def pair_errors(fitted: Fitted, table: pa.Table, codes: int = 4) -> dict[Clique, float]:
    errors: dict[Clique, float] = {}
    for pair in itertools.combinations(table.column_names, 2):
        truth = np.zeros((codes, codes))
        np.add.at(truth, tuple(table[name].to_numpy() for name in pair), 1 / table.num_rows)
        found = fitted.model.marginal(pair).values / fitted.model.total
        errors[pair] = float(np.abs(found - truth).sum() / 2)
    return errors


def mean(errors: dict[Clique, float]) -> float:
    return float(np.mean(list(errors.values())))


@pytest.fixture
def _small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees that hold no circle of four columns."""
    small = {
        effort: dataclasses.replace(depth, tree=Level(depth.tree.rounds, 100))
        for effort, depth in gibbs.DEPTHS.items()
    }
    monkeypatch.setattr(gibbs, "DEPTHS", small)


@pytest.mark.usefixtures("_small_trees")
def test_a_circle_is_held_that_a_tree_cannot_hold() -> None:
    table = ring(20_000)
    schema, budget = listed(table), Budget(5.0, 1e-6)
    ours, _ = run(Gibbs(), table, schema, budget)
    tree, _ = run(Mst(), table, schema, budget)
    assert isinstance(ours.model, GibbsField)
    assert ours.model.convergence is not None
    assert ours.model.convergence.converged
    assert mean(pair_errors(ours, table)) < 0.01
    assert mean(pair_errors(tree, table)) > 3 * mean(pair_errors(ours, table))


def test_where_nothing_else_is_promising_the_tree_gets_it_all() -> None:
    """A chain is a tree: what the second batch would have cost makes the tree better."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 3000)
    b = (a + (rng.random(3000) < 0.3)) % 4
    table = pa.table({"a": a, "b": b, "c": rng.integers(0, 4, 3000)})
    fitted, meter = run(Gibbs(), table, listed(table), Budget(0.5, 1e-6), spent=0.98)
    assert isinstance(fitted.model, MarkovRandomField)
    marginals = [e.columns for e in meter.events if isinstance(e, Gaussian)]
    assert marginals.count(("a", "b")) == 2


def test_little_budget_gives_a_model_all_the_same() -> None:
    table = ring(500)
    fitted, _ = run(Gibbs(), table, listed(table), Budget(0.01, 1e-6), spent=0.96)
    for pair in itertools.combinations(table.column_names, 2):
        marginal = fitted.model.marginal(pair)
        assert (marginal.values >= 0).all()
        assert marginal.sum() == pytest.approx(fitted.model.total)


@pytest.mark.parametrize("columns", [1, 2])
def test_few_columns(columns: int) -> None:
    table = ring(500)
    few = table.select(table.column_names[:columns])
    # With two columns nothing is left to choose, and that share stays unspent.
    fitted, _ = run(Gibbs(), few, listed(few), Budget(1.0, 1e-6), spent=0.96)
    assert fitted.model.domain.columns == tuple(few.column_names)


def numbers(rows: int) -> tuple[pa.Table, Schema]:
    """Numbers that depend on one another all around, some missing, and a category."""
    rng = np.random.default_rng(1)
    base = rng.normal(500, 150, rows)
    columns = {
        name: np.clip(base + rng.normal(0, 60 + 30 * i, rows), 0, 1000).astype(int)
        for i, name in enumerate("xyz")
    }
    table = pa.table(
        {
            **{
                n: pa.array(v, mask=rng.random(rows) < 0.05 * (n == "x"))
                for n, v in columns.items()
            },
            "t": (columns["x"] // 100 + rng.integers(0, 3, rows)) % 11,
        }
    )
    number = {"kind": "integer", "min": 0, "max": 1000}
    category = {"kind": "category", "values": list(range(11)), "nullable": False}
    return table, schema_of({"x": number, "y": number, "z": number, "t": category})


def test_numbers_are_measured_in_groups_and_come_back_in_codes() -> None:
    table, schema = numbers(4000)
    fitted, meter = run(Gibbs(), table, schema, Budget(2.0, 1e-6))
    assert isinstance(fitted.model, GibbsField)
    sizes = fitted.model.domain.sizes
    coarse = [
        term
        for term in fitted.model.terms
        if any(len(g) > int(g.max()) + 1 for g in term.groups) and len(term.columns) == 2
    ]
    assert coarse
    for column in "xyz":
        assert fitted.model.marginal((column,)).values.shape == (sizes[column],)
    # What is counted last is counted by the codes of the model again.
    assert sum(e.query == "misfits" for e in meter.events) >= 3
    rows = fitted.model.sample(4000, np.random.default_rng(0))
    ranks = [rows[c].astype(float) for c in "yz"]
    assert np.corrcoef(*ranks)[0, 1] > 0.6


def test_grains_leave_categories_and_missing_values_alone() -> None:
    table, schema = numbers(4000)
    budget = Budget(2.0, 1e-6)
    curator, _ = curator_of(table, schema, budget)
    prepared = prepare(curator, schema, Gibbs().plan(schema, budget))
    first, *coarser = _grains(prepared)
    assert not first.groups
    for grain in coarser:
        assert "t" not in grain.groups
        missing = int(prepared.codings["x"].groups[-1])
        assert (grain.groups["x"] == grain.groups["x"][missing]).sum() == 1
    cells = Grain.of(prepared, 4).cells(prepared, ("x", "t"))
    assert cells == 5 * prepared.domain["t"] < prepared.domain.size(("x", "t"))


@pytest.mark.usefixtures("_small_trees")
@pytest.mark.parametrize("epsilon", [0.2, 5.0])
def test_errors_of_other_pairs_are_within_their_bounds(epsilon: float) -> None:
    table = ring(5000)
    fitted, _ = run(Gibbs(), table, listed(table), Budget(epsilon, 1e-6), spent=0.96)
    errors = {frozenset(pair): error for pair, error in pair_errors(fitted, table).items()}
    bounds = error_bound(fitted.misfits, fitted.model.total)
    known = {frozenset(m.clique) for m in fitted.measured if len(m.clique) == 2}
    assert bounds.keys() == errors.keys() - known
    assert all(errors[pair] < bound for pair, bound in bounds.items())


def test_a_triple_is_found_beside_the_tree() -> None:
    """Ten coins, and of some three of them the number of heads is even: no pair shows it."""
    rng = np.random.default_rng(0)
    coins = rng.integers(0, 2, (20_000, 10))
    coins[:, 9] = coins[:, 0] ^ coins[:, 1]
    table = pa.table({f"c{i}": coins[:, i] for i in range(10)})
    fitted, _ = run(Gibbs(), table, listed(table, 2), Budget(5.0, 1e-6), spent=0.98)
    odd = fitted.model.marginal(("c0", "c1", "c9")).values / fitted.model.total
    assert odd[0, 0, 1] + odd[0, 1, 0] + odd[1, 0, 0] + odd[1, 1, 1] < 0.02


@pytest.mark.usefixtures("_small_trees")
def test_structural_zeros_hold_in_every_row() -> None:
    table = ring(5000)
    keep = np.ones(5000, bool)
    for one, two in (("a", "c"), ("b", "d")):
        keep &= ~((table[one].to_numpy() == 0) & (table[two].to_numpy() == 3))
    table = table.filter(pa.array(keep))
    rules = [
        {"kind": "impossible", "when": {"a": [0], "c": [3]}},
        {"kind": "impossible", "when": {"b": [0], "d": [3]}},
    ]
    fitted, _ = run(Gibbs(), table, listed(table, constraints=rules), Budget(3.0, 1e-6))
    assert isinstance(fitted.model, GibbsField)
    codes = {n: c.code_of(np.arange(4)) for n, c in fitted.prepared.codings.items()}
    rows = fitted.model.sample(20_000, np.random.default_rng(0))
    for one, two in (("a", "c"), ("b", "d")):
        assert not ((rows[one] == codes[one][0]) & (rows[two] == codes[two][3])).any()


def test_only_pairs_that_matter_are_measured() -> None:
    table = ring(20_000)
    schema = listed(table)
    workload = Workload.of({("b", "c"): 1.0, ("c", "d"): 1.0}, table.column_names)
    _, meter = run(
        Gibbs(), table, schema, Budget(5.0, 1e-6), Settings(workload=workload), spent=0.96
    )
    pairs = {e.columns for e in meter.events if e.query == "marginal" and len(e.columns) == 2}
    assert pairs == {("b", "c"), ("c", "d")}


@pytest.mark.usefixtures("_small_trees")
def test_effort_and_memory_bound_the_fit() -> None:
    table = ring(3000)
    fast, _ = run(
        Gibbs(),
        table,
        listed(table),
        Budget(5.0, 1e-6),
        Settings(effort="fast", max_memory=64),
    )
    assert fast.model.convergence is not None
    assert fast.model.convergence.iterations == 6


def test_shares_sum_to_one() -> None:
    plan = Gibbs().plan(listed(ring(1)), Budget(1.0))
    assert math.isclose(sum(step.share for step in plan.steps), 1.0)
