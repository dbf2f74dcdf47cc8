"""Domains that are found privately."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_tables import curator_of, schema_of

from tronie.privacy.accounting import fits, total_mu
from tronie.privacy.budget import Budget
from tronie.schema.columns import Category, Column
from tronie.schema.points import function_points
from tronie.schema.schema import Schema
from tronie.synth.discover import discover, learn_functions, planned_keys
from tronie.synth.independent import Independent

BUDGET = Budget(3.0, 1e-6)
EPOCH = dt.datetime(2025, 1, 1)


def found(table: pa.Table, schema: Schema, *, quiet: bool = True, seed: int = 0) -> Schema:
    """What is found, all of its cost within the step's share."""
    curator, meter = curator_of(table, schema, BUDGET, quiet=quiet, seed=seed)
    plan = Independent().plan(schema, BUDGET)
    result = discover(curator, schema, plan)
    assert fits(meter.events, BUDGET)
    assert total_mu(meter.events) <= plan.mu * plan.share("discover") ** 0.5
    assert total_mu(meter.events) >= 0.99 * plan.mu * plan.share("discover") ** 0.5
    assert result.unknowns() == {}
    return result


def column(values: Any, kind: dict[str, Any], **options: Any) -> Any:
    """What is found for one column."""
    return found(pa.table({"x": values}), schema_of({"x": kind}), **options).columns["x"]


def many(values: list[Any], kind: pa.DataType | None = None) -> pa.Array:
    """Each value often enough to stand out."""
    return pa.array(values * 200, kind)


def test_nothing_is_asked_where_all_is_known() -> None:
    schema = schema_of({"x": {"kind": "boolean"}})
    curator, meter = curator_of(pa.table({"x": [True]}), schema, BUDGET)
    plan = Independent().plan(schema, BUDGET)
    assert discover(curator, schema, plan) is schema
    assert learn_functions(curator, schema, plan) is schema
    assert meter.events == ()


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=4))
def test_integers_lie_within_their_bounds(values: list[int]) -> None:
    x = column(many(values, pa.int64()), {"kind": "integer"})
    limit = 2**52
    assert x.min <= max(min(values), -limit)
    assert x.max >= min(max(values), limit - 1)
    assert x.origin == "released"
    if max(map(abs, values)) < 2**50:
        reach = max(map(abs, values)) * 2**0.25 * (1 + 1e-11) + 1
        assert -reach <= x.min <= x.max <= reach


@given(st.lists(st.floats(-1e25, 1e25, allow_subnormal=False), min_size=1, max_size=4))
def test_decimals_lie_within_their_bounds(values: list[float]) -> None:
    x = column(many(values), {"kind": "decimal"})
    # Buckets end at 2**64; smaller than 2**-20 is zero.
    assert x.min <= max(min(values), -(2.0**63)) + 2.0**-20
    assert x.max >= min(max(values), 2.0**63) - 2.0**-20
    assert x.points >= 1


@pytest.mark.parametrize("sign", [-1, 1])
def test_bounds_keep_to_one_sign(sign: int) -> None:
    values = sign * np.random.default_rng(0).integers(100, 1000, 5000)
    x = column(values, {"kind": "integer"}, quiet=False)
    low, high = sorted((sign * x.min, sign * x.max))
    assert 80 <= low <= 120
    assert 900 <= high <= 1200


def test_both_signs_and_zero() -> None:
    x = column(many([-30, 0, 5]), {"kind": "integer"})
    assert -36 <= x.min <= -30
    assert 5 <= x.max <= 6
    zero = column(many([0.0]), {"kind": "decimal"})
    assert zero.min <= 0 <= zero.max
    assert zero.max - zero.min <= 2


def test_few_outliers_do_not_move_the_bounds() -> None:
    values = np.random.default_rng(0).normal(50, 10, 20_000).astype(int)
    values[:3] = 10**9
    x = column(values, {"kind": "integer"}, quiet=False)
    assert x.max < 130
    assert ((values >= x.min) & (values <= x.max)).mean() > 0.99


def test_found_bounds_hold_the_bulk_in_almost_all_runs() -> None:
    # By design noise moves a bound outwards in 1 % of runs; inwards only past a few rows.
    values = np.random.default_rng(1).lognormal(3, 1, 10_000)
    wide = 0
    for seed in range(40):
        x = column(values, {"kind": "decimal"}, quiet=False, seed=seed)
        assert ((values >= x.min) & (values <= x.max)).mean() > 0.98
        wide += x.min < -1 or x.max > 10_000
    assert wide <= 4


def test_infinities_are_in_the_outermost_bucket() -> None:
    x = column(many([1.0, float("inf"), float("-inf")]), {"kind": "decimal"})
    assert x.max == 2.0**64
    assert x.min == -(2.0**64)


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "integer"},
        {"kind": "decimal"},
        {"kind": "date"},
        *({"kind": "datetime", "resolution": r} for r in ("microsecond", "second", "day")),
    ],
)
def test_columns_of_nulls_and_empty_columns_have_some_domain(kind: dict[str, Any]) -> None:
    types = {"integer": pa.int32(), "decimal": pa.float64(), "date": pa.date32()}
    arrow = types.get(kind["kind"], pa.timestamp("us"))
    for rows in (0, 1000):
        for seed in range(6):
            x = column(pa.nulls(rows, arrow), kind, quiet=seed == 0, seed=seed)
            assert x.bounded


@pytest.mark.parametrize("extremes", [[-(2**63), 2**63 - 1], [2**59, 2**60], [-(2**60)], [2**52]])
def test_huge_integers_do_not_stop_a_run_that_was_charged(extremes: list[int]) -> None:
    x = column(many(extremes, pa.int64()), {"kind": "integer"})
    assert -(2**52) <= x.min <= x.max < 2**52


def test_decimal_places_are_found() -> None:
    rng = np.random.default_rng(0)
    for places in (0, 1, 2, 4):
        values = np.round(rng.gamma(2, 30, 5000), places)
        x = column(values, {"kind": "decimal"}, quiet=False)
        assert x.resolution == pytest.approx(10.0**-places)
        assert round(x.min * 10**places, 6) % 1 == pytest.approx(0, abs=1e-6)
    assert column(rng.random(5000), {"kind": "decimal"}, quiet=False).resolution is None


def test_places_that_few_values_need_are_no_resolution() -> None:
    values = np.round(np.random.default_rng(0).gamma(2, 30, 10_000), 1)
    values[:20] += 0.0123
    assert column(values, {"kind": "decimal"}).resolution == pytest.approx(0.1)


def test_fixed_point_columns_are_read_exactly() -> None:
    values = [decimal.Decimal(cents) / 100 for cents in (-505, 0, 1234)]
    x = column(many(values, pa.decimal128(10, 2)), {"kind": "decimal"})
    assert x.resolution == pytest.approx(0.01)
    assert x.min <= -5.05
    assert x.max >= 12.34


@pytest.mark.parametrize("step", [0.25, 0.05, 7.0, 1e-3, 0.3])
def test_a_declared_resolution_is_kept_and_its_multiples_are_points(step: float) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(12, 40, 3000) * step
    x = column(values, {"kind": "decimal", "resolution": step}, quiet=False)
    assert x.resolution == step
    steps = (values - x.min) / step
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-6)
    assert x.min <= values.min()
    assert x.max >= values.max()


def test_a_step_finer_than_doubles_is_given_up() -> None:
    x = column(many([1e18, -1e18]), {"kind": "decimal", "resolution": 0.01})
    assert x.resolution is None
    assert x.min <= -1e18
    assert x.max >= 1e18


@pytest.mark.parametrize(
    "days",
    [
        [dt.date(2025, 1, 1)],
        [dt.date(2024, 12, 25), dt.date(2025, 2, 1)],
        [dt.date(1, 1, 1)],
        [dt.date(9999, 12, 31)],
        [dt.date(1850, 3, 1), dt.date(2100, 1, 1)],
    ],
)
def test_dates_near_and_far_are_found(days: list[dt.date]) -> None:
    x = column(many(days), {"kind": "date"})
    assert x.min <= min(days)
    assert x.max >= max(days)
    span = max(abs((day - EPOCH.date()).days) for day in days)
    assert (x.max - x.min).days <= 2.4 * span + 2


def test_numbers_read_as_text_are_found() -> None:
    assert column(many(["12", "99", "n/a"]), {"kind": "integer"}).max >= 99
    x = column(many(["2020-05-01", "2021-06-30"]), {"kind": "date"})
    assert x.min <= dt.date(2020, 5, 1)


MOMENTS = [
    [EPOCH],
    [dt.datetime(2024, 6, 1, 12, 30, 5), dt.datetime(2024, 6, 2)],
    [dt.datetime(1970, 1, 1), dt.datetime(2038, 1, 19)],
    [dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)],
    [dt.datetime(1500, 1, 1)],
]


@pytest.mark.parametrize("moments", MOMENTS)
@pytest.mark.parametrize("resolution", ["microsecond", "millisecond", "second", "hour", "day"])
def test_moments_near_and_far_are_found(moments: list[dt.datetime], resolution: str) -> None:
    kind = {"kind": "datetime", "resolution": resolution}
    x = column(many(moments, pa.timestamp("us")), kind)
    assert x.min <= min(moments)
    assert x.max >= max(moments)
    if resolution != "microsecond":
        assert x.resolution == resolution
    assert not (EPOCH - x.min) % dt.timedelta(microseconds=x.step)


def test_a_microsecond_lattice_that_is_too_long_gets_coarser() -> None:
    kind = {"kind": "datetime", "resolution": "microsecond"}
    near, far = MOMENTS[1], MOMENTS[3]
    assert column(many(near, pa.timestamp("us")), kind).resolution == "microsecond"
    assert column(many(far, pa.timestamp("us")), kind).resolution == "millisecond"


def test_categories_are_found_without_the_rare_ones() -> None:
    words = ["b"] * 900 + ["a"] * 600 + [f"only-{i}" for i in range(500)]
    kind = {"kind": "open_category", "other_label": "else"}
    x = column(words, kind, quiet=False)
    assert x == Category(
        values=("a", "b"),
        other=True,
        other_label="else",
        outside="missing",
        origin="released",
    )


def test_integer_categories_and_no_missing_values() -> None:
    kind = {"kind": "open_category", "value_type": "integer", "nullable": False}
    x = column([7] * 400 + [3] * 400, kind, quiet=False)
    assert x.values == (3, 7)
    assert not x.nullable
    assert x.outside == "error"


def test_nothing_frequent_leaves_the_cell_of_others() -> None:
    x = column([f"v{i}" for i in range(100)], {"kind": "open_category"}, quiet=False)
    assert x.values == ()
    assert x.other


MIXED = schema_of(
    {
        "n": {"kind": "integer"},
        "p": {"kind": "decimal"},
        "c": {"kind": "open_category"},
        "e": {"kind": "open_category"},
        "k": {"kind": "boolean"},
    },
    unit={"kind": "row", "max_rows": 2},
)


def test_the_questions_share_the_step_evenly() -> None:
    table = pa.table(
        {
            "n": many([1, 2]),
            "p": many([0.5, 1.25]),
            "c": many(["u", "v"]),
            "e": many(["w", "x"]),
            "k": many([True, False]),
        }
    )
    curator, meter = curator_of(table, MIXED, BUDGET)
    resolved = discover(curator, MIXED, Independent().plan(MIXED, BUDGET))
    assert [event.query for event in meter.events] == [
        "magnitudes",
        "magnitudes",
        "decimals",
        "keys",
        "keys",
    ]
    assert len({event.sigma for event in meter.events}) == 1
    assert {event.sensitivity for event in meter.events} == {2.0}
    assert list(resolved.columns) == list(MIXED.columns)
    assert resolved.columns["k"] == MIXED.columns["k"]


def test_keys_are_planned_before_any_row_is_read() -> None:
    plan = Independent().plan(MIXED, BUDGET)
    first, second = planned_keys(MIXED, plan)
    assert (first.column, second.column) == ("c", "e")
    assert first.delta + second.delta == pytest.approx(0.1 * BUDGET.delta)
    known = schema_of({"k": {"kind": "boolean"}})
    assert planned_keys(known, Independent().plan(known, BUDGET)) == []


def learned(table: pa.Table, columns: dict[str, Any], *, quiet: bool = False) -> Schema:
    rule = {"kind": "function", "of": "city", "gives": "state"}
    schema = schema_of(columns, constraints=[rule])
    curator, meter = curator_of(table, schema, BUDGET, quiet=quiet)
    plan = Independent().plan(schema, BUDGET)
    resolved = learn_functions(curator, discover(curator, schema, plan), plan)
    (event,) = [e for e in meter.events if e.query == "marginal"]
    assert event.columns == ("city", "state")
    assert event.mu == pytest.approx(plan.mu * plan.share("functions") ** 0.5, rel=1e-3)
    return resolved


CITIES = ["Delft", "Gouda", "Utrecht"]


def test_a_function_is_learned_from_its_likeliest_pairs() -> None:
    rng = np.random.default_rng(0)
    at = rng.integers(0, 3, 3000)
    state = np.where(rng.random(3000) < 0.02, 12, np.array([7, 7, 9])[at])
    table = pa.table({"city": [CITIES[i] for i in at], "state": state})
    columns: dict[str, Column | dict[str, Any]] = {
        "city": {"kind": "category", "values": CITIES, "nullable": False},
        "state": {"kind": "integer", "min": 0, "max": 20, "nullable": False},
    }
    schema = learned(table, columns)
    (rule,) = schema.constraints
    assert rule.table == (("Delft", 7), ("Gouda", 7), ("Utrecht", 9))
    assert rule.origin == "released"
    assert list(schema.modelled) == ["city"]


def test_others_and_missing_values_are_determined_too() -> None:
    city = ["Delft"] * 500 + ["Gouda"] * 400 + [None] * 300 + [f"x{i}" for i in range(300)]
    state = ["ZH"] * 900 + [None] * 300 + ["rest"] * 300
    columns = {"city": {"kind": "open_category"}, "state": {"kind": "open_category"}}
    schema = learned(pa.table({"city": city, "state": state}), columns)
    (rule,) = schema.constraints
    found_state = schema.columns["state"]
    given = function_points(schema, rule)
    assert schema.columns["city"].values == ("Delft", "Gouda")
    assert [found_state.values[i] for i in given[:2]] == ["ZH", "ZH"]
    assert given[3] == found_state.points + 1


@pytest.mark.parametrize("kind", [pa.uint8(), pa.int16()])
def test_found_bounds_fit_the_type_of_small_integers(kind: pa.DataType) -> None:
    values = np.random.default_rng(0).integers(0, 256, 9000)
    x = column(pa.array(values, kind), {"kind": "integer"}, quiet=False)
    assert (x.min, x.max) == (0, 255)


def test_a_thin_tail_is_found_where_its_buckets_stand_out_together() -> None:
    """Twelve neighbouring buckets of 60 rows each, of which none stands out alone."""
    rng = np.random.default_rng(3)
    edges = 2.0 ** (5 + np.arange(13) / 4)
    tail = np.concatenate([rng.uniform(a, b, 60) for a, b in itertools.pairwise(edges)])
    values = np.concatenate([rng.uniform(20, 32, 5000), tail])
    x = column(values, {"kind": "decimal"}, quiet=False)
    assert x.max >= edges[9]
