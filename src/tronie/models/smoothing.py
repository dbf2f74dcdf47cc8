"""Noise taken off an ordered column's histogram: post-processing of released numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tronie.schema.grid import Floats

FREE = 0.1
"""Prior weight of a split as measured, against 1 for an even one."""

EMPTY = 0.3
"""Prior weight of a split that leaves one half empty."""

SHIFTS = 8
"""Positions of the tree that are averaged, so that no boundary is special."""


def smooth(counts: Floats, variances: Floats, widths: NDArray[np.int64], total: float) -> Floats:
    """Non-negative counts of a given sum: noise is smoothed, what stands out of it is kept.

    A binary tree divides the total from the root down. Each node's mass goes to its halves in
    proportion to their widths, or all to one half, or as measured; the three are weighed by a prior
    and by how well they fit the halves' noisy sums.

    Args:
        counts: Noisy counts of neighbouring cells, shape (cells,).
        variances: Their variances.
        widths: Their widths, at least 1.
        total: The sum of the result, positive.

    Source: wavelet shrinkage by posterior means, as in Kolaczyk 1999; prior weights measured on numeric
    columns (benchmarks/numeric_bins.py).

    >>> smooth(
    ...     np.array([40.0, 2.0, -3.0, 1.0]), np.full(4, 9.0), np.ones(4, int), 40.0
    ... ).round().tolist()
    [40.0, 0.0, 0.0, 0.0]
    """
    cells = len(counts)
    depth = math.ceil(math.log2(max(cells, 2))) + 1
    slack = 2**depth - cells
    mean = np.zeros(cells)
    for shift in sorted({slack * k // (SHIFTS - 1) for k in range(SHIFTS)}):
        pad = (shift, slack - shift)
        leaves = [np.pad(counts, pad), np.pad(variances, pad), np.pad(widths.astype(float), pad)]
        mass = np.array([total])
        for level in range(1, depth + 1):
            mass = _divide(mass, *(leaf.reshape(2**level, -1).sum(axis=1) for leaf in leaves))
        mean += mass[shift : shift + cells]
    return mean * (total / mean.sum())


def _divide(mass: Floats, counts: Floats, variances: Floats, widths: Floats) -> Floats:
    """Masses of the halves of nodes, from the halves' noisy sums, variances and widths."""
    variances = np.maximum(variances, 1e-9)
    (yl, yr), (vl, vr), (wl, wr) = ((a[0::2], a[1::2]) for a in (counts, variances, widths))
    measured = yl + (mass - yl - yr) * vl / (vl + vr)
    even = mass * wl / np.maximum(wl + wr, 1)
    choices = np.stack([even, mass, np.zeros_like(mass), np.clip(measured, 0, mass)])
    # Overshooting towards an empty half speaks for it no less than hitting it.
    aims = np.stack([even, np.maximum(measured, mass), np.minimum(measured, 0), measured])
    prior = np.log([[1.0], [EMPTY], [EMPTY], [FREE]])
    fit = prior - (measured - aims) ** 2 * (vl + vr) / (2 * vl * vr)
    odds = np.exp(fit - fit.max(axis=0))
    left = (odds * choices).sum(axis=0) / odds.sum(axis=0)
    left = np.where(wl == 0, 0.0, np.where(wr == 0, mass, left))
    return np.stack([left, mass - left], axis=1).ravel()
