"""What an audit could have shown at most, and what its bound means.

A bound of 0.3 says little about a claim of 1 if an ideal attack with so many runs would have shown 0.4.
So the power of an audit is worked out by playing it with ideal scores: normal variables with means 0 and
mu, which is what a mechanism gives away that uses up its claim and claims Gaussian DP.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tronie.audit.bounds import (
    CONFIDENCE,
    Claim,
    Guesses,
    one_run_epsilon,
    one_run_gaussian_epsilon,
    split_bound,
)
from tronie.audit.result import Verdict
from tronie.errors import InputError
from tronie.privacy.gdp import gdp_mu

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

ENOUGH = 0.5
"""An audit is telling if, had the claim been tight, it could have shown at least this part of it."""

REPETITIONS = 25
"""Ideal audits whose median bound is the power."""

PARTS = (1, 2, 4, 8, 16, 32, 64, 128)
"""One in so many canaries may be guessed about."""


def verdict(lower: float, power: float, epsilon: float | None) -> Verdict:
    """What a bound says about a claim.

    Args:
        lower: The bound that was shown.
        power: The bound that could have been shown, had the claim been tight.
        epsilon: The claim; None where nothing was claimed.

    >>> verdict(1.2, 0.8, 1.0), verdict(0.1, 0.8, 1.0), verdict(0.1, 0.2, 1.0)
    ('violation', 'consistent', 'inconclusive')
    """
    if epsilon is None:
        return "inconclusive"
    if lower > epsilon:
        return "violation"
    return "consistent" if power >= ENOUGH * epsilon else "inconclusive"


@lru_cache(maxsize=256)
def game_power(
    epsilon: float,
    delta: float,
    runs: int,
    confidence: float = CONFIDENCE,
    claim: Claim = "gaussian",
) -> float:
    """The bound that an ideal attack would show in the two-sided game: the median of some.

    Args:
        epsilon: The claim, as if it were tight.
        delta: The claim's delta.
        runs: Runs with the unit, and as many without it.
        confidence: Probability with which a bound holds.
        claim: Which kind of bound.

    >>> 3.4 < game_power(4.0, 1e-5, 5000) < 3.7
    True
    """
    mu = gdp_mu(epsilon, delta)
    rng = np.random.default_rng(0)
    found = [
        split_bound(
            rng.normal(size=runs),
            rng.normal(mu, size=runs),
            delta,
            claim=claim,
            confidence=confidence,
        ).epsilon
        for _ in range(REPETITIONS)
    ]
    return float(np.median(found))


@lru_cache(maxsize=256)
def one_run_power(
    epsilon: float,
    delta: float,
    canaries: int,
    guessed: int,
    confidence: float = CONFIDENCE,
    claim: Claim = "gaussian",
) -> float:
    """The bound that one run would show with ideal canaries, which do not disturb one another.

    Args:
        epsilon: The claim, as if it were tight.
        delta: The claim's delta.
        canaries: Number of canaries.
        guessed: Number of guesses.
        confidence: Probability with which a bound holds.
        claim: Which kind of bound.

    >>> 2.0 < one_run_power(4.0, 1e-5, 5000, 600) < 2.7
    True
    """
    mu = gdp_mu(epsilon, delta)
    rng = np.random.default_rng(0)
    correct: list[int] = []
    for _ in range(REPETITIONS):
        included = rng.random(canaries) < 0.5
        scores = rng.normal(size=canaries) + mu * included
        correct.append(guess(scores, included, guessed).correct)
    # The bound rises with the right guesses, so this is the median of the bounds.
    typical = Guesses(canaries, guessed, int(np.median(correct)))
    return one_run_bound(typical, delta, confidence, claim)


@lru_cache(maxsize=64)
def best_guesses(
    epsilon: float,
    delta: float,
    canaries: int,
    confidence: float = CONFIDENCE,
    claim: Claim = "gaussian",
) -> int:
    """About how many canaries to guess, so that ideal ones would show most; no score is looked at."""
    counts = dict.fromkeys(max(canaries // part, min(canaries, 1)) for part in PARTS)
    return max(
        counts, key=lambda count: one_run_power(epsilon, delta, canaries, count, confidence, claim)
    )


def one_run_bound(guesses: Guesses, delta: float, confidence: float, claim: Claim) -> float:
    """The lower bound of epsilon from one run that belongs to a kind of claim."""
    if claim == "gaussian":
        return one_run_gaussian_epsilon(guesses, delta, confidence)
    return one_run_epsilon(guesses, delta, confidence)


def guess(scores: ArrayLike, included: ArrayLike, guessed: int) -> Guesses:
    """Guess that the canaries with the largest scores are in, and those with the smallest out.

    Args:
        scores: One for each canary, shape (canaries,); larger where it seems to be in the table.
        included: Whether it is, shape (canaries,).
        guessed: Number of guesses, half of them of either kind.

    Edge cases:
        Equal scores come in an order that has nothing to do with the coins.

    Raises:
        InputError: If shapes differ, a score is not a number, or there are more guesses than canaries.

    >>> guess([3.0, 1.0, 2.0, 0.0], [True, False, False, True], 2)
    Guesses(canaries=4, guessed=2, correct=1)
    """
    values, coins = np.asarray(scores, np.float64), np.asarray(included, np.bool_)
    if values.shape != coins.shape or values.ndim != 1 or np.isnan(values).any():
        raise InputError("canaries need one score and one coin each.", "Check their shapes.")
    if not 0 <= guessed <= len(values):
        raise InputError("there are more guesses than canaries.", "Guess about fewer of them.")
    shuffled = np.random.default_rng(0).permutation(len(values))
    order = shuffled[np.argsort(-values[shuffled], kind="stable")]
    first = (guessed + 1) // 2
    last = guessed - first
    correct = int(coins[order[:first]].sum()) + int((~coins[order[len(order) - last :]]).sum())
    return Guesses(len(values), guessed, correct)
