"""Guesses whose number is not known beforehand, and what a claim allows for groups."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.audit.bounds import Guesses
from tronie.audit.group import allowed, group_delta
from tronie.audit.guessing import guess_epsilon, guess_p_value, guess_power, verdict_of
from tronie.privacy.gdp import gdp_mu, tpr_at_fpr


def test_shares_shift_the_odds() -> None:
    guesses = Guesses(1000, 50, 40)
    even = guess_p_value(guesses, 1.0, 0.0)
    assert guess_p_value(guesses, 1.0 - math.log(3), 0.0, 0.75) == pytest.approx(even)
    assert guess_p_value(guesses, 0.0, 0.0, 0.8) > 0.5
    assert guess_epsilon(guesses, 0.0, share=0.8) == 0.0
    assert guess_epsilon(guesses, 0.0, share=0.2) > guess_epsilon(guesses, 0.0) > 0.5


def test_delta_costs_something() -> None:
    guesses = Guesses(10_000, 100, 95)
    plain, small, large = (guess_epsilon(guesses, delta) for delta in (0.0, 1e-9, 1e-3))
    assert plain > small > plain - 0.1
    assert large < small


def test_no_guess_shows_nothing() -> None:
    assert guess_epsilon(Guesses(100, 0, 0), 1e-9) == 0.0
    assert guess_power(0, 1.0, 1e-9, 0.95) == 0.0


@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_a_true_claim_is_refuted_as_rarely_as_it_says(epsilon: float, share: float) -> None:
    """Randomised response uses up its claim, and how many answer depends on the data.

    A claim that holds is refuted in at most 5 of 100 audits; 2,000 of them refute it more often than 6.5 in
    100 with a probability of 0.1 %.
    """
    rng = np.random.default_rng(0)
    canaries, refuted, audits = 200, 0, 2000
    for _ in range(audits):
        inside = rng.random(canaries) < share
        # Released if in with probability p, if out with p / e^epsilon; else abstained from.
        p = rng.choice([0.05, 0.3, 0.6])
        released = rng.random(canaries) < np.where(inside, p, p * math.exp(-epsilon))
        guesses = Guesses(canaries, int(released.sum()), int((released & inside).sum()))
        refuted += guess_p_value(guesses, epsilon, 0.0, share) <= 0.05
    assert refuted / audits < 0.065


def test_power_grows_with_canaries_up_to_the_claim() -> None:
    powers = [guess_power(m, 1.0, 1e-9, 0.95) for m in (10, 100, 1000, 100_000)]
    assert powers == sorted(powers)
    assert 0.95 < powers[-1] < 1.0
    assert guess_power(1000, None, 1e-9, 0.95) > 5


def test_verdicts() -> None:
    assert verdict_of(0.01, None, 5.0) == "violation"
    assert verdict_of(0.0, None, 5.0) == "consistent"
    assert verdict_of(0.0, None, 0.5) == "inconclusive"
    assert verdict_of(0.9, 1.0, 0.4) == "inconclusive"


def test_groups_are_allowed_more() -> None:
    mu = gdp_mu(1.0, 1e-9)
    rates = [allowed(k, 0.001, epsilon=1.0, delta=1e-9) for k in (1, 2, 4, 128, 1000)]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(math.e * 0.001 + 1e-9)
    assert rates[-1] == 1.0
    for k in (1, 4, 16):
        tight = allowed(k, 0.001, epsilon=1.0, delta=1e-9, mu=mu)
        assert tight == pytest.approx(tpr_at_fpr(k * mu, 0.001))
        assert tight < allowed(k, 0.001, epsilon=1.0, delta=1e-9)
    assert allowed(1000, 0.0, epsilon=1.0, delta=0.0) == 0.0


def test_group_delta_is_the_sum_of_a_geometric_series() -> None:
    for k in (1, 2, 5):
        terms = sum(math.exp(0.5 * i) for i in range(k)) * 1e-6
        assert group_delta(k, 0.5, 1e-6) == pytest.approx(terms)
    assert group_delta(500, 1.0, 1e-9) == 1.0
    assert group_delta(5, 1.0, 0.0) == group_delta(0, 1.0, 1e-9) == 0.0
