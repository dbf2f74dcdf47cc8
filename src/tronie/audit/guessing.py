"""Guesses who is in the table, when how many there are is not known beforehand.

Rows that appear in an output are guessed to be in its input; the attacker abstains on all others. How many
appear depends on the output, so the one-run bound is used in the form that allows it.
"""

from __future__ import annotations

import math

from tronie.audit.bounds import LARGEST_EPSILON, Guesses, one_run_p_value
from tronie.audit.power import verdict
from tronie.audit.result import Verdict
from tronie.privacy.normal import smallest

SURELY = 0.9
"""Part of the probability of failing that is kept for right guesses; the rest is for what delta allows."""

TELLING = 1.0
"""Epsilon that an audit must be able to show where nothing is claimed; else its silence says nothing."""


def guess_p_value(guesses: Guesses, epsilon: float, delta: float, share: float = 0.5) -> float:
    """Largest probability that a claim leaves for so many right guesses that somebody is in.

    Args:
        guesses: Counts; every guess says "in". How many there are may depend on the output.
        epsilon: Of the claim.
        delta: Of the claim.
        share: Probability with which each canary is in, independently.

    Returns:
        A number that is at most a with probability at most a, if the claim holds.

    A canary is in with odds ``share / (1 - share)`` before the output is seen, and with at most e^epsilon
    times these after. So each guess is right with the probability that a fair coin would give at
    ``epsilon + log(share / (1 - share))``, given all guesses that are made. Right guesses beyond that are
    owed to events of probability delta; a test at level a leaves `SURELY` a for the one and the rest for
    the other, as their sum's worst case over the number of guesses is at most that.

    Source: Steinke, Nasr, Jagielski 2023, arXiv 2305.08846, theorem 5.2 and its proof.

    >>> round(guess_p_value(Guesses(100, 10, 10), 0.0, 0.0), 6)
    0.000977
    """
    shifted = epsilon + math.log(share / (1.0 - share))
    surely = one_run_p_value(guesses, shifted, 0.0)
    if delta == 0.0:
        return surely
    owed = one_run_p_value(guesses, shifted, delta) - surely
    return min(max(surely / SURELY, owed / (1.0 - SURELY)), 1.0)


def guess_epsilon(
    guesses: Guesses, delta: float, confidence: float = 0.95, share: float = 0.5
) -> float:
    """Lower bound of epsilon from guesses; arguments as for `guess_p_value`.

    >>> round(guess_epsilon(Guesses(1000, 250, 240), 1e-9), 2)
    2.62
    """

    def possible(epsilon: float) -> bool:
        return guess_p_value(guesses, epsilon, delta, share) > 1.0 - confidence

    if possible(0.0):
        return 0.0
    return smallest(possible, 0.0, LARGEST_EPSILON)


def guess_power(
    canaries: int, epsilon: float | None, delta: float, confidence: float, share: float = 0.5
) -> float:
    """The bound if every canary that is in were guessed, and as few others as the claim allows.

    Args:
        canaries: Their number.
        epsilon: Of the claim; without one no guess is wrong.
        delta: Of the claim.
        confidence: Of the bound.
        share: Probability with which each canary is in.
    """
    inside = round(canaries * share)
    guessed = inside
    if epsilon is not None:
        outside = math.ceil(inside * (1.0 - share) / share * math.exp(-epsilon))
        guessed = min(inside + outside, canaries)
    return guess_epsilon(Guesses(canaries, guessed, inside), delta, confidence, share)


def verdict_of(lower: float, epsilon: float | None, power: float) -> Verdict:
    """What a bound says about a claim, or about a table for which nothing is claimed.

    Then the claim under test is that the output does not depend on who was in, which is what people
    mean when they say that nothing was memorised: a bound above 0 contradicts it.

    >>> verdict_of(1.2, 1.0, 0.9), verdict_of(0.0, 1.0, 0.9), verdict_of(0.0, 1.0, 0.1)
    ('violation', 'consistent', 'inconclusive')
    """
    if epsilon is not None:
        return verdict(lower, power, epsilon)
    if lower > 0.0:
        return "violation"
    return "consistent" if power >= TELLING else "inconclusive"
