"""Renyi differential privacy, for events that sample units.

Renyi divergences add up order by order, also when events are chosen from the answers before them,
and they hold at any delta. Privacy loss distributions (`tronie.privacy.pld`) are tighter, but want
events that were fixed beforehand and a delta that is not too small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

Sampled: TypeAlias = tuple[float, float, int]
"""Rate, noise multiplier and steps of a sampled Gaussian."""

ORDERS = (*range(2, 65), *(round(64 * 1.15**power) for power in range(1, 31)))
"""Orders at which divergences are added up; whole numbers, for which there is a closed form."""

ROUNDING = 1e-9
"""Bound on the relative rounding error of a divergence, with room to spare."""


def rdp_epsilon(mu: float, sampled: Sequence[Sampled], delta: float) -> float:
    """Epsilon of a Gaussian and several sampled Gaussians together, rounded up.

    Args:
        mu: GDP parameter of all other events together; 0 for none.
        sampled: Rate, noise multiplier and steps of each.
        delta: Probability above 0.

    Guarantee:
        The events are (epsilon, delta)-DP, also when each is chosen from the answers before it.

    Edge cases:
        Orders stop at `ORDERS[-1]`, so epsilon never falls below about ln(1 / delta) / 4000.

    Source: Mironov, Talwar, Zhang 2019, arXiv 1908.10530 (sampling); Canonne, Kamath, Steinke 2020,
        arXiv 2004.00010, proposition 12 (conversion).

    >>> round(rdp_epsilon(0.0, [(0.01, 1.0, 1000)], 1e-5), 2)
    2.11
    """
    orders = np.array(ORDERS, np.float64)
    epsilons = (
        _divergences(mu, sampled)
        + np.log1p(-1.0 / orders)
        - (math.log(delta) + np.log(orders)) / (orders - 1.0)
    )
    return max(0.0, float(epsilons.min()))


def rdp_delta(mu: float, sampled: Sequence[Sampled], epsilon: float) -> float:
    """Delta of a Gaussian and several sampled Gaussians together, rounded up; at most 1.

    Guarantee and source: as for `rdp_epsilon`.
    """
    orders = np.array(ORDERS, np.float64)
    gaps = _divergences(mu, sampled) - epsilon + np.log1p(-1.0 / orders)
    return math.exp(min(0.0, float(((orders - 1.0) * gaps - np.log(orders)).min())))


def _divergences(mu: float, sampled: Sequence[Sampled]) -> Floats:
    """Renyi divergence at each order, all events together."""
    total = 0.5 * mu * mu * np.array(ORDERS, np.float64)
    for rate, noise_multiplier, steps in sampled:
        total += steps * _sampled_divergences(rate, noise_multiplier)
    return total * (1.0 + ROUNDING)


@lru_cache(maxsize=4096)
def _sampled_divergences(rate: float, noise_multiplier: float) -> Floats:
    """Renyi divergence of one step at each order; the larger one of the two directions.

    For a whole order a, with weights w(k) = C(a, k) (1 - q)^(a - k) q^k, which sum to 1,
    ``(a - 1) D = ln(1 + sum_k w(k) (exp(k (k - 1) / 2 s^2) - 1))``.
    """
    half = 0.5 / noise_multiplier**2
    if rate == 1.0:
        return half * np.array(ORDERS, np.float64)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, ORDERS[-1] + 1)))])
    found = np.empty(len(ORDERS))
    for place, order in enumerate(ORDERS):
        k = np.arange(2, order + 1)
        choose = factorial[order] - factorial[k] - factorial[order - k]
        growth = k * (k - 1) * half
        terms = choose + (order - k) * math.log1p(-rate) + k * math.log(rate)
        with np.errstate(divide="ignore"):
            terms += growth + np.log(-np.expm1(-growth))
        most = float(terms.max())
        excess = most + math.log(math.fsum(np.exp(terms - most).tolist()))
        found[place] = float(np.logaddexp(0.0, excess)) / (order - 1)
    return found
