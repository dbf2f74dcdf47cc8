"""Errors forecast from public facts: what they depend on, and how near they come."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.models.estimation import estimate
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.forecasting import (
    REACHES,
    QueryForecast,
    forecast_queries,
    mean_error,
    noise_error,
)
from tronie.synth.glaze import Glaze
from tronie.synth.independent import Independent
from tronie.synth.method import Synthesizer
from tronie.synth.methods import METHODS
from tronie.synth.mst import Mst
from tronie.synth.pairs import measure_weighted
from tronie.synth.plan import Plan, make_plan
from tronie.synth.prepare import prepare
from tronie.synth.settings import Settings
from tronie.synth.workload import Workload

KNOWN: dict[str, Any] = {
    "a": {"kind": "category", "values": ["x", "y"]},
    "b": {"kind": "integer", "min": 0, "max": 999},
    "c": {"kind": "boolean"},
    "d": {"kind": "category", "values": list(range(30)), "ordered": True},
    "e": {"kind": "category", "values": list(range(50))},
}
SCHEMA = schema_of(KNOWN)


def forecasts(
    method: Synthesizer,
    rows: int | None = 10_000,
    epsilon: float = 1.0,
    schema: Schema = SCHEMA,
    workload: Workload | None = None,
) -> dict[tuple[str, ...], QueryForecast]:
    plan = method.plan(schema, Budget(epsilon), Settings(rows=rows, workload=workload))
    return {one.columns: one for one in forecast_queries(schema, plan)}


def test_nothing_is_forecast_without_a_number_of_rows() -> None:
    assert forecasts(Mst(), rows=None) == forecasts(Mst(), rows=0) == {}


@pytest.mark.parametrize("method", METHODS)
def test_every_column_and_every_marginal_of_the_workload_has_a_forecast(method: str) -> None:
    workload = Workload.of_pairs(list(KNOWN))
    found = forecasts(METHODS[method], workload=workload)
    pairs = list(itertools.combinations(KNOWN, 2))
    assert list(found) == [*((name,) for name in KNOWN), *pairs]
    for one in found.values():
        assert 0 < one.error <= 1
        assert (one.measured == "always") >= (len(one.columns) == 1)
        assert one.weight == (len(one.columns) > 1)


def test_whether_a_marginal_is_measured_is_said() -> None:
    wide = Workload({("a", "c"): 1.0, ("a", "b", "c"): 1.0})
    chosen = [one.measured for one in forecasts(Mst(), workload=wide).values()]
    assert chosen == ["always"] * 5 + ["if chosen", "never"]
    alone = [one.measured for one in forecasts(Independent(), workload=wide).values()]
    assert alone == ["always"] * 5 + ["never"] * 2


def direct(workload: Workload, **shares: float) -> Plan:
    later = {name: (share, "measure them") for name, share in shares.items()}
    settings = Settings(rows=10_000, workload=workload)
    return make_plan("direct", SCHEMA, Budget(1.0), later, settings, pairs=1)


def test_a_method_that_measures_the_workload_measures_all_of_it() -> None:
    even = Workload({("a", "c"): 1.0, ("a", "b", "c"): 1.0})
    heavy = Workload({("a", "c"): 9.0, ("a", "b", "c"): 1.0})
    one, two = (forecast_queries(SCHEMA, direct(w, pairs=0.6))[5:] for w in (even, heavy))
    assert [f.measured for f in (*one, *two)] == ["always"] * 4
    assert two[0].error < one[0].error
    assert two[1].error > one[1].error
    without = forecast_queries(SCHEMA, direct(even))
    assert [f.measured for f in without[5:]] == ["never"] * 2


def test_a_marginal_that_is_never_measured_errs_by_its_columns_at_least() -> None:
    found = forecasts(Independent())
    assert found["a", "b"].error == pytest.approx(found["a",].error + found["b",].error)
    assert forecasts(Independent(), rows=1, epsilon=0.001)["b", "e"].error <= 1


@pytest.mark.parametrize("method", [Independent(), Mst(), Glaze()])
def test_more_rows_and_more_budget_mean_less_error(method: Synthesizer) -> None:
    few, many = forecasts(method, rows=1_000), forecasts(method, rows=1_000_000)
    little, much = forecasts(method, epsilon=0.1), forecasts(method, epsilon=10.0)
    assert mean_error(list(few.values())) > 5 * mean_error(list(many.values()))
    assert mean_error(list(little.values())) > 5 * mean_error(list(much.values()))


def test_a_column_that_another_determines_stands_for_that_other() -> None:
    table = [["x", True], ["y", False]]
    rule = {"kind": "function", "of": "a", "gives": "c", "table": table}
    columns = {
        **KNOWN,
        "a": {**KNOWN["a"], "nullable": False},
        "c": {"kind": "boolean", "nullable": False},
    }
    schema = schema_of(columns, constraints=[rule])
    found = forecasts(Mst(), schema=schema)
    assert ("c",) not in found
    assert found["a", "c"].error == found["a",].error
    assert found["c", "d"].error == found["a", "d"].error


def test_columns_that_are_yet_to_be_found_have_a_forecast() -> None:
    schema = schema_of({**KNOWN, "f": {"kind": "open_category"}, "g": {"kind": "decimal"}})
    found = forecasts(Mst(), schema=schema)
    assert found["f", "g"].measured == "if chosen"
    assert 0 < found["f",].error < 1


def test_identifiers_have_none() -> None:
    schema = schema_of({**KNOWN, "id": {"kind": "identifier"}})
    assert not any("id" in columns for columns in forecasts(Mst(), schema=schema))


def test_a_forecast_is_plain_data() -> None:
    one = QueryForecast(("a", "b"), 2.0, 6, 0.01, "if chosen")
    assert json.loads(json.dumps(one.to_dict())) == {
        "columns": ["a", "b"],
        "weight": 2.0,
        "cells": 6,
        "error": 0.01,
        "measured": "if chosen",
    }


def test_means_are_weighted_where_there_are_weights() -> None:
    one, two = (
        QueryForecast((name,), 0.0, 2, error, "always") for name, error in (("a", 0.1), ("b", 0.3))
    )
    assert mean_error([one, two]) == pytest.approx(0.2)
    assert mean_error([]) == 0.0


@given(st.integers(2, 10**6), st.floats(0.1, 1e5), st.integers(1, 10**9))
def test_noise_causes_more_error_in_larger_tables_of_fewer_rows(
    cells: int, sigma: float, rows: int
) -> None:
    error = noise_error(cells, sigma, rows)
    assert 0 < error < 0.5
    assert noise_error(cells + 1, sigma, rows) > error
    assert noise_error(cells, sigma * 2, rows) > error
    assert noise_error(cells, sigma, rows * 2) < error


def test_every_method_is_known() -> None:
    """A new method says what it measures; the fallback is for those of other packages."""
    assert set(METHODS) <= set(REACHES)


def made_up(rows: int) -> tuple[pa.Table, Schema]:
    """Six columns that depend on a hidden number, values as uneven as they are in most tables."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=rows)
    sizes = {"a": 2, "b": 5, "c": 8, "d": 16, "e": 40, "f": 90}
    columns, facts = {}, {}
    for name, size in sizes.items():
        score = np.exp(0.7 * (hidden + rng.normal(size=rows)))
        columns[name] = np.minimum((score * size / 6).astype(np.int64), size - 1)
        facts[name] = {"kind": "integer", "min": 0, "max": size - 1, "nullable": False}
    return pa.table(columns), schema_of(facts)


@pytest.mark.parametrize(("rows", "epsilon"), [(50_000, 1.0), (50_000, 0.3), (5_000, 1.0)])
def test_forecasts_come_within_a_factor_of_two_on_measured_tables(
    rows: int, epsilon: float
) -> None:
    """Means over all single columns and all pairs of a chain; over other seeds the ratio of forecast and
    error varies by about a tenth."""
    table, schema = made_up(rows)
    budget = Budget(epsilon, 1e-9)
    curator, _ = curator_of(table, schema, budget)
    plan = Mst().plan(schema, budget, Settings(rows=rows))
    ahead = {one.columns: one.error for one in forecast_queries(schema, plan)}
    prepared = prepare(curator, schema, plan)
    chain = list(itertools.pairwise(table.column_names))
    measured = [
        *prepared.oneways,
        *measure_weighted(curator, prepared, plan, dict.fromkeys(chain, 1.0)),
    ]
    model = estimate(prepared.domain, measured, prepared.total)
    for cliques in ([m.clique for m in prepared.oneways], chain):
        errors = []
        for clique in cliques:
            truth = np.zeros(prepared.domain.project(clique).shape)
            codes = [prepared.codings[c].code_of(table[c].to_numpy()) for c in clique]
            np.add.at(truth, tuple(codes), 1 / rows)
            errors.append(np.abs(model.marginal(clique).values / model.total - truth).sum() / 2)
        assert 0.5 < np.mean([ahead[c] for c in cliques]) / np.mean(errors) < 2
