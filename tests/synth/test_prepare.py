"""Single columns: heavy cells are split, spikes kept, rules respected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import curator_of, schema_of

from tronie.measure.queries import Total
from tronie.privacy.accounting import fits, total_mu
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth import plan as plan_module
from tronie.synth.independent import Independent
from tronie.synth.plan import most_codes
from tronie.synth.prepare import Prepared, measure_columns, prepare

WIDE = schema_of({"x": {"kind": "integer", "min": 0, "max": 99_999}})


def prepared(
    table: pa.Table, schema: Schema, epsilon: float = 2.0, **options: Any
) -> tuple[Prepared, Any]:
    budget = Budget(epsilon)
    curator, meter = curator_of(table, schema, budget, **options)
    return prepare(curator, schema, Independent().plan(schema, budget)), meter


def spiked(rows: int = 20_000) -> pa.Table:
    """A smooth column of 100,000 values with a spike at 50,000 and some values missing."""
    rng = np.random.default_rng(4)
    x = rng.integers(0, 100_000, rows)
    x[: rows // 4] = 50_000
    return pa.table({"x": pa.array(x, mask=np.arange(rows) >= rows * 0.95)})


def test_all_of_the_budget_is_spent() -> None:
    _, meter = prepared(spiked(), WIDE)
    assert fits(meter.events, Budget(2.0))
    assert total_mu(meter.events) >= 0.999 * Budget(2.0).mu


def test_heavy_cells_are_split_and_others_are_not() -> None:
    budget = Budget(2.0)
    curator, _ = curator_of(spiked(), WIDE, budget)
    histograms, total = measure_columns(curator, WIDE, Independent().plan(WIDE, budget))
    histogram = histograms["x"]
    assert len(histogram.levels) == 4
    edges = histogram.grid.edges
    near = edges[np.abs(edges - 50_000) < 300]
    assert {50_000, 50_001} <= set(edges.tolist())
    assert np.diff(near).min() == 1
    widths = np.diff(edges)
    assert widths.max() > 300
    assert abs(total - 20_000) < 100


def test_a_spike_keeps_its_rows() -> None:
    found, _ = prepared(spiked(), WIDE)
    coding = found.codings["x"]
    grid = coding.grid
    spike = int(np.searchsorted(grid.edges, 50_000))
    assert grid.edges[spike + 1] == 50_001
    assert coding.weights[spike] == pytest.approx(5_000, rel=0.03)
    assert coding.weights[:spike].sum() == pytest.approx(7_000, rel=0.1)


def test_empty_regions_stay_coarse() -> None:
    table = pa.table({"x": np.random.default_rng(0).integers(0, 1000, 20_000)})
    found, _ = prepared(table, WIDE)
    coding = found.codings["x"]
    beyond = coding.grid.edges[:-1] >= 2_000
    assert coding.weights[: coding.grid.runs][beyond].sum() < 200
    assert np.diff(coding.grid.edges)[beyond].min() > 100
    assert np.diff(coding.grid.edges)[~beyond].min() <= 7


def test_missing_values_have_a_code_of_their_own() -> None:
    found, _ = prepared(spiked(), WIDE)
    coding = found.codings["x"]
    assert (coding.groups == coding.groups[-1]).sum() == 1
    assert found.oneways[0].values[coding.groups[-1]] == pytest.approx(1000, abs=60)


def test_codes_hold_about_the_same_number_of_rows() -> None:
    table = pa.table({"x": np.random.default_rng(0).integers(0, 100_000, 50_000)})
    found, _ = prepared(table, WIDE)
    (oneway,) = found.oneways
    counts = oneway.values[:-1]
    assert 16 <= len(counts) <= 64
    assert counts.max() < 3 * np.median(counts)


def test_one_way_counts_and_their_noise_are_honest() -> None:
    # 40 codes and more; a code beyond 5 sds has a chance below 1e-4 in all.
    table = spiked()
    found, _ = prepared(table, WIDE)
    (oneway,) = found.oneways
    points = np.array([100_001 if v is None else v for v in table["x"].to_pylist()])
    exact = np.bincount(found.codings["x"].code_of(points), minlength=len(oneway.values))
    errors = (oneway.values - exact) / oneway.sd
    assert np.abs(errors).max() < 5
    assert 0.5 < errors.std() < 1.5


def test_without_noise_the_codes_count_exactly() -> None:
    table = spiked(4000)
    found, _ = prepared(table, WIDE, quiet=True)
    (oneway,) = found.oneways
    points = np.array([100_001 if v is None else v for v in table["x"].to_pylist()])
    exact = np.bincount(found.codings["x"].code_of(points), minlength=len(oneway.values))
    np.testing.assert_allclose(oneway.values, exact, atol=1e-6)
    assert found.total == pytest.approx(4000)


RULED = schema_of(
    {
        "age": {"kind": "integer", "min": 0, "max": 9_999},
        "state": {"kind": "category", "values": [f"s{i:02d}" for i in range(40)]},
    },
    constraints=[
        {"kind": "impossible", "when": {"age": {"min": 1234, "max": 7776}, "state": ["s37"]}}
    ],
)


def ruled_table() -> pa.Table:
    rng = np.random.default_rng(1)
    state = [f"s{i:02d}" for i in rng.integers(0, 3, 5000)]
    return pa.table({"age": rng.integers(0, 1000, 5000), "state": state})


def test_codes_end_where_a_rule_begins() -> None:
    found, _ = prepared(ruled_table(), RULED)
    coding = found.codings["age"]
    for fence in (1234, 7777):
        assert fence in coding.grid.edges
        cell = int(np.searchsorted(coding.grid.edges, fence))
        assert coding.groups[cell] == coding.groups[cell - 1] + 1


def test_a_named_value_is_not_merged_with_other_rare_ones() -> None:
    found, _ = prepared(ruled_table(), RULED)
    coding = found.codings["state"]
    assert (coding.groups == coding.groups[37]).sum() == 1
    assert coding.groups[20] == coding.groups[30]
    assert len({int(coding.groups[i]) for i in range(3)}) == 3


def test_rules_become_zeros() -> None:
    found, _ = prepared(ruled_table(), RULED)
    (zero,) = found.zeros
    age, state = found.codings["age"], found.codings["state"]
    inside = age.code_of(np.array([1234, 5000, 7776]))
    outside = age.code_of(np.array([1233, 7777, 10_001]))
    named = int(state.groups[37])
    table = zero.values if zero.columns == ("age", "state") else zero.values.T
    assert not table[inside, named].any()
    assert table[outside, named].all()
    assert np.delete(table, named, axis=1).all()


def test_an_ordered_category_is_cut_into_stretches() -> None:
    values = list("abcdefghij")
    columns = {
        "grade": {"kind": "category", "values": values, "ordered": True, "nullable": False},
        "name": {"kind": "category", "values": values, "nullable": False},
    }
    rows = ["a"] * 900 + ["j"] * 900
    found, _ = prepared(pa.table({"grade": rows, "name": rows}), schema_of(columns), epsilon=0.5)
    grade, name = (found.codings[n].groups.tolist() for n in ("grade", "name"))
    assert grade == sorted(grade)
    assert grade[0] != grade[-1]
    assert name.count(name[4]) == 8


def test_the_total_is_better_than_its_own_measurement() -> None:
    # Means of squares over 40 draws each; combined, the total is far more precise than alone.
    table, budget = pa.table({"x": np.arange(500) % 9}), Budget(0.5)
    schema = schema_of({"x": {"kind": "integer", "min": 0, "max": 9}})
    plan = Independent().plan(schema, budget)
    own, combined = [], []
    for seed in range(40):
        curator, _ = curator_of(table, schema, budget, seed=seed)
        combined.append(measure_columns(curator, schema, plan)[1] - 500)
        (rows,) = curator_of(table, schema, budget, seed=seed)[0].ask([Total(plan.sigma("total"))])
        own.append(int(rows) - 500)
    assert np.mean(np.square(combined)) < np.mean(np.square(own)) / 4


def test_an_empty_table_has_a_total_of_one() -> None:
    found, _ = prepared(pa.table({"x": pa.array([], pa.int64())}), WIDE, quiet=True)
    assert found.total == 1.0
    assert found.codings["x"].weights.sum() == pytest.approx(1.0)


def test_a_column_of_nulls_has_weight_on_nulls_alone() -> None:
    found, _ = prepared(pa.table({"x": pa.nulls(700, pa.int64())}), WIDE, quiet=True)
    coding = found.codings["x"]
    assert coding.weights[-1] == pytest.approx(700)
    assert not coding.weights[:-1].any()


def test_independence_is_the_product_of_shares() -> None:
    schema = schema_of(
        {
            "a": {"kind": "boolean", "nullable": False},
            "b": {"kind": "category", "values": ["u", "v"], "nullable": False},
        }
    )
    table = pa.table({"a": [True] * 300 + [False] * 100, "b": (["u"] * 4 + ["v"]) * 80})
    found, _ = prepared(table, schema, quiet=True)
    np.testing.assert_allclose(found.independence(("a", "b")), [[80, 20], [240, 60]])
    np.testing.assert_allclose(found.independence(("b",)), [320, 80])
    assert float(found.independence(())) == 400
    assert dict(found.domain.sizes) == {"a": 2, "b": 2}


def test_column_errors_shrink_with_budget() -> None:
    little, much = (prepared(spiked(), WIDE, epsilon)[0].column_errors["x"] for epsilon in (0.2, 5))
    assert 0 < much < little <= 1


def test_where_all_pairs_must_fit_in_memory_there_are_fewer_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = {
        "x": {"kind": "integer", "min": 0, "max": 99},
        "y": {"kind": "category", "values": list(range(100))},
    }
    rows = np.random.default_rng(0).integers(0, 100, 5000)
    table = pa.table({"x": rows, "y": rows})
    sizes = [prepared(table, schema_of(columns), 50.0)[0].domain.shape]
    monkeypatch.setattr(plan_module, "PAIR_CELLS", 2**9)
    sizes.append(prepared(table, schema_of(columns), 50.0)[0].domain.shape)
    assert most_codes(2) == 16
    assert sizes[0][0] > 30
    assert sizes[0][1] == 101
    assert max(sizes[1]) <= 16 + 2
