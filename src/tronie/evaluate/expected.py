"""How far apart two tables are by chance alone: expected total variation, without simulating anything.

Two random samples of one population differ, the more so the smaller they are and the more cells they
are spread over. A distance means little without that expectation beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

SMALL = 60
"""Counts up to this are too small for the normal approximation."""

MOST_TIMES = 1000.0
"""A second sample so many times larger than the first is as good as the population."""

_RIDGE = 1e-5
_MEAN_ABSOLUTE = float(np.sqrt(2 / np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class TwoSamples:
    """Expected total variation of two samples of one population, estimated from the first one's counts.

    The sum over cells of ``E|A/n - B/m|`` is needed, where A and B are the counts of a cell in samples
    of n and m rows, close to Poisson. As the cells' chances are not known, the summand of a cell with
    count c is replaced by a number g(c) for which the mean over samples is right whatever the chances
    are. Cells that the first sample missed are accounted for so, too; putting the observed shares into
    the formula for known chances would pass over them.

    Args:
        rows: Rows n of the first sample, whose counts are known.
        others: Rows m of the second sample.

    Source: g solves a ridge-regularised least squares problem over Poisson means; with it the bias is
    below 1 % of the expectation for m <= 2 n, and below 3 % for m <= 10 n (see the tests).

    >>> round(TwoSamples(1000, 1000).expected(np.array([500, 500])), 3)
    0.018
    """

    rows: int
    others: int

    def expected(self, counts: Ints) -> float:
        """Expected total variation.

        Args:
            counts: Rows of the first sample in each cell, any shape; empty cells may be left out.
        """
        present = counts[counts > 0]
        means = self.cell_means(present) * np.sqrt(1 - present / self.rows)
        return min(1.0, float(means.sum()) / (2 * self.rows))

    def cell_means(self, counts: Ints) -> Floats:
        """``g(c)`` of counts c >= 1, shape (cells,), as if the number of rows were not fixed."""
        times = min(self.others / self.rows, MOST_TIMES)
        small, knots, ratios = _table(times)
        large = np.interp(np.log(counts), knots, ratios) * _normal(counts, times)
        return np.where(counts <= SMALL, small[np.minimum(counts, SMALL)], large)


def _normal(means: Floats | Ints, times: float) -> Floats:
    """``E|A - B / times|`` for large Poisson means of A."""
    return _MEAN_ABSOLUTE * np.sqrt(means * (1 + 1 / times))


@lru_cache(maxsize=64)
def _table(times: float) -> tuple[Floats, Floats, Floats]:
    """g(0..SMALL), and, beyond, ratios to the normal approximation at logarithms of counts."""
    most = max(SMALL, SMALL / times)
    counts = np.geomspace(SMALL, 4 * most, 64)
    ratios = np.array([_poisson_mean(c, times) for c in counts]) / _normal(counts, times)
    return _unbiased(times), np.log(counts), ratios


def _unbiased(times: float) -> Floats:
    """g(0..SMALL) such that its mean over Poisson counts is ``E|A - B / times|``, for each mean."""
    means = np.geomspace(1e-3, 0.6 * SMALL, 160)
    counts = np.arange(1, SMALL + 41)
    chances = _chances(counts, means[:, None])
    wanted = np.array([_poisson_mean(mean, times) for mean in means])
    known = np.array([_poisson_mean(count, times) for count in counts.tolist()])
    rest, start = wanted - chances[:, SMALL:] @ known[SMALL:], known[:SMALL]
    weighted = chances[:, :SMALL] / wanted[:, None]
    ridge = _RIDGE * len(means)
    matrix = weighted.T @ weighted + np.diag(ridge / start**2)
    found = np.linalg.solve(matrix, weighted.T @ (rest / wanted) + ridge / start)
    return np.append(0.0, found)


def _poisson_mean(mean: float, times: float) -> float:
    """``E|A - B / times|`` for Poisson A and B of means `mean` and ``times * mean``.

    For a fixed y, ``E|A - y| = (y - mean) (2 F(k) - 1) + 2 mean p(k)`` with k the whole part of y.
    """
    special = _special()
    center = times * mean
    most = int(center + 12 * np.sqrt(center) + 25)
    b = np.arange(max(0, int(center - 12 * np.sqrt(center) - 25)), most)
    chances = _chances(b, center)
    y = b / times
    k = np.floor(y)
    from_mean = (y - mean) * (2 * special.pdtr(k, mean) - 1) + 2 * mean * _chances(k, mean)
    return float(chances @ from_mean)


def _chances(counts: Any, means: Any) -> Floats:
    """Poisson chances."""
    special = _special()
    return np.exp(special.xlogy(counts, means) - means - special.gammaln(counts + 1))


def _special() -> Any:
    """SciPy's special functions; they have no types."""
    return import_module("scipy.special")
