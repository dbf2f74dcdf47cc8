"""How much noise a run of sampled answers needs, after what a release has asked already."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from tronie.errors import BudgetError
from tronie.privacy.accounting import epsilon_of, spent, split, total_delta, total_mu
from tronie.privacy.budget import Budget
from tronie.privacy.events import Event, SampledGaussian
from tronie.privacy.gdp import gdp_epsilon
from tronie.privacy.rdp import rdp_epsilon

TOLERANCE = 2e-4
"""Relative precision of a noise multiplier or its epsilon, always to the side of more noise."""

_TRIES = 12
_FEW_CELLS = 2**13
_NEAR = 2e-2
_LARGEST = 600.0

LEAST_NOISE, MOST_NOISE = 1e-3, 1e6
"""Range in which noise multipliers are looked for."""


def noise_multiplier(
    budget: Budget, rate: float, steps: int, *, mu: float = 0.0, others: Sequence[Event] = ()
) -> float:
    """The smallest noise with which so many sampled answers fit a budget beside other events.

    Args:
        budget: What all events together may cost.
        rate: Probability with which a unit is in a sample.
        steps: Number of answers.
        mu: GDP parameter that is set aside for other events, at least 0.
        others: Other events that are known beforehand, such as those with a delta of their own.

    Returns:
        A noise multiplier, in units of the clip, within `TOLERANCE` of the smallest one or of
        the budget.

    Raises:
        BudgetError: If no noise is enough, since the others use the budget up, or if the rate or
            the steps make no sense.

    Guarantee:
        Any events of at most `mu` together, the others and a `SampledGaussian` of this noise fit
        the budget. Rate, steps and mu must not depend on the answers of this release, since the
        account is by PLD: fix them in its plan, and let answers lower the rate, if anything.

    Edge cases:
        Never below `LEAST_NOISE`, however large the budget.

    Source: a first guess by Renyi DP and by the central limit theorem (Bu, Dong, Long, Su 2020,
        arXiv 1911.11607), a second by PLD on a coarse grid, the result by PLD (see
        `tronie.privacy.accounting`).

    >>> 1.1 < noise_multiplier(Budget(1.0, 1e-5), rate=0.02, steps=100) < 1.2
    True
    """

    def events(noise: float) -> list[Event]:
        event = SampledGaussian(query="training", rate=rate, noise_multiplier=noise, steps=steps)
        return [*known, event]

    known = [*others]
    if mu > 0.0:
        known.append(SampledGaussian(query="others", rate=1.0, noise_multiplier=1 / mu, steps=1))

    left = budget.delta - total_delta(events(1.0))
    if left <= 0.0 or epsilon_of(known, budget.delta) >= budget.epsilon:
        raise BudgetError(
            f"nothing of epsilon {budget.epsilon:g} at delta {budget.delta:g} is left for training.",
            "Raise the budget, or ask less before.",
        )

    def rough(noise: float) -> float:
        plain, sampled = split(events(noise))
        many = math.fsum(
            steps * rate**2 * math.expm1(min(1.0 / noise**2, _LARGEST))
            for rate, noise, steps in sampled
        )
        mu = math.hypot(total_mu(plain), math.sqrt(many))
        return min(rdp_epsilon(total_mu(plain), sampled, left), gdp_epsilon(mu, left))

    @cache
    def near(noise: float) -> float:
        return spent(events(noise), budget.delta, cells=_FEW_CELLS).epsilon

    @cache
    def exact(noise: float) -> float:
        return epsilon_of(events(noise), budget.delta)

    # Kept back, so that other events than a Gaussian of that mu may round another way.
    limit = budget.epsilon * (1.0 - 0.5 * TOLERANCE)
    guess = _refine(near, rough, limit, _bisect(rough, limit), _NEAR)
    return _refine(exact, near, limit, guess)


def _bisect(cost: Callable[[float], float], limit: float) -> float:
    """Noise at which a falling cost is at most the limit, roughly."""
    low, high = LEAST_NOISE, MOST_NOISE
    while high > low * 1.02:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if cost(middle) <= limit else (middle, high)
    return high


def _refine(
    exact: Callable[[float], float],
    rough: Callable[[float], float],
    limit: float,
    start: float,
    tolerance: float = TOLERANCE,
) -> float:
    """The same for a dearer cost: one step by the slope of the cheaper one, then the secant rule."""
    noise, best = start, math.inf
    aim = limit * (1.0 - 0.5 * tolerance)
    before, cost = noise * 0.98, rough(noise * 0.98) / rough(noise) * exact(noise)
    for _ in range(_TRIES):
        found = exact(noise)
        if found <= limit:
            best = min(best, noise)
            if found >= limit * (1.0 - tolerance) or noise <= LEAST_NOISE:
                return best
        slope = math.log(cost / found) / math.log(noise / before)
        change = (found / aim) ** (1.0 / min(max(slope, 0.5), 20.0))
        before, cost = noise, found
        noise = max(noise * min(max(change, 0.5), 2.0), LEAST_NOISE)
    while best == math.inf:
        noise *= 1.05
        if noise > MOST_NOISE:
            raise BudgetError(
                "no noise is large enough for training to fit the budget.",
                "Raise the budget, or lower the sampling rate or the number of steps.",
            )
        if exact(noise) <= limit:
            best = noise
    return best
