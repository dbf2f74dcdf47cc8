"""How finely a column is counted, and how its cells are grouped into codes.

A column's value is first a *lattice point* (see `tronie.schema.columns`). Points fall into the cells of
a `Grid`, which is public; cells are grouped into the codes of a `Coding`, which is built from released
counts. Two more indices follow the points: ``points`` for a value that a discovered list does not hold,
and ``points + 1`` for a missing one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.schema.columns import Boolean, Category, Listed, Ordered

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

TABLE_POINTS = 2**20
"""Up to this many points, a look-up table is faster than a search."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Cells of a column: runs of lattice points, then the cell of others, then that of nulls.

    Args:
        edges: First point of each run and, last, the number of points; strictly increasing from 0.
        other: Whether unlisted values have a cell.
        null: Whether missing values have a cell.

    >>> grid = Grid.equal_width(points=10, cells=4, null=True)
    >>> grid.edges.tolist(), grid.size
    ([0, 3, 5, 8, 10], 5)
    >>> grid.cell_of(np.array([0, 9, 11])).tolist()
    [0, 3, 4]
    """

    edges: Ints
    other: bool = False
    null: bool = False

    @classmethod
    def equal_width(cls, points: int, cells: int, *, null: bool) -> Grid:
        """A grid of at most `cells` runs of nearly equal width."""
        cells = min(cells, points)
        return cls(np.append(_cuts(points, cells), points), null=null)

    @classmethod
    def of(cls, column: Listed | Ordered, cells: int) -> Grid:
        """The grid that a column starts with: each listed value, or at most `cells` runs."""
        if isinstance(column, Category | Boolean):
            other = isinstance(column, Category) and column.other
            return cls(np.arange(column.points + 1), other=other, null=column.nullable)
        return cls.equal_width(column.points, cells, null=column.nullable)

    @property
    def points(self) -> int:
        """Number of lattice points."""
        return int(self.edges[-1])

    @property
    def runs(self) -> int:
        """Number of cells that hold lattice points."""
        return len(self.edges) - 1

    @property
    def size(self) -> int:
        """Number of cells, those of others and nulls included."""
        return self.runs + self.other + self.null

    @property
    def starts(self) -> Ints:
        """First lattice index of each cell, those of others and nulls included."""
        specials = [self.points] * self.other + [self.points + 1] * self.null
        return np.concatenate([self.edges[:-1], np.array(specials, np.int64)])

    @property
    def widths(self) -> Ints:
        """Lattice points of each cell; 1 for the cells of others and nulls."""
        return np.concatenate([np.diff(self.edges), np.ones(self.other + self.null, np.int64)])

    def index_table(self) -> Ints:
        """Cell of each point, of `other` and of `null`; -1 where there is no such cell."""
        runs = np.repeat(np.arange(self.runs), np.diff(self.edges))
        return np.concatenate([runs, self._special()])

    def cell_of(self, points: NDArray[np.integer[Any]]) -> Ints:
        """Cell of each lattice index.

        Args:
            points: Lattice indices, shape (rows,), those of `other` and `null` included.
        """
        if self.points <= TABLE_POINTS:
            return self.index_table()[points]
        cells = np.searchsorted(self.edges, points, side="right").astype(np.int64) - 1
        special = points >= self.points
        cells[special] = self._special()[points[special] - self.points]
        return cells

    def _special(self) -> Ints:
        """Cells of `other` and of `null`; -1 where there is no such cell."""
        return np.array(
            [self.runs if self.other else -1, self.runs + self.other if self.null else -1]
        )

    def refine(self, cells: Iterable[int], branch: int) -> tuple[Grid, Ints]:
        """Split some runs into at most `branch` parts each.

        Returns:
            The finer grid, and for each of its cells the cell of this grid that it came from.
        """
        chosen = set(cells)
        starts: list[Ints] = []
        parents: list[int] = []
        for cell in range(self.runs):
            low, high = int(self.edges[cell]), int(self.edges[cell + 1])
            parts = min(branch, high - low) if cell in chosen else 1
            starts.append(low + _cuts(high - low, parts))
            parents += [cell] * parts
        edges = np.concatenate([*starts, self.edges[-1:]])
        parents += range(self.runs, self.size)
        return Grid(edges, other=self.other, null=self.null), np.array(parents, np.int64)

    def split_at(self, points: Iterable[int]) -> Grid:
        """The same grid with further edges at the given points."""
        inner = [p for p in points if 0 < p < self.points]
        return Grid(np.union1d(self.edges, np.array(inner, np.int64)), self.other, self.null)


def _cuts(length: int, parts: int) -> Ints:
    """Where each of some nearly equal parts of a stretch begins; no product of it overflows."""
    whole, rest = divmod(length, parts)
    steps = np.arange(parts, dtype=np.int64)
    return steps * whole + -(-steps * rest // parts)


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """The codes of a column: groups of grid cells, from public facts and released counts only.

    Args:
        grid: The cells.
        groups: Code of each cell, shape (grid.size,); every code from 0 to size - 1 occurs.
        weights: Released, non-negative weight of each cell, shape (grid.size,); cells of one code
            are drawn in proportion.

    >>> coding = Coding(
    ...     Grid(np.array([0, 1, 2, 3])), np.array([0, 1, 1]), np.array([5.0, 2.0, 1.0])
    ... )
    >>> coding.size, coding.code_of(np.array([0, 2, 1])).tolist()
    (2, [0, 1, 1])
    """

    grid: Grid
    groups: Ints
    weights: Floats

    @classmethod
    def identity(cls, grid: Grid) -> Coding:
        """One code per cell."""
        return cls(grid, np.arange(grid.size), np.ones(grid.size))

    @property
    def size(self) -> int:
        """Number of codes."""
        return int(self.groups.max()) + 1

    def code_table(self) -> Ints:
        """Code of each point, of `other` and of `null`; 0 where there is no such cell."""
        return self.groups[np.maximum(self.grid.index_table(), 0)]

    def code_of(self, points: NDArray[np.integer[Any]]) -> Ints:
        """Code of each lattice index."""
        if self.grid.points <= TABLE_POINTS:
            return self.code_table()[points]
        return self.groups[self.grid.cell_of(points)]
