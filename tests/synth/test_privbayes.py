"""The Bayesian network: who gets which parents, what it costs, and what it gains over a tree."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.measure.queries import MAX_SCALE, Dependences
from tronie.models.junction import forecast_cells
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth import privbayes as privbayes_module
from tronie.synth.method import Fitted, Synthesizer
from tronie.synth.mst import Mst
from tronie.synth.plan import MEAN_ABSOLUTE
from tronie.synth.privbayes import CANDIDATES, PrivBayes, _next
from tronie.synth.settings import DEFAULTS, Settings
from tronie.synth.workload import Workload

LISTED = {"kind": "category", "values": [0, 1, 2, 3], "nullable": False}


def parity(rows: int = 20_000) -> tuple[pa.Table, Schema]:
    """c is nearly the sum of a and b modulo 4, d follows c, and e is on its own.

    With a biased towards 0, c depends on a single parent a little, and on both wholly.
    """
    rng = np.random.default_rng(3)
    a = rng.choice(4, rows, p=[0.55, 0.25, 0.1, 0.1])
    b = rng.choice(4, rows, p=[0.6, 0.2, 0.1, 0.1])
    c = np.where(rng.random(rows) < 0.95, (a + b) % 4, rng.integers(0, 4, rows))
    d = np.where(rng.random(rows) < 0.9, c, rng.integers(0, 4, rows))
    columns = {"a": a, "b": b, "c": c, "d": d, "e": rng.integers(0, 4, rows)}
    return pa.table(columns), schema_of(dict.fromkeys(columns, LISTED))


def fitted(
    method: Synthesizer,
    table: pa.Table,
    schema: Schema,
    epsilon: float,
    settings: Settings = DEFAULTS,
    **more: Any,
) -> tuple[Fitted, list[Any]]:
    """What a method leaves behind, and what it was charged."""
    budget = Budget(epsilon, 1e-6)
    curator, meter = curator_of(table, schema, budget, **more)
    found = method.fit(curator, schema, method.plan(schema, budget, settings))
    assert total_mu(meter.events) <= budget.mu
    return found, list(meter.events)


def measured(events: list[Any]) -> set[frozenset[str]]:
    """Sets of two columns and more that were measured."""
    sets = {frozenset(e.columns) for e in events if e.query == "marginal"}
    return {columns for columns in sets if len(columns) > 1}


def error(found: Fitted, table: pa.Table, columns: tuple[str, ...]) -> float:
    """Total variation of a marginal."""
    truth = np.zeros((4,) * len(columns))
    np.add.at(truth, tuple(table[name].to_numpy() for name in columns), 1 / table.num_rows)
    model = found.model.marginal(columns).values / found.model.total
    return float(np.abs(model - truth).sum() / 2)


def test_two_parents_are_found_where_one_does_not_tell() -> None:
    table, schema = parity()
    ours, events = fitted(PrivBayes(), table, schema, 10.0)
    tree, _ = fitted(Mst(), table, schema, 10.0)
    assert any({"a", "b", "c"} <= columns for columns in measured(events))
    assert error(ours, table, ("a", "b", "c")) < 0.02
    assert error(tree, table, ("a", "b", "c")) > 0.1
    assert total_mu(events) >= 0.98 * Budget(10.0, 1e-6).mu


@pytest.mark.parametrize("effort", ["fast", "normal", "high"])
def test_effort_bounds_the_number_of_parents(effort: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = parity()
    degree = {"fast": 1, "normal": 2, "high": 4}
    monkeypatch.setattr(privbayes_module, "DEGREES", degree)
    monkeypatch.setattr(privbayes_module, "NOISE_PRICE", 0.0)
    _, events = fitted(PrivBayes(theta=0.01), table, schema, 5.0, Settings(effort=effort))
    assert max(map(len, measured(events))) - 1 <= degree[effort]
    scored = [e for e in events if e.query in ("misfits", "dependences")]
    assert len(scored) == degree[effort]
    assert total_mu(events) >= 0.98 * Budget(5.0, 1e-6).mu


def test_only_useful_tables_are_measured() -> None:
    """The mean cell of each table holds theta times more rows than the mean absolute noise."""
    table, schema = parity(2000)
    budget = Budget(1.0, 1e-6)
    for theta in (1.0, 4.0, 16.0):
        found, events = fitted(PrivBayes(theta), table, schema, 1.0)
        sigma = PrivBayes().plan(schema, budget).sigma("pairs", 1 / 4)
        for columns in measured(events):
            cells = found.prepared.domain.size(columns)
            assert found.prepared.total / cells >= theta * MEAN_ABSOLUTE * sigma


def test_without_a_useful_table_single_columns_are_measured_again() -> None:
    table, schema = parity(1000)
    _, events = fitted(PrivBayes(theta=1e6), table, schema, 0.5)
    assert measured(events) == set()
    again = [e for e in events if e.query == "marginal"]
    assert len(again) == 2 * len(schema.columns)
    # Rounds that had nothing to score left their part to the measuring.
    assert sum(e.query == "dependences" for e in events) == 0
    assert total_mu(events) >= 0.98 * Budget(0.5, 1e-6).mu


def test_a_column_of_one_code_gets_no_parents() -> None:
    table, _ = parity(1000)
    columns = {**dict.fromkeys("abcd", LISTED), "e": {**LISTED, "values": [0]}}
    same = table.set_column(4, "e", pa.array(np.zeros(1000, int)))
    found, events = fitted(PrivBayes(), same, schema_of(columns), 5.0)
    assert found.prepared.domain["e"] == 1
    assert measured(events)
    assert not any("e" in columns for columns in measured(events))


def test_a_model_stays_as_small_as_memory_and_effort_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, schema = parity()
    for most in (16, 40, 100):
        monkeypatch.setattr(privbayes_module, "CELLS", dict.fromkeys(("normal",), most))
        found, events = fitted(PrivBayes(), table, schema, 10.0)
        cells = forecast_cells(found.prepared.domain, map(tuple, measured(events)))
        assert cells <= max(most, 20)
        assert found.model.tree.cells == cells


def test_rules_may_leave_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = parity(3000)
    rule = {"kind": "impossible", "when": {"a": [3], "b": [3], "e": [0]}}
    ruled = Schema.model_validate({**schema.model_dump(), "constraints": [rule]})
    monkeypatch.setattr(privbayes_module, "CELLS", {"normal": 64})
    found, events = fitted(PrivBayes(), table, ruled, 10.0)
    assert measured(events) == set()
    assert found.model.marginal(("a", "b", "e")).values[3, 3, 0] == 0


def test_few_cells_are_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = parity()
    monkeypatch.setattr(privbayes_module, "TRIED_CELLS", 3 * 64)
    _, events = fitted(PrivBayes(), table, schema, 10.0, Settings(effort="fast"))
    tried = [e for e in events if e.query == "dependences"]
    assert [round(e.sensitivity**2) for e in tried] == [3]


def test_candidates_of_a_column_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = parity()
    monkeypatch.setattr(privbayes_module, "CANDIDATES", 1)
    _, events = fitted(PrivBayes(), table, schema, 10.0, Settings(effort="fast"))
    tried = [e for e in events if e.query == "dependences"]
    # Neither the first column nor the second can have two parents.
    assert all(e.sensitivity**2 <= 3 + 1e-9 for e in tried)
    assert CANDIDATES > 1


def test_a_workload_says_which_dependences_matter() -> None:
    table, schema = parity()
    few = Workload({("c", "d"): 1.0, ("a", "e"): 1.0})
    _, events = fitted(PrivBayes(), table, schema, 10.0, Settings(workload=few))
    assert frozenset("cd") in measured(events)
    assert measured(events) <= {frozenset("cd"), frozenset("ae")}
    (misfits,) = (e for e in events if e.query == "misfits")
    assert misfits.sensitivity == pytest.approx(2**0.5)
    alone = Workload({("c",): 1.0})
    _, events = fitted(PrivBayes(), table, schema, 10.0, Settings(workload=alone))
    assert measured(events) == set()
    assert total_mu(events) >= 0.98 * Budget(10.0, 1e-6).mu


def test_pairs_with_a_target_may_cost_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a price a little above what the target's strongest pair is worth, weights decide."""
    table, schema = parity()
    joint = np.zeros((4, 4))
    np.add.at(joint, (table["b"].to_numpy(), table["c"].to_numpy()), 1)
    free = np.multiply.outer(joint.sum(axis=1), joint.sum(axis=0)) / table.num_rows
    noise = MEAN_ABSOLUTE * PrivBayes().plan(schema, Budget(5.0, 1e-6)).sigma("pairs", 1 / 4)
    price = 1.2 * np.abs(joint - free).sum() / (16 * noise)
    monkeypatch.setattr(privbayes_module, "NOISE_PRICE", price)
    _, plain = fitted(PrivBayes(), table, schema, 5.0)
    _, aimed = fitted(PrivBayes(), table, schema, 5.0, Settings(target="b"))
    assert not any("b" in columns for columns in measured(plain))
    assert any("b" in columns for columns in measured(aimed))


@pytest.mark.parametrize("names", ["a", "ac"])
def test_few_columns(names: str) -> None:
    table, schema = parity(2000)
    few = schema_of({name: schema.columns[name].model_dump() for name in names})
    found, events = fitted(PrivBayes(), table.select(list(names)), few, 1.0)
    assert found.model.domain.columns == tuple(names)
    assert total_mu(events) >= 0.98 * Budget(1.0, 1e-6).mu


def test_the_run_depends_on_answers_only() -> None:
    """The same answers lead to the same questions: nothing is drawn, and no set is gone through."""
    table, schema = parity()
    runs = [fitted(PrivBayes(), table, schema, 1.0, seed=5)[1] for _ in range(2)]
    assert runs[0] == runs[1]


@given(st.integers(1, 6), st.data())
def test_columns_join_by_what_they_promise(count: int, data: st.DataObject) -> None:
    pairs = list(itertools.combinations(range(count), 2))
    worth = np.full((count, count), -np.inf)
    for a, b in pairs:
        worth[a, b] = worth[b, a] = data.draw(st.one_of(st.just(-np.inf), st.floats(0.1, 9.0)))
    outside = np.ones(count, bool)
    while outside.any():
        child, parent = _next(worth, outside)
        assert outside[child]
        open_pairs = worth[np.ix_(outside, ~outside)]
        if parent is None:
            assert not (open_pairs > -np.inf).any()
            assert worth[child, outside].max() == worth[np.ix_(outside, outside)].max()
        else:
            assert not outside[parent]
            assert worth[child, parent] == open_pairs.max() > 0
        outside[child] = False


@given(st.integers(0, 2**32), st.integers(1, 3))
def test_a_score_is_the_distance_from_the_public_distribution(seed: int, parents: int) -> None:
    rng = np.random.default_rng(seed)
    clique = ("x", "p", "q", "r")[: parents + 1]
    table = rng.integers(0, 50, (3, 2, 4, 2)[: parents + 1])
    weights = rng.integers(1, 100, 3)
    (score,) = Dependences((clique,), {"x": weights}, 5.0).exact({clique: table})
    share = (weights / weights.sum()).reshape(-1, *[1] * parents)
    distance = np.abs(table - share * table.sum(axis=0)).sum() / 2
    assert score == np.floor(distance + 1e-9)


def test_a_wholly_dependent_column_scores_what_chance_would_miss() -> None:
    table = np.diag([30, 30, 40])
    weights = {"x": np.array([3, 3, 4])}
    (score,) = Dependences((("x", "p"),), weights, 5.0).exact({("x", "p"): table})
    assert score == 30 * 0.7 + 30 * 0.7 + 40 * 0.6
    free = np.multiply.outer(np.array([3, 3, 4]), np.array([5, 7]))
    (score,) = Dependences((("x", "p"),), weights, 5.0).exact({("x", "p"): free})
    assert score == 0


@pytest.mark.parametrize(
    ("candidates", "weights"),
    [
        ((), [1, 1]),
        ((("x",),), [1, 1]),
        ((("x", "p"),), [0.5, 0.5]),
        ((("x", "p"),), [0, 0]),
        ((("x", "p"),), [2, -1]),
        ((("x", "p"),), [MAX_SCALE, 1]),
        ((("x", "p"),), [2**62, 2**62, 2**62, 2**62, 5]),
    ],
)
def test_scores_that_are_not_exact_are_refused(candidates: Any, weights: list[float]) -> None:
    with pytest.raises(TypeError):
        Dependences(candidates, {"x": np.array(weights)}, 5.0)


def test_questions_name_children_in_the_order_of_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not in that of a set of strings, which is another one in each process: a journal asks the same."""
    asked: list[Dependences] = []
    honest = Dependences.exact

    def exact(query: Dependences, counts: Any) -> np.ndarray:
        asked.append(query)
        return honest(query, counts)

    monkeypatch.setattr(Dependences, "exact", exact)
    fitted(PrivBayes(), *parity(5_000), 20.0)
    assert asked
    for query in asked:
        children = list(dict.fromkeys(candidate[0] for candidate in query.candidates))
        assert list(query.weights) == children
