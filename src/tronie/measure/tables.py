"""Public integer tables that the samplers of `tronie.measure.noise` look random words up in.

Nothing here is random and nothing is private: a table follows from sigma or epsilon alone. Both
are read as the exact rationals that the floats are, and everything after that is integer arithmetic
with stated error bounds, so no rounding of a float decides an outcome.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BudgetError, DomainTooLarge

Words: TypeAlias = NDArray[np.uint64]

PRECISION = 320
"""Bits after the binary point in intermediate results."""

THRESHOLD_BITS = 192
"""Bits of a threshold: 64 that are searched, and the rest that settle ties."""

REST_BITS = THRESHOLD_BITS - 64

SUPPORT = 252
"""Magnitudes up to sqrt(SUPPORT) * sigma are drawn; beyond is a mass under 2 exp(-126) < 2^-180."""

MAX_SIGMA = 200_000.0
"""Largest sigma: the table then holds 3.2 million thresholds (76 MB, about 5 CPU s to make)."""


def fixed_exp(x: Fraction) -> int:
    """The integer part of ``2^PRECISION * exp(-x)``, or a neighbour of it; `x` is not negative.

    `Decimal.exp` is correctly rounded, so with 120 digits the error is far below one unit.

    >>> fixed_exp(Fraction(0)) == 2**PRECISION
    True
    """
    context = Context(
        prec=120, rounding=ROUND_FLOOR, Emin=-999_999, Emax=999_999, traps=[InvalidOperation]
    )
    exponent = context.divide(Decimal(-x.numerator), Decimal(x.denominator))
    return int(context.multiply(context.exp(exponent), Decimal(1 << PRECISION)))


@dataclass(frozen=True, slots=True, eq=False)
class GaussianTable:
    """Cumulative probabilities of a discrete Gaussian's magnitude, as 192-bit integers.

    Threshold number m is ``floor(2^192 * P[|X| <= m])``; that of the largest magnitude would be
    2^192 and is not stored. The number of thresholds that do not exceed a uniform 192-bit word is a
    draw.

    Args:
        high: Top 64 bits of each threshold, non-decreasing, shape (largest magnitude,).
        rest: The other 128 bits of each, little-endian, one after another.

    >>> table = gaussian_table(1.0)
    >>> table.largest, round(float(table.survival(1)), 6)
    (15, 0.300529)
    """

    high: Words
    rest: bytes

    @property
    def largest(self) -> int:
        """Largest magnitude that is drawn."""
        return len(self.high)

    def resolve(self, word: int, rest: int) -> int:
        """Number of thresholds that do not exceed ``word * 2^128 + rest``."""
        low = int(np.searchsorted(self.high, np.uint64(word), side="left"))
        high = int(np.searchsorted(self.high, np.uint64(word), side="right"))
        return bisect_right(range(self.largest), rest, low, high, key=self._rest)

    def survival(self, least: int) -> Fraction:
        """Exact probability that the sampler draws `least` or more; `least` is at least 1."""
        if least > self.largest:
            return Fraction(0)
        below = (int(self.high[least - 1]) << REST_BITS) + self._rest(least - 1)
        return Fraction((1 << THRESHOLD_BITS) - below, 2 << THRESHOLD_BITS)

    def _rest(self, index: int) -> int:
        step = REST_BITS // 8
        return int.from_bytes(self.rest[step * index : step * (index + 1)], "little")


@lru_cache(maxsize=16)
def gaussian_table(sigma: float) -> GaussianTable:
    """The table of the discrete Gaussian: ``P[X = x]`` in proportion to ``exp(-x^2 / 2 sigma^2)``.

    Args:
        sigma: Scale of the noise, in rows; read as an exact rational.

    Returns:
        The table; it is public and cached.

    Guarantee:
        With K the largest magnitude, each probability of a magnitude is within 2^-191 of the exact
        one of the distribution cut at K, and the cut mass is below 2^-180. So a draw is within
        ``(K + 1) * 2^-192 + 2^-180 < 2^-170`` of the discrete Gaussian in total variation. A random
        sign makes it exactly symmetric.

    Edge cases:
        Below a sigma of 0.063 even a magnitude of 1 is beyond the cut, and every draw is 0.

    Raises:
        BudgetError: If sigma is not a positive finite number.
        DomainTooLarge: If sigma is above `MAX_SIGMA`.

    Source: Canonne, Kamath, Steinke 2020, arXiv 2004.00010; inversion of integer thresholds by us.
    """
    require_sigma(sigma)
    variance = Fraction(sigma) ** 2
    cumulative = _cumulative(variance, math.isqrt(math.floor(SUPPORT * variance)))
    total = cumulative.pop()
    stored = bytearray()
    for mass in cumulative:
        stored += ((mass << THRESHOLD_BITS) // total).to_bytes(THRESHOLD_BITS // 8, "little")
    parts = np.frombuffer(bytes(stored), "<u8").reshape(-1, THRESHOLD_BITS // 64)
    high = np.ascontiguousarray(parts[:, -1], dtype=np.uint64)
    return GaussianTable(high, np.ascontiguousarray(parts[:, :-1]).tobytes())


def require_sigma(sigma: float) -> None:
    """Refuse noise that cannot be drawn.

    Raises:
        BudgetError: If sigma is not a positive finite number.
        DomainTooLarge: If sigma is above `MAX_SIGMA`.
    """
    if not (math.isfinite(sigma) and sigma > 0):
        raise BudgetError("the noise's sigma is not a positive number.", "Check the budget.")
    if sigma > MAX_SIGMA:
        raise DomainTooLarge(
            f"noise of sigma {sigma:.3g} rows cannot be drawn; {MAX_SIGMA:.0f} is the most.",
            "Raise epsilon, lower the rows of a privacy unit, or ask for fewer columns.",
        )


def _cumulative(variance: Fraction, largest: int) -> list[int]:
    """Weights of the magnitudes 0, 0..1, ..., 0..largest in fixed point.

    A weight follows from the one before by the factor ``exp(-(2k + 1) / (2 variance))``, and that
    factor from its predecessor by ``exp(-1 / variance)``. Each product is rounded by less than one
    unit, so a factor is off by at most 2k + 1, a weight by at most (k + 1)^2 and a sum by at most
    2 (K + 1)^3 units: below 2^-250 of the total for any allowed sigma, where thresholds need
    2^-192.
    """
    factor = fixed_exp(1 / (2 * variance))
    ratio = fixed_exp(1 / variance)
    weight = mass = 1 << PRECISION
    cumulative = [mass]
    for _ in range(largest):
        weight = weight * factor >> PRECISION
        factor = factor * ratio >> PRECISION
        mass += 2 * weight
        cumulative.append(mass)
    return cumulative


class ExponentialTable:
    """Weights ``exp(-rate * gap)`` of integer gaps, as integers scaled by 2^PRECISION.

    Gaps are first cut at a public `reach`, where weights have fallen below exp(-45); cutting keeps
    every weight positive. Rates are at most 45, so no weight is below exp(-90) > 2^-130.

    Args:
        rate: Decay for each unit of gap; more than 45 is read as 45.
    """

    DECAY = 45

    def __init__(self, rate: Fraction) -> None:
        rate = min(rate, Fraction(self.DECAY))
        self.reach = math.ceil(self.DECAY / rate)
        self._powers = [fixed_exp(rate * 2**bit) for bit in range(self.reach.bit_length())]

    def weight(self, gap: int) -> int:
        """Weight of a gap between 0 and `reach`.

        A product of at most 60 powers, each off by one unit and none below 2^-130, so its relative
        error is below 60 * 2 * 2^(130 - 320) < 2^-180.
        """
        weight = 1 << PRECISION
        for bit, power in enumerate(self._powers):
            if gap >> bit & 1:
                weight = weight * power >> PRECISION
        return weight
