"""Composition of privacy loss distributions, for runs that also choose by exponential mechanism.

All Gaussian events are one Gaussian of their total mu. An exponential mechanism is stood in for by
the worst case of all bounded-range mechanisms with its epsilon. dp-accounting composes them; it is
imported only when such a run is accounted for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution  # pyright: ignore[reportMissingTypeStubs]

SMALLEST_DELTA = 1e-11
"""Below this delta the composition is not trusted: its rounding errors are no longer negligible."""

ROUNDING_DELTA = 1e-12
"""Set aside for the rounding of the fast Fourier transforms that compose distributions."""

_FINEST_SHARE = 64
_COARSEST = 1e-3
_CELLS = 2**17


def pld_epsilon(mu: float, epsilons: Sequence[float], delta: float) -> float:
    """Epsilon of a Gaussian and several exponential mechanisms together, rounded up.

    Args:
        mu: GDP parameter of all Gaussian events together; 0 for none.
        epsilons: Bounded-range parameter of each exponential mechanism, at least one.
        delta: Probability.

    Guarantee:
        The events are (epsilon, delta)-DP if their noise was fixed beforehand. Grids round losses
        up and `ROUNDING_DELTA` covers the Fourier transforms' rounding.

    Edge cases:
        Infinite for a delta below `SMALLEST_DELTA`: use Gaussian DP there.

    Source: Doroshenko et al. 2022, arXiv 2207.04380 (discretisation); Zhu, Dong, Wang 2022,
        arXiv 2106.08567 (dominating pairs compose).
    """
    if delta < SMALLEST_DELTA:
        return math.inf
    return float(_compose(mu, epsilons).get_epsilon_for_delta(delta - ROUNDING_DELTA))


def pld_delta(mu: float, epsilons: Sequence[float], epsilon: float) -> float:
    """Delta of a Gaussian and several exponential mechanisms together, rounded up.

    Guarantee and source: as for `pld_epsilon`.

    Edge cases:
        Never below `ROUNDING_DELTA`; a result below `SMALLEST_DELTA` is reported as that.
    """
    delta = float(_compose(mu, epsilons).get_delta_for_epsilon(epsilon))
    return min(1.0, max(delta + ROUNDING_DELTA, SMALLEST_DELTA))


def _compose(mu: float, epsilons: Sequence[float]) -> PrivacyLossDistribution:
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism  # pyright: ignore[reportMissingTypeStubs]

    step = _step(mu, epsilons)
    parts = [
        _exponential(epsilon, step).self_compose(count)
        for epsilon, count in sorted(Counter(epsilons).items())
    ]
    if mu > 0.0:
        parts.append(from_gaussian_mechanism(1.0 / mu, value_discretization_interval=step))
    total = parts[0]
    for part in parts[1:]:
        total = total.compose(part)
    return total


def _step(mu: float, epsilons: Sequence[float]) -> float:
    """Grid of losses: fine against the smallest part, coarse enough for `_CELLS` cells in all."""
    span = 2.0 * math.fsum(epsilons) + 20.0 * mu + mu * mu
    smallest = min([*epsilons, mu]) if mu > 0.0 else min(epsilons)
    return max(min(_COARSEST, smallest / _FINEST_SHARE), span / _CELLS)


def _exponential(epsilon: float, step: float) -> PrivacyLossDistribution:
    """The worst case of all epsilon-bounded-range mechanisms, on a grid of losses.

    Source: Dong, Durfee, Rogers 2020, arXiv 1909.13830 (the extreme pairs); their largest
        hockey-stick divergence at e^x is (sqrt(A) - sqrt(e^x))^2 / (A - 1), A = e^epsilon, |x| <=
        epsilon.
    """
    import numpy as np
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots  # pyright: ignore[reportMissingTypeStubs]
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution  # pyright: ignore[reportMissingTypeStubs]

    cells = math.ceil(epsilon / step)
    grid = np.arange(-cells, cells + 1)
    loss = np.clip(grid * step, -epsilon, epsilon)
    deltas = np.exp(loss) * np.expm1((epsilon - loss) / 2.0) ** 2 / math.expm1(epsilon)
    deltas[0] = -math.expm1(-cells * step)
    at_most_one = np.minimum(deltas, 1.0)
    return PrivacyLossDistribution(create_pmf_pessimistic_connect_dots(step, grid, at_most_one))
