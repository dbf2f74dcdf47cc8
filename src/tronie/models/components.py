"""The orthogonal components of a sum of functions of overlapping sets of columns."""

from __future__ import annotations

import numpy as np

from tronie.models.measured import Blocks, weighted_count
from tronie.schema.grid import Floats


class Components:
    """What tells sums of functions apart.

    A vector over the cells of all tables stands for the sum of one function per table. Many vectors
    stand for the same sum: what is added to a function of a and b, the same for each b, may as well
    be added to a function of a. A sum's *components* are one function per table, orthogonal to all
    functions of fewer columns among the tables; vectors of the same sum have the same components.
    (They do so exactly if weights are even within each table, or products of one factor per column.)

    Args:
        blocks: The tables.
        weights: Weight of each cell in the inner product of its table.

    Source: Darroch, Speed 1983 for the decomposition; Xiao et al. 2023, arXiv 2305.08175, for its use
    with noisy marginals.
    """

    def __init__(self, blocks: Blocks, weights: Floats) -> None:
        self._size = blocks.size
        self._ways = [(way, way.shares(weights)) for way in blocks.ways]

    def of(self, flat: Floats) -> Floats:
        """The components of the sum that a vector stands for."""
        sums = np.append(flat, 0.0)
        for way, shares in self._ways:
            means = way.sums(flat[: len(shares)] * shares)
            sums += weighted_count(way.targets, means, self._size + 1)
        pure = sums[:-1]
        for way, shares in self._ways:
            pure[: len(shares)] -= way.sums(pure[: len(shares)] * shares)[way.groups]
        return pure

    def adjoint(self, flat: Floats) -> Floats:
        """The transpose of `of`: the gradient in a vector, given that in its components."""
        sums = np.append(flat, 0.0)
        for way, shares in reversed(self._ways):
            sums[: len(shares)] -= shares * way.sums(sums)[way.groups]
        sums[-1] = 0.0
        result = sums[:-1].copy()
        for way, shares in self._ways:
            result[: len(shares)] += shares * sums[way.targets][way.groups]
        return result
