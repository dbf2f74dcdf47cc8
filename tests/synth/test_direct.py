"""The marginals that a user names: all of them are measured, with noise that suits weight and size."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.errors import DomainTooLarge, InputError
from tronie.measure.curator import Meter
from tronie.models.junction import MAX_CELLS
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth import direct as direct_module
from tronie.synth.direct import Direct
from tronie.synth.method import Fitted
from tronie.synth.settings import Settings
from tronie.synth.workload import Workload

BUDGET = Budget(3.0, 1e-6)


def listed(size: int) -> dict[str, Any]:
    return {"kind": "category", "values": list(range(size)), "nullable": False}


SCHEMA = schema_of({"a": listed(2), "b": listed(3), "c": listed(5), "d": listed(4)})


def circle(rows: int = 20_000) -> pa.Table:
    """Each column follows the one before it, and d follows a and c."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, 2, rows)
    b = (a + rng.integers(0, 2, rows)) % 3
    c = (b + rng.integers(0, 3, rows)) % 5
    return pa.table({"a": a, "b": b, "c": c, "d": (c + 2 * a) % 4})


def wishes(*cliques: str, **more: Any) -> Settings:
    """A workload of columns named by letters."""
    return Settings(workload=Workload.of({tuple(c): 1.0 for c in cliques}, "abcd"), **more)


def run(
    settings: Settings,
    table: pa.Table | None = None,
    schema: Schema = SCHEMA,
    budget: Budget = BUDGET,
) -> tuple[Fitted, Meter]:
    curator, meter = curator_of(circle() if table is None else table, schema, budget)
    found = Direct().fit(curator, schema, Direct().plan(schema, budget, settings))
    assert total_mu(meter.events) <= budget.mu
    return found, meter


def sigmas(meter: Meter) -> dict[Clique, float]:
    """Noise of each marginal of two columns and more."""
    return {
        event.columns: event.sigma  # type: ignore[union-attr]
        for event in meter.events
        if event.query == "marginal" and len(event.columns) > 1
    }


def test_what_is_named_is_measured_and_nothing_else() -> None:
    found, meter = run(wishes("ab", "bcd", "c"))
    assert set(sigmas(meter)) == {("a", "b"), ("b", "c", "d")}
    assert {event.query for event in meter.events} == {"total", "marginal"}
    assert total_mu(meter.events) >= 0.99 * BUDGET.mu
    truth = np.zeros((3, 5, 4))
    table = circle()
    np.add.at(truth, tuple(table[name].to_numpy() for name in "bcd"), 1 / table.num_rows)
    model = found.model.marginal(("b", "c", "d")).values / found.model.total
    assert np.abs(model - truth).sum() / 2 < 0.02


@given(
    st.dictionaries(
        st.sampled_from([c for k in (2, 3) for c in itertools.combinations("abcd", k)]),
        st.floats(0.1, 10.0),
        min_size=1,
        max_size=5,
    ),
    st.floats(-0.2, 0.2),
    st.data(),
)
def test_no_other_split_has_a_smaller_weighted_error(
    weights: dict[Clique, float], step: float, data: st.DataObject
) -> None:
    """Moving a part of the budget from one marginal to another makes the weighted L1 error no smaller."""
    settings = Settings(workload=Workload.of(weights, "abcd"))
    found, meter = run(settings, circle(300))
    domain, noise = found.prepared.domain, sigmas(meter)
    assert noise.keys() == weights.keys()
    parts = {clique: sigma**-2 for clique, sigma in noise.items()}

    def error(split: dict[Clique, float]) -> float:
        return sum(weights[c] * domain.size(c) / math.sqrt(part) for c, part in split.items())

    one, two = (data.draw(st.sampled_from(sorted(parts))) for _ in range(2))
    moved = step * min(parts[one], parts[two])
    other = {**parts, one: parts[one] - moved, two: parts[two] + moved} if one != two else parts
    assert error(other) >= error(parts) * (1 - 1e-6)


def test_what_hardly_matters_gets_a_little_all_the_same() -> None:
    weights = {("a", "b"): 1e6, ("b", "c"): 1e-6}
    budget = Budget(0.01, 1e-9)
    _, meter = run(Settings(workload=Workload.of(weights, "abcd")), budget=budget)
    noise = sigmas(meter)
    assert noise["b", "c"] / noise["a", "b"] == pytest.approx(100, rel=1e-3)


def test_without_a_workload_nothing_is_planned() -> None:
    for settings in (Settings(), Settings(target="a")):
        with pytest.raises(InputError, match=r"names, and none was given.*\n.*--workload FILE"):
            Direct().plan(SCHEMA, BUDGET, settings)


def test_single_columns_alone_are_the_independent_model() -> None:
    plan = Direct().plan(SCHEMA, BUDGET, wishes("a", "b"))
    assert [step.name for step in plan.steps] == ["total", "columns"]
    found, meter = run(wishes("a", "b"))
    assert sigmas(meter) == {}
    assert total_mu(meter.events) >= 0.99 * BUDGET.mu
    assert len(found.model.tree.cliques) == 4


def test_nothing_is_chosen_in_the_plan() -> None:
    plan = Direct().plan(SCHEMA, BUDGET, wishes("ab", "bc"))
    assert [step.name for step in plan.steps] == ["total", "columns", "pairs"]
    assert sum(step.share for step in plan.steps) == pytest.approx(1)


WIDE = {f"x{i}": listed(200) for i in range(6)}


def all_pairs(names: Any) -> Settings:
    return Settings(workload=Workload(dict.fromkeys(itertools.combinations(names, 2), 1.0)))


def test_a_model_too_large_is_refused_before_anything_is_charged() -> None:
    with pytest.raises(DomainTooLarge, match=r"15 marginals might have .*\n.*glaze, aim or"):
        Direct().plan(schema_of(WIDE), BUDGET, all_pairs(WIDE))


def test_many_small_tables_may_be_too_many_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_module, "PAIR_CELLS", 20)
    Direct().plan(SCHEMA, BUDGET, wishes("ab", "ac"))
    with pytest.raises(DomainTooLarge, match=r"the marginals 21; .* 20 fit"):
        Direct().plan(SCHEMA, BUDGET, wishes("ab", "bc"))


def test_more_memory_allows_a_larger_model() -> None:
    schema = schema_of({name: listed(130) for name in ("a", "b", "c", "d")})
    with pytest.raises(DomainTooLarge, match=r"at most 1,398,101 "):
        Direct().plan(schema, BUDGET, wishes("abc", max_memory=64))
    Direct().plan(schema, BUDGET, wishes("abc"))
    quads = schema_of({name: listed(70) for name in ("a", "b", "c", "d")})
    with pytest.raises(DomainTooLarge, match=f"at most {MAX_CELLS:,} "):
        Direct().plan(quads, BUDGET, wishes("abcd"))
    Direct().plan(quads, BUDGET, wishes("abcd", max_memory=4096))


def test_merged_values_and_codes_bound_the_size() -> None:
    """What has a thousand values gets no thousand codes: rare values are merged, ordered ones cut."""
    whole = {"kind": "integer", "min": 0, "max": 99_999, "nullable": False}
    schema = schema_of({"a": listed(5000), "b": whole, "c": {**whole, "max": 150}, "d": whole})
    small = Budget(0.01, 1e-6)
    Direct().plan(schema, small, wishes("abc", "cd"))
    with pytest.raises(DomainTooLarge):
        Direct().plan(schema, Budget(50.0, 1e-6), wishes("abc", "cd"))


def test_rules_count_too() -> None:
    rule = {"kind": "impossible", "when": {"a": [0], "b": [0], "c": [0], "d": [0]}}
    schema = schema_of({name: listed(40) for name in ("a", "b", "c", "d")}, constraints=[rule])
    with pytest.raises(DomainTooLarge):
        Direct().plan(schema, BUDGET, wishes("ab", max_memory=64))
    ranked = schema_of(
        {name: {"kind": "integer", "min": 0, "max": 9, "nullable": False} for name in "abcd"},
        constraints=[
            {"kind": "impossible", "when": {"a": {"max": 2}, "d": {"min": 5}}},
            {"kind": "order", "low": "b", "high": "c", "strict": False},
        ],
    )
    rng = np.random.default_rng(0)
    low, high = np.sort(rng.integers(0, 10, (2, 4000)), axis=0)
    table = pa.table({"a": rng.integers(3, 10, 4000), "b": low, "c": high, "d": low})
    found, meter = run(wishes("ab", "cd"), table, ranked)
    assert set(sigmas(meter)) == {("a", "b"), ("c", "d")}
    held = [set(clique) for clique in found.model.tree.cliques]
    assert all(any(pair <= clique for clique in held) for pair in ({"a", "d"}, {"b", "c"}))


OPEN = schema_of({"a": {"kind": "open_category"}, "b": {"kind": "integer"}, "c": listed(5)})


def towns(rows: int = 20_000) -> pa.Table:
    rng = np.random.default_rng(2)
    town = rng.integers(0, 40, rows)
    return pa.table({"a": [f"town-{t}" for t in town], "b": 3 * town, "c": (town % 5).astype(int)})


def open_wishes(*cliques: str, **more: Any) -> Settings:
    return Settings(workload=Workload.of({tuple(c): 1.0 for c in cliques}, "abc"), **more)


def test_unknown_columns_are_found_and_then_measured_together() -> None:
    _, meter = run(open_wishes("ab", "bc"), towns(), OPEN)
    assert set(sigmas(meter)) == {("a", "b"), ("b", "c")}
    assert total_mu(meter.events) >= 0.98 * BUDGET.mu


def test_found_columns_may_make_the_model_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_module, "MAX_CELLS", 300)
    plan = Direct().plan(OPEN, BUDGET, open_wishes("ab", "bc"))
    curator, meter = curator_of(towns(), OPEN, BUDGET)
    with pytest.raises(DomainTooLarge, match="at most 300"):
        Direct().fit(curator, OPEN, plan)
    assert sigmas(meter) == {}


def test_a_column_and_the_one_that_it_determines_are_one() -> None:
    """Once a dependency is learnt nothing named is left; single columns are measured again."""
    schema = schema_of(
        {"a": listed(2), "b": listed(3), "c": listed(5), "d": listed(4)},
        constraints=[{"kind": "function", "of": "c", "gives": "d"}],
    )
    rng = np.random.default_rng(0)
    c = rng.integers(0, 5, 3000)
    table = pa.table({"a": c % 2, "b": c % 3, "c": c, "d": c % 4})
    found, meter = run(wishes("cd"), table, schema)
    assert set(sigmas(meter)) == {("c", "d")}  # to learn the dependency
    singles = [e.columns for e in meter.events if e.query == "marginal" and len(e.columns) == 1]
    assert sorted(singles) == sorted([("a",), ("b",), ("c",)] * 2)
    assert total_mu(meter.events) >= 0.98 * BUDGET.mu
    assert found.model.domain.columns == ("a", "b", "c")


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_small_tables_and_little_budget(rows: int) -> None:
    budget = Budget(0.01, 1e-9)
    found, meter = run(wishes("abc", "cd"), circle(1000)[:rows], budget=budget)
    assert total_mu(meter.events) >= 0.99 * budget.mu
    assert np.isfinite(found.model.marginal(("a", "d")).values).all()
