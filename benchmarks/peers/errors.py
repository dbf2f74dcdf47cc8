"""Mean total variation between two tables over single columns, all pairs, and 200 fixed triples.

Numbers are cut in two ways: into 32 bins of equal mass in the real table, and into 50 bins of equal width
over the public range. A category's values are compared as they are. Missing is a cell of its own in either
case, and so is a value that the facts do not know.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from peers import facts as public

MASS_BINS = 32
WIDTH_BINS = 50
TRIPLES = 200

Codes = dict[str, np.ndarray]
Cut = Callable[[pa.ChunkedArray], np.ndarray]


def mass_edges(real: np.ndarray, bins: int = MASS_BINS) -> np.ndarray:
    """Inner edges of ``bins`` bins of equal mass: the values at the quantiles 1/bins, 2/bins, ...

    A bin holds the values from its lower edge (inclusive) to its upper edge. Where a value is heavier than
    a bin, edges coincide and count once, so that there are fewer bins.

    >>> mass_edges(np.array([3.0, 1.0, 4.0, 2.0, np.nan]), 4)
    array([2., 3., 4.])
    >>> mass_edges(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]), 4)
    array([0., 1.])
    """
    known = np.sort(real[~np.isnan(real)])
    places = np.arange(1, bins) * known.size // bins
    return np.unique(known[places]) if known.size else known


def width_edges(column: public.Column, bins: int = WIDTH_BINS) -> np.ndarray:
    """Inner edges of ``bins`` bins of equal width over the public range."""
    return np.linspace(column["min"], column["max"], bins + 1)[1:-1]


def cut_numbers(edges: np.ndarray) -> Cut:
    """Bins by inner edges; one more for missing."""

    def cut(values: pa.ChunkedArray) -> np.ndarray:
        given = public.numbers(values)
        bins = np.searchsorted(edges, given, "right")
        return np.where(np.isnan(given), len(edges) + 1, bins)

    return cut


def cut_values(column: public.Column) -> Cut:
    """Places in a category's list; one more for missing, and one for anything unknown."""

    def cut(values: pa.ChunkedArray) -> np.ndarray:
        found = public.positions(values, column)
        known = len(column["values"])
        absent = np.asarray(public.plain(values).is_null(nan_is_null=True))
        return np.where(found >= 0, found, np.where(absent, known, known + 1))

    return cut


def codes_by(table: pa.Table, cuts: dict[str, Cut]) -> Codes:
    """Cells of every column's values."""
    return {name: cut(table[name]) for name, cut in cuts.items()}


def packed(columns: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """One integer for each row's cell in the cross product of columns."""
    cells = np.zeros(len(columns[0]), np.int64)
    for column, size in zip(columns, sizes, strict=True):
        cells = cells * size + column
    return cells


def total_variation(one: np.ndarray, two: np.ndarray, cells: int) -> float:
    """Half the L1 distance between the shares of cells.

    >>> total_variation(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2)
    0.25
    """
    shares = [np.bincount(rows, minlength=cells) / len(rows) for rows in (one, two)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def cliques(names: Sequence[str], degree: int, seed: int = 0) -> list[tuple[str, ...]]:
    """All sets of one or two columns; at most 200 of three, drawn by a fixed seed."""
    every = list(itertools.combinations(names, degree))
    if degree < 3 or len(every) <= TRIPLES:
        return every
    drawn = np.random.default_rng(seed).choice(len(every), TRIPLES, replace=False)
    return [every[i] for i in np.sort(drawn)]


def mean_variations(real: Codes, synthetic: Codes) -> dict[str, float]:
    """Mean total variation over single columns, pairs and triples: ``tv1``, ``tv2``, ``tv3``."""
    sizes = {n: int(max(real[n].max(), synthetic[n].max())) + 1 for n in real}
    means: dict[str, float] = {}
    for degree in (1, 2, 3):
        found = [
            total_variation(
                packed([real[n] for n in clique], [sizes[n] for n in clique]),
                packed([synthetic[n] for n in clique], [sizes[n] for n in clique]),
                int(np.prod([sizes[n] for n in clique])),
            )
            for clique in cliques(list(real), degree)
        ]
        means[f"tv{degree}"] = round(float(np.mean(found)), 5)
    return means


class Measure:
    """Errors of synthetic tables against one real table."""

    def __init__(self, real: pa.Table, facts: public.Facts) -> None:
        self._cuts: dict[str, dict[str, Cut]] = {}
        for name, edges in (("equal_mass", self._mass), ("equal_width", self._width)):
            self._cuts[name] = {
                column: cut_numbers(edges(real[column], facts[column]))
                if facts[column]["kind"] == "number"
                else cut_values(facts[column])
                for column in facts
            }
        self._real = {name: codes_by(real, cuts) for name, cuts in self._cuts.items()}

    @staticmethod
    def _mass(values: pa.ChunkedArray, column: public.Column) -> np.ndarray:
        del column
        return mass_edges(public.numbers(values))

    @staticmethod
    def _width(values: pa.ChunkedArray, column: public.Column) -> np.ndarray:
        del values
        return width_edges(column)

    def __call__(self, synthetic: pa.Table) -> dict[str, dict[str, float]]:
        """Errors by the way of cutting."""
        return {
            name: mean_variations(self._real[name], codes_by(synthetic, cuts))
            for name, cuts in self._cuts.items()
        }
