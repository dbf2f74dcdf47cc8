"""Lower bounds of epsilon from what an attack got right.

An attack gives every run a score, larger where it believes that the unit is in the table. The bounds
here turn scores, or counts of right and wrong guesses, into an epsilon that the mechanism cannot be below,
except with a probability of one minus `confidence`.

Two kinds of claims are tested. `any`: the mechanism is (epsilon, delta)-DP, whatever it is. `gaussian`:
it is mu-GDP for the mu that belongs to (epsilon, delta). Bounds of the second kind are much larger with
the same runs, and hold for mechanisms that claim Gaussian DP only: those with Gaussian noise, and those
dominated by them, as all marginal methods. Never use them for Laplace noise, for randomised response or for
training on sampled batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from statistics import NormalDist
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tronie.errors import InputError
from tronie.privacy.gdp import gdp_epsilon
from tronie.privacy.normal import smallest

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]

Claim: TypeAlias = Literal["any", "gaussian"]
"""What the mechanism claims: (epsilon, delta)-DP alone, or Gaussian DP."""

CONFIDENCE = 0.95
"""Probability with which a bound holds, where none is asked for."""

CHOOSING = 0.25
"""Part of the runs that chooses the threshold; the bound rests on the others. A half gives smaller bounds:
with ideal scores and 1,000 to 20,000 runs a side, by 1 to 10 % at epsilon 4 and 8."""

MOST_THRESHOLDS = 256
"""Thresholds that are tried, at most."""

LARGEST_EPSILON = 64.0
"""No bound is larger."""

LARGEST_MU = 32.0
"""No Gaussian parameter is larger."""

_NORMAL = NormalDist()


def rate_at_most(hits: ArrayLike, trials: int, confidence: float) -> Floats:
    """Upper confidence limit of a rate, one-sided.

    Args:
        hits: How often it happened, any shape.
        trials: How often it might have.
        confidence: Probability with which the limit holds.

    Returns:
        Limits, shape of `hits`; 1 where there were no trials or only hits.

    Source: Clopper, Pearson 1934.

    >>> round(float(rate_at_most(0, 59, 0.95)), 3)
    0.05
    """
    count = np.asarray(hits, np.float64)
    limit = _special().betaincinv(count + 1.0, np.maximum(trials - count, 1.0), confidence)
    return np.where(count < trials, limit, 1.0)


def rate_at_least(hits: ArrayLike, trials: int, confidence: float) -> Floats:
    """Lower confidence limit of a rate, one-sided; as `rate_at_most`.

    >>> round(float(rate_at_least(59, 59, 0.95)), 3)
    0.95
    """
    return 1.0 - rate_at_most(trials - np.asarray(hits, np.float64), trials, confidence)


@dataclass(frozen=True, slots=True)
class Errors:
    """How often guesses which of two tables was used went wrong.

    Attributes:
        false_alarms: Runs without the unit in which it was believed to be there.
        without: Runs without the unit.
        misses: Runs with the unit in which it was believed not to be there.
        included: Runs with the unit.
    """

    false_alarms: int
    without: int
    misses: int
    included: int

    def __post_init__(self) -> None:
        if not (0 <= self.false_alarms <= self.without and 0 <= self.misses <= self.included):
            raise InputError("there are more errors than runs.", "Check the counts.")

    @classmethod
    def at(cls, threshold: float, without: ArrayLike, included: ArrayLike) -> Errors:
        """Those of the guess that the unit is there where a score reaches a threshold."""
        out, there = _scores(without), _scores(included)
        return cls(
            int((out >= threshold).sum()), len(out), int((there < threshold).sum()), len(there)
        )

    def rates(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Rates of false alarms and of misses that both true rates are at most, together.

        Each has half of the probability of failing.
        """
        each = 0.5 + 0.5 * confidence
        return (
            float(rate_at_most(self.false_alarms, self.without, each)),
            float(rate_at_most(self.misses, self.included, each)),
        )


def epsilon_from_errors(errors: Errors, delta: float, confidence: float = CONFIDENCE) -> float:
    """Lower bound of epsilon of any mechanism, from errors of a guess that was fixed beforehand.

    Args:
        errors: Counts of right and wrong guesses.
        delta: The claim's delta.
        confidence: Probability with which the bound holds.

    Returns:
        An epsilon, at least 0: a mechanism that is (epsilon, delta)-DP for a smaller one would err as
        rarely with a probability of at most ``1 - confidence``.

    Source: Kairouz, Oh, Viswanath 2015, arXiv 1311.0776 (errors of a DP mechanism); Clopper-Pearson limits
    as in Nasr et al. 2021, arXiv 2101.04535.

    >>> round(epsilon_from_errors(Errors(0, 1000, 0, 1000), 1e-5), 2)
    5.6
    """
    _require(confidence, delta)
    return _to_epsilon(float(_strength(*errors.rates(confidence), "any", delta)), "any", delta)


def gaussian_mu_from_errors(
    errors: Errors, confidence: float = CONFIDENCE, slack: float = 0.0
) -> float:
    """Lower bound of mu of a mechanism that is mu-GDP, from errors of a guess that was fixed beforehand.

    Valid for mechanisms that claim Gaussian DP only.

    Args:
        errors: Counts of right and wrong guesses.
        confidence: Probability with which the bound holds.
        slack: Probability with which the mechanism may do anything at all, as thresholds may.

    Source: Dong, Roth, Su 2022, arXiv 1905.02383, equation 6; for audits: Nasr et al. 2023, arXiv
    2302.07956.

    >>> round(gaussian_mu_from_errors(Errors(310, 1000, 310, 1000)), 2)
    0.83
    """
    _require(confidence, slack)
    return float(_strength(*errors.rates(confidence), "gaussian", slack))


def gaussian_epsilon_from_errors(
    errors: Errors, delta: float, confidence: float = CONFIDENCE, slack: float = 0.0
) -> float:
    """`gaussian_mu_from_errors`, as the epsilon that belongs to it at some delta."""
    _require(confidence, delta)
    mu = gaussian_mu_from_errors(errors, confidence, slack)
    return _to_epsilon(mu, "gaussian", delta - slack)


@dataclass(frozen=True, slots=True)
class Bound:
    """A lower bound of epsilon, and what it rests on.

    Attributes:
        epsilon: The bound.
        threshold: The unit is believed to be there where a score reaches this.
        errors: How often that went wrong, in the runs that the bound rests on.
    """

    epsilon: float
    threshold: float
    errors: Errors


def split_bound(
    without: ArrayLike,
    included: ArrayLike,
    delta: float,
    *,
    claim: Claim = "any",
    confidence: float = CONFIDENCE,
    slack: float = 0.0,
    choosing: float = CHOOSING,
) -> Bound:
    """Lower bound of epsilon from scores: some runs choose the threshold, the others give the bound.

    Args:
        without: Scores of runs without the unit, shape (runs,); larger where it seems to be there.
        included: Scores of runs with it, shape (runs,). Infinite scores are allowed.
        delta: The claim's delta.
        claim: Whether the mechanism claims Gaussian DP.
        confidence: Probability with which the bound holds.
        slack: Part of delta with which the mechanism may do anything at all; for `gaussian` only.
        choosing: Part of the runs that chooses the threshold, by the bound that they would give.

    Edge cases:
        Without runs the bound is 0. Which runs choose does not depend on scores, nor on their order.

    Raises:
        InputError: If a score is not a number.

    >>> rng = np.random.default_rng(0)
    >>> bound = split_bound(rng.normal(size=5000), rng.normal(2, size=5000), 1e-5, claim="gaussian")
    >>> 8.5 < bound.epsilon < 10.0
    True
    """
    _require(confidence, delta)
    allowed = slack if claim == "gaussian" else delta
    out, there = _scores(without), _scores(included)
    (out_first, out_left), (there_first, there_left) = (
        chosen(len(scores), side, choosing) for side, scores in enumerate((out, there))
    )
    threshold = _best_threshold(out[out_first], there[there_first], claim, allowed, confidence)
    errors = Errors.at(threshold, out[out_left], there[there_left])
    strength = float(_strength(*errors.rates(confidence), claim, allowed))
    return Bound(_to_epsilon(strength, claim, delta - slack), threshold, errors)


def fixed_bound(
    without: ArrayLike,
    included: ArrayLike,
    thresholds: Iterable[float],
    delta: float,
    *,
    claim: Claim = "any",
    confidence: float = CONFIDENCE,
    slack: float = 0.0,
) -> Bound:
    """Lower bound of epsilon from scores, by the best of some thresholds that were fixed beforehand.

    Each threshold has an equal part of the probability of failing (Bonferroni), so all runs serve all
    of them. Arguments as for `split_bound`.

    Args:
        without: Scores of runs without the unit.
        included: Scores of runs with it.
        thresholds: At least one; chosen without a look at the scores.
        delta: The claim's delta.

    Raises:
        InputError: If there is no threshold, or a score is not a number.

    >>> fixed_bound([0.0] * 99, [1.0] * 99, [0.5], 1e-5).threshold
    0.5
    """
    _require(confidence, delta)
    tried = list(thresholds)
    if not tried:
        raise InputError("there is no threshold.", "Fix at least one beforehand.")
    each = 1.0 - (1.0 - confidence) / len(tried)
    allowed = slack if claim == "gaussian" else delta

    def strength(errors: Errors) -> float:
        return float(_strength(*errors.rates(each), claim, allowed))

    found = [(strength(errors := Errors.at(t, without, included)), t, errors) for t in tried]
    best, threshold, errors = max(found, key=lambda bound: bound[0])
    return Bound(_to_epsilon(best, claim, delta - slack), threshold, errors)


def chosen(runs: int, side: int, choosing: float = CHOOSING) -> tuple[Places, Places]:
    """The runs that choose, and the others, by a fixed order that has nothing to do with scores.

    Args:
        runs: Number of runs of this side.
        side: 0 for runs without the unit, 1 for those with it.
        choosing: Part of the runs that chooses.
    """
    order = np.random.default_rng(side).permutation(runs)
    count = round(choosing * runs)
    return order[:count], order[count:]


@dataclass(frozen=True, slots=True)
class Guesses:
    """Guesses, in one run, which canaries are in the table.

    Attributes:
        canaries: All canaries; each was put in by a fair coin of its own.
        guessed: Those about which a guess was made; how many was fixed beforehand.
        correct: Right guesses.
    """

    canaries: int
    guessed: int
    correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.guessed <= self.canaries:
            raise InputError("there are more guesses than canaries.", "Check the counts.")


def one_run_p_value(guesses: Guesses, epsilon: float, delta: float) -> float:
    """Largest probability of so many right guesses, or more, under any (epsilon, delta)-DP mechanism.

    Each guess is right with probability at most ``p = e^epsilon / (1 + e^epsilon)``, as if they were
    independent; delta lets some more of them be right:
    ``P[B >= v] + 2 m delta max_i P[v > B >= v - i] / i`` with B binomial.

    Source: Steinke, Nasr, Jagielski 2023, arXiv 2305.08846, theorem 5.2.

    >>> round(one_run_p_value(Guesses(100, 10, 10), 0.0, 0.0), 6)
    0.000977
    """
    special = _special()
    drawn, right = guesses.guessed, guesses.correct
    if right == 0:
        return 1.0
    p = 1.0 / (1.0 + math.exp(-epsilon))
    surely = float(special.bdtrc(right - 1, drawn, p))
    if delta == 0.0:
        return surely
    below: Floats = special.bdtr(np.arange(right, dtype=np.float64), drawn, p)
    gaps = below[-1] - np.append(below[:-1][::-1], 0.0)
    most = float((gaps / np.arange(1, right + 1)).max())
    return min(surely + 2.0 * guesses.canaries * delta * most, 1.0)


def one_run_epsilon(guesses: Guesses, delta: float, confidence: float = CONFIDENCE) -> float:
    """Lower bound of epsilon of any mechanism, from one run.

    Args:
        guesses: Counts.
        delta: The claim's delta.
        confidence: Probability with which the bound holds.

    Edge cases:
        Without guesses the bound is 0; it is never above `LARGEST_EPSILON`.

    Source: Steinke, Nasr, Jagielski 2023, arXiv 2305.08846.

    >>> round(one_run_epsilon(Guesses(1000, 100, 95), 1e-5), 2)
    2.17
    """
    _require(confidence, delta)

    def possible(epsilon: float) -> bool:
        return one_run_p_value(guesses, epsilon, delta) > 1.0 - confidence

    if possible(0.0):
        return 0.0
    return smallest(possible, 0.0, LARGEST_EPSILON)


def one_run_gaussian_mu(
    guesses: Guesses, confidence: float = CONFIDENCE, slack: float = 0.0
) -> float:
    """Lower bound of mu of a mechanism that is mu-GDP, from one run.

    Valid for mechanisms that claim Gaussian DP only.

    Args:
        guesses: Counts.
        confidence: Probability with which the bound holds.
        slack: Probability with which the mechanism may do anything at all.

    Source: Mahloujifar, Melis, Chaudhuri 2024, arXiv 2410.22235.

    >>> round(one_run_gaussian_mu(Guesses(1000, 100, 95)), 2)
    0.79
    """
    _require(confidence, slack)

    def possible(mu: float) -> bool:
        return not _refuted(guesses, mu, 1.0 - confidence, slack)

    if possible(0.0):
        return 0.0
    return smallest(possible, 0.0, LARGEST_MU)


def one_run_gaussian_epsilon(
    guesses: Guesses, delta: float, confidence: float = CONFIDENCE, slack: float = 0.0
) -> float:
    """`one_run_gaussian_mu`, as the epsilon that belongs to it at some delta."""
    _require(confidence, delta)
    return _to_epsilon(one_run_gaussian_mu(guesses, confidence, slack), "gaussian", delta - slack)


def _refuted(guesses: Guesses, mu: float, tail: float, slack: float) -> bool:
    """Whether a mu-GDP mechanism has so many right guesses with probability below `tail`.

    Let p_i be the probability of i right guesses, k guesses of m canaries. Turning one canary's coin
    makes a right guess wrong, so for every c: with r the sum of ``i p_i / m`` over ``i >= c`` and h that
    of ``(k - i) p_i / m`` over ``i >= c - 1``, r is at most what the trade-off curve allows at h. If
    ``P[correct >= c]`` were `tail`, then r and h at c would be at least as below, and all p_i for smaller i
    have a least value in turn. If they add up to more than 1, it is less than `tail`.
    """
    k, correct = guesses.guessed, guesses.correct
    if correct == 0:
        return False
    right = tail * correct / guesses.canaries
    wrong = tail * (k - correct) / guesses.canaries
    for i in range(correct - 1, -1, -1):
        least = _trade_off(right, mu, slack)
        if least <= wrong:
            break
        right += (least - wrong) * i / (k - i)
        wrong = least
        if right + wrong > 1.0:
            return True
    return right + wrong > k / guesses.canaries


def _trade_off(power: float, mu: float, slack: float) -> float:
    """Least rate of false alarms of a test with some power, under mu-GDP but for `slack`."""
    power = min(power - slack, 1.0 - 2.0**-53)
    if power <= 0.0:
        return 0.0
    return max(_NORMAL.cdf(_NORMAL.inv_cdf(power) - mu) - slack, 0.0)


def _strength(
    false_alarms: ArrayLike, misses: ArrayLike, claim: Claim, allowed: float
) -> NDArray[Any]:
    """What error rates say about epsilon, for `any`, or about mu: the larger, the more; at least 0."""
    alarm, miss = np.asarray(false_alarms, np.float64), np.asarray(misses, np.float64)
    if claim == "gaussian":
        quantile = _special().ndtri
        together = quantile(np.minimum(alarm + allowed, 1.0)) + quantile(
            np.minimum(miss + allowed, 1.0)
        )
        return np.maximum(-together, 0.0)
    found = np.maximum((1.0 - miss - allowed) / alarm, (1.0 - alarm - allowed) / miss)
    return np.log(np.maximum(found, 1.0))


def _to_epsilon(strength: float, claim: Claim, delta: float) -> float:
    if claim == "gaussian" and strength > 0.0:
        strength = gdp_epsilon(min(strength, LARGEST_MU), max(delta, 0.0))
    return min(strength, LARGEST_EPSILON)


def _best_threshold(
    without: Floats, included: Floats, claim: Claim, allowed: float, confidence: float
) -> float:
    """The threshold at which these scores would give the largest bound."""
    pooled = np.unique(np.concatenate([without, included]))
    if not len(pooled):
        return math.inf
    places = np.linspace(0, len(pooled) - 1, min(len(pooled), MOST_THRESHOLDS))
    tried = pooled[np.rint(places).astype(np.int64)]
    alarms = len(without) - np.searchsorted(np.sort(without), tried)
    misses = np.searchsorted(np.sort(included), tried)
    each = 0.5 + 0.5 * confidence
    strengths = _strength(
        rate_at_most(alarms, len(without), each),
        rate_at_most(misses, len(included), each),
        claim,
        allowed,
    )
    best = float(strengths.max())
    # The middle of the best ones: it is the least chancy where scores leave a gap.
    level = np.flatnonzero(strengths == best)
    return float(tried[level[len(level) // 2]])


def _special() -> Any:
    """Special functions of scipy, imported when they are needed."""
    return import_module("scipy.special")


def _scores(values: ArrayLike) -> Floats:
    scores = np.asarray(values, np.float64)
    if np.isnan(scores).any():
        raise InputError("a score is not a number.", "Give every run a score.")
    return scores


def _require(confidence: float, delta: float) -> None:
    if not 0.5 <= confidence < 1.0:
        raise InputError(
            f"the confidence is {confidence}.", "Give a number from 0.5 to 1, such as 0.95."
        )
    if not 0.0 <= delta < 1.0:
        raise InputError(f"delta is {delta}.", "Give a probability, such as 1e-5.")
