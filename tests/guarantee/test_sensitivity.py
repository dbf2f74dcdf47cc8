"""Invariant 3: sensitivity is tested, not asserted.

Hypothesis draws neighbouring tables; the noiseless answers to everything that the curator can be asked
may differ by no more than the norm that was charged.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neighbours import (
    CODINGS,
    LOOSE,
    Neighbours,
    ask_counts,
    check_bounded_range,
    check_charged,
    neighbours,
    records,
    references,
    rows_of_a_table,
)

from tronie.errors import BudgetExceeded, DomainTooLarge
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Curator, Meter
from tronie.measure.discovery import Decimals, Keys, Magnitudes
from tronie.measure.noise import InsecureNoise
from tronie.measure.queries import (
    MAX_SCALE,
    MAX_WEIGHT,
    Dependences,
    Marginal,
    Misfits,
    Selection,
    Total,
)
from tronie.privacy.accounting import epsilon_of
from tronie.privacy.budget import Budget
from tronie.schema.columns import Decimal, Integer
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema

sigmas = st.floats(0.6, 1e4)


@given(neighbours(), sigmas)
def test_totals_and_marginals(tables: Neighbours, sigma: float) -> None:
    cliques = [("a",), ("b",), ("a", "c"), ("c", "a"), ("a", "b", "c")]
    check_charged(lambda curator: ask_counts(curator, sigma, cliques), tables)


@given(neighbours(), sigmas, st.integers(0, 9))
def test_misfits(tables: Neighbours, sigma: float, level: int) -> None:
    def ask(curator: Curator) -> None:
        curator.recode(CODINGS)
        curator.ask([Misfits(references(level), sigma)])

    check_charged(ask, tables)


@given(neighbours(), sigmas, st.integers(0, 99), st.integers(1, MAX_SCALE))
def test_misfits_from_fractions_of_rows(
    tables: Neighbours, sigma: float, level: int, scale: int
) -> None:
    """Each distance moves by at most the unit's rows, also after it is rounded down."""
    query = Misfits(references(level), sigma, scale)

    def ask(curator: Curator) -> None:
        curator.recode(CODINGS)
        curator.ask([query])

    check_charged(ask, tables)
    with_unit, without = (
        query.exact(records(rows).count(query.cliques, CODINGS))
        for rows in (tables.with_unit, tables.without_unit)
    )
    assert np.abs(with_unit - without).max() <= tables.k


@given(neighbours(), sigmas, rows_of_a_table.filter(len), st.sets(st.sampled_from("abc")))
def test_overlaps(tables: Neighbours, sigma: float, public: Any, listed: set[str]) -> None:
    (chunk,) = (chunk for _, chunk in records(public)._chunks())
    query = Overlaps(chunk, tuple(sorted(listed)), sigma)
    check_charged(lambda curator: curator.overlap(query), tables)


@given(neighbours(), sigmas, st.data())
def test_dependences(tables: Neighbours, sigma: float, data: st.DataObject) -> None:
    """Each score moves by at most the unit's rows, so that many together by that times their root."""
    sets = [("a", "b"), ("b", "a"), ("c", "a", "b"), ("a", "c", "b"), ("b", "c")]
    chosen = data.draw(st.lists(st.sampled_from(sets), min_size=1, unique=True))
    weights = {
        name: np.array(data.draw(st.lists(st.integers(0, 99), min_size=n, max_size=n).filter(any)))
        for name, n in ((name, coding.size) for name, coding in CODINGS.items())
    }
    query = Dependences(tuple(chosen), weights, sigma)

    def ask(rows: Curator) -> None:
        rows.recode(CODINGS)
        rows.ask([query])

    check_charged(ask, tables)
    with_unit, without = (
        query.exact(records(rows).count(chosen, CODINGS))
        for rows in (tables.with_unit, tables.without_unit)
    )
    assert np.abs(with_unit - without).max() <= tables.k


@given(neighbours(), sigmas, st.sampled_from([Integer(), Decimal()]))
def test_magnitudes_and_decimals(tables: Neighbours, sigma: float, kind: Any) -> None:
    check_charged(
        lambda curator: curator.explore([Magnitudes("b", kind, sigma), Decimals("b", kind, sigma)]),
        tables,
    )


@given(neighbours(), st.floats(0.01, 20), st.integers(0, 9))
def test_selection_is_bounded_range(tables: Neighbours, epsilon: float, level: int) -> None:
    check_bounded_range(Selection(references(level), epsilon), tables)


@given(
    neighbours(),
    st.floats(0.01, 20),
    st.lists(st.integers(1, MAX_WEIGHT), min_size=3, max_size=3),
    st.lists(st.integers(-(10**7), 10**7), min_size=3, max_size=3),
)
def test_weighted_selection_is_bounded_range(
    tables: Neighbours, epsilon: float, weights: list[int], offsets: list[int]
) -> None:
    """Candidates may matter more or less, and start ahead or behind, by any public numbers."""
    near = references(1)
    weighed, moved = (dict(zip(near, numbers, strict=True)) for numbers in (weights, offsets))
    check_bounded_range(Selection(near, epsilon, weighed, moved), tables)


@given(neighbours(), st.floats(1.0, 50.0), st.floats(1e-12, 1e-3))
def test_keys_of_one_unit_stay_hidden(tables: Neighbours, sigma: float, delta: float) -> None:
    """Values that only the unit holds reach the threshold with probability at most delta."""
    query = Keys("a", sigma, delta)
    with_unit, without = (
        records(rows).key_counts("a") for rows in (tables.with_unit, tables.without_unit)
    )
    shared = [value for value in with_unit if value in without]
    square = sum((with_unit[v] - without[v]) ** 2 for v in shared)
    event = query.event(tables.k)
    assert math.sqrt(square) <= event.sensitivity
    alone = [with_unit[value] for value in with_unit if value not in without]
    exposed = sum(gaussian_tail(event.threshold - count, sigma) for count in alone)
    assert exposed <= delta * (1 + 1e-9)


def test_every_access_is_charged_before_the_rows_are_read() -> None:
    class Unreadable:
        def under(self, schema: Schema) -> Unreadable:
            return self

        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the rows were read")

    meter = Meter(Budget(0.1, 1e-9))
    curator = Curator(Unreadable(), meter)  # type: ignore[arg-type]
    curator.recode(CODINGS)
    for ask in (
        lambda: curator.ask([Marginal(("a",), 0.6)]),
        lambda: curator.ask([Total(0.6)]),
        lambda: curator.ask([Dependences((("c", "a"),), {"c": np.ones(3, np.int64)}, 0.6)]),
        lambda: curator.select(Selection(references(1), 40.0)),
        lambda: curator.overlap(Overlaps({"a": np.ones(3, np.int64)}, ("a",), 0.6)),
        lambda: curator.explore([Decimals("b", Decimal(), 0.6)]),
        lambda: curator.keys(Keys("a", 0.6, 1e-10)),
    ):
        with pytest.raises(BudgetExceeded):
            ask()
        assert meter.events == ()


def test_a_plan_that_overdraws_is_stopped() -> None:
    meter = Meter(Budget(1.0, 1e-9))
    curator = Curator(records([]), meter, noise=InsecureNoise(0))
    for _ in range(4):
        curator.ask([Total(11.1)])
    with pytest.raises(BudgetExceeded):
        curator.ask([Total(11.1)])
    assert len(meter.events) == 4
    assert epsilon_of(meter.events, 1e-9) <= 1.0


def test_a_table_too_large_costs_nothing() -> None:
    meter = Meter(LOOSE)
    curator = Curator(records([]), meter, noise=InsecureNoise(0))
    wide = Coding.identity(Grid(np.arange(100_001)))
    curator.recode({"a": wide, "b": wide})
    with pytest.raises(DomainTooLarge):
        curator.ask([Marginal(("a", "b"), 10.0)])
    assert meter.events == ()


def test_noise_is_added_to_every_entry() -> None:
    """Over 400 answers of 8 cells each has noise of the stated sd (5 sds of its estimate)."""
    meter = Meter(LOOSE)
    curator = Curator(records([]), meter, noise=InsecureNoise(4))
    curator.recode(CODINGS)
    drawn = np.array([curator.ask([Marginal(("a", "c"), 30.0)])[0].ravel() for _ in range(400)])
    assert np.abs(drawn.std(axis=0) / 30.0 - 1).max() < 5 / math.sqrt(800)
    correlation = np.corrcoef(drawn.T) - np.eye(drawn.shape[1])
    assert np.abs(correlation).max() < 5 / math.sqrt(400)


def gaussian_tail(least: float, sigma: float) -> float:
    """P[X >= least] of the discrete Gaussian, by summing it."""
    x = np.arange(-int(12 * sigma) - 2, int(12 * sigma) + 3)
    density = np.exp(-(x**2) / (2 * sigma**2))
    return float(density[x >= least].sum() / density.sum())
