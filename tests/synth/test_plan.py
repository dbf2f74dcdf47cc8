"""Plans follow from public facts and spend the whole budget."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import schema_of, settings_for

from tronie.errors import DomainTooLarge
from tronie.privacy.accounting import fits, total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Gaussian
from tronie.schema.columns import Boolean, Category, Integer
from tronie.schema.schema import Schema
from tronie.synth.methods import METHODS
from tronie.synth.plan import (
    FIRST_CELLS,
    KEYS_DELTA,
    NARROW,
    first_grid,
    grid_sizes,
    histogram_weights,
    pieces,
    usable_mu,
)
from tronie.synth.settings import Settings

KNOWN = {
    "a": {"kind": "category", "values": ["x", "y"]},
    "b": {"kind": "integer", "min": 0, "max": 999},
    "c": {"kind": "boolean"},
}
OPEN = {**KNOWN, "d": {"kind": "open_category"}, "e": {"kind": "decimal"}}
FUNCTION = [{"kind": "function", "of": "a", "gives": "c"}]

SCHEMAS = {
    "known": schema_of(KNOWN),
    "one column": schema_of({"a": KNOWN["a"]}),
    "unknown": schema_of(OPEN),
    "function": schema_of(KNOWN, constraints=FUNCTION),
    "all": schema_of(OPEN, constraints=FUNCTION, unit={"kind": "row", "max_rows": 3}),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 50.0])
def test_shares_are_positive_and_sum_to_one(method: str, name: str, epsilon: float) -> None:
    plan = METHODS[method].plan(SCHEMAS[name], Budget(epsilon), settings_for(method, SCHEMAS[name]))
    assert sum(step.share for step in plan.steps) == pytest.approx(1, abs=1e-12)
    assert all(0 < step.share < 1 for step in plan.steps)
    assert all(step.why for step in plan.steps)
    assert len({step.name for step in plan.steps}) == len(plan.steps)


def steps(method: str, name: str) -> list[str]:
    return [step.name for step in METHODS[method].plan(SCHEMAS[name], Budget(1.0)).steps]


def test_steps_are_those_that_the_schema_calls_for() -> None:
    assert steps("independent", "known") == ["total", "columns"]
    assert steps("mst", "known") == ["total", "columns", "select", "pairs"]
    assert steps("mst", "one column") == ["total", "columns"]
    assert steps("mst", "unknown") == ["discover", "total", "columns", "select", "pairs"]
    assert steps("independent", "function") == ["functions", "total", "columns"]
    assert steps("independent", "all") == ["discover", "functions", "total", "columns"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_one_access_for_each_step_costs_the_budget(name: str) -> None:
    schema, budget = SCHEMAS[name], Budget(1.0)
    plan = METHODS["mst"].plan(schema, budget)
    k = schema.unit.max_rows
    events = [
        Gaussian(query=step.name, sigma=plan.sigma(step.name), sensitivity=k) for step in plan.steps
    ]
    assert fits(events, budget)
    assert total_mu(events) == pytest.approx(usable_mu(schema, budget), rel=1e-4)


def test_parts_of_a_step_and_wider_questions_get_their_noise() -> None:
    plan = METHODS["mst"].plan(SCHEMAS["known"], Budget(0.1))
    whole = plan.sigma("columns")
    assert plan.sigma("columns", 1 / 4) == pytest.approx(2 * whole, rel=1e-3)
    assert plan.sigma("columns", sensitivity=3.0) == pytest.approx(3 * whole, rel=1e-3)


def test_more_rows_of_a_unit_mean_more_noise() -> None:
    one, many = (
        METHODS["mst"].plan(schema_of(KNOWN, unit={"kind": "row", "max_rows": k}), Budget(0.1))
        for k in (1, 10)
    )
    assert many.sigma("pairs") == pytest.approx(10 * one.sigma("pairs"), rel=1e-3)


def test_naming_categories_takes_a_part_of_delta() -> None:
    budget = Budget(1.0, 1e-6)
    known, named = (usable_mu(SCHEMAS[name], budget) for name in ("known", "unknown"))
    assert known == pytest.approx(budget.mu, rel=1e-5)
    assert named < known
    assert named == pytest.approx(Budget(1.0, 1e-6 * (1 - KEYS_DELTA)).mu, rel=1e-5)


def test_a_plan_is_plain_data() -> None:
    data = METHODS["mst"].plan(SCHEMAS["all"], Budget(1.0), Settings(rows=500)).to_dict()
    assert json.loads(json.dumps(data))["budget"] == {"epsilon": 1.0, "delta": 1e-9}
    assert data["settings"]["rows"] == 500
    assert data["rows_per_unit"] == 3


def test_narrow_columns_are_measured_point_by_point() -> None:
    assert first_grid(Integer(min=1, max=NARROW, nullable=False)).size == NARROW
    assert first_grid(Integer(min=0, max=NARROW)).size == FIRST_CELLS + 1
    listed = Category(values=tuple(range(1000)), other=True)
    assert first_grid(listed).size == 1002
    assert first_grid(Boolean(nullable=False)).size == 2


def test_grids_of_unknown_columns_are_assumed() -> None:
    assert grid_sizes(SCHEMAS["unknown"]) == {"a": 3, "b": 65, "c": 3, "d": 128, "e": 128}


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 10_000), min_size=1, max_size=6))
def test_histogram_weights_are_shares_and_minimise_the_error(sizes: dict[str, int]) -> None:
    weights = histogram_weights(sizes)
    assert sum(weights.values()) == pytest.approx(1)
    capped = {name: min(size, 128) for name, size in sizes.items()}
    error = sum(capped[name] / weight**0.5 for name, weight in weights.items())
    even = sum(capped.values()) * len(sizes) ** 0.5
    assert error <= even * (1 + 1e-9)


@given(st.floats(0, 1e9), st.floats(1e-6, 20))
def test_pieces_grow_with_rows_and_budget(rows: float, mu: float) -> None:
    assert 4 <= pieces(rows, mu) <= pieces(rows * 2, mu) <= 128
    assert pieces(rows, mu) <= pieces(rows, mu * 2)


def forecasts(schema: Schema, **options: Any) -> Any:
    return METHODS["mst"].plan(schema, Budget(1.0), Settings(**options)).forecast


def test_needs_grow_with_the_table() -> None:
    small, large = forecasts(SCHEMAS["known"], rows=1_000), forecasts(SCHEMAS["known"], rows=10**7)
    assert large.seconds > small.seconds
    assert large.megabytes > small.megabytes
    wide = schema_of({f"c{i}": {"kind": "integer", "min": 0, "max": 9} for i in range(50)})
    assert forecasts(wide).cells > forecasts(SCHEMAS["known"]).cells


def test_rules_that_tie_too_much_together_are_refused() -> None:
    columns = {f"c{i}": {"kind": "integer", "min": 0, "max": 99} for i in range(8)}
    when = {name: {"min": 50} for name in columns}
    schema = schema_of(columns, constraints=[{"kind": "impossible", "when": when}])
    for name, method in METHODS.items():
        with pytest.raises(DomainTooLarge, match="constraints"):
            method.plan(schema, Budget(1.0), settings_for(name, schema))
