"""The sensitivity tests have teeth: with a bug planted, each check fails.

Bins from raw data are planted in test_non_interference.py.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from neighbours import (
    CODINGS,
    Neighbours,
    ask_counts,
    check_bounded_range,
    check_charged,
    neighbours,
    references,
)

from tronie.measure import noise as noise_module
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Curator, Meter
from tronie.measure.queries import Dependences, Marginal, Misfits, Selection
from tronie.privacy.events import Event, Gaussian

log = logging.getLogger(__name__)
"""Shown by ``pytest --log-cli-level INFO``."""

CLIQUES = [("a",), ("b",), ("c",)]


def fails_somewhere(check: Any) -> None:
    """Fail unless a property fails on some drawn table."""
    run = settings(max_examples=200, phases=[Phase.generate])(given(neighbours())(check))
    with pytest.raises(AssertionError, match=r"moved .*, charged") as caught:
        run()
    log.info("caught: %s", caught.value)


def test_the_checks_pass_without_a_bug() -> None:
    def check(tables: Neighbours) -> None:
        check_charged(lambda curator: ask_counts(curator, 3.0, CLIQUES), tables)
        check_bounded_range(Selection(references(2), 0.5), tables)

    settings(max_examples=50)(given(neighbours())(check))()


def test_a_monotone_factor_in_the_exponential_mechanism(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights exp(epsilon * score / k), as if all scores moved the same way."""
    honest = noise_module.exponential_weights

    def monotone(scores: np.ndarray, epsilon: float, sensitivity: int) -> list[int]:
        return honest(scores, 2 * epsilon, sensitivity)

    monkeypatch.setattr(noise_module, "exponential_weights", monotone)
    fails_somewhere(lambda tables: check_bounded_range(Selection(references(2), 0.5), tables))


def test_a_forgotten_split_over_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several marginals charged as if they were one."""
    charge = Meter.charge

    def forgetful(meter: Meter, events: list[Event]) -> None:
        charge(meter, events[:1])

    monkeypatch.setattr(Meter, "charge", forgetful)
    fails_somewhere(
        lambda tables: check_charged(lambda curator: ask_counts(curator, 3.0, CLIQUES), tables)
    )


def test_a_forgotten_split_over_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector of scores charged as if it were one score."""

    def event(query: Misfits, rows_per_unit: int) -> Event:
        return Gaussian(query="misfits", sigma=query.sigma, sensitivity=rows_per_unit)

    def ask(curator: Curator) -> None:
        ask_counts(curator, 1e5, [])
        curator.ask([Misfits(references(0), 3.0)])

    monkeypatch.setattr(Misfits, "event", event)
    fails_somewhere(lambda tables: check_charged(ask, tables))


def test_a_forgotten_scale_in_misfits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances left in units of a reference, of which one row is several."""
    honest = Misfits.exact
    monkeypatch.setattr(Misfits, "exact", lambda self, counts: self.scale * honest(self, counts))

    def ask(curator: Curator) -> None:
        ask_counts(curator, 1e5, [])
        curator.ask([Misfits(references(0), 3.0, scale=2)])

    fails_somewhere(lambda tables: check_charged(ask, tables))


def test_repeated_rows_counted_in_overlaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A private row that equals a public one moves the number by as often as that is repeated."""

    def exact(query: Overlaps, chunks: Any) -> np.ndarray:
        private = {row for chunk in chunks for row in rows_of(chunk)}
        return np.array([sum(row in private for row in rows_of(query.rows)), 0])

    def rows_of(points: Any) -> list[tuple[int, ...]]:
        return list(zip(*(points[name].tolist() for name in CODINGS), strict=True))

    monkeypatch.setattr(Overlaps, "exact", exact)
    fails_somewhere(lambda tables: check_charged(ask_overlaps, tables))


def ask_overlaps(curator: Curator) -> None:
    """How many rows equal one of a few, repeated ones, or hold a value that none of these has."""
    codes = np.tile(np.arange(108), 9)
    rows = {"a": codes % 4, "b": 3 + codes // 12, "c": codes // 4 % 3}
    curator.overlap(Overlaps(rows, ("b",), 3.0))


@pytest.mark.parametrize("query", [Marginal, Misfits, Overlaps])
def test_ignored_rows_per_unit(query: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit of several rows charged as if it were one row."""
    honest = query.event
    monkeypatch.setattr(query, "event", lambda self, rows_per_unit: honest(self, 1))

    def ask(curator: Curator) -> None:
        ask_counts(curator, 3.0, [("a",)] if query is Marginal else [])
        curator.ask([Misfits(references(0), 3.0)] if query is Misfits else [])
        if query is Overlaps:
            ask_overlaps(curator)

    fails_somewhere(lambda tables: check_charged(ask, tables))


def test_ignored_rows_per_unit_in_the_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Selection, "sensitivity", lambda self, rows_per_unit: 1)
    fails_somewhere(lambda tables: check_bounded_range(Selection(references(2), 0.5), tables))


@given(st.integers(1, 5))
def test_events_grow_with_the_rows_of_a_unit(k: int) -> None:
    for query in (Marginal(("a",), 5.0), Misfits(references(0), 5.0)):
        assert query.event(k).mu == pytest.approx(k * query.event(1).mu)


def test_forgotten_weights_in_the_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A score of weight 50 moves by 50, not by 1."""
    monkeypatch.setattr(Selection, "sensitivity", lambda self, rows_per_unit: rows_per_unit)
    near = references(2)
    weights = dict(zip(near, (1, 50, 1), strict=True))
    fails_somewhere(lambda tables: check_bounded_range(Selection(near, 0.5, weights), tables))


def test_a_halving_forgotten_in_dependences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the score moves by twice as much as is charged."""
    honest = Dependences.exact

    def doubled(self: Dependences, counts: Any) -> np.ndarray:
        return 2 * honest(self, counts)

    monkeypatch.setattr(Dependences, "exact", doubled)

    def check(tables: Neighbours) -> None:
        def ask(curator: Curator) -> None:
            curator.recode(CODINGS)
            flat = {"c": np.ones(CODINGS["c"].size, np.int64)}
            curator.ask([Dependences((("c", "a"),), flat, 3.0)])

        check_charged(ask, tables)

    fails_somewhere(check)
