"""Composition of privacy loss distributions, for runs that choose or sample besides.

All Gaussian events are one Gaussian of their total mu. An exponential mechanism is stood in for by
the worst case of all bounded-range mechanisms with its epsilon. A sampled Gaussian is the pair of
its event's docstring. dp-accounting composes them; it is imported only when such a run is accounted
for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from tronie.privacy.rdp import Sampled

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution  # pyright: ignore[reportMissingTypeStubs]

SMALLEST_DELTA = 1e-11
"""Below this delta the composition is not trusted: its rounding errors are no longer negligible."""

ROUNDING_DELTA = 1e-12
"""Set aside for the rounding of the fast Fourier transforms that compose distributions."""

_FINEST_SHARE = 64
_COARSEST = 1e-3
_CELLS = 2**17
_FINEST_STEP = 12
_LARGEST = 600.0
_TAIL = 10.0
_TOO_COARSE = 0.1


def pld_epsilon(
    mu: float, epsilons: Sequence[float], delta: float, sampled: Sequence[Sampled] = ()
) -> float:
    """Epsilon of a Gaussian, exponential mechanisms and sampled Gaussians together, rounded up.

    Args:
        mu: GDP parameter of all Gaussian events together; 0 for none.
        epsilons: Bounded-range parameter of each exponential mechanism.
        delta: Probability.
        sampled: Rate (below 1), noise multiplier and steps of each sampled Gaussian. One mechanism
            of either kind must be there.

    Guarantee:
        The events are (epsilon, delta)-DP if their noise was fixed beforehand. Grids round losses
        up and `ROUNDING_DELTA` covers the Fourier transforms' rounding.

    Edge cases:
        Infinite for a delta below `SMALLEST_DELTA`, or where losses are too large for a grid: use
        Gaussian or Renyi DP there.

    Source: Doroshenko et al. 2022, arXiv 2207.04380 (discretisation); Zhu, Dong, Wang 2022,
        arXiv 2106.08567 (dominating pairs compose).
    """
    if delta < SMALLEST_DELTA:
        return math.inf
    total = _compose(mu, epsilons, sampled)
    return math.inf if total is None else float(total.get_epsilon_for_delta(delta - ROUNDING_DELTA))


def pld_delta(
    mu: float, epsilons: Sequence[float], epsilon: float, sampled: Sequence[Sampled] = ()
) -> float:
    """Delta of a Gaussian, exponential mechanisms and sampled Gaussians together, rounded up.

    Guarantee and source: as for `pld_epsilon`.

    Edge cases:
        Never below `ROUNDING_DELTA`; a result below `SMALLEST_DELTA` is reported as that. 1 where
        losses are too large for a grid.
    """
    return pld_deltas(mu, epsilons, [epsilon], sampled)[0]


def pld_deltas(
    mu: float, epsilons: Sequence[float], at: Sequence[float], sampled: Sequence[Sampled] = ()
) -> list[float]:
    """`pld_delta` at several epsilons, for one composition."""
    total = _compose(mu, epsilons, sampled)
    if total is None:
        return [1.0] * len(at)
    deltas = [float(total.get_delta_for_epsilon(epsilon)) for epsilon in at]
    return [min(1.0, max(delta + ROUNDING_DELTA, SMALLEST_DELTA)) for delta in deltas]


def _compose(
    mu: float, epsilons: Sequence[float], sampled: Sequence[Sampled]
) -> PrivacyLossDistribution | None:
    """The distribution of all losses together; None where no grid can hold it."""
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism  # pyright: ignore[reportMissingTypeStubs]

    together: Counter[tuple[float, float]] = Counter()
    for rate, noise_multiplier, steps in sampled:
        together[rate, noise_multiplier] += steps
    merged = [(*pair, steps) for pair, steps in sorted(together.items())]
    step = _step(mu, epsilons, merged)
    if merged and step > _TOO_COARSE:
        return None
    parts = [
        _exponential(epsilon, step).self_compose(count)
        for epsilon, count in sorted(Counter(epsilons).items())
    ]
    parts += [_sampled(*one, step) for one in merged]
    if mu > 0.0:
        parts.append(from_gaussian_mechanism(1.0 / mu, value_discretization_interval=step))
    total = parts[0]
    for part in parts[1:]:
        total = total.compose(part)
    return total


def _step(mu: float, epsilons: Sequence[float], sampled: Sequence[Sampled]) -> float:
    """Grid of losses: fine against the smallest part, coarse enough for `_CELLS` cells in all."""
    spreads = [_spread(rate, noise) for rate, noise, _ in sampled]
    variance = mu * mu + math.fsum(
        steps * spread**2 for spread, (_, _, steps) in zip(spreads, sampled, strict=True)
    )
    span = 2.0 * math.fsum(epsilons) + 20.0 * math.sqrt(variance) + variance
    parts = [*epsilons, mu] if mu > 0.0 else epsilons
    finest = [part / _FINEST_SHARE for part in parts] + [s / _FINEST_STEP for s in spreads]
    widest = max((_reach(rate, noise) for rate, noise, _ in sampled), default=0.0)
    return max(min(_COARSEST, *finest), span / _CELLS, widest / _CELLS)


def _spread(rate: float, noise_multiplier: float) -> float:
    """Standard deviation of the loss of one sampled step, roughly."""
    many = 1.0 / noise_multiplier**2
    return min(rate * math.sqrt(math.expm1(min(many, _LARGEST))), 0.5 * many + math.sqrt(many))


def _reach(rate: float, noise_multiplier: float) -> float:
    """Largest loss of one sampled step that matters, roughly."""
    far = (_TAIL + 0.5 / noise_multiplier) / noise_multiplier
    return math.log1p(rate * math.expm1(far)) if far < _LARGEST else far


@lru_cache(maxsize=64)
def _sampled(
    rate: float, noise_multiplier: float, steps: int, step: float
) -> PrivacyLossDistribution:
    """A sampled Gaussian, both directions, on a grid of losses."""
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism  # pyright: ignore[reportMissingTypeStubs]

    one = from_gaussian_mechanism(
        noise_multiplier, value_discretization_interval=step, sampling_prob=rate
    )
    return one.self_compose(steps)


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
