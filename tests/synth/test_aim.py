"""One marginal per round: which is chosen, what it costs, and how large the model grows."""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.measure.curator import Meter
from tronie.measure.queries import Misfits, Selection
from tronie.measure.tables import MAX_SIGMA
from tronie.models.estimation import estimate
from tronie.models.growth import Growth
from tronie.models.junction import forecast_cells, junction_tree
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Exponential, Gaussian, bounded_range
from tronie.schema.domain import Clique, Domain
from tronie.schema.schema import Schema
from tronie.synth import aim as aim_module
from tronie.synth.aim import (
    WIDTH,
    Aim,
    Room,
    closure,
    columns_share,
    countable,
    expected,
    told_something,
    whole,
)
from tronie.synth.method import Synthesizer
from tronie.synth.mst import Mst
from tronie.synth.prepare import prepare
from tronie.synth.settings import DEFAULTS, Settings
from tronie.synth.workload import Workload

SELECTIONS: tuple[Literal["gaussian", "exponential"], ...] = ("gaussian", "exponential")
FOUR = {"kind": "category", "values": [0, 1, 2, 3], "nullable": False}


def ring(rows: int) -> tuple[pa.Table, Schema]:
    """Four columns that depend on one another in a ring, which no tree can hold, and one alone."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, rows)
    b = (a + rng.integers(0, 2, rows)) % 4
    d = (a + 2 * rng.integers(0, 2, rows)) % 4
    c = np.where(rng.random(rows) < 0.5, b, d)
    table = pa.table({"a": a, "b": b, "c": c, "d": d, "e": rng.integers(0, 4, rows)})
    return table, schema_of(dict.fromkeys(table.column_names, FOUR))


def parity(rows: int) -> tuple[pa.Table, Schema]:
    """Three columns of which any two are independent, and the third follows from them."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, rows))
    table = pa.table({"a": a, "b": b, "c": a ^ b, "d": rng.integers(0, 2, rows)})
    two = {"kind": "category", "values": [0, 1], "nullable": False}
    return table, schema_of(dict.fromkeys(table.column_names, two))


def released(
    method: Synthesizer,
    table: pa.Table,
    schema: Schema,
    budget: Budget,
    settings: Settings = DEFAULTS,
) -> tuple[MarkovRandomField, Meter]:
    curator, meter = curator_of(table, schema, budget)
    model = method.fit(curator, schema, method.plan(schema, budget, settings)).model
    assert isinstance(model, MarkovRandomField)
    return model, meter


def chosen(meter: Meter) -> list[Clique]:
    """What was measured in rounds, in order; columns come first, in one go."""
    marginals = [e.columns for e in meter.events if e.query == "marginal"]
    return marginals[len({c for clique in marginals for c in clique}) :]


def keep_tables_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models refuse tables of more than 16 cells."""
    honest = MarkovRandomField.marginals
    monkeypatch.setattr(
        MarkovRandomField,
        "marginals",
        lambda self, cliques, *, max_cells=16: honest(self, cliques, max_cells=min(max_cells, 16)),
    )


def error_of(model: MarkovRandomField, table: pa.Table, clique: Clique) -> float:
    truth = np.zeros(model.domain.project(clique).shape)
    np.add.at(truth, tuple(table[name].to_numpy() for name in clique), 1 / table.num_rows)
    return float(np.abs(model.marginal(clique).values / model.total - truth).sum() / 2)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_ring_is_held_that_a_tree_cannot_hold(
    selection: Literal["gaussian", "exponential"],
) -> None:
    table, schema = ring(20_000)
    budget = Budget(5.0, 1e-6)
    pairs = list(itertools.combinations(table.column_names, 2))
    ours, meter = released(Aim(selection=selection), table, schema, budget)
    tree, _ = released(Mst(), table, schema, budget)
    assert {("a", "b"), ("a", "d"), ("b", "c"), ("c", "d")} <= set(chosen(meter))
    errors = [
        float(np.mean([error_of(model, table, pair) for pair in pairs])) for model in (ours, tree)
    ]
    assert errors[0] < 0.01
    assert errors[1] > 3 * errors[0]


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 9.0])
@pytest.mark.parametrize("rounds", [0.4, 3.3, 16.0])
def test_it_spends_its_budget_and_no_more(
    selection: Literal["gaussian", "exponential"], epsilon: float, rounds: float
) -> None:
    table, schema = ring(1000)
    budget = Budget(epsilon, 1e-6)
    _, meter = released(Aim(selection=selection, rounds=rounds), table, schema, budget)
    assert total_mu(meter.events) <= budget.mu
    assert total_mu(meter.events) >= 0.99 * budget.mu
    assert any(isinstance(e, Exponential) for e in meter.events) == (selection == "exponential")


def test_without_annealing_there_are_as_many_rounds_as_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last one takes what would be left over."""
    table, schema = ring(20_000)
    monkeypatch.setattr(aim_module, "told_something", lambda before, after, answer: True)
    _, meter = released(Aim(rounds=3), table, schema, Budget(5.0, 1e-6))
    assert len(chosen(meter)) in (14, 15)
    sigmas = [e.sigma for e in meter.events if isinstance(e, Gaussian) and e.query == "marginal"]
    assert sigmas[5:-1] == pytest.approx([sigmas[5]] * len(sigmas[5:-1]))
    assert sigmas[-1] <= sigmas[5] * (1 + 1e-9)


def test_rounds_that_tell_nothing_new_make_later_ones_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, schema = ring(20_000)
    monkeypatch.setattr(aim_module, "told_something", lambda before, after, answer: False)
    _, meter = released(Aim(rounds=8), table, schema, Budget(1.0, 1e-6))
    sigmas = [e.sigma for e in meter.events if isinstance(e, Gaussian) and e.query == "marginal"][
        5:
    ]
    ratios = [one / two for one, two in itertools.pairwise(sigmas)]
    # 1/40 + 4/40 + 16/40, and the last round takes the 19/40 that are left.
    assert ratios == pytest.approx([2, 2, math.sqrt(19 / 16)], rel=3e-3)


def test_triples_are_measured_where_the_workload_asks_for_them() -> None:
    table, schema = parity(20_000)
    budget = Budget(5.0, 1e-6)
    triples = Workload(dict.fromkeys(itertools.combinations("abcd", 3), 1.0))
    model, meter = released(Aim(), table, schema, budget, Settings(workload=triples))
    assert ("a", "b", "c") in chosen(meter)
    assert error_of(model, table, ("a", "b", "c")) < 0.02
    pairs, meter = released(Aim(), table, schema, budget)
    assert ("a", "b", "c") not in chosen(meter)
    assert error_of(pairs, table, ("a", "b", "c")) > 0.4


@pytest.mark.parametrize("selection", SELECTIONS)
def test_only_what_the_workload_holds_is_measured(
    selection: Literal["gaussian", "exponential"],
) -> None:
    table, schema = ring(5000)
    settings = Settings(workload=Workload({("a", "b"): 1.0, ("d",): 3.0}))
    _, meter = released(Aim(selection=selection), table, schema, Budget(3.0, 1e-6), settings)
    assert set(chosen(meter)) <= {("a",), ("b",), ("d",), ("a", "b")}
    assert ("a", "b") in chosen(meter)


def test_weights_decide_between_marginals_that_are_equally_wrong() -> None:
    """Two pairs of the same table; the one that matters a hundred times more is measured first."""
    rng = np.random.default_rng(3)
    a, c = rng.integers(0, 4, (2, 5000))
    table = pa.table({"a": a, "b": a, "c": c, "d": c})
    schema = schema_of(dict.fromkeys(table.column_names, FOUR))
    for pair in (("a", "b"), ("c", "d")):
        workload = Workload({("a", "b"): 1.0, ("c", "d"): 1.0} | {pair: 100.0})
        for selection in SELECTIONS:
            method = Aim(selection=selection)
            _, meter = released(
                method, table, schema, Budget(20.0, 1e-6), Settings(workload=workload)
            )
            assert chosen(meter)[0] == pair


def test_few_candidates_are_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = ring(5000)
    monkeypatch.setattr(aim_module, "PROMISING", 3)
    asked: list[int] = []
    honest = Misfits.event

    def event(query: Misfits, rows_per_unit: int) -> Any:
        asked.append(len(query.references))
        return honest(query, rows_per_unit)

    monkeypatch.setattr(Misfits, "event", event)
    released(Aim(), table, schema, Budget(1.0, 1e-6))
    assert asked[0] == 15
    assert set(asked[1:]) == {3}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_what_the_model_cannot_tell_is_not_chosen(
    selection: Literal["gaussian", "exponential"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triples are candidates, but their tables are too large for the model: pairs are measured."""
    table, schema = ring(20_000)
    monkeypatch.setattr(aim_module, "PROMISING", 2)
    keep_tables_small(monkeypatch)
    triples = Workload(dict.fromkeys(itertools.combinations("abcde", 3), 1.0))
    settings = Settings(workload=triples)
    method = Aim(selection=selection)
    _, meter = released(method, table, schema, Budget(5.0, 1e-6), settings)
    assert {len(clique) for clique in chosen(meter)} <= {1, 2}
    assert ("a", "b") in chosen(meter)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_few_columns(columns: int, selection: Literal["gaussian", "exponential"]) -> None:
    table, schema = ring(500)
    names = table.column_names[:columns]
    few = schema_of({name: schema.columns[name].model_dump() for name in names})
    budget = Budget(1.0, 1e-6)
    model, meter = released(Aim(selection=selection), table.select(names), few, budget)
    assert model.domain.columns == tuple(names)
    assert total_mu(meter.events) >= 0.99 * budget.mu


def test_structural_zeros_hold_and_count_towards_the_size() -> None:
    table, _ = ring(3000)
    rule = {"kind": "impossible", "when": {"a": [0], "b": [2, 3]}}
    schema = schema_of(dict.fromkeys(table.column_names, FOUR), constraints=[rule])
    model, meter = released(Aim(), table, schema, Budget(3.0, 1e-6))
    assert model.marginal(("a", "b")).values[0, 2:].tolist() == [0.0, 0.0]
    assert len(chosen(meter)) > 0


def test_a_workload_without_modelled_columns_gives_single_columns() -> None:
    table, _ = ring(500)
    schema = schema_of({**dict.fromkeys(table.column_names, FOUR), "note": {"kind": "text"}})
    budget = Budget(1.0, 1e-6)
    settings = Settings(workload=Workload({("note",): 1.0}))
    whole_table = table.append_column("note", pa.array(["x"] * 500))
    _, meter = released(Aim(), whole_table, schema, budget, settings)
    assert set(chosen(meter)) <= {(name,) for name in table.column_names}
    assert total_mu(meter.events) >= 0.99 * budget.mu


def test_scores_that_would_be_noise_alone_make_rounds_larger() -> None:
    table, schema = ring(20)
    _, meter = released(Aim(rounds=16), table, schema, Budget(0.1, 1e-6))
    assert len(chosen(meter)) == 1
    assert all(e.sigma <= MAX_SIGMA for e in meter.events if isinstance(e, Gaussian))


def test_no_more_is_scored_than_noise_can_be_drawn_for(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = ring(20)
    monkeypatch.setattr(aim_module, "MAX_SIGMA", 3000.0)
    _, meter = released(Aim(), table, schema, Budget(0.1, 1e-6))
    first = next(e for e in meter.events if e.query == "misfits")
    assert isinstance(first, Gaussian)
    assert first.sigma <= 3000.0
    assert 1 <= first.sensitivity**2 < 14.5


# The parts.

DOMAIN = Domain(dict.fromkeys("abcde", 4))


@given(
    st.dictionaries(
        st.sets(st.sampled_from("abcde"), min_size=1).map(lambda s: tuple(sorted(s))),
        st.floats(0.1, 10),
        min_size=1,
    )
)
def test_the_closure_holds_every_part_weighted_as_published(weights: dict[Clique, float]) -> None:
    found = closure(Workload(weights))
    parts = {
        part
        for clique in weights
        for width in range(1, len(clique) + 1)
        for part in itertools.combinations(clique, width)
    }
    assert set(found) == parts
    for part in parts:
        overlap = sum(w * len(set(part) & set(clique)) for clique, w in weights.items())
        assert found[part] == pytest.approx(overlap)


def test_the_closure_leaves_wide_parts_out() -> None:
    found = closure(Workload({tuple(f"c{i}" for i in range(12)): 1.0}))
    assert max(map(len, found)) == WIDTH


def test_candidates_that_cannot_be_counted_together_are_left_out_largest_first() -> None:
    domain = Domain({"a": 2, "b": 1000, "c": 3000})
    cliques = {("b", "c"): 9.0, ("a", "b"): 1.0, ("a",): 2.0}
    assert list(countable(domain, DEFAULTS, cliques)) == [("a",), ("a", "b"), ("b", "c")]
    assert list(countable(domain, Settings(max_memory=64), cliques)) == [("a",), ("a", "b")]


def test_candidates_are_limited_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aim_module, "CANDIDATES", 2)
    assert set(countable(DOMAIN, DEFAULTS, {("a", "b"): 1.0, ("a",): 1.0, ("b",): 1.0})) == {
        ("a",),
        ("b",),
    }


def test_what_the_budget_can_never_measure_is_no_candidate() -> None:
    values = {"kind": "category", "values": list(range(60)), "nullable": False}
    schema = schema_of(dict.fromkeys("ab", values))
    rng = np.random.default_rng(0)
    a = rng.integers(0, 60, 5000)
    _, meter = released(Aim(), pa.table({"a": a, "b": a}), schema, Budget(0.02, 1e-6))
    assert ("a", "b") not in chosen(meter)


def model_of(*cliques: Clique, rows: float = 100.0) -> MarkovRandomField:
    measured = [
        Marginal(c, np.full(DOMAIN.project(c).shape, rows / DOMAIN.size(c)), np.array(1.0))
        for c in cliques
    ]
    return estimate(DOMAIN, measured, rows)


PAIRS = list(itertools.combinations("abcde", 2))


@given(
    st.lists(st.sampled_from(PAIRS), max_size=6, unique=True),
    st.floats(0.05, 1.0),
    st.sets(st.sampled_from("abcde"), min_size=1).map(lambda s: tuple(sorted(s))),
)
def test_a_model_takes_in_what_it_holds_already_or_what_is_small(
    pairs: list[Clique], used: float, clique: Clique
) -> None:
    room = Room(Growth(DOMAIN), 1024)
    for pair in pairs:
        room.add(pair)
    admits = room.admits(used)
    now, then = forecast_cells(DOMAIN, pairs), forecast_cells(DOMAIN, [*pairs, clique])
    assert admits(clique) == admits(clique) == (then <= max(1024 * used, now))
    assert room.admits(1.0)(clique) >= admits(clique)
    if any(set(clique) <= set(c) for c in junction_tree(DOMAIN, pairs).cliques):
        assert admits(clique)


def test_rules_count_towards_the_size_of_a_model() -> None:
    table, _ = ring(200)
    rule = {"kind": "impossible", "when": {"a": [0], "c": [1], "d": [2]}}
    schema = schema_of(dict.fromkeys(table.column_names, FOUR), constraints=[rule])
    curator, _ = curator_of(table, schema, Budget(9.0))
    prepared = prepare(curator, schema, Aim().plan(schema, Budget(9.0)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aim_module, "CELLS", {"normal": 70})
        admits = Room.of(prepared, DEFAULTS).admits(1.0)
    assert admits(("c", "d"))
    assert admits(("a", "c", "d"))
    assert not admits(("b", "c"))


def test_memory_limits_the_model() -> None:
    table, schema = ring(200)
    curator, _ = curator_of(table, schema, Budget(1.0))
    plan = Aim().plan(schema, Budget(1.0), Settings(max_memory=64, effort="high"))
    prepared = prepare(curator, schema, plan)
    small = Room.of(prepared, Settings(max_memory=64, effort="high"))
    # Half of 64 MiB, at 48 bytes for a cell.
    assert small._cells == 699_050
    assert Room.of(prepared, Settings(max_memory=10_000))._cells == 400_000
    assert Room.of(prepared, DEFAULTS)._cells == 400_000


def test_marginals_that_take_too_large_tables_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of(("a", "b"))
    keep_tables_small(monkeypatch)
    found = expected(model, [("a",), ("a", "b", "c"), ("c", "d"), ("a", "c", "d")])
    assert list(found) == [("a",), ("c", "d")]
    assert found["c", "d"].dtype == np.int64
    assert found["a",].tolist() == [25] * 4


def test_a_measurement_tells_something_if_it_moves_the_model_by_more_than_its_noise() -> None:
    before = model_of(("a", "b"))
    after = model_of(("a", "b"), rows=116.0)
    # Sixteen cells move by one each; noise of sd s moves them by 16 * 0.798 * s.
    assert told_something(before, after, Marginal(("a", "b"), np.zeros((4, 4)), np.array(1.2)))
    assert not told_something(before, after, Marginal(("a", "b"), np.zeros((4, 4)), np.array(1.3)))


@given(st.floats(1e-4, 20.0))
def test_an_exponential_mechanism_costs_what_it_may(mu: float) -> None:
    event = Exponential(query="selection", epsilon=bounded_range(mu), candidates=2)
    assert event.mu <= mu
    assert event.mu >= 0.99 * min(mu, 8.0)


@given(st.dictionaries(st.tuples(st.text(max_size=2)), st.floats(1e-3, 1e6), min_size=1))
def test_whole_weights_keep_their_proportions(weights: dict[Clique, float]) -> None:
    found = whole(weights)
    assert max(found.values()) == 1000
    assert min(found.values()) >= 1
    largest = max(weights.values())
    assert all(abs(found[c] - 1000 * weights[c] / largest) <= 1 for c in weights)


def test_shares() -> None:
    _, schema = ring(1)
    plan = Aim().plan(schema, Budget(1.0))
    assert math.isclose(sum(step.share for step in plan.steps), 1.0)
    assert columns_share(1e-9) == 0.6
    assert columns_share(1e9) == 0.15


def test_effort_buys_rounds() -> None:
    table, schema = ring(50_000)
    counts = []
    for effort in ("fast", "high"):
        _, meter = released(Aim(), table, schema, Budget(9.0, 1e-6), Settings(effort=effort))
        counts.append(len(chosen(meter)))
    assert counts[0] < counts[1]


def test_the_published_mechanism_gets_weights_and_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = ring(2000)
    asked: list[Selection] = []
    honest = Selection.event

    def event(query: Selection, rows_per_unit: int) -> Any:
        asked.append(query)
        return honest(query, rows_per_unit)

    monkeypatch.setattr(Selection, "event", event)
    settings = Settings(target="e")
    _, meter = released(Aim(selection="exponential"), table, schema, Budget(2.0, 1e-6), settings)
    sigmas = [e.sigma for e in meter.events if isinstance(e, Gaussian) and e.query == "marginal"][
        5:
    ]
    assert len(asked) == len(sigmas)
    # Column e is in pairs of weight 4, other columns in one such pair and three of weight 1.
    for query, sigma in zip(asked, sigmas, strict=True):
        assert query.weights is not None
        assert query.offsets is not None
        assert query.weights["a", "e"] == 1000
        assert query.weights["a", "b"] == round(1000 * 14 / 23)
        noise = math.sqrt(2 / math.pi) * sigma
        assert query.offsets["a", "e"] == pytest.approx(1000 * 16 * noise, rel=0.1)
        assert query.offsets["a",] == pytest.approx(round(7000 / 23) * 4 * noise, rel=0.1)
