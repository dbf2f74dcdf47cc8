"""What the curator may be asked, and by how much one unit can move each answer.

Every answer here is a vector of integers, so that integer noise can be added to it. Adding or removing
one unit adds or removes at most ``k`` rows (``k`` is the schema's ``unit.max_rows``); each query states
the L2 norm by which that moves its answer, and a test draws neighbouring tables to check it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.privacy.events import Event, Exponential, Gaussian
from tronie.schema.domain import Clique

Ints: TypeAlias = NDArray[np.int64]
Counts: TypeAlias = Mapping[Clique, Ints]
"""Exact contingency table of each clique; that of ``()`` is the number of rows, shape ()."""


class CountQuery(Protocol):
    """A question whose exact answer is arithmetic on contingency tables."""

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The tables that it needs."""
        ...

    @property
    def sigma(self) -> float:
        """Standard deviation of the discrete Gaussian noise, in rows."""
        ...

    def event(self, rows_per_unit: int) -> Event:
        """What it costs."""
        ...

    def exact(self, counts: Counts) -> Ints:
        """What it would say without noise; only the curator calls it."""
        ...


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows there are.

    Guarantee:
        One unit moves the answer by at most k.

    Edge cases:
        An empty table is answered like any other; the noisy answer may be negative.
    """

    sigma: float

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The number of rows."""
        return ((),)

    def event(self, rows_per_unit: int) -> Event:
        """A Gaussian event of sensitivity k."""
        return Gaussian(query="total", columns=(), sigma=self.sigma, sensitivity=rows_per_unit)

    def exact(self, counts: Counts) -> Ints:
        """The number of rows, shape ()."""
        return counts[()]


@dataclass(frozen=True, slots=True)
class Marginal:
    """How many rows fall into each cell of some columns' contingency table.

    Guarantee:
        All k rows of one unit may fall into one cell, so the answer moves by at most k in L2.

    Edge cases:
        An empty table has zeros in all cells. The number of cells is checked before anything is
        charged.
    """

    clique: Clique
    sigma: float

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The one table."""
        return (self.clique,)

    def event(self, rows_per_unit: int) -> Event:
        """A Gaussian event of sensitivity k."""
        return Gaussian(
            query="marginal", columns=self.clique, sigma=self.sigma, sensitivity=rows_per_unit
        )

    def exact(self, counts: Counts) -> Ints:
        """The table, shape of the clique's codes."""
        return counts[self.clique]


MAX_SCALE = 2**20
"""Largest scale of a query's public numbers; with fewer than 2^42 rows, sums fit in 64 bits."""

MAX_REFERENCE = 2**61
"""Most that the entries of a reference table may sum to."""


def _misfits(references: Mapping[Clique, Ints], counts: Counts, scale: int = 1) -> Ints:
    """L1 distance of each exact table from its public reference, in rows, rounded down."""
    distances = [
        np.abs(scale * counts[clique] - reference.astype(np.int64, copy=False)).sum()
        for clique, reference in references.items()
    ]
    return np.array(distances, dtype=np.int64) // scale


@dataclass(frozen=True, slots=True)
class Misfits:
    """How far each of several tables is from a public reference, in L1, all at once.

    Args:
        references: Clique -> integer table that rests on released numbers only.
        sigma: Standard deviation of each score's noise, in rows.
        scale: How many units of a reference make one row, from 1 to `MAX_SCALE`, so that references
            can hold fractions of rows.

    Guarantee:
        One row changes one cell of each table by one, which is `scale` units, so k rows change each
        L1 distance by at most ``k * scale`` units (triangle inequality). Distances are divided by
        the scale and rounded down: numbers that differ by at most the integer k do so after it as
        well. So all m distances together move by at most k * sqrt(m) in L2.

    Edge cases:
        References are integers, and so are distances; were they not, integer noise would not hide
        the fractions. References that 64 bits might not hold are refused.
    """

    references: Mapping[Clique, Ints]
    sigma: float
    scale: int = 1

    def __post_init__(self) -> None:
        _require_integers(self.references)
        if type(self.scale) is not int or not 1 <= self.scale <= MAX_SCALE:
            raise TypeError("a scale is a whole number from 1 to MAX_SCALE")
        sums = (np.abs(table).sum(dtype=np.float64) for table in self.references.values())
        if max(sums) > MAX_REFERENCE:
            raise TypeError("the entries of a reference sum to at most MAX_REFERENCE")

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The tables that are compared."""
        return tuple(self.references)

    def event(self, rows_per_unit: int) -> Event:
        """A Gaussian event of sensitivity k * sqrt(m)."""
        return Gaussian(
            query="misfits",
            columns=tuple(sorted({column for clique in self.references for column in clique})),
            sigma=self.sigma,
            sensitivity=rows_per_unit * math.sqrt(len(self.references)),
        )

    def exact(self, counts: Counts) -> Ints:
        """The distances, shape (m,)."""
        return _misfits(self.references, counts, self.scale)


MAX_WEIGHT = 2**16
"""Largest weight of a candidate of a `Selection`."""

MAX_OFFSET = 2**60
"""Largest offset of a candidate of a `Selection`; with distances below 2^46, scores fit in 64 bits."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of several tables is farthest from its public reference: the exponential mechanism.

    The score of a candidate is its weight times its L1 distance, less its offset.

    Args:
        references: Clique -> integer table that rests on released numbers only.
        epsilon: Bounded-range parameter: for neighbouring tables, the log ratios of any two
            candidates' probabilities differ by at most this much.
        weights: Clique -> a public whole number from 1 to `MAX_WEIGHT`; 1 where none are given.
        offsets: Clique -> a public whole number; 0 where none are given.

    Guarantee:
        k rows move a distance by at most k, so a score by at most k times the largest weight w, up
        for one candidate and down for another; offsets do not move. The mechanism's weights are
        ``exp(epsilon * score / (2 k w))``. The factor 1/2 is needed because scores are not monotone.

    Edge cases:
        Scores are integers; weights and offsets that 64 bits might not hold are refused.

    Source: McSherry, Talwar 2007; bounded range: Durfee, Rogers 2019, arXiv 1905.04273; weights and
    offsets: McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677.
    """

    references: Mapping[Clique, Ints]
    epsilon: float
    weights: Mapping[Clique, int] | None = None
    offsets: Mapping[Clique, int] | None = None

    def __post_init__(self) -> None:
        _require_integers(self.references)
        for numbers, least, most in (
            (self.weights, 1, MAX_WEIGHT),
            (self.offsets, -MAX_OFFSET, MAX_OFFSET),
        ):
            _require_whole(numbers, self.references, least, most)

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The candidates."""
        return tuple(self.references)

    def sensitivity(self, rows_per_unit: int) -> int:
        """How far one unit moves one score, at most."""
        return rows_per_unit * max(map(self._weight, self.references))

    def event(self, rows_per_unit: int) -> Event:
        """An exponential event; `rows_per_unit` is in the weights already."""
        return Exponential(
            query="selection",
            columns=tuple(sorted({column for clique in self.references for column in clique})),
            epsilon=self.epsilon,
            candidates=len(self.references),
        )

    def scores(self, counts: Counts) -> Ints:
        """The candidates' scores, shape (m,)."""
        weights = np.array([self._weight(clique) for clique in self.references], np.int64)
        offsets = np.array([self._offset(clique) for clique in self.references], np.int64)
        return weights * _misfits(self.references, counts) - offsets

    def _weight(self, clique: Clique) -> int:
        return 1 if self.weights is None else self.weights[clique]

    def _offset(self, clique: Clique) -> int:
        return 0 if self.offsets is None else self.offsets[clique]


def _require_integers(references: Mapping[Clique, Ints]) -> None:
    if not references or any(r.dtype.kind not in "iu" for r in references.values()):
        raise TypeError("references are integer tables, at least one")


def _require_whole(
    numbers: Mapping[Clique, int] | None, cliques: Iterable[Clique], least: int, most: int
) -> None:
    """Refuse numbers of cliques that are missing, not whole or out of range."""
    if numbers is not None:
        for clique in cliques:
            number = numbers.get(clique)
            if type(number) is not int or not least <= number <= most:
                raise TypeError(f"weights and offsets are whole numbers from {least} to {most}")


@dataclass(frozen=True, slots=True)
class Dependences:
    """How far some columns, each given others, are from following a public distribution instead.

    The score of (child, parents) is half the L1 distance of their table from the parents' table times
    the child's public distribution: the number of rows that would have to change their child's value.

    Args:
        candidates: Child first, then its parents.
        weights: Child -> its distribution as whole numbers, shape (codes,), that rest on released
            numbers only.
        sigma: Standard deviation of each score's noise, in rows.

    Guarantee:
        Let W be the sum of a child's weights w. A row with the child's value x adds W - w(x) to one
        entry of ``W * table - w (x) parents' table`` and takes w(y) from each other entry of the same
        parents' values, so the L1 norm moves by at most ``2 (W - w(x)) <= 2 W``, and the score by at
        most 1. k rows move it by at most k, before and after it is rounded down; all m scores together
        move by at most k * sqrt(m) in L2.

    Edge cases:
        All is integer arithmetic; no rounding of a float decides. Weights of more than `MAX_SCALE` in
        sum are refused.

    Source: score R of PrivBayes (Zhang et al. 2017), its child's distribution made public.
    """

    candidates: tuple[Clique, ...]
    weights: Mapping[str, Ints]
    sigma: float

    def __post_init__(self) -> None:
        if not self.candidates or any(len(candidate) < 2 for candidate in self.candidates):
            raise TypeError(
                "candidates are a child and at least one parent, and at least one of them"
            )
        for child in {candidate[0] for candidate in self.candidates}:
            weights = self.weights[child]
            whole = weights.dtype.kind in "iu" and 0 <= weights.min() <= weights.max() <= MAX_SCALE
            if not whole or not 0 < weights.sum() <= MAX_SCALE:
                raise TypeError("weights are whole numbers that sum to at most MAX_SCALE")

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The tables of children and parents."""
        return self.candidates

    def event(self, rows_per_unit: int) -> Event:
        """A Gaussian event of sensitivity k * sqrt(m)."""
        return Gaussian(
            query="dependences",
            columns=tuple(sorted({column for c in self.candidates for column in c})),
            sigma=self.sigma,
            sensitivity=rows_per_unit * math.sqrt(len(self.candidates)),
        )

    def exact(self, counts: Counts) -> Ints:
        """The scores, shape (m,)."""
        scores = [self._score(counts[c], self.weights[c[0]]) for c in self.candidates]
        return np.array(scores, dtype=np.int64)

    @staticmethod
    def _score(table: Ints, weights: Ints) -> int:
        scale = int(weights.sum())
        given = table.reshape(len(weights), -1)
        gaps = scale * given - np.multiply.outer(weights.astype(np.int64), given.sum(axis=0))
        return int(np.abs(gaps).sum()) // (2 * scale)
