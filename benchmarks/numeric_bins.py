"""Which private bins keep a numeric column's shape?

Every way gets the same Gaussian-DP budget for a column, that of one histogram with noise of `sigma`
rows (mu = 1 / sigma, add/remove one row), and returns bins with weights. Values are taken as uniform
inside a bin and are compared with the real ones on the raw scale:

* ``overlap50``, ``overlap1000``: histogram intersection in equal bins of the data's range (1 is best);
* ``wasserstein``: earth mover's distance divided by the data's range (0 is best);
* ``atoms``: how much of the mass of frequent single values falls on exactly them (1 is best).

Constants were chosen on the columns of group ``tuned``; those of ``held_out`` decided only between the
two near-equal settings of even shares.
Noise is numpy's, seeded: this compares estimators and releases nothing.

    python benchmarks/numeric_bins.py --data FOLDER --output benchmarks/results/numeric_bins.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

SIGMAS = (15.0, 60.0)
SEEDS = (1, 2, 3)
MEASURES = ("overlap50", "overlap1000", "wasserstein", "atoms")
EVALUATED_POINTS = 20_000
ATOM = 0.004

# Column -> (lowest, highest, resolution), as somebody who knows the subject would declare them.
Declared: TypeAlias = dict[str, dict[str, tuple[float, float, float]]]
TUNED: Declared = {
    "adult/adult.parquet": {
        "age": (0, 120, 1),
        "fnlwgt": (0, 1_500_000, 1),
        "capital-gain": (0, 100_000, 1),
        "capital-loss": (0, 5_000, 1),
        "hours-per-week": (0, 100, 1),
    },
    "airline/airline_train.parquet": {
        "Age": (0, 100, 1),
        "Flight Distance": (0, 5_000, 1),
        "Departure Delay in Minutes": (0, 2_000, 1),
        "Arrival Delay in Minutes": (0, 2_000, 1),
    },
    "california_housing/california_housing.parquet": {
        "longitude": (-125, -114, 0.01),
        "latitude": (32, 42, 0.01),
        "housing_median_age": (0, 100, 1),
        "total_rooms": (0, 40_000, 1),
        "total_bedrooms": (0, 10_000, 1),
        "population": (0, 40_000, 1),
        "households": (0, 10_000, 1),
        "median_income": (0, 20, 0.0001),
        "median_house_value": (0, 1_000_000, 1),
    },
    "bank_marketing/bank_marketing.parquet": {
        "age": (0, 120, 1),
        "balance": (-10_000, 150_000, 1),
        "duration": (0, 6_000, 1),
        "pdays": (-1, 1_000, 1),
    },
    "airbnb_nyc/airbnb_nyc.parquet": {
        "price": (0, 10_000, 1),
        "minimum_nights": (0, 1_500, 1),
        "reviews_per_month": (0, 100, 0.01),
        "latitude": (40, 41, 0.00001),
        "longitude": (-75, -73, 0.00001),
    },
    "magic/magic.parquet": {
        "fLength": (0, 500, 0.0001),
        "fAsym": (-500, 600, 0.0001),
        "fAlpha": (0, 90, 0.0001),
        "fDist": (0, 500, 0.0001),
    },
    "nycflights13/flights.parquet": {
        "dep_delay": (-100, 1_500, 1),
        "air_time": (0, 1_000, 1),
        "distance": (0, 5_000, 1),
    },
}
HELD_OUT: Declared = {
    "airbnb_nyc/airbnb_nyc.parquet": {
        "number_of_reviews": (0, 1_000, 1),
        "availability_365": (0, 365, 1),
    },
    "diabetes130/diabetes130.parquet": {
        "num_lab_procedures": (0, 150, 1),
        "num_medications": (0, 100, 1),
    },
    "magic/magic.parquet": {
        "fWidth": (0, 500, 0.0001),
        "fSize": (0, 10, 0.0001),
        "fConc": (0, 1, 0.0001),
        "fM3Long": (-500, 500, 0.0001),
    },
    "nlswork_panel/nlswork_panel.parquet": {
        "ln_wage": (0, 10, 0.00001),
        "tenure": (0, 50, 0.01),
        "hours": (0, 168, 1),
    },
    "nycflights13/flights.parquet": {
        "dep_time": (0, 2_400, 1),
        "arr_delay": (-100, 1_500, 1),
    },
    "nycflights13/weather.parquet": {
        "humid": (0, 100, 0.01),
        "pressure": (950, 1_050, 0.1),
    },
}


@dataclass(frozen=True)
class Column:
    """A column on its lattice; `below[i]` rows lie below point i."""

    name: str
    below: Ints

    @classmethod
    def read(cls, path: Path, name: str, low: float, high: float, step: float) -> Column:
        """Count a column of a Parquet file; missing values are left out."""
        values = pq.read_table(path, columns=[name])[name].drop_null().to_numpy().astype(float)
        values = values[np.isfinite(values)]
        points = round((high - low) / step) + 1
        codes = np.clip(np.rint((values - low) / step), 0, points - 1).astype(np.int64)
        counts = np.bincount(codes, minlength=points)
        return cls(f"{path.parent.name}: {name}", np.concatenate([[0], np.cumsum(counts)]))

    @property
    def points(self) -> int:
        """Number of lattice points."""
        return len(self.below) - 1

    @property
    def rows(self) -> int:
        """Number of values."""
        return int(self.below[-1])

    def counts(self, edges: Ints) -> Ints:
        """Exact counts between edges."""
        return np.diff(self.below[edges])

    @cached_property
    def data_range(self) -> tuple[int, int]:
        """Lowest and highest point that occur."""
        held = np.flatnonzero(np.diff(self.below))
        return int(held[0]), int(held[-1])

    @cached_property
    def atoms(self) -> Ints:
        """Frequent points that outweigh their six neighbours."""
        counts = np.diff(self.below)
        frequent = np.flatnonzero(counts > ATOM * self.rows)
        near = [counts[max(a - 3, 0) : a + 4].sum() < 2 * counts[a] for a in frequent]
        return frequent[np.array(near, dtype=bool)]


@dataclass(frozen=True)
class Bins:
    """Weights of runs of lattice points, with the variance of their noise."""

    edges: Ints
    weights: Floats
    variance: Floats

    @property
    def widths(self) -> Ints:
        """Lattice points of each bin."""
        return np.diff(self.edges)


Method: TypeAlias = Callable[[Column, float, np.random.Generator], Bins]


# Measures


def score(column: Column, bins: Bins) -> tuple[float, ...]:
    """The measures, in the order of `MEASURES`; `atoms` is nan for a column without any."""
    low, high = column.data_range
    weights = on_simplex(bins, column.rows)
    weights = weights / weights.sum()
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])

    def overlap(parts: int) -> float:
        cuts = np.ceil(low + np.arange(1, parts) * (high - low) / parts).astype(np.int64)
        theirs = np.diff(np.concatenate([[0.0], column.below[cuts] / column.rows, [1.0]]))
        ours = np.diff(np.concatenate([[0.0], np.interp(cuts, bins.edges, cumulative), [1.0]]))
        return float(np.minimum(theirs, ours).sum())

    at = np.arange(0, column.points + 1, max(1, column.points // EVALUATED_POINTS))
    gap = np.abs(np.interp(at, bins.edges, cumulative) - column.below[at] / column.rows).mean()
    distance = float(gap * column.points / max(high - low, 1))
    return overlap(50), overlap(1000), distance, atom_share(column, bins, weights)


def atom_share(column: Column, bins: Bins, weights: Floats) -> float:
    """Part of the atoms' mass that is found on them."""
    atoms = column.atoms
    if len(atoms) == 0:
        return math.nan
    theirs = (column.below[atoms + 1] - column.below[atoms]) / column.rows
    ours = (weights / bins.widths)[np.searchsorted(bins.edges, atoms, side="right") - 1]
    return float(np.minimum(theirs, ours).sum() / theirs.sum())


def on_simplex(bins: Bins, total: float) -> Floats:
    """The nearest non-negative weights with that total, distances in noise deviations."""
    order = np.argsort(-bins.weights / bins.variance)
    y, v = bins.weights[order], bins.variance[order]
    shifts = (np.cumsum(y) - total) / np.cumsum(v)
    kept = np.flatnonzero(y - shifts * v > 0)
    shift = shifts[kept[-1]] if len(kept) else 0.0
    weights = np.maximum(bins.weights - shift * bins.variance, 0)
    return weights if weights.sum() > 0 else np.ones_like(weights)


# Ways of finding bins


def equal_edges(points: int, cells: int) -> Ints:
    """Edges of nearly equal runs."""
    cells = min(cells, points)
    return -(-np.arange(cells + 1, dtype=np.int64) * points // cells)


def measure(column: Column, edges: Ints, sigma: float, rng: np.random.Generator) -> Bins:
    """A noisy histogram."""
    counts = column.counts(edges)
    noisy = counts + rng.normal(0, sigma, len(counts))
    return Bins(edges, noisy, np.full(len(counts), sigma**2))


def flat(column: Column, sigma: float, rng: np.random.Generator, cells: int) -> Bins:
    """One noisy histogram of equal cells."""
    return measure(column, equal_edges(column.points, cells), sigma, rng)


def quantiles(
    column: Column, sigma: float, rng: np.random.Generator, bins: int, share: float = 0.5
) -> Bins:
    """Recursive medians by the exponential mechanism (bounded range), then a noisy histogram.

    ``|rows below - half|`` moves by at most 1/2, so weights are ``exp(-epsilon * |.|)``; the parts of
    one level are disjoint.
    """
    levels = int(math.log2(bins))
    epsilon = bounded_range_epsilon(math.sqrt(share / levels) / sigma)
    candidates = equal_edges(column.points, 16_384)
    edges = {0, column.points}
    parts = [(0, column.points)]
    for _ in range(levels):
        halves: list[tuple[int, int]] = []
        for low, high in parts:
            inner = candidates[(candidates > low) & (candidates < high)]
            if len(inner) == 0:
                continue
            middle = (column.below[low] + column.below[high]) / 2
            utility = -epsilon * np.abs(column.below[inner] - middle)
            cut = int(inner[np.argmax(utility + rng.gumbel(size=len(inner)))])
            edges.add(cut)
            halves += [(low, cut), (cut, high)]
        parts = halves
    return measure(column, np.array(sorted(edges)), sigma / math.sqrt(1 - share), rng)


def privtree(
    column: Column,
    sigma: float,
    rng: np.random.Generator,
    target: int | None = None,
    share: float = 0.5,
) -> Bins:
    """PrivTree (arXiv 1601.03229) with Laplace noise, then a noisy histogram on its leaves.

    Args:
        column: The column.
        sigma: Budget.
        rng: Noise.
        target: Leaves aimed at by the threshold rows / target; None for a threshold of 0.
        share: Part of mu squared for the tree.
    """
    scale = 3 / pure_epsilon(math.sqrt(share) / sigma)
    decay = scale * math.log(2)
    threshold = column.rows / target if target else 0.0
    leaves: list[int] = []
    queue = [(0, column.points, 0)]
    while queue:
        low, high, depth = queue.pop()
        biased = max(column.below[high] - column.below[low] - depth * decay, threshold - decay)
        if high - low > 1 and biased + rng.laplace(0, scale) > threshold:
            middle = (low + high) // 2
            queue += [(low, middle, depth + 1), (middle, high, depth + 1)]
        else:
            leaves.append(low)
    edges = np.array([*sorted(leaves), column.points])
    return measure(column, edges, sigma / math.sqrt(1 - share), rng)


@dataclass(frozen=True)
class Refined:
    """A noisy grid whose heavy cells are split and measured again.

    A cell is split into at most `branch` parts if its estimate exceeds ``factor * s``, where s is the
    noise of the next level. Each level measures all cells of its grid.

    Attributes:
        cells: Equal cells of the first level.
        branches: Parts of a heavy cell, by level.
        factors: How heavy is heavy, by level.
        shares: Part of mu squared of each level, the first included.
    """

    cells: int
    branches: tuple[int, ...]
    factors: tuple[float, ...]
    shares: tuple[float, ...]

    def __call__(self, column: Column, sigma: float, rng: np.random.Generator) -> Bins:
        """Measure a column."""
        first = sigma / math.sqrt(self.shares[0])
        bins = measure(column, equal_edges(column.points, self.cells), first, rng)
        levels = zip(self.shares[1:], self.branches, self.factors, strict=True)
        for share, branch, factor in levels:
            noise = sigma / math.sqrt(share)
            heavy = bins.weights > factor * noise
            edges, parents = split(bins, np.where(heavy, np.minimum(branch, bins.widths), 1))
            bins = combine(bins, measure(column, edges, noise, rng), parents)
        return bins


def split(bins: Bins, parts: Ints) -> tuple[Ints, Ints]:
    """Edges of a finer grid, and the cell that each of its cells came from."""
    parents = np.repeat(np.arange(len(parts)), parts)
    index = np.arange(len(parents)) - np.concatenate([[0], np.cumsum(parts)[:-1]])[parents]
    offsets = -(-index * bins.widths[parents] // parts[parents])
    return np.append(bins.edges[parents] + offsets, bins.edges[-1]), parents


def combine(coarse: Bins, fine: Bins, parents: Ints) -> Bins:
    """Best linear estimate of fine cells from their own answers and those of their parents.

    The variance returned is that of one cell; errors within a parent are slightly correlated.
    """
    own = fine.variance
    sums = np.bincount(parents, fine.weights)
    sum_variance = np.bincount(parents, own)
    gain = sum_variance / (sum_variance + coarse.variance)
    part = own / sum_variance[parents]
    weights = fine.weights + (gain * (coarse.weights - sums))[parents] * part
    return Bins(fine.edges, weights, own * (1 - gain[parents] * part))


# Ways of taking noise off again; they read noisy numbers only


def cut_off(bins: Bins) -> Bins:
    """Negative weights become zero, the rest is scaled: no projection."""
    weights = np.maximum(bins.weights, 0)
    return Bins(bins.edges, weights * (bins.weights.sum() / weights.sum()), bins.variance)


def merged(bins: Bins, factor: float) -> Bins:
    """Neighbouring light cells are merged until their mass exceeds factor * noise."""
    groups: list[int] = []
    group, mass, variance = 0, 0.0, 0.0
    for weight, spread in zip(bins.weights, bins.variance, strict=True):
        alone = weight > factor * math.sqrt(spread)
        if variance and (alone or mass > factor * math.sqrt(variance)):
            group, mass, variance = group + 1, 0.0, 0.0
        groups.append(group)
        mass, variance = mass + weight, variance + spread
    return grouped(bins, np.array(groups))


def segmented(bins: Bins, penalty: float) -> Bins:
    """Piecewise constant density by least squares with a price for each piece (Potts)."""
    w, y, v = bins.widths.astype(float), bins.weights, bins.variance
    cross = np.concatenate([[0.0], np.cumsum(w * y / v)])
    square = np.concatenate([[0.0], np.cumsum(w * w / v)])
    best = np.zeros(len(y) + 1)
    start = np.zeros(len(y) + 1, np.int64)
    for j in range(1, len(y) + 1):
        gain = np.maximum(cross[j] - cross[:j], 0) ** 2 / (square[j] - square[:j])
        value = best[:j] + gain - penalty
        start[j] = np.argmax(value)
        best[j] = value[start[j]]
    firsts, j = np.zeros(len(y), np.int64), len(y)
    while j > 0:
        j = int(start[j])
        firsts[j] = 1
    return grouped(bins, np.cumsum(firsts) - 1)


def grouped(bins: Bins, groups: Ints) -> Bins:
    """Runs of cells as one bin each."""
    firsts = np.flatnonzero(np.diff(groups, prepend=-1))
    edges = np.append(bins.edges[firsts], bins.edges[-1])
    return Bins(edges, np.bincount(groups, bins.weights), np.bincount(groups, bins.variance))


def tree_smoothed(bins: Bins, free: float = 0.1, zero: float = 0.3, shifts: int = 8) -> Bins:
    """Posterior mean of a binary tree's splits, averaged over positions of the tree.

    From the root down, a node's mass is divided between its halves. Candidates are: in proportion to
    widths (weight 1 at a perfect fit), all to one half (`zero` each), or as measured (`free`).
    """
    cells = len(bins.weights)
    depth = math.ceil(math.log2(max(cells, 2))) + (shifts > 1)
    slack = 2**depth - cells
    total = np.zeros(cells)
    for shift in {slack * k // max(shifts - 1, 1) for k in range(shifts)}:
        pad = (shift, slack - shift)
        levels = [
            tuple(
                np.pad(values.astype(float), pad, constant_values=fill).reshape(2**level, -1).sum(1)
                for values, fill in ((bins.weights, 0), (bins.variance, 1e-9), (bins.widths, 0))
            )
            for level in range(depth + 1)
        ]
        mass = np.maximum(levels[0][0], 1.0)
        for level in levels[1:]:
            mass = divide(mass, *level, free=free, zero=zero)
        total += mass[shift : shift + cells]
    return Bins(bins.edges, total / total.sum() * max(bins.weights.sum(), 1.0), bins.variance)


def divide(mass: Floats, y: Floats, v: Floats, w: Floats, *, free: float, zero: float) -> Floats:
    """Masses of the halves of nodes, from the halves' noisy sums, variances and widths."""
    (yl, yr), (vl, vr), (wl, wr) = ((a[0::2], a[1::2]) for a in (y, v, w))
    variance = vl * vr / (vl + vr)
    measured = yl + (mass - yl - yr) * vl / (vl + vr)
    even = mass * wl / np.maximum(wl + wr, 1)
    found = np.clip(measured, 0, mass)

    def fit(candidate: Floats | float) -> Floats:
        return -((measured - candidate) ** 2) / (2 * variance)

    logs = np.stack(
        [
            fit(even),
            np.where(wl > 0, fit(np.maximum(measured, mass)) + math.log(zero), -np.inf),
            np.where(wr > 0, fit(np.minimum(measured, 0)) + math.log(zero), -np.inf),
            np.full(len(mass), math.log(free)),
        ]
    )
    odds = np.exp(logs - logs.max(0))
    left = (odds * np.stack([even, mass, np.zeros_like(mass), found])).sum(0) / odds.sum(0)
    left = np.where(wl == 0, 0, np.where(wr == 0, mass, left))
    return np.stack([left, mass - left], 1).ravel()


def then(method: Method, denoise: Callable[[Bins], Bins]) -> Method:
    """A way of finding bins, followed by one of taking noise off."""
    return lambda column, sigma, rng: denoise(method(column, sigma, rng))


# What equal privacy means


def bounded_range_epsilon(mu: float) -> float:
    """Epsilon of a bounded-range mechanism that is mu-GDP."""
    return 4 * math.atanh(2 * NormalDist().cdf(mu / 2) - 1)


def pure_epsilon(mu: float) -> float:
    """Epsilon of a pure mechanism (randomised response at worst) that is mu-GDP."""
    return 2 * math.atanh(2 * NormalDist().cdf(mu / 2) - 1)


# The comparison


EVEN = (0.25, 0.25, 0.25, 0.25)
RECOMMENDED = Refined(64, (4, 8, 64), (10.0, 14.0, 15.0), EVEN)


def methods() -> dict[str, Method]:
    """What is compared, by name: cells, branches x factors, shares of mu squared."""
    refined: dict[str, Method] = {
        "refined 256; 16x16 16x16; .6 .2 .2": Refined(256, (16, 16), (16, 16), (0.6, 0.2, 0.2)),
        "refined 64; 4x16 4x16; .3 .3 .4": Refined(64, (4, 4), (16, 16), (0.3, 0.3, 0.4)),
        "refined 128; 8x14 32x14; .4 .3 .3": Refined(128, (8, 32), (14, 14), (0.4, 0.3, 0.3)),
        "refined 64; 4x10 4x10 64x40; .3 .3 .3 .1": Refined(
            64, (4, 4, 64), (10, 10, 40), (0.3, 0.3, 0.3, 0.1)
        ),
        "refined 64; 8x14 8x14 32x14; even": Refined(64, (8, 8, 32), (14, 14, 14), EVEN),
        "refined 64; 4x10 8x14 64x15; even": RECOMMENDED,
    }
    grids: dict[str, Method] = {f"flat {c}": partial(flat, cells=c) for c in (256, 512, 1024)}
    trees: dict[str, Method] = {
        "privtree, threshold rows/32": partial(privtree, target=32),
        "privtree, threshold 0": partial(privtree, target=None),
    }
    smooth = tree_smoothed
    return {
        "quantiles 32": partial(quantiles, bins=32),
        "quantiles 64": partial(quantiles, bins=64),
        "equal width 32": partial(flat, cells=32),
        **trees,
        **{f"{name}; smoothed": then(way, smooth) for name, way in trees.items()},
        "flat 1024; cut off": then(grids["flat 1024"], cut_off),
        **{f"{name}; simplex": way for name, way in grids.items()},
        **{
            f"{name}; merged 3": then(way, partial(merged, factor=3)) for name, way in grids.items()
        },
        "flat 1024; Potts 7": then(grids["flat 1024"], partial(segmented, penalty=7)),
        **{f"{name}; smoothed": then(way, smooth) for name, way in grids.items()},
        **{f"{name}; simplex": way for name, way in refined.items()},
        **{
            f"{name}; merged 2.5": then(way, partial(merged, factor=2.5))
            for name, way in refined.items()
        },
        **{
            f"{name}; Potts 7": then(way, partial(segmented, penalty=7))
            for name, way in refined.items()
        },
        **{f"{name}; smoothed": then(way, smooth) for name, way in refined.items()},
        "refined 64; 4x10 8x14 64x15; even; smoothed, 1 shift": then(
            RECOMMENDED, partial(smooth, shifts=1)
        ),
    }


def sweep() -> dict[str, Method]:
    """Constants of `Refined` around the recommended ones; all smoothed."""
    levels: list[tuple[tuple[int, ...], tuple[float, ...]]] = [
        ((32,), (0.5, 0.5)),
        ((4, 4), (0.6, 0.2, 0.2)),
        ((16, 16), (0.6, 0.2, 0.2)),
        ((8, 64), (0.4, 0.3, 0.3)),
        ((8, 8, 8), EVEN),
        ((4, 8, 64), EVEN),
        ((4, 8, 64), (0.4, 0.2, 0.2, 0.2)),
        ((4, 4, 16, 64), (0.2, 0.2, 0.2, 0.2, 0.2)),
    ]
    found: dict[str, Method] = {}
    for cells, factor, (branches, shares) in product((32, 64, 128), (10.0, 14.0, 20.0), levels):
        parts = " ".join(f"{branch}x{factor:g}" for branch in branches)
        name = f"{cells}; {parts}; {' '.join(map(str, shares))}"
        way = Refined(cells, branches, (factor,) * len(branches), shares)
        found[name] = then(way, partial(tree_smoothed, shifts=4))
    return found


def compare(columns: Sequence[Column], method: Method, sigma: float) -> dict[str, Any]:
    """Mean measures of a method, over columns and by column, and how many bins it made."""
    by_column: dict[str, list[float]] = {}
    bins: list[int] = []
    started = time.process_time()
    for number, column in enumerate(columns):
        scores: list[tuple[float, ...]] = []
        for seed in SEEDS:
            found = method(column, sigma, np.random.default_rng([seed, number]))
            scores.append(score(column, found))
            bins.append(len(found.weights))
        by_column[column.name] = np.mean(scores, axis=0).tolist()
    mean = np.nanmean(list(by_column.values()), axis=0)
    return {
        **{name: round(float(value), 5) for name, value in zip(MEASURES, mean, strict=True)},
        "bins": round(float(np.mean(bins)), 1),
        "cpu_seconds": round(time.process_time() - started, 2),
        "columns": {
            name: [None if math.isnan(value) else round(value, 5) for value in values]
            for name, values in by_column.items()
        },
    }


def means_only(result: dict[str, Any]) -> dict[str, Any]:
    """A comparison without its columns."""
    return {key: value for key, value in result.items() if key != "columns"}


def read(folder: Path, declared: Declared) -> list[Column]:
    """Columns of some tables."""
    return [
        Column.read(folder / file, name, *bounds)
        for file, columns in declared.items()
        for name, bounds in columns.items()
    ]


def machine() -> dict[str, Any]:
    """Where this ran, without names."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def show(name: str, results: dict[str, Any]) -> None:
    """One line for a method."""
    cells = " | ".join(
        f"{r['overlap50']:.4f} {r['overlap1000']:.4f} {1e3 * r['wasserstein']:6.2f} {r['atoms']:.2f}"
        f" {r['bins']:5.0f}"
        for r in results.values()
    )
    print(f"{name:68} {cells}", flush=True)


def as_json(report: dict[str, Any]) -> str:
    """Indented JSON, with lists of numbers on one line each."""
    text = json.dumps(report, indent=1) + "\n"
    return re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text)


def main() -> None:
    """Run the comparison and the sweep, and write both."""
    parser = argparse.ArgumentParser(description="Compare private bins of numeric columns.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables' folders")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()
    groups = {
        "tuned": read(arguments.data, TUNED),
        "held_out": read(arguments.data, HELD_OUT),
    }
    report: dict[str, Any] = {
        "command": "python benchmarks/numeric_bins.py --data FOLDER --output FILE",
        "machine": machine(),
        "measures": MEASURES,
        "sigmas": SIGMAS,
        "seeds": SEEDS,
    }
    for group, columns in groups.items():
        report[group] = {}
        for name, method in methods().items():
            results = {f"sigma {s:g}": compare(columns, method, s) for s in SIGMAS}
            report[group][name] = results
            show(f"{group}: {name}", results)
    report["sweep"] = {}
    for name, method in sweep().items():
        results = {f"sigma {s:g}": compare(groups["tuned"], method, s) for s in SIGMAS}
        report["sweep"][name] = {key: means_only(value) for key, value in results.items()}
    arguments.output.write_text(as_json(report), encoding="utf-8")


if __name__ == "__main__":
    main()
