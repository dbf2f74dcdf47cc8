"""What one access to private rows costs.

An event is a receipt: which question, about which columns, with which noise. Its cost follows from
its numbers alone, so that anyone who holds the events of a release can add them up again.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tronie.errors import BudgetError
from tronie.privacy.gdp import advantage, gdp_mu
from tronie.privacy.normal import ROUNDING, normal_quantile, smallest, upper_tail

MIN_SIGMA = 0.5
"""Smallest noise, in rows, for which the discrete Gaussian's factor was verified."""

MAX_EXPONENTIAL_EPSILON = 50.0
"""Largest epsilon for which the exponential mechanism's Gaussian domination was verified."""


MAX_STEPS = 10_000_000
"""Most steps of a `SampledGaussian` event."""


class _Event(BaseModel):
    """What all events share.

    Attributes:
        query: What was asked, in the words of the curator.
        columns: The columns that the answer depends on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(min_length=1)
    columns: tuple[str, ...] = ()


class _Noisy(_Event):
    sigma: float
    sensitivity: float

    @field_validator("sigma")
    @classmethod
    def _enough_noise(cls, sigma: float) -> float:
        if not MIN_SIGMA <= sigma < math.inf:
            raise BudgetError(
                f"the noise of an event is sigma = {sigma} rows; accounted for are finite values "
                f"from {MIN_SIGMA} upwards.",
                "Lower epsilon, or spread it over more questions.",
            )
        return sigma

    @field_validator("sensitivity")
    @classmethod
    def _finite_sensitivity(cls, sensitivity: float) -> float:
        return _positive(sensitivity, "sensitivity")

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of the answer.

        Guarantee:
            The answer is mu-GDP under adding or removing one unit, if that moves the exact answers
            by an integer vector (of the noise's lattice, one row or finer) of at most `sensitivity`
            in L2. One step of the lattice moves the discrete Gaussian's normal score by at most
            (1 + 1/(8 sigma^2)) / sigma, so k steps cost at most k times this, and coordinates add
            in squares.

        Source: Canonne, Kamath, Steinke 2020, arXiv 2004.00010 (sampler); the factor is derived and
        verified in tests/privacy/test_accounting.py.
        """
        return self.sensitivity / self.sigma * (1.0 + 0.125 / self.sigma**2)


class Gaussian(_Noisy):
    """Answers with discrete Gaussian noise.

    Attributes:
        sigma: Standard deviation of the noise before it is made discrete, in rows.
        sensitivity: L2 norm, in rows, by which one unit moves the exact answers.

    Raises:
        BudgetError: If sigma is below `MIN_SIGMA` or a parameter is not finite.

    >>> round(Gaussian(query="age", columns=("age",), sigma=10.0, sensitivity=1.0).mu, 6)
    0.100125
    """

    kind: Literal["gaussian"] = "gaussian"

    @property
    def delta(self) -> float:
        """Chance of an answer without any guarantee: none."""
        return 0.0


class Threshold(_Noisy):
    """Release of the keys whose noisy count reaches a threshold.

    Attributes:
        sigma: Standard deviation of the noise, in rows.
        sensitivity: L2 norm, in rows, by which one unit moves the exact counts.
        threshold: Keys with a noisy count below it stay hidden, in rows.
        delta: Most probability with which any key is shown that only one unit holds.

    Raises:
        BudgetError: If sigma is below `MIN_SIGMA` or a parameter is out of range.

    Guarantee:
        mu-GDP except with probability delta.
    """

    kind: Literal["threshold"] = "threshold"
    threshold: float
    delta: float

    @field_validator("threshold")
    @classmethod
    def _finite_threshold(cls, threshold: float) -> float:
        return _positive(threshold, "threshold")

    @field_validator("delta")
    @classmethod
    def _probability(cls, delta: float) -> float:
        if not 0.0 < delta < 1.0:
            raise BudgetError(
                f"the delta of a threshold is {delta}.", "Give a number between 0 and 1."
            )
        return delta

    @property
    def least_delta(self) -> float:
        """A lower bound on the delta that the threshold needs, to find impossible claims.

        Guarantee:
            A unit with one key of `sensitivity` rows, or with that many keys of one row each, has a
            key shown with at least this probability. The sum over a decreasing density is bounded
            below by its integral, and its norm above by one more cell.
        """
        rows = max(math.floor(self.sensitivity), 1)
        at, norm = math.ceil(self.threshold), 1.0 + 1.0 / (self.sigma * math.sqrt(2.0 * math.pi))
        single, many = (upper_tail((at - held) / self.sigma) / norm for held in (rows, 1))
        return max(single, -math.expm1(rows * math.log1p(-many)))


class Exponential(_Event):
    """Choice of one candidate by the exponential mechanism.

    Attributes:
        epsilon: Bounded-range parameter: the log-ratios of all outcomes' probabilities on
        neighbouring
            tables lie in an interval of this width. Weights exp(epsilon * score / (2 *
            sensitivity)) have it; so do exp(epsilon * score / sensitivity) when scores move in one
            direction only.
        candidates: Number of candidates.

    Raises:
        BudgetError: If epsilon is not positive or above `MAX_EXPONENTIAL_EPSILON`.

    >>> round(Exponential(query="next pair", epsilon=0.1, candidates=91).mu, 4)
    0.0627
    """

    kind: Literal["exponential"] = "exponential"
    epsilon: float
    candidates: int = Field(ge=1)

    @field_validator("epsilon")
    @classmethod
    def _in_range(cls, epsilon: float) -> float:
        if not 0.0 < epsilon <= MAX_EXPONENTIAL_EPSILON:
            raise BudgetError(
                f"the epsilon of an exponential mechanism is {epsilon}; accounted for are values "
                f"above 0 and up to {MAX_EXPONENTIAL_EPSILON}.",
                "Lower the share of the budget that selection gets.",
            )
        return epsilon

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of the choice, 2 Phi^-1((1 + tanh(epsilon/4)) / 2).

        Guarantee:
            Every epsilon-bounded-range mechanism is mu-GDP. The hockey-stick divergences of all of
            them lie below (sqrt(A) - sqrt(e^x))^2 / (A - 1) with A = e^epsilon, which touches the
            curve of mu-GDP at x = 0 and nowhere exceeds it (verified in
            tests/privacy/test_accounting.py).

        Source: Dong, Durfee, Rogers 2020, arXiv 1909.13830 (bounded range).
        """
        return exponential_mu(self.epsilon)

    @property
    def delta(self) -> float:
        """Chance of an answer without any guarantee: none."""
        return 0.0


class SampledGaussian(_Event):
    """Noisy sums over random samples: the private part of stochastic gradient descent.

    Each of `steps` answers is the sum of a vector for each sampled unit, plus Gaussian noise. Every
    unit is sampled independently of all others and of all other steps.

    Attributes:
        rate: Probability with which a unit is in a sample, above 0 and at most 1.
        noise_multiplier: Standard deviation of the noise on every entry, in units of the largest L2
            norm of a unit's vector.
        steps: Number of answers.

    Raises:
        BudgetError: If the rate or the noise makes no sense.

    Guarantee:
        Under adding or removing one unit each answer is as hard to tell apart as one draw of N(0,
        s^2) and one of (1 - rate) N(0, s^2) + rate N(1, s^2), s the noise multiplier, whatever the
        vectors, and also when they are chosen from earlier answers.

    Edge cases:
        At a rate of 1 it is a Gaussian event of sensitivity `sqrt(steps)` and continuous noise.

    Source: Zhu, Dong, Wang 2022, arXiv 2106.08567, theorem 11 (sampled pairs dominate).

    >>> event = SampledGaussian(query="training", rate=0.04, noise_multiplier=2.0, steps=100)
    >>> event.mu
    5.0
    """

    kind: Literal["sampled_gaussian"] = "sampled_gaussian"
    rate: float
    noise_multiplier: float
    steps: int = Field(ge=1, le=MAX_STEPS)

    @field_validator("rate")
    @classmethod
    def _possible(cls, rate: float) -> float:
        if not 0.0 < rate <= 1.0:
            raise BudgetError(
                f"the sampling rate of an event is {rate}.", "Give a number above 0 and at most 1."
            )
        return rate

    @field_validator("noise_multiplier")
    @classmethod
    def _finite_noise(cls, noise_multiplier: float) -> float:
        return _positive(noise_multiplier, "noise multiplier")

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of the same answers without sampling, `sqrt(steps) / noise`.

        Guarantee:
            The answers are mu-GDP: sampling never costs more. No smaller mu is true, however small
            the rate, since far out in its tail a sampled Gaussian is like a plain one. What
            sampling saves shows in epsilon only (`tronie.privacy.accounting.spent`).
        """
        return math.sqrt(self.steps) / self.noise_multiplier

    @property
    def delta(self) -> float:
        """Chance of an answer without any guarantee: none."""
        return 0.0


Event: TypeAlias = Annotated[
    Gaussian | Threshold | Exponential | SampledGaussian, Field(discriminator="kind")
]
"""One access to private rows."""


@lru_cache(maxsize=4096)
def exponential_mu(epsilon: float) -> float:
    """GDP parameter that dominates every epsilon-bounded-range mechanism, rounded up."""
    if epsilon < 4.0:
        return gdp_mu(0.0, math.tanh(0.25 * epsilon)) * (1.0 + 4.0 * ROUNDING)
    # 1 - tanh(x) = 2 / (e^2x + 1) keeps its digits where tanh(x) rounds to 1.
    return 2.0 * normal_quantile(1.0 / (math.exp(0.5 * epsilon) + 1.0)) * (1.0 + 4.0 * ROUNDING)


def sigma_for(mu: float, sensitivity: float = 1.0) -> float:
    """The smallest sigma, in rows, at which a Gaussian event costs at most mu.

    Args:
        mu: GDP parameter that may be spent, positive.
        sensitivity: L2 norm by which one unit moves the answers.

    Raises:
        BudgetError: If mu or the sensitivity is not positive and finite.

    Edge cases:
        Where even less noise would do, `MIN_SIGMA` is returned.

    >>> event = Gaussian(query="age", sigma=sigma_for(0.1), sensitivity=1.0)
    >>> event.mu <= 0.1
    True
    """
    ratio = _positive(sensitivity, "sensitivity") / _positive(mu, "mu")
    # The factor 1 + 1/(8 sigma^2) is at most 3/2 from MIN_SIGMA = 1/2 upwards.
    low, high = max(ratio, MIN_SIGMA), max(1.5 * ratio, MIN_SIGMA) * (1.0 + ROUNDING)
    return smallest(lambda sigma: sensitivity / sigma * (1.0 + 0.125 / sigma**2) <= mu, low, high)


def _positive(value: float, name: str) -> float:
    if not 0.0 < value < math.inf:
        raise BudgetError(f"the {name} of an event is {value}.", f"Give a positive, finite {name}.")
    return value


def bounded_range(mu: float) -> float:
    """The bounded-range parameter of an exponential mechanism that costs at most a Gaussian-DP mu.

    Guarantee:
        An exponential event of this epsilon has a `mu` of at most the given one.

    Edge cases:
        It is never more than `MAX_EXPONENTIAL_EPSILON`, however large the budget.

    >>> event = Exponential(query="selection", epsilon=bounded_range(0.5), candidates=3)
    >>> 0.499 < event.mu <= 0.5
    True
    """
    most = math.tanh(MAX_EXPONENTIAL_EPSILON / 4)
    return 4 * math.atanh(min(advantage(mu), most)) * (1 - 1e-6)
