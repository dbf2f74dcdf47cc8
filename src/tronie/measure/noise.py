"""The noise itself: where randomness comes from, and what is drawn from it.

Every draw looks random words of a `Noise` up in a table of integers (`tronie.measure.tables`).
There is no rejection loop, so the time that a draw takes hardly depends on its outcome. Answers are
integers, and so is the noise.
"""

from __future__ import annotations

import builtins
import hashlib
import math
import os
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BudgetError
from tronie.measure.tables import REST_BITS, ExponentialTable, GaussianTable, gaussian_table
from tronie.privacy.certificate import NoiseLabel

Ints: TypeAlias = NDArray[np.int64]

SPARE_BITS = 128
"""Random bits of a choice beyond those of the total weight."""

LEAST_DELTA = Fraction(1, 2**150)
"""Least delta, per row of a unit, of a threshold; the samplers cut off tails below 2^-180."""

LEAST_RATE = Fraction(1, 2**50)
"""Least epsilon, per row of sensitivity, of the exponential mechanism."""

MARGIN = 1 - Fraction(1, 2**64)
"""Part of epsilon that weights use; the rest covers their rounding."""


class Noise(Protocol):
    """A source of random bytes."""

    @property
    def label(self) -> NoiseLabel:
        """What a certificate says about it."""
        ...

    def bytes(self, n: int) -> builtins.bytes:
        """The next `n` random bytes."""
        ...


@dataclass(frozen=True, slots=True)
class OperatingSystemNoise:
    """Random bytes of the operating system.

    Guarantee:
        Each call asks the operating system (``os.urandom``); nothing is kept between calls, so a
        forked or copied process never repeats noise.
    """

    @property
    def label(self) -> NoiseLabel:
        """What a certificate says about it."""
        return "operating system entropy, discrete"

    def bytes(self, n: int) -> builtins.bytes:
        """The next `n` random bytes."""
        return os.urandom(n)


@dataclass(slots=True)
class InsecureNoise:
    """Repeatable bytes for tests: whoever knows the seed can take the noise off again.

    Args:
        seed: Any integer; the same seed gives the same bytes.

    Guarantee:
        None. A certificate made with it says so.

    >>> InsecureNoise(1).bytes(4) == InsecureNoise(1).bytes(4)
    True
    """

    seed: int
    _calls: int = field(default=0, init=False)

    @property
    def label(self) -> NoiseLabel:
        """What a certificate says about it."""
        return "INSECURE"

    def bytes(self, n: int) -> builtins.bytes:
        """The next `n` bytes of the stream."""
        self._calls += 1
        return hashlib.shake_128(f"{self.seed}:{self._calls}".encode()).digest(n)


def discrete_gaussian(sigma: float, size: int, noise: Noise) -> Ints:
    """Draw independent discrete Gaussian noise.

    Args:
        sigma: Scale, in rows: ``P[X = x]`` is proportional to ``exp(-x^2 / (2 sigma^2))``.
        size: Number of draws.
        noise: Source of random bytes.

    Returns:
        Draws, shape (size,).

    Guarantee:
        Each draw is within 2^-170 of the discrete Gaussian in total variation (see
        `tronie.measure.tables.gaussian_table`). Only entries that one unit changes count: c
        changed entries add at most ``c * (1 + exp(epsilon)) * 2^-170`` to delta. A draw takes 65
        random bits, and 128 more with a probability below 2^-40.

    Edge cases:
        A size of 0 gives no draws. Below a sigma of 0.063 all draws are 0.

    Raises:
        BudgetError: If sigma is not a positive finite number.
        DomainTooLarge: If sigma is above `tronie.measure.tables.MAX_SIGMA`.

    Source: Canonne, Kamath, Steinke 2020, arXiv 2004.00010.

    >>> discrete_gaussian(2.0, 5, InsecureNoise(0)).shape
    (5,)
    """
    table = gaussian_table(sigma)
    if size == 0 or table.largest == 0:
        return np.zeros(size, np.int64)
    words = np.frombuffer(noise.bytes(8 * size), "<u8")
    magnitudes = np.searchsorted(table.high, words, side="right").astype(np.int64, copy=False)
    settle_ties(table, words, magnitudes, noise)
    signs = np.unpackbits(np.frombuffer(noise.bytes(-(-size // 8)), np.uint8), count=size)
    return np.where(signs, -magnitudes, magnitudes)


def settle_ties(
    table: GaussianTable, words: NDArray[np.uint64], magnitudes: Ints, noise: Noise
) -> None:
    """Draw the other 128 bits of words that are equal to a threshold's first 64, and look again.

    Args:
        table: Thresholds.
        words: First 64 bits of each draw.
        magnitudes: Number of thresholds whose first 64 bits do not exceed the word; changed.
        noise: Source of random bytes.
    """
    for tie in np.flatnonzero(table.high[magnitudes - 1] == words):
        rest = int.from_bytes(noise.bytes(REST_BITS // 8), "little")
        magnitudes[tie] = table.resolve(int(words[tie]), rest)


def gaussian_threshold(sigma: float, delta: float, rows_per_unit: int) -> int:
    """The noisy count from which a key may be named.

    Args:
        sigma: Scale of the discrete Gaussian noise on each key's count, in rows.
        delta: Most probability with which a unit may bring in any key that no other unit holds.
        rows_per_unit: Most rows, hence keys, of one unit.

    Returns:
        The smallest T above k with ``k * P[X >= T - k] <= delta``, in rows.

    Guarantee:
        A unit has at most k keys of its own, each with a count of at most k, so one of them
        reaches T with probability at most delta. The probability is the sampler's own, not an
        approximation.

    Edge cases:
        A key without rows is never a candidate, so T is at least k + 1 even for a delta near 1.

    Raises:
        BudgetError: If delta or the rows make no sense, or delta is below k * 2^-150.

    Source: Korolova et al. 2009; Gaussian noise: Swanberg et al. 2023, arXiv 2306.07884.

    >>> gaussian_threshold(10.0, 1e-9, 1)
    62
    """
    if rows_per_unit < 1:
        raise BudgetError("a unit has no rows.", "Let a unit have at least one row.")
    if not (math.isfinite(delta) and LEAST_DELTA * rows_per_unit <= delta < 1):
        raise BudgetError("a threshold's delta is not a probability.", "Take one such as 1e-9.")
    table = gaussian_table(sigma)
    each = Fraction(delta) / rows_per_unit
    margins = range(1, table.largest + 1)
    passed = bisect_left(margins, -each, key=lambda least: -table.survival(least))
    return rows_per_unit + 1 + passed


def exponential_weights(scores: Ints, epsilon: float, sensitivity: int) -> list[int]:
    """Weights of the exponential mechanism's candidates.

    Args:
        scores: Candidates' scores, shape (candidates,); higher is better.
        epsilon: Bounded-range parameter.
        sensitivity: Most that one unit moves any score, up or down.

    Returns:
        Positive integers in proportion to ``exp(epsilon * score / (2 * sensitivity))``.

    Guarantee:
        For neighbouring tables, the log ratios of any two candidates' probabilities differ by at
        most epsilon: the mechanism is epsilon-bounded-range, hence epsilon-DP, with no delta. The
        factor 1/2 is always there, since one unit may raise some scores and lower others. Scores
        farther than a public distance below the best are first raised to that distance; raised
        scores move no faster than scores do, and no candidate has weight zero. Weights are rounded
        by less than 2^-180 of themselves and are made for an epsilon smaller by a factor of
        1 - 2^-64, which covers the rounding.

    Edge cases:
        Equal scores have equal weights. An epsilon above 90 * sensitivity is used as that much: the
        best candidate wins all the same.

    Raises:
        BudgetError: If epsilon or sensitivity make no sense, or epsilon is too small to be exact.
        ValueError: If there is no candidate.

    Source: McSherry, Talwar 2007; bounded range: Durfee, Rogers 2019, arXiv 1905.04273.

    >>> best, other = exponential_weights(np.array([3, 1]), epsilon=1.0, sensitivity=1)
    >>> round(best / other, 6)
    2.718282
    """
    table = _exponential_table(epsilon, sensitivity)
    best = int(scores.max())
    floor = max(best - table.reach, int(np.iinfo(np.int64).min))
    gaps, which = np.unique(best - np.maximum(scores, floor), return_inverse=True)
    weights = [table.weight(gap) for gap in gaps.tolist()]
    return [weights[index] for index in which.tolist()]


def exponential_choice(scores: Ints, epsilon: float, sensitivity: int, noise: Noise) -> int:
    """Choose a candidate with a high score: the exponential mechanism.

    Args:
        scores: Candidates' scores, shape (candidates,); higher is better.
        epsilon: Bounded-range parameter.
        sensitivity: Most that one unit moves any score, up or down.
        noise: Source of random bytes.

    Returns:
        Index of the candidate.

    Guarantee:
        Each candidate is chosen with its share of `exponential_weights`, up to a factor within
        1 +- 2^-128: its guarantee holds here. The number of random bits depends on the total weight
        only, never on the outcome.

    Edge cases:
        A single candidate is chosen; ties are broken at random.

    Raises:
        BudgetError: If epsilon or sensitivity make no sense, or epsilon is too small to be exact.
        ValueError: If there is no candidate.

    Source: McSherry, Talwar 2007; inversion of integer weights by us.
    """
    cumulative = list(accumulate(exponential_weights(scores, epsilon, sensitivity)))
    total = cumulative[-1]
    length = -(-(total.bit_length() + SPARE_BITS) // 8)
    uniform = int.from_bytes(noise.bytes(length), "little")
    return bisect_right(cumulative, uniform * total >> 8 * length)


@lru_cache(maxsize=16)
def _exponential_table(epsilon: float, sensitivity: int) -> ExponentialTable:
    """Weights by gap; public, like all tables."""
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise BudgetError("a selection's epsilon is not a positive number.", "Check the budget.")
    if sensitivity < 1:
        raise BudgetError("a selection's sensitivity is below one row.", "Check the unit's rows.")
    rate = Fraction(epsilon) / (2 * sensitivity) * MARGIN
    if rate < LEAST_RATE:
        raise BudgetError("a selection's epsilon is too small to be exact.", "Raise the budget.")
    return ExponentialTable(rate)
