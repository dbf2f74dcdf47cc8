"""Hockey-stick divergences of one sampled Gaussian, for many losses at once.

For a rate q and a noise multiplier s let G(x) be the divergence of order e^x of N(1, s^2) from N(0, s^2),
P = (1 - q) N(0, s^2) + q N(1, s^2) the answer with a unit and Q = N(0, s^2) the answer without. Then

    D(P | Q)(x) = q G(log(1 + (e^x - 1) / q))
    D(Q | P)(x) = (1 - (1 - q) e^x) G(-log(1 + (e^-x - 1) / q))

where the logarithms exist; else D(P | Q) is 1 - e^x and D(Q | P) is 0. Both follow from moving the part of
the mixture that is N(0, s^2) to the other side (Balle, Barthe, Gaboardi 2018, arXiv 1807.01647).
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SQRT_HALF = math.sqrt(0.5)
_LARGEST, _TINY = 600.0, 1e-300


def removal_deltas(rate: float, noise_multiplier: float, losses: Floats) -> Floats:
    """Least delta for each epsilon where a unit is removed: the divergence of P from Q above.

    Args:
        rate: Probability with which the unit is in the sample, above 0, at most 1.
        noise_multiplier: Deviation of the noise in units of the clip.
        losses: Epsilons, of either sign.

    Guarantee:
        Exact up to rounding: a relative 1e-12 where losses are positive and as exact themselves,
        else about 1e-15 of 1.

    Edge cases:
        0 where it is below the smallest double.

    >>> removal_deltas(0.5, 1.0, np.array([-9.0, 0.0])).round(4).tolist()
    [0.9999, 0.1915]
    """
    deltas = -np.expm1(np.minimum(losses, 0.0))
    inside = losses > _log_rest(rate)
    deltas[inside] = rate * _gaussian(_without_sampling(rate, losses[inside]), noise_multiplier)
    return np.clip(deltas, 0.0, 1.0)


def addition_deltas(rate: float, noise_multiplier: float, losses: Floats) -> Floats:
    """Least delta for each epsilon where a unit is added: the divergence of Q from P above.

    Arguments, guarantee and edge cases: as for `removal_deltas`.

    >>> addition_deltas(0.5, 1.0, np.array([0.0, 0.5, 0.7])).round(4).tolist()
    [0.1915, 0.0092, 0.0]
    """
    deltas = np.zeros_like(losses)
    inside = losses < -_log_rest(rate)
    alone = _gaussian(-_without_sampling(rate, -losses[inside]), noise_multiplier)
    apart = rate - (1.0 - rate) * np.expm1(np.minimum(losses[inside], _LARGEST))
    deltas[inside] = apart * alone
    return np.clip(deltas, 0.0, 1.0)


def _log_rest(rate: float) -> float:
    """Logarithm of how often a unit is not in the sample."""
    return math.log1p(-rate) if rate < 1.0 else -math.inf


def _without_sampling(rate: float, losses: Floats) -> Floats:
    """Losses without sampling at outcomes of some losses with it: log(1 + (e^x - 1) / q)."""
    if rate == 1.0:
        return losses
    low, high = np.minimum(losses, 1.0), np.maximum(losses, 1.0)
    ratio = np.expm1(low) / rate
    # The same written from the least loss up, log(1 - q), where the ratio is nearly -1.
    rest = (1.0 - rate) / rate * np.expm1(low - _log_rest(rate))
    small = np.where(
        ratio > -0.5, np.log1p(np.maximum(ratio, -0.5)), np.log(np.maximum(rest, _TINY))
    )
    large = high - math.log(rate) + np.log1p((rate - 1.0) * np.exp(-high))
    return np.where(losses < 1.0, small, large)


def _gaussian(losses: Floats, noise_multiplier: float) -> Floats:
    """Divergences of N(1, s^2) from N(0, s^2), with no cancellation where they are small.

    Both tails of the textbook formula share one density, so that their difference is one of Mills
    ratios.
    """
    special: Any = import_module("scipy.special")  # it has no types
    mu = 1.0 / noise_multiplier
    low, high = losses / mu - 0.5 * mu, losses / mu + 0.5 * mu
    upper = np.maximum(low, 0.0)
    mills = special.erfcx(upper * _SQRT_HALF) - special.erfcx((upper + mu) * _SQRT_HALF)
    small: Floats = 0.5 * np.exp(-0.5 * upper**2) * mills
    large: Floats = special.ndtr(-low) - np.exp(
        np.minimum(losses, 0.5 * mu * mu) + special.log_ndtr(-high)
    )
    return np.where(low > 0.0, small, large)
