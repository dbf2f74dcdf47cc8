"""The one score: reference tables, corner cases, and what noise does to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.evaluate.distances import distributions
from tronie.evaluate.headline import (
    LEAST_SPAN,
    METHOD,
    Headline,
    Order,
    headline,
    headline_of,
    means_of,
    slopes,
)
from tronie.evaluate.tables import read_tables
from tronie.schema.schema import Schema

NUMBER: dict[str, Any] = {"kind": "integer", "min": 0, "max": 99, "nullable": False}
LETTER: dict[str, Any] = {"kind": "category", "values": list("abcdef"), "nullable": False}
SCHEMA = Schema.model_validate(
    {
        "name": "people",
        "columns": {"n": NUMBER, "m": NUMBER, "k": NUMBER, "c": LETTER, "d": LETTER},
    }
)


def people(rows: int, seed: int) -> pa.Table:
    """Skewed columns that hang together."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(2.0, 8.0, rows)
    n = np.minimum(base, 99).astype(int)
    m = np.minimum(base + rng.gamma(1.0, 5.0, rows), 99).astype(int)
    k = np.where(rng.random(rows) < 0.8, 0, rng.integers(0, 100, rows))
    letters = np.array(list("abcdef"))
    c = letters[np.minimum(base / 10, 5).astype(int)]
    d = np.where(rng.random(rows) < 0.7, c, letters[rng.integers(0, 6, rows)])
    return pa.table({"n": n, "m": m, "k": k, "c": c.tolist(), "d": d.tolist()})


def shuffled(table: pa.Table, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table({n: table[n].take(rng.permutation(len(table))) for n in table.column_names})


def uniform(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    numbers = {name: rng.integers(0, 100, rows) for name in ("n", "m", "k")}
    letters = {n: np.array(list("abcdef"))[rng.integers(0, 6, rows)].tolist() for n in ("c", "d")}
    return pa.table({**numbers, **letters})


def scored(real: pa.Table, synthetic: pa.Table, schema: Schema = SCHEMA) -> Headline:
    return headline(distributions(read_tables(real, {"it": synthetic}, schema), "it"))


REAL = people(20_000, 0)


def test_tables_whose_worth_is_known() -> None:
    assert scored(REAL, people(20_000, 1)).score.value >= 99
    assert scored(REAL, REAL).score.value == 100.0
    independent = scored(REAL, shuffled(REAL, 2)).score.value
    assert independent < 40
    assert scored(REAL, uniform(20_000, 3)).score.value < 10
    half = pa.concat_tables([people(10_000, 4), shuffled(REAL, 5).slice(0, 10_000)])
    assert independent + 20 < scored(REAL, half).score.value < 80


@pytest.mark.parametrize("rows", [300, 1000, 100_000])
def test_other_rows_get_all_points_whatever_their_number(rows: int) -> None:
    """Chance may cost a small table a few points; it never costs many."""
    assert scored(REAL, people(rows, 6)).score.value >= (99 if rows > 1000 else 93)


def test_more_permuted_cells_score_less() -> None:
    rng = np.random.default_rng(7)
    flips = rng.random((5, 20_000))
    scores: list[float] = []
    for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9):
        alone = shuffled(REAL, 8)
        columns = {
            name: pa.array(
                np.where(flip < share, np.array(alone[name]), np.array(REAL[name])).tolist()
            )
            for name, flip in zip(REAL.column_names, flips, strict=True)
        }
        scores.append(scored(REAL, pa.table(columns)).score.value)
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def one_row_repeated() -> pa.Table:
    return REAL.take([5] * 20_000)


def most_frequent_values() -> pa.Table:
    modes = {name: REAL[name].value_counts().to_pylist() for name in REAL.column_names}
    return pa.table(
        {
            n: [max(found, key=lambda f: f["counts"])["values"]] * 20_000
            for n, found in modes.items()
        }
    )


def perfectly_related() -> pa.Table:
    """A table of strong but wrong relations: all columns move together."""
    return pa.table({n: sorted(REAL[n].to_pylist()) for n in REAL.column_names})


def half_real_half_garbage() -> pa.Table:
    return pa.concat_tables([REAL.slice(0, 10_000), one_row_repeated().slice(0, 10_000)])


@pytest.mark.parametrize(
    ("made", "most"),
    [(one_row_repeated, 15), (most_frequent_values, 25), (perfectly_related, 60)],
)
def test_garbage_does_not_pay(made: Any, most: float) -> None:
    assert scored(REAL, made()).score.value < most


def test_wrong_columns_do_not_make_relations_look_better() -> None:
    half = pa.concat_tables([REAL.slice(0, 10_000), shuffled(REAL, 9).slice(0, 10_000)])
    garbage = scored(REAL, half_real_half_garbage())
    honest = scored(REAL, half)
    assert garbage.score.value < honest.score.value
    for worse, better in zip(garbage.parts, honest.parts, strict=True):
        assert worse.points < better.points


def test_without_relations_there_are_none_to_lose() -> None:
    """Truly independent columns: shuffling them costs nothing."""
    rng = np.random.default_rng(10)
    real = pa.table({n: rng.integers(0, 30, 20_000) for n in ("n", "m", "k")})
    schema = Schema.model_validate({"name": "i", "columns": dict.fromkeys("nmk", NUMBER)})
    assert scored(real, shuffled(real, 11), schema).score.value >= 97
    other = pa.table({n: rng.integers(0, 30, 20_000) for n in ("n", "m", "k")})
    assert scored(real, other, schema).score.value >= 97
    for part in scored(real, other, schema).parts[1:]:
        assert part.ceiling - part.floor == pytest.approx(LEAST_SPAN)


def test_tables_of_one_and_two_columns() -> None:
    for names, parts in ((["n"], ["columns"]), (["n", "c"], ["columns", "pairs"])):
        columns = {name: SCHEMA.columns[name].model_dump() for name in names}
        schema = Schema.model_validate({"name": "few", "columns": columns})
        real = REAL.select(names)
        found = scored(real, people(20_000, 12).select(names), schema)
        assert [part.name for part in found.parts] == parts
        assert found.score.value >= 99
        assert scored(real, uniform(20_000, 13).select(names), schema).score.value < 10


def test_constant_columns() -> None:
    schema = Schema.model_validate({"name": "c", "columns": {"n": NUMBER, "m": NUMBER}})
    five = pa.table({"n": [5] * 50, "m": [7] * 50})
    assert scored(five, five, schema).score.value == 100.0
    wrong = scored(five, pa.table({"n": [6] * 50, "m": [7] * 50}), schema)
    assert wrong.score.value < 30
    only = Schema.model_validate({"name": "o", "columns": {"n": {**NUMBER, "min": 5, "max": 5}}})
    assert scored(five.select(["n"]), five.select(["n"]), only).score.value == 100.0


def test_tiny_tables() -> None:
    for rows in (1, 2, 5):
        few = REAL.slice(0, rows)
        assert scored(few, few).score.value == 100.0
        assert 0 <= scored(few, REAL).score.value <= 100
        assert 0 <= scored(REAL, few).score.value <= 100


def test_values_outside_the_domain_are_never_right() -> None:
    wrong = REAL.set_column(3, "c", pa.array(["?"] * 20_000))
    assert scored(REAL, wrong).score.value < 70
    assert scored(REAL, wrong).parts[0].value == pytest.approx(0.8, abs=0.001)


def test_parts_are_read_between_floor_and_ceiling() -> None:
    found = scored(REAL, people(20_000, 14))
    assert found.method == METHOD
    assert found.score.points == pytest.approx(found.score.value)
    mean = np.mean([part.points for part in found.parts])
    assert found.score.value == pytest.approx(float(mean))
    for part in found.parts:
        assert part.floor < part.value <= 1
        assert f"{100 * part.value:.1f} %" in part.meaning


# --- from means alone, as a private release does it ---------------------------------------------------

shares = st.floats(0, 1)
orders = st.builds(Order, shares, shares, st.floats(0, 0.9))
means = st.fixed_dictionaries({"columns": orders, "pairs": orders, "triples": orders})


def test_the_score_is_a_function_of_the_means() -> None:
    found = distributions(read_tables(REAL, {"it": people(5000, 15)}, SCHEMA), "it")
    assert headline_of(means_of(found)) == headline(found)


@given(means)
def test_it_lies_between_0_and_100(given_means: dict[str, Order]) -> None:
    assert 0 <= headline_of(given_means).score.value <= 100


@given(means, st.sampled_from(["columns", "pairs", "triples"]), st.floats(-0.2, 0.2))
def test_noise_moves_it_by_no_more_than_the_slopes_allow(
    given_means: dict[str, Order], name: str, noise: float
) -> None:
    """Lipschitz: the steepest slope anywhere is that of the least span, a third of it per part."""
    before = headline_of(given_means).score.value
    one = given_means[name]
    steepest = 100 / LEAST_SPAN / 3
    for moved in (
        Order(one.distance + noise, one.baseline, one.expected),
        Order(one.distance, one.baseline + noise, one.expected),
    ):
        after = headline_of({**given_means, name: moved}).score.value
        assert abs(after - before) <= steepest * abs(noise) * (1 + 1e-9) + 1e-9


@given(means, st.sampled_from(["columns", "pairs", "triples"]), st.floats(0, 0.2))
def test_a_larger_distance_never_scores_more(
    given_means: dict[str, Order], name: str, more: float
) -> None:
    one = given_means[name]
    worse = Order(one.distance + more, one.baseline, one.expected)
    after = headline_of({**given_means, name: worse}).score.value
    assert after <= headline_of(given_means).score.value + 1e-9


def test_slopes_are_the_derivatives() -> None:
    given_means = {"columns": Order(0.05, 0.5, 0.01), "pairs": Order(0.06, 0.1, 0.02)}
    step = 1e-7
    for name, (of_distance, of_baseline) in slopes(given_means).items():
        one = given_means[name]
        for field, slope in (("distance", of_distance), ("baseline", of_baseline)):
            values = {"distance": one.distance, "baseline": one.baseline, "expected": one.expected}
            values[field] += step
            moved = headline_of({**given_means, name: Order(**values)}).score.value
            change = abs(moved - headline_of(given_means).score.value) / step
            assert change == pytest.approx(slope, rel=1e-3)


def test_errors_are_shown() -> None:
    found = headline_of({"columns": Order(0.05, 0.5, 0.01)}, {"columns": 0.001, "total": 0.2})
    assert found.score.error == 0.2
    assert found.parts[0].error == 0.001
