"""One column's released histogram: combined over levels, made non-negative, merged into codes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.models.smoothing import smooth
from tronie.schema.grid import Coding, Floats, Grid, Ints

RARE_SDS = 3.0
"""A value of a nominal column whose noisy count is below this many noise sds is merged with others."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One measurement of a column, at one level of detail.

    Attributes:
        counts: Noisy counts, shape (cells,).
        variance: Variance of each.
        parents: Cell of the level before that each cell came from; none at the first.
    """

    counts: Floats
    variance: float
    parents: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Noisy counts of a column, measured at one or more levels of detail.

    Attributes:
        grid: The cells of the last, finest level.
        levels: The measurements, coarsest first.
        counts: Best linear unbiased estimate of each cell's count, shape (grid.size,).
    """

    grid: Grid
    levels: tuple[Level, ...]
    counts: Floats

    @classmethod
    def single(cls, grid: Grid, counts: NDArray[Any], sigma: float) -> Histogram:
        """A histogram measured once."""
        own = counts.astype(np.float64)
        return cls(grid, (Level(own, sigma**2, np.empty(0, np.int64)),), own)

    def refine(self, grid: Grid, parents: Ints, counts: NDArray[Any], sigma: float) -> Histogram:
        """Combine this histogram with a measurement of a finer grid.

        Args:
            grid: The finer cells.
            parents: Cell of this histogram's grid that each finer cell came from.
            counts: Noisy counts of the finer cells.
            sigma: Their noise.
        """
        levels = (*self.levels, Level(counts.astype(np.float64), sigma**2, parents))
        estimate = _least_squares(levels, [level.counts[:, None] for level in levels])
        return Histogram(grid, levels, estimate[:, 0])

    def group_variance(self, groups: Ints) -> Floats:
        """Variance of the estimated count of each group of cells, shape (groups.max() + 1,).

        Cells with a common parent are negatively correlated once the parent was measured too.
        """
        finest = self.levels[-1].variance
        if len(self.levels) == 1:
            return finest * np.bincount(groups).astype(np.float64)
        member = (groups[:, None] == np.arange(int(groups.max()) + 1)).astype(np.float64)
        answers = [np.zeros((len(level.counts), member.shape[1])) for level in self.levels[:-1]]
        covariance = _least_squares(self.levels, [*answers, finest * member])
        return (member * covariance).sum(axis=0)

    @property
    def total(self) -> tuple[float, float]:
        """Estimate of the number of rows, and its variance."""
        everything = np.zeros(self.grid.size, np.int64)
        return float(self.counts.sum()), float(self.group_variance(everything)[0])

    @property
    def cell_variance(self) -> Floats:
        """Variance of each cell's estimate.

        Siblings share what their parent's estimate adds to their own sum in proportion to their
        variances; what is left of each is uncorrelated with the parent. So variances follow from the
        root down, in time proportional to the number of cells.
        """
        own = _subtree_variances(self.levels)
        variance = own[0]
        for below, spread in zip(self.levels[1:], own[1:], strict=True):
            siblings = np.bincount(below.parents, spread, minlength=len(variance))
            share = spread / siblings[below.parents]
            variance = spread * (1 - share) + share**2 * variance[below.parents]
        return variance

    def denoised(self, total: float) -> Floats:
        """The non-negative counts of a given sum that are nearest to the estimates."""
        return project_to_simplex(self.counts, total)

    def smoothed(self, total: float) -> Floats:
        """Non-negative counts of a given sum, smooth wherever noise hides what they are."""
        runs = self.grid.runs
        special = np.clip(self.counts[runs:], 0.0, None)
        special *= min(1.0, total / max(float(special.sum()), 1e-300))
        rest = total - float(special.sum())
        if not runs or rest <= 0:
            return np.concatenate([np.zeros(runs), special])
        widths = np.diff(self.grid.edges)
        line = smooth(self.counts[:runs], self.cell_variance[:runs], widths, rest)
        return np.concatenate([line, special])


def _subtree_variances(levels: Sequence[Level]) -> list[Floats]:
    """Variance of the best estimate of each cell from its own level and finer ones, coarsest first."""
    variance: Floats = np.full(len(levels[-1].counts), levels[-1].variance)
    found = [variance]
    for below, level in zip(levels[:0:-1], levels[-2::-1], strict=True):
        spread = np.bincount(below.parents, variance, minlength=len(level.counts))
        variance = spread * level.variance / (spread + level.variance)
        found.append(variance)
    return found[::-1]


def _least_squares(levels: Sequence[Level], answers: Sequence[Floats]) -> Floats:
    """Best linear unbiased estimates of the finest cells, for several sets of answers at once.

    Args:
        levels: The measurements, coarsest first.
        answers: Answers at each level, shape (cells, sets).

    Source: Hay, Rastogi, Miklau, Suciu 2010, arXiv 0904.0942, for any nested grids.
    """
    upward: list[tuple[Floats, Floats, Floats, Floats]] = []
    estimate = answers[-1]
    variance: Floats = np.full(len(estimate), levels[-1].variance)
    for below, level, own in zip(levels[:0:-1], levels[-2::-1], answers[-2::-1], strict=True):
        sums = np.zeros(own.shape)
        np.add.at(sums, below.parents, estimate)
        spread = np.bincount(below.parents, variance, minlength=len(own)).astype(np.float64)
        upward.append((estimate, variance, sums, spread))
        weight = spread / (spread + level.variance)
        estimate = weight[:, None] * own + (1 - weight)[:, None] * sums
        variance = spread * level.variance / (spread + level.variance)
    for below, (children, own_variance, sums, spread) in zip(
        levels[1:], reversed(upward), strict=True
    ):
        share = (own_variance / spread[below.parents])[:, None]
        estimate = children + share * (estimate - sums)[below.parents]
    return estimate


def project_to_simplex(values: Floats, total: float) -> Floats:
    """The nearest point with non-negative entries of a given sum, in Euclidean distance.

    Args:
        values: Any numbers, shape (cells,).
        total: The sum, positive.

    Source: Held, Wolfe, Crowder 1974.

    >>> project_to_simplex(np.array([5.0, -1.0, 2.0]), 6.0).tolist()
    [4.5, 0.0, 1.5]
    """
    descending = np.sort(values)[::-1]
    excess = (np.cumsum(descending) - total) / np.arange(1, len(values) + 1)
    threshold = excess[np.flatnonzero(descending > excess)[-1]]
    return np.maximum(values - threshold, 0.0)


def group_nominal(
    histogram: Histogram, total: float, *, keep: Collection[int] = (), at_most: int
) -> Coding:
    """Merge the rare cells of a column without an order into one code.

    Args:
        histogram: The column's released counts.
        total: Number of rows.
        keep: Cells that constraints name; they stay on their own.
        at_most: Largest number of codes beside the kept cells; the rarest beyond are merged too.
    """
    counts = histogram.counts
    rare = counts < RARE_SDS * np.sqrt(histogram.cell_variance)
    rare[np.argsort(-counts, kind="stable")[at_most:]] = True
    rare[list(keep)] = False
    if rare.sum() < 2:
        rare[:] = False
    groups = np.cumsum(~rare) - 1
    groups[rare] = (~rare).sum()
    return Coding(histogram.grid, groups, histogram.denoised(total))


def group_ordered(
    histogram: Histogram, total: float, *, pieces: int, barriers: Iterable[int] = ()
) -> Coding:
    """Merge neighbouring cells into codes of about equal mass; nulls keep a code of their own.

    A code grows until it holds ``total / pieces`` rows, or, where noise is the coarser scale,
    `RARE_SDS` noise sds of its count.

    Args:
        histogram: The column's released counts.
        total: Number of rows.
        pieces: Number of codes to aim at.
        barriers: Lattice points before which a code must end.
    """
    grid = histogram.grid
    weights = histogram.smoothed(total)
    spreads = histogram.cell_variance
    fences = set(np.searchsorted(grid.edges, list(barriers)).tolist())
    groups = np.zeros(grid.size, np.int64)
    mass, spread, members, code = 0.0, 0.0, 0, 0
    rest = float(weights[: grid.runs].sum())
    for cell in range(grid.runs):
        floor = max(total / pieces, RARE_SDS * math.sqrt(spread + spreads[cell]))
        full = mass >= floor or (mass > 0 and mass + weights[cell] / 2 >= floor)
        if members and (cell in fences or (full and rest >= floor / 2)):
            code, mass, spread, members = code + 1, 0.0, 0.0, 0
        groups[cell] = code
        mass, rest = mass + weights[cell], rest - weights[cell]
        spread, members = spread + spreads[cell], members + 1
    groups[grid.runs :] = code + 1 + np.arange(grid.size - grid.runs)
    return Coding(grid, groups, weights)
