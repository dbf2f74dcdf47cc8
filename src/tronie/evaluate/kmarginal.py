"""NIST's k-marginal score, and the random sub-sample of the real rows that scores as much.

INTERNAL: it reads real rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tronie.evaluate.distances import DistanceReference, Distributions
from tronie.schema.grid import Floats, Ints

SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Sub-samples that NIST's reports show."""

_LARGE = 400
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class KMarginal:
    """NIST's score with k = 2.

    Attributes:
        score: From 0 to 1000, which equal tables get: 1000 times the mean overlap of pairs of columns.
        subsample: Share of the real rows whose random sub-sample is expected to score as much, 0 to 1.
        curve: Shares of the real rows, and the expected score of a random sub-sample of that size.
    """

    score: float
    subsample: float
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Subsamples:
    """Expected scores of random sub-samples of the real rows, whatever their size.

    Attributes:
        rows: Number of real rows.
        counts: Distinct numbers of real rows in a cell of any pair's table.
        cells: Mean over pairs of the number of such cells.
    """

    rows: int
    counts: Ints
    cells: Floats

    @classmethod
    def of(cls, reference: DistanceReference, rows: int) -> Subsamples:
        """Work it out from the real rows' tables of pairs (of columns, if there is only one)."""
        order = 2 if any(len(clique) == 2 for clique in reference.counts) else 1
        found = [table[1] for clique, table in reference.counts.items() if len(clique) == order]
        counts, cells = np.unique(np.concatenate(found), return_counts=True)
        return cls(rows, counts, cells / len(found))

    def score(self, share: float) -> float:
        """Expected score of a random sub-sample.

        The rows of a cell that a sub-sample holds are close to binomial; the mean absolute deviation of
        a binomial variable is known exactly (De Moivre), and for a large one by the normal's.

        Args:
            share: Its size, above 0 and at most 1, as a share of the real rows.
        """
        k = self.counts
        normal = np.sqrt(2 / np.pi * k * share * (1 - share))
        deviations = np.where(k <= _LARGE, _deviations(share)[np.minimum(k, _LARGE)], normal)
        deviations *= np.sqrt(1 - k / self.rows)
        distance = float((self.cells * deviations).sum()) / (2 * share * self.rows)
        return 1000.0 * (1.0 - min(distance, 1.0))

    def equivalent(self, score: float) -> float:
        """Share of the real rows whose random sub-sample is expected to get a score."""
        low, high = 1 / self.rows, 1.0
        if score <= self.score(low):
            return 0.0
        for _ in range(_HALVINGS):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.score(middle) < score else (low, middle)
        return high


def kmarginal(found: Distributions, subsamples: Subsamples) -> KMarginal:
    """NIST's score of a synthetic table.

    Args:
        found: Its distances; those of columns are taken if there is only one column.
        subsamples: What the real rows say.

    Source: SDNist (github.com/usnistgov/SDNist), class KMarginal: (2 - mean L1 distance) * 500. SDNist
        draws sub-samples of 1 % to 90 %; here their expectation is worked out.
    """
    distances = [each.distance for each in found.pairs or found.columns]
    score = 1000.0 * (1.0 - float(np.mean(distances)))
    curve = tuple((share, subsamples.score(share)) for share in SHARES)
    return KMarginal(score, subsamples.equivalent(score), curve)


def _deviations(share: float) -> Floats:
    """Mean absolute deviation of binomial variables of 0 to `_LARGE` draws, shape (_LARGE + 1,).

    ``2 v C(n, v) p^v (1 - p)^(n - v + 1)`` with v the whole part of n p, plus 1.
    """
    n = np.arange(_LARGE + 1)
    if share >= 1.0:
        return np.zeros(_LARGE + 1)
    v = np.floor(n * share).astype(np.int64) + 1
    fact = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, _LARGE + 2)))])
    choose = fact[n] - fact[np.minimum(v, n)] - fact[n - np.minimum(v, n)]
    logs = np.log(2 * v) + choose + v * np.log(share) + (n - v + 1) * np.log1p(-share)
    return np.where(v <= n, np.exp(logs), 0.0)
