"""Gaussian differential privacy: mu, (epsilon, delta) and what an attacker gains.

A mechanism is mu-GDP when telling two neighbouring tables apart is at least as hard as telling N(0,
1) from N(mu, 1). All roundings go to the safe side: a claim computed here is never smaller than the
truth.

Source: Dong, Roth, Su 2022, "Gaussian differential privacy", arXiv 1905.02383.
"""

from __future__ import annotations

import math

from tronie.errors import BudgetError
from tronie.privacy.normal import (
    ROUNDING,
    log_density,
    mills_difference,
    mills_ratio,
    normal_quantile,
    smallest,
    upper_tail,
)

_NOTHING = -math.inf
_TOO_FAR = 1e6


def gdp_delta(mu: float, epsilon: float) -> float:
    """The delta at which a mu-GDP mechanism is (epsilon, delta)-DP.

    Args:
        mu: GDP parameter, at least 0.
        epsilon: At least 0.

    Raises:
        BudgetError: If an argument is negative or not a number.

    Guarantee:
        Exact up to a relative 1e-12 while delta is representable; 0.0 where it underflows.

    Edge cases:
        mu = 0 gives 0; mu = infinity gives 1.

    Source: Balle and Wang 2018, arXiv 1805.06530, theorem 8; Dong et al. 2022, corollary 1.

    >>> f"{gdp_delta(0.2, 1.0):.4g}"
    '1.755e-08'
    """
    _require(mu, "mu")
    _require(epsilon, "epsilon")
    return math.exp(_log_delta(mu, epsilon))


def gdp_epsilon(mu: float, delta: float) -> float:
    """The smallest epsilon at which a mu-GDP mechanism is (epsilon, delta)-DP, rounded up.

    Args:
        mu: GDP parameter, at least 0.
        delta: Probability from 0 to 1.

    Raises:
        BudgetError: If an argument is out of range.

    Guarantee:
        `gdp_delta(mu, gdp_epsilon(mu, delta)) <= delta`.

    Edge cases:
        delta = 0 gives infinity unless mu is 0; a delta above `advantage(mu)` gives 0.

    >>> round(gdp_epsilon(1 / 5.4953, 1e-9), 4)
    1.0
    """
    _require(mu, "mu")
    _require_probability(delta, "delta")
    if mu == 0.0 or delta == 1.0:
        return 0.0
    if delta == 0.0 or mu == math.inf:
        return math.inf
    target = math.log(delta) - ROUNDING
    if _log_delta(mu, 0.0) <= target:
        return 0.0
    # The tail bound delta <= exp(-a^2/2) with a = epsilon/mu - mu/2 brackets epsilon from above.
    above = mu * (0.5 * mu + math.sqrt(-2.0 * target)) * (1.0 + ROUNDING)
    return smallest(lambda epsilon: _log_delta(mu, epsilon) <= target, 0.0, above)


def gdp_mu(epsilon: float, delta: float) -> float:
    """The largest mu whose mechanisms are all (epsilon, delta)-DP, rounded down.

    Args:
        epsilon: At least 0, finite.
        delta: Probability from 0 to below 1.

    Raises:
        BudgetError: If an argument is out of range.

    Guarantee:
        `gdp_delta(gdp_mu(epsilon, delta), epsilon) <= delta`.

    Edge cases:
        delta = 0 gives 0: no Gaussian noise is purely epsilon-DP.

    >>> round(1 / gdp_mu(1.0, 1e-9), 4)
    5.4953
    """
    _require(epsilon, "epsilon")
    _require_probability(delta, "delta")
    if delta == 1.0 or epsilon == math.inf:
        return math.inf
    if delta == 0.0:
        return 0.0
    target = math.log(delta) - ROUNDING
    above = 1.0
    while _log_delta(above, epsilon) <= target:
        above *= 2.0
    below = 0.5 * above
    while _log_delta(below, epsilon) > target:
        below *= 0.5
    # `smallest` rounds to where its statement holds: search -mu, so that this is down.
    return -smallest(lambda minus: _log_delta(-minus, epsilon) <= target, -2.0 * below, -below)


def advantage(mu: float) -> float:
    """Largest excess of true over false positives that any membership attack can reach.

    Guarantee:
        The total variation distance of N(0, 1) and N(mu, 1): no attack on a mu-GDP release does
        better.

    Source: Kulynych et al. 2024, arXiv 2407.02191.

    >>> round(advantage(1 / 5.4953), 3)
    0.072
    """
    return gdp_delta(mu, 0.0)


def tpr_at_fpr(mu: float, fpr: float) -> float:
    """Largest true positive rate of any membership attack at a given false positive rate.

    Args:
        mu: GDP parameter, at least 0.
        fpr: False positive rate, between 0 and 1.

    Raises:
        BudgetError: If an argument is out of range.

    Guarantee:
        One minus the trade-off function of mu-GDP: no attack on a mu-GDP release does better.

    Source: Dong et al. 2022, equation 6.

    >>> round(tpr_at_fpr(1 / 5.4953, 0.01), 3)
    0.016
    """
    _require(mu, "mu")
    _require_probability(fpr, "the false positive rate")
    if fpr in (0.0, 1.0):
        return fpr
    return upper_tail(normal_quantile(fpr) - mu)


def _log_delta(mu: float, epsilon: float) -> float:
    """Logarithm of `gdp_delta`, finite far below the smallest double."""
    if mu == 0.0:
        return _NOTHING
    if mu == math.inf:
        return 0.0
    low, high = epsilon / mu - 0.5 * mu, epsilon / mu + 0.5 * mu
    if low > _TOO_FAR:
        return _NOTHING
    # The two tails of the textbook formula share one density: phi(low) = e^epsilon phi(high).
    if low > 0.0 or mu <= 0.5:
        return log_density(low) + math.log(mills_difference(low, mu))
    return math.log(upper_tail(low) - math.exp(log_density(low)) * mills_ratio(high))


def _require(value: float, name: str) -> None:
    if not value >= 0.0:
        raise BudgetError(f"{name} is {value}.", f"Give a number of at least 0 for {name}.")


def _require_probability(value: float, name: str) -> None:
    if not 0.0 <= value <= 1.0:
        raise BudgetError(f"{name} is {value}.", f"Give a probability from 0 to 1 for {name}.")
