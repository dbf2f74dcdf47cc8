"""Triangulation of a graph of columns by greedy elimination, on bit masks.

Columns are numbers here, and a set of columns is the integer whose bits are its members.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush


@dataclass(slots=True)
class Graph:
    """Columns that are left, and which of them need a common table.

    Attributes:
        sizes: Codes of each column.
        near: Column -> itself and its neighbours.
        cells: Column -> cells of the table of all those; 0 once it is eliminated.
    """

    sizes: Sequence[int]
    near: list[int]
    cells: list[int]

    @classmethod
    def of(cls, sizes: Sequence[int], cliques: Iterable[Sequence[int]]) -> Graph:
        """The columns of each clique are neighbours of one another."""
        near = [1 << column for column in range(len(sizes))]
        for clique in cliques:
            together = _set(clique)
            for column in clique:
                near[column] |= together
        return cls(sizes, near, [math.prod(sizes[c] for c in members(mask)) for mask in near])

    def copy(self) -> Graph:
        """The same graph, to be changed apart from this one."""
        return Graph(self.sizes, self.near.copy(), self.cells.copy())

    def apart(self, columns: Sequence[int]) -> list[int]:
        """Those of some columns that are not neighbours of all others of them."""
        together = _set(columns)
        return [column for column in columns if together & ~self.near[column]]

    def join(self, columns: Sequence[int]) -> None:
        """Make some columns neighbours of one another."""
        together = _set(columns)
        for column in columns:
            for new in members(together & ~self.near[column]):
                self.cells[column] *= self.sizes[new]
            self.near[column] |= together

    def eliminate(self) -> Iterator[tuple[int, int]]:
        """Eliminate all columns: always the one with the smallest table; of several, the first.

        Eliminating a column joins its neighbours and changes no other column's table, so that sizes
        are kept up to date rather than worked out anew. Candidates are tried thousands of times: this is
        one loop, without calls.

        Yields:
            A column and the set of itself and its neighbours, just before it is eliminated.
        """
        sizes, near, cells = self.sizes, self.near, self.cells
        heap = [(price, column) for column, price in enumerate(cells) if price]
        heapify(heap)
        while heap:
            price, column = heappop(heap)
            if price != cells[column]:
                continue
            clique = near[column]
            yield column, clique
            cells[column] = 0
            bit, size = 1 << column, sizes[column]
            rest = clique ^ bit
            while rest:
                lowest = rest & -rest
                rest ^= lowest
                other = lowest.bit_length() - 1
                price = cells[other] // size
                new = clique & ~near[other]
                near[other] = (near[other] | new) ^ bit
                while new:
                    lowest = new & -new
                    new ^= lowest
                    price *= sizes[lowest.bit_length() - 1]
                cells[other] = price
                heappush(heap, (price, other))


@dataclass(frozen=True, slots=True)
class Elimination:
    """What the elimination of all columns leaves behind: the maximal cliques.

    Attributes:
        rests: Column -> its neighbours when it was eliminated; in the order of elimination.
        holders: Column -> the column whose elimination made the maximal clique that holds this one's.
        cells: Cells of the tables of all maximal cliques.
    """

    rests: dict[int, int]
    holders: dict[int, int]
    cells: int

    @classmethod
    def of(cls, graph: Graph) -> Elimination:
        """Eliminate all columns of a graph.

        The clique of a column's elimination lies within an earlier one exactly if it is all the
        neighbours of a column that was eliminated before.
        """
        rests: dict[int, int] = {}
        holders: dict[int, int] = {}
        holder_of: dict[int, int] = {}
        total = 0
        for column, clique in graph.eliminate():
            holder = holder_of.get(clique, column)
            total += graph.cells[column] if holder == column else 0
            holders[column] = holder
            rests[column] = clique ^ 1 << column
            holder_of.setdefault(rests[column], holder)
        return cls(rests, holders, total)


def members(columns: int) -> list[int]:
    """The members of a set, in order.

    >>> members(0b10110)
    [1, 2, 4]
    """
    found: list[int] = []
    while columns:
        lowest = columns & -columns
        found.append(lowest.bit_length() - 1)
        columns ^= lowest
    return found


def _set(columns: Iterable[int]) -> int:
    return sum(1 << column for column in columns)
