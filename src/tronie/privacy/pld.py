"""Composition of privacy loss distributions, for runs that choose or sample besides.

All Gaussian events are one Gaussian of their total mu. An exponential mechanism is stood in for by
the worst case of all bounded-range mechanisms with its epsilon. A sampled Gaussian is the pair of
its event's docstring; a Gaussian is one with a rate of 1. dp-accounting composes them; it is imported
only when such a run is accounted for.
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

ROUNDING_DELTA, ROUNDING_PER_STEP = 1e-12, 5e-16
"""Set aside for the rounding of the fast Fourier transforms that compose distributions.

A transform is raised to the number of steps, so its relative error grows with that: beside transforms
of 64-bit mantissas delta was off by at most 1.2 units of 2^-53 per step, in either direction.
"""

CELLS = 2**17
"""About how many cells a grid of losses has at most."""

_FINEST_SHARE = 64
_COARSEST = 1e-3
_FINEST_STEP = 12
_LARGEST = 600.0
_TAIL = 10.0
_TOO_COARSE = 0.1


def pld_epsilon(
    mu: float,
    epsilons: Sequence[float],
    delta: float,
    sampled: Sequence[Sampled] = (),
    *,
    cells: int = CELLS,
) -> float:
    """Epsilon of a Gaussian, exponential mechanisms and sampled Gaussians together, rounded up.

    Args:
        mu: GDP parameter of all Gaussian events together; 0 for none.
        epsilons: Bounded-range parameter of each exponential mechanism.
        delta: Probability.
        sampled: Rate (below 1), noise multiplier and steps of each sampled Gaussian. One mechanism
            of either kind must be there.
        cells: Of the grid, about; with fewer the result is larger, and there sooner.

    Guarantee:
        The events are (epsilon, delta)-DP if their noise was fixed beforehand. Grids round losses
        up and `rounding_delta` covers the Fourier transforms' rounding.

    Edge cases:
        Infinite for a delta below `SMALLEST_DELTA` or what rounding may take, or where losses are
        too large for a grid: use Gaussian or Renyi DP there.

    Source: Doroshenko et al. 2022, arXiv 2207.04380 (discretisation); Zhu, Dong, Wang 2022,
        arXiv 2106.08567 (dominating pairs compose).
    """
    left = delta - rounding_delta(epsilons, sampled)
    if delta < SMALLEST_DELTA or left <= 0.0:
        return math.inf
    total = _compose(mu, epsilons, sampled, cells)
    return math.inf if total is None else float(total.get_epsilon_for_delta(left))


def rounding_delta(epsilons: Sequence[float], sampled: Sequence[Sampled]) -> float:
    """Bound on the error of delta by rounding, where so many losses are composed."""
    steps = len(epsilons) + sum(steps for _, _, steps in sampled)
    return ROUNDING_DELTA + ROUNDING_PER_STEP * steps


def pld_delta(
    mu: float, epsilons: Sequence[float], epsilon: float, sampled: Sequence[Sampled] = ()
) -> float:
    """Delta of a Gaussian, exponential mechanisms and sampled Gaussians together, rounded up.

    Guarantee and source: as for `pld_epsilon`.

    Edge cases:
        Never below `rounding_delta`; a result below `SMALLEST_DELTA` is reported as that. 1 where
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
    rounding = rounding_delta(epsilons, sampled)
    return [min(1.0, max(delta + rounding, SMALLEST_DELTA)) for delta in deltas]


def _compose(
    mu: float, epsilons: Sequence[float], sampled: Sequence[Sampled], cells: int = CELLS
) -> PrivacyLossDistribution | None:
    """The distribution of all losses together; None where no grid can hold it."""
    together: Counter[tuple[float, float]] = Counter()
    for rate, noise_multiplier, steps in sampled:
        together[rate, noise_multiplier] += steps
    merged = [(*pair, steps) for pair, steps in sorted(together.items())]
    step = _step(mu, epsilons, merged, cells)
    if merged and step > _TOO_COARSE:
        return None
    parts = [
        _exponential(epsilon, step).self_compose(count)
        for epsilon, count in sorted(Counter(epsilons).items())
    ]
    parts += [_sampled(*one, step) for one in merged]
    if mu > 0.0:
        parts.append(_sampled(1.0, 1.0 / mu, 1, step))
    total = parts[0]
    for part in parts[1:]:
        total = total.compose(part)
    return total


def _step(mu: float, epsilons: Sequence[float], sampled: Sequence[Sampled], cells: int) -> float:
    """Grid of losses: fine against the smallest part, coarse enough for so many cells in all."""
    spreads = [_spread(rate, noise) for rate, noise, _ in sampled]
    variance = mu * mu + math.fsum(
        steps * spread**2 for spread, (_, _, steps) in zip(spreads, sampled, strict=True)
    )
    span = 2.0 * math.fsum(epsilons) + 20.0 * math.sqrt(variance) + variance
    parts = [*epsilons, mu] if mu > 0.0 else epsilons
    finest = [part / _FINEST_SHARE for part in parts] + [s / _FINEST_STEP for s in spreads]
    widest = max((_reach(rate, noise) for rate, noise, _ in sampled), default=0.0)
    return max(min(_COARSEST, *finest), span / cells, widest / cells)


def _spread(rate: float, noise_multiplier: float) -> float:
    """Standard deviation of the loss of one sampled step, roughly."""
    many = 1.0 / noise_multiplier**2
    return min(rate * math.sqrt(math.expm1(min(many, _LARGEST))), 0.5 * many + math.sqrt(many))


def _reach(rate: float, noise_multiplier: float) -> float:
    """Largest loss of one sampled step that matters."""
    return _log_mixture(rate, _far(noise_multiplier))


def _far(noise_multiplier: float) -> float:
    """Largest loss that matters of one step which does not sample."""
    return (_TAIL + 0.5 / noise_multiplier) / noise_multiplier


def _log_mixture(rate: float, loss: float) -> float:
    """Loss with sampling at an outcome that has some loss without."""
    if rate == 1.0 or loss >= _LARGEST:
        return loss
    return math.log1p(rate * math.expm1(loss))


@lru_cache(maxsize=64)
def _sampled(
    rate: float, noise_multiplier: float, steps: int, step: float
) -> PrivacyLossDistribution:
    """A sampled Gaussian, both directions, on a grid of losses.

    Losses beyond what `_TAIL` deviations of noise can bring count as infinite, or as the least.
    """
    import numpy as np
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots_fixed_gap  # pyright: ignore[reportMissingTypeStubs]
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution  # pyright: ignore[reportMissingTypeStubs]

    from tronie.privacy.hockey_stick import addition_deltas, removal_deltas

    most = math.ceil(_reach(rate, noise_multiplier) / step)
    least = math.ceil(-_log_mixture(rate, -_far(noise_multiplier)) / step)
    removed, added = np.arange(-least, most + 1.0), np.arange(-most, least + 1.0)
    deltas = (
        removal_deltas(rate, noise_multiplier, removed * step),
        addition_deltas(rate, noise_multiplier, added * step),
    )
    one = PrivacyLossDistribution(
        create_pmf_pessimistic_connect_dots_fixed_gap(step, -least, most, deltas[0]),
        create_pmf_pessimistic_connect_dots_fixed_gap(step, -most, least, deltas[1]),
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
