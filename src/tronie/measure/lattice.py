"""Noise for vectors of floats: they are rounded to a fine lattice, and the noise is discrete.

A float drawn from a continuous distribution betrays in its last bits what it was added to. Here
the exact vector is rounded to whole steps first; the noise is a whole number of steps from tables
of integers, as for counts; and only their sum becomes floats again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BudgetError
from tronie.measure.noise import Ints, Noise, settle_ties
from tronie.measure.tables import GaussianTable, gaussian_table

Floats: TypeAlias = NDArray[np.float64]

SLACK = 2.0**-10
"""Relative room for float arithmetic: norms of up to ``clip * (1 + SLACK)`` are accounted for."""

FINENESS = 2.0**10
"""Rounding may move a vector by at most this part of the noise: ``sqrt(size) * noise`` times it."""

LEAST_FACTOR, MOST_FACTOR = 2**5, 2**15
"""Range of the coarse step of the two-table sampler; sigma is between 4 * 2^10 and 4 * 2^30 steps."""

_GUIDE_BITS = 16
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class Lattice:
    """A lattice and the scale of its noise.

    Args:
        step: Width of the lattice, in units of the vector.
        factor: Coarse step of the noise, a power of two; sigma is ``4 * factor^2`` steps or a
            little more.
    """

    step: float
    factor: int

    @classmethod
    def of(cls, size: int, clip: float, noise_multiplier: float) -> Lattice:
        """The lattice on which a clipped sum is answered.

        Args:
            size: Number of entries of the vector.
            clip: Most, in L2 norm, that one unit adds to it.
            noise_multiplier: Standard deviation of the noise in units of `clip`, as it is charged.

        Raises:
            BudgetError: If the noise multiplier is too large for a vector of this size.

        Guarantee:
            Adding or removing one unit moves the vector by at most ``clip * (1 + SLACK)`` in exact
            and in float arithmetic (the room is measured, see docs/decisions/0010-dp-sgd.md), and
            rounding moves either vector by at most half a step in each entry. So whole steps move
            by at most ``clip * (1 + SLACK) / step + sqrt(size)`` in L2. The step is so wide that
            sigma, less the discrete Gaussian's factor, is the noise multiplier times this.
        """
        wanted = math.sqrt(size) * noise_multiplier * FINENESS
        if not 0.0 < wanted <= 4 * MOST_FACTOR**2:
            raise BudgetError(
                f"a vector of {size} entries cannot be answered with noise of "
                f"{noise_multiplier:.3g} clips.",
                "Raise the budget of training, or take a smaller network.",
            )
        factor = LEAST_FACTOR
        while 4 * factor**2 < wanted:
            factor *= 2
        sigma = 4.0 * factor**2
        reach = sigma / (1.0 + 0.125 / sigma**2) / noise_multiplier - math.sqrt(size)
        return cls(clip * (1.0 + SLACK) / reach * (1.0 + 2.0**-40), factor)

    @property
    def sigma(self) -> float:
        """Scale of the noise, in steps."""
        return 4.0 * self.factor * math.sqrt(self.factor**2 + 1.0)

    def blur(self, vector: Floats, noise: Noise) -> Floats:
        """Round a vector to the lattice and add noise to every entry.

        Args:
            vector: Exact sum, shape (size,).
            noise: Source of random bytes.

        Guarantee:
            See `of`; each entry gets independent `wide_gaussian` noise.
        """
        steps = np.rint(vector / self.step).astype(np.int64)
        steps += wide_gaussian(self.factor, vector.size, noise)
        return steps.astype(np.float64) * self.step


def wide_gaussian(factor: int, size: int, noise: Noise) -> Ints:
    """Draw independent discrete Gaussian noise of sigma ``s sqrt(factor^2 + 1)``, ``s = 4 factor``.

    Args:
        factor: A power of two from `LEAST_FACTOR` to `MOST_FACTOR`.
        size: Number of draws.
        noise: Source of random bytes.

    Returns:
        Draws, shape (size,): ``factor * X + Y`` with X and Y discrete Gaussian of scale s.

    Guarantee:
        Each draw is within 2^-168 of the discrete Gaussian in total variation. Given the sum z, X
        runs over whole numbers around a centre of its own with variance ``t^2 = s^2 / (factor^2 +
        1)``, so ``P[z]`` is in proportion to ``exp(-z^2 / 2 s^2 (factor^2 + 1))`` times a sum over
        these numbers, which by Poisson's formula is the same for all centres up to a factor within
        ``1 +- 3 exp(-2 pi^2 t^2)``; t is above 3.99, and this is below 2^-450. The rest is the
        error of two draws from tables.

    Raises:
        ValueError: If the factor is out of range.

    Source: Micciancio and Walter 2017, "Gaussian sampling over the integers"; tables by us.

    >>> from tronie.measure.noise import InsecureNoise
    >>> wide_gaussian(32, 5, InsecureNoise(0)).shape
    (5,)
    """
    guide = _guide(factor)
    result = np.empty(size, np.int64)
    for start in range(0, size, _CHUNK):
        part = result[start : start + _CHUNK]
        np.multiply(guide.draw(part.size, noise), factor, out=part)
        part += guide.draw(part.size, noise)
    return result


def coins(rate: float, size: int, noise: Noise) -> NDArray[np.bool_]:
    """Toss independent coins.

    Args:
        rate: Probability of heads, from 0 to 1.
        size: Number of coins.
        noise: Source of random bytes.

    Returns:
        Whether each shows heads, shape (size,).

    Guarantee:
        Each shows heads with probability ``floor(2^64 rate) / 2^64``, never more than `rate`,
        independently of all others. Every coin takes 64 random bits.

    Raises:
        ValueError: If the rate is no probability.
    """
    if not 0.0 <= rate <= 1.0:
        raise ValueError("a coin's rate is a probability")
    below = int(Fraction(rate) * 2**64)
    if below == 2**64:
        return np.ones(size, np.bool_)
    return np.frombuffer(noise.bytes(8 * size), "<u8") < np.uint64(below)


@dataclass(frozen=True, slots=True, eq=False)
class _Guide:
    """A table of a discrete Gaussian, and for the top bits of a word where to look in it.

    The other bits of a word are drawn only where they matter, which saves two thirds of all.

    Attributes:
        table: Thresholds.
        starts: Number of thresholds at or below each cell's first word, shape (2^16,).
        crowded: Whether a threshold lies in the cell, so that its other bits decide, shape (2^16,).
    """

    table: GaussianTable
    starts: NDArray[np.int32]
    crowded: NDArray[np.bool_]

    def draw(self, size: int, noise: Noise) -> Ints:
        """Independent draws, shape (size,)."""
        cells = np.frombuffer(noise.bytes(2 * size), "<u2")
        magnitudes = self.starts[cells].astype(np.int64)
        unsure = np.flatnonzero(self.crowded[cells])
        words = np.frombuffer(noise.bytes(8 * unsure.size), "<u8") >> np.uint64(_GUIDE_BITS)
        words |= cells[unsure].astype(np.uint64) << np.uint64(64 - _GUIDE_BITS)
        found = np.searchsorted(self.table.high, words, side="right").astype(np.int64)
        settle_ties(self.table, words, found, noise)
        magnitudes[unsure] = found
        signs = np.unpackbits(np.frombuffer(noise.bytes(-(-size // 8)), np.uint8), count=size)
        np.negative(magnitudes, out=magnitudes, where=signs.view(np.bool_))
        return magnitudes


@lru_cache(maxsize=8)
def _guide(factor: int) -> _Guide:
    if not LEAST_FACTOR <= factor <= MOST_FACTOR or factor & (factor - 1):
        raise ValueError("a factor is a power of two within range")
    table = gaussian_table(4.0 * factor)
    first = np.arange(2**_GUIDE_BITS, dtype=np.uint64) << np.uint64(64 - _GUIDE_BITS)
    last = first + np.uint64(2 ** (64 - _GUIDE_BITS) - 1)
    before = np.searchsorted(table.high, first, side="left")
    after = np.searchsorted(table.high, last, side="right")
    return _Guide(table, before.astype(np.int32), before != after)
