"""What the curator may be asked, and by how much one unit can move each answer.

Every answer here is a vector of integers, so that integer noise can be added to it. Adding or removing
one unit adds or removes at most ``k`` rows (``k`` is the schema's ``unit.max_rows``); each query states
the L2 norm by which that moves its answer, and a test draws neighbouring tables to check it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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


def _misfits(references: Mapping[Clique, Ints], counts: Counts) -> Ints:
    """L1 distance of each exact table from its public reference."""
    distances = [np.abs(counts[c] - reference).sum() for c, reference in references.items()]
    return np.array(distances, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Misfits:
    """How far each of several tables is from a public reference, in L1, all at once.

    Args:
        references: Clique -> integer table that rests on released numbers only.
        sigma: Standard deviation of each score's noise, in rows.

    Guarantee:
        One row changes one cell of each table by one, so k rows change each L1 distance by at most
        k (triangle inequality), and all m distances together by at most k * sqrt(m) in L2.

    Edge cases:
        References are integers; were they not, integer noise would not hide the fractions.
    """

    references: Mapping[Clique, Ints]
    sigma: float

    def __post_init__(self) -> None:
        _require_integers(self.references)

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
        return _misfits(self.references, counts)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of several tables is farthest from its public reference: the exponential mechanism.

    Args:
        references: Clique -> integer table that rests on released numbers only.
        epsilon: Bounded-range parameter: for neighbouring tables, the log ratios of any two
            candidates' probabilities differ by at most this much.

    Guarantee:
        Each score moves by at most k, up for one candidate and down for another, so weights are
        ``exp(epsilon * score / (2 k))``. The factor 1/2 is needed because scores are not monotone.

    Source: McSherry, Talwar 2007; bounded range: Durfee, Rogers 2019, arXiv 1905.04273.
    """

    references: Mapping[Clique, Ints]
    epsilon: float

    def __post_init__(self) -> None:
        _require_integers(self.references)

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The candidates."""
        return tuple(self.references)

    def sensitivity(self, rows_per_unit: int) -> int:
        """How far one unit moves one score."""
        return rows_per_unit

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
        return _misfits(self.references, counts)


def _require_integers(references: Mapping[Clique, Ints]) -> None:
    if not references or any(r.dtype.kind not in "iu" for r in references.values()):
        raise TypeError("references are integer tables, at least one")
