"""The greedy choice of a batch: what it takes, what it leaves, and how the budget is shared."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.growth import Growth
from tronie.models.junction import forecast_cells
from tronie.schema.domain import Clique, Domain
from tronie.synth.batch import CAUTION, Candidate, choose

NAMES = ("a", "b", "c", "d", "e")
DOMAIN = Domain(dict.fromkeys(NAMES, 4))
CLIQUES: list[Clique] = [
    *itertools.combinations(NAMES, 2),
    *itertools.combinations(NAMES, 3),
]

numbers = st.lists(
    st.tuples(st.floats(-0.1, 0.5), st.floats(1e-4, 0.1)),
    min_size=len(CLIQUES),
    max_size=len(CLIQUES),
)


@given(numbers, st.integers(1, 12), st.booleans())
def test_a_batch_is_promising_small_and_no_larger_than_asked(
    drawn: list[tuple[float, float]], most: int, forest: bool
) -> None:
    candidates = {c: Candidate(*n) for c, n in zip(CLIQUES, drawn, strict=True)}
    batch = choose(candidates, Growth(DOMAIN), most=most, cells=100, forest=forest)
    assert len(batch) <= most
    assert forecast_cells(DOMAIN, batch) <= 100
    assert all(candidates[c].gain > CAUTION * candidates[c].cost for c in batch)
    assert not batch or sum(batch.values()) == pytest.approx(1)
    if forest:
        joined = {name: {name} for name in NAMES}
        for a, b in batch:
            assert joined[a] is not joined[b]
            joined[a] |= joined[b]
            for name in joined[a]:
                joined[name] = joined[a]


@given(numbers)
def test_a_batch_gains_more_than_it_costs(drawn: list[tuple[float, float]]) -> None:
    candidates = {c: Candidate(*n) for c, n in zip(CLIQUES, drawn, strict=True)}
    batch = choose(candidates, Growth(DOMAIN), most=20, cells=10**6, forest=False)
    errors = sum(candidates[c].cost / share**0.5 for c, share in batch.items())
    assert not batch or sum(candidates[c].gain for c in batch) > CAUTION * errors


def test_shares_minimise_the_summed_error() -> None:
    candidates = {("a", "b"): Candidate(1.0, 0.08), ("c", "d"): Candidate(1.0, 0.01)}
    batch = choose(candidates, Growth(DOMAIN), most=2, cells=10**6, forest=False)
    assert batch[("a", "b")] / batch[("c", "d")] == pytest.approx(4.0)


def test_growth_has_its_price_when_room_is_scarce() -> None:
    ring = {pair: Candidate(0.5, 1e-3) for pair in [("a", "b"), ("b", "c")]}
    closing = {**ring, ("a", "c"): Candidate(0.03, 1e-3)}
    # Closing the circle of a, b and c makes one table of 64 cells out of two of 16.
    scarce = choose(closing, Growth(DOMAIN), most=10, cells=80, forest=False)
    ample = choose(closing, Growth(DOMAIN), most=10, cells=10**5, forest=False)
    assert set(scarce) == set(ring)
    assert set(ample) == set(closing)


def test_what_was_too_dear_may_become_cheap() -> None:
    """A pair inside a triple's table costs no room once the triple was taken."""
    candidates = {("a", "b", "c"): Candidate(0.4, 1e-4), ("a", "b"): Candidate(0.2, 1e-4)}
    batch = choose(candidates, Growth(DOMAIN), most=10, cells=72, forest=False)
    assert set(batch) == set(candidates)


def test_nothing_promising_is_no_batch() -> None:
    assert (
        choose({("a", "b"): Candidate(0.0, 0.1)}, Growth(DOMAIN), most=3, cells=99, forest=True)
        == {}
    )
    assert choose({}, Growth(DOMAIN), most=3, cells=99, forest=False) == {}
