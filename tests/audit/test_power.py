"""What an audit could have shown is worked out, not assumed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tronie.audit.bounds import Guesses, one_run_epsilon, one_run_gaussian_epsilon, split_bound
from tronie.audit.power import (
    best_guesses,
    game_power,
    guess,
    one_run_bound,
    one_run_power,
    verdict,
)
from tronie.errors import InputError
from tronie.privacy.gdp import gdp_mu

DELTA = 1e-5


@pytest.mark.parametrize(
    ("lower", "power", "epsilon", "said"),
    [
        (1.01, 0.2, 1.0, "violation"),
        (1.0, 0.6, 1.0, "consistent"),
        (0.0, 0.5, 1.0, "consistent"),
        (0.0, 0.49, 1.0, "inconclusive"),
        (3.0, 9.0, None, "inconclusive"),
    ],
)
def test_verdicts(lower: float, power: float, epsilon: float | None, said: str) -> None:
    assert verdict(lower, power, epsilon) == said


@pytest.mark.parametrize("claim", ["any", "gaussian"])
def test_power_rises_with_runs_and_stays_below_the_claim(claim: Any) -> None:
    for epsilon in (1.0, 4.0):
        powers = [game_power(epsilon, DELTA, runs, claim=claim) for runs in (0, 100, 1000, 10_000)]
        assert powers == sorted(powers)
        assert powers[0] == 0.0
        assert 0.0 < powers[-1] < epsilon


def test_power_is_the_median_bound_of_ideal_attacks() -> None:
    """51 attacks with other seeds have about the same median."""
    rng = np.random.default_rng(99)
    mu = gdp_mu(4.0, DELTA)
    bounds = [
        split_bound(
            rng.normal(size=2000), rng.normal(mu, size=2000), DELTA, claim="gaussian"
        ).epsilon
        for _ in range(51)
    ]
    assert game_power(4.0, DELTA, 2000) == pytest.approx(np.median(bounds), rel=0.1)


def test_one_run_power_is_the_median_bound_of_ideal_canaries() -> None:
    rng = np.random.default_rng(98)
    mu = gdp_mu(4.0, DELTA)
    bounds = []
    for _ in range(51):
        included = rng.random(1000) < 0.5
        found = guess(rng.normal(size=1000) + mu * included, included, 100)
        bounds.append(one_run_gaussian_epsilon(found, DELTA))
    assert one_run_power(4.0, DELTA, 1000, 100) == pytest.approx(np.median(bounds), rel=0.15)


def test_as_many_guesses_as_show_most() -> None:
    best = best_guesses(4.0, DELTA, 1000)
    assert 1 <= best < 1000
    assert one_run_power(4.0, DELTA, 1000, best) > 1.3 * one_run_power(4.0, DELTA, 1000, 1000)
    assert best_guesses(4.0, DELTA, 0) == 0
    assert best_guesses(4.0, DELTA, 1) == 1


def test_bounds_belong_to_claims() -> None:
    found = Guesses(100, 50, 48)
    assert one_run_bound(found, DELTA, 0.95, "any") == one_run_epsilon(found, DELTA)
    assert one_run_bound(found, DELTA, 0.95, "gaussian") == one_run_gaussian_epsilon(found, DELTA)


def test_guesses_are_about_the_most_extreme_scores() -> None:
    scores = [5.0, -5.0, 0.1, 4.0, -4.0, 0.2]
    included = [True, False, False, True, False, True]
    assert guess(scores, included, 4) == Guesses(6, 4, 4)
    assert guess(scores, np.logical_not(included), 4) == Guesses(6, 4, 0)
    assert guess(scores, included, 0) == Guesses(6, 0, 0)
    assert guess(scores, included, 1) == Guesses(6, 1, 1)
    assert guess(scores, [False, False, False, True, True, True], 3) == Guesses(6, 3, 2)
    assert guess([], [], 0) == Guesses(0, 0, 0)


def test_equal_scores_tell_nothing_even_if_coins_are_sorted() -> None:
    included = np.arange(1000) < 500
    found = guess(np.zeros(1000), included, 1000)
    assert 420 < found.correct < 580


@pytest.mark.parametrize(
    ("scores", "included", "guessed"),
    [
        ([1.0, 2.0], [True], 1),
        ([[1.0]], [[True]], 1),
        ([float("nan")], [True], 1),
        ([1.0], [True], 2),
        ([1.0], [True], -1),
    ],
)
def test_nonsense_is_refused(scores: Any, included: Any, guessed: int) -> None:
    with pytest.raises(InputError):
        guess(scores, included, guessed)
