"""What many events cost together.

Gaussian events add up in squares of mu, exactly. Where exponential mechanisms are among them there
are two valid totals: each choice is dominated by a Gaussian, so squares still add up; or the
privacy loss distributions are composed numerically (`tronie.privacy.pld`). Events that sample units
have a mu as well, but only that of the same event without sampling; Renyi divergences
(`tronie.privacy.rdp`) and privacy loss distributions say what sampling saves. The smallest total is
reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tronie.errors import BudgetError
from tronie.privacy.budget import SAMPLER_DELTA, Budget
from tronie.privacy.events import Event, Exponential, SampledGaussian
from tronie.privacy.gdp import (
    advantage,
    gdp_delta,
    gdp_epsilon,
    gdp_mu,
    tpr_at_fpr,
)
from tronie.privacy.pld import CELLS, pld_deltas, pld_epsilon
from tronie.privacy.rdp import Sampled, rdp_delta, rdp_epsilon

__all__ = [
    "Spent",
    "advantage",
    "calibrate",
    "delta_of",
    "epsilon_of",
    "fits",
    "gdp_delta",
    "gdp_epsilon",
    "gdp_mu",
    "samples",
    "spent",
    "split",
    "total_delta",
    "total_mu",
    "tpr_at_fpr",
]

Accountant = Literal["GDP", "RDP", "PLD"]

_TOLERANCE = 1e-9
_BRACKET = 2.0**200


@dataclass(frozen=True, slots=True)
class Spent:
    """What events cost together.

    Attributes:
        epsilon: At `delta`, rounded up; infinite where thresholds alone use up delta.
        delta: The delta at which epsilon is stated.
        mu: GDP parameter that dominates all events (thresholds up to their delta); loose where some
            sample units.
        accountant: Which composition gave epsilon.
    """

    epsilon: float
    delta: float
    mu: float
    accountant: Accountant


def total_mu(events: Sequence[Event]) -> float:
    """GDP parameter of all events together, the root of the sum of squares.

    Guarantee:
        Up to `total_delta`, the events together are mu-GDP, also when each is chosen from the
        answers before it, as long as the run stops before this number passes a limit fixed
        beforehand.

    Edge cases:
        No events cost 0. A sampled event counts as if it did not sample, which is true but much
        more than it costs.

    Source: Dong et al. 2022, corollary 2; adaptive: Smith and Thakurta 2022, arXiv 2210.17520.
    """
    return math.sqrt(math.fsum(event.mu**2 for event in events))


def total_delta(events: Sequence[Event]) -> float:
    """Delta that is spent whatever epsilon is: thresholds' and, once, the samplers' cut tails.

    >>> total_delta([])
    0.0
    """
    return math.fsum([*(event.delta for event in events), SAMPLER_DELTA]) if events else 0.0


def epsilon_of(events: Sequence[Event], delta: float) -> float:
    """The smallest epsilon at which the events together are (epsilon, delta)-DP, rounded up.

    Args:
        events: Accesses to the same rows, in any order.
        delta: From 0 to 1; `total_delta` is set aside first.

    Raises:
        BudgetError: If delta is not a probability.

    Guarantee:
        Holds for adding or removing one unit. With Gaussian and threshold events alone it also
        holds when each is chosen from the answers before it, within a limit fixed beforehand. With
        exponential mechanisms or sampled events the number may come from PLD, which needs events
        whose noise was fixed beforehand; which one is released or measured may still depend on
        earlier answers.

    Edge cases:
        No events give 0; a delta that thresholds use up gives infinity.

    >>> from tronie.privacy.events import Gaussian
    >>> round(epsilon_of([Gaussian(query="n", sigma=5.518, sensitivity=1.0)], 1e-9), 3)
    1.0
    """
    return spent(events, delta).epsilon


def spent(events: Sequence[Event], delta: float, *, cells: int = CELLS) -> Spent:
    """`epsilon_of`, with the GDP parameter and the accountant beside it.

    Args:
        events: Accesses to the same rows, in any order.
        delta: From 0 to 1; `total_delta` is set aside first.
        cells: Of the grid of PLD, about; with fewer epsilon may be larger, and is there sooner.

    Raises:
        BudgetError: If delta is not a probability.

    Guarantee and edge cases: as for `epsilon_of`.
    """
    mu, left = total_mu(events), _left(events, delta)
    if left <= 0.0 and events:
        return Spent(math.inf, delta, mu, "GDP")
    totals: list[tuple[float, Accountant]] = [(gdp_epsilon(mu, left), "GDP")]
    plain, sampled = split(events)
    if sampled:
        totals.append((rdp_epsilon(total_mu(plain), sampled, left), "RDP"))
    if (chosen := _exponential(events)) or sampled:
        totals.append((pld_epsilon(_gaussian_mu(plain), chosen, left, sampled, cells=cells), "PLD"))
    epsilon, accountant = min(totals, key=lambda total: total[0])
    return Spent(epsilon, delta, mu, accountant)


def delta_of(events: Sequence[Event], epsilon: float) -> float:
    """The smallest delta at which the events together are (epsilon, delta)-DP, rounded up.

    Args:
        events: Accesses to the same rows, in any order.
        epsilon: At least 0.

    Raises:
        BudgetError: If epsilon is negative.

    Guarantee and edge cases: as for `epsilon_of`; never above 1.
    """
    return deltas_of(events, [epsilon])[0]


def deltas_of(events: Sequence[Event], at: Sequence[float]) -> list[float]:
    """`delta_of` at several epsilons, for hardly more than one of them."""
    mu, (plain, sampled), chosen = total_mu(events), split(events), _exponential(events)
    totals = [[gdp_delta(mu, epsilon) for epsilon in at]]
    if sampled:
        rest = total_mu(plain)
        totals.append([rdp_delta(rest, sampled, epsilon) for epsilon in at])
    if chosen or sampled:
        totals.append(pld_deltas(_gaussian_mu(plain), chosen, at, sampled))
    fixed = total_delta(events)
    return [min(1.0, min(deltas) + fixed) for deltas in zip(*totals, strict=True)]


def fits(events: Sequence[Event], budget: Budget) -> bool:
    """Whether the events together cost at most the budget.

    Guarantee:
        True only if `epsilon_of(events, budget.delta) <= budget.epsilon`. Cheaper than that, since
        RDP and PLD are asked only where GDP does not settle the matter.
    """
    left = _left(events, budget.delta)
    if left <= 0.0:
        return not events
    if gdp_epsilon(total_mu(events), left) <= budget.epsilon:
        return True
    plain, sampled = split(events)
    if sampled and rdp_epsilon(total_mu(plain), sampled, left) <= budget.epsilon:
        return True
    composed = sampled or _exponential(events)
    return bool(composed) and epsilon_of(events, budget.delta) <= budget.epsilon


def calibrate(events_at: Callable[[float], Sequence[Event]], budget: Budget) -> float:
    """The largest scale of a schedule that the budget allows.

    Args:
        events_at: Scale (positive) -> the events of a run; larger scales must cost more. A scale at
            which an event refuses its parameters (`BudgetError`) counts as too large.
        budget: What all events together may cost.

    Returns:
        A scale within a relative 1e-9 of the largest one.

    Raises:
        BudgetError: If no scale fits, or the scale makes no difference.

    Guarantee:
        `epsilon_of(events_at(calibrate(events_at, budget)), budget.delta) <= budget.epsilon`.

    >>> from tronie.privacy.events import Gaussian, sigma_for
    >>> def twice(mu):
    ...     return [Gaussian(query="n", sigma=sigma_for(mu), sensitivity=1.0)] * 2
    >>> round(calibrate(twice, Budget(1.0, 1e-9)) / Budget(1.0, 1e-9).mu, 4)
    0.7071
    """

    def allowed(scale: float) -> bool:
        try:
            return fits(events_at(scale), budget)
        except BudgetError:
            return False

    low = 1.0
    while not allowed(low):
        low *= 0.5
        if low * _BRACKET < 1.0:
            raise BudgetError(
                "no noise is large enough for this schedule to fit the budget.",
                "Raise delta, or lower the deltas of thresholds.",
            )
    high = 2.0 * low
    while allowed(high):
        low, high = high, 2.0 * high
        if high > _BRACKET:
            raise BudgetError(
                "the cost of this schedule does not grow with its scale.",
                "Let the noise of its events depend on the scale.",
            )
    while high - low > _TOLERANCE * low:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if allowed(middle) else (low, middle)
    return low


def samples(events: Sequence[Event]) -> bool:
    """Whether some events sample units, so that no useful mu holds for all together."""
    return bool(split(events)[1])


def split(events: Sequence[Event]) -> tuple[list[Event], list[Sampled]]:
    """Events that have a mu of their own, and rate, noise multiplier and steps of the others.

    Edge cases:
        A sampled event with a rate of 1 is a Gaussian one.
    """
    sampled = [e for e in events if isinstance(e, SampledGaussian) and e.rate < 1.0]
    plain = [e for e in events if not (isinstance(e, SampledGaussian) and e.rate < 1.0)]
    return plain, [(e.rate, e.noise_multiplier, e.steps) for e in sampled]


def _left(events: Sequence[Event], delta: float) -> float:
    if not 0.0 <= delta <= 1.0:
        raise BudgetError(f"delta is {delta}.", "Give a probability from 0 to 1 for delta.")
    return delta - total_delta(events)


def _exponential(events: Sequence[Event]) -> list[float]:
    return [event.epsilon for event in events if isinstance(event, Exponential)]


def _gaussian_mu(events: Sequence[Event]) -> float:
    return total_mu([event for event in events if not isinstance(event, Exponential)])
