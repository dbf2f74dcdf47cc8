"""Which columns to count together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.schema.domain import Clique

BLOCK_CELLS = 2**16 - 1
"""Columns are packed while joint codes and sizes fit in 16 bits, which are the fastest to compute."""

Places: TypeAlias = frozenset[int]


def cover(sizes: Mapping[str, int], cliques: Iterable[Clique]) -> list[Clique]:
    """Few blocks of columns such that each clique lies within one of them.

    Greedy: a block starts from the largest clique that is left, then takes in the column that brings
    in most others, while it has at most `BLOCK_CELLS` cells.

    Args:
        sizes: Number of codes of each column.
        cliques: What is to be covered; ``()`` needs no block.

    >>> cover({"a": 2, "b": 3, "c": 500}, [("a", "b"), ("b", "c"), ("c", "a")])
    [('a', 'b', 'c')]
    """
    names = list(sizes)
    place = {name: i for i, name in enumerate(names)}
    widths = np.array(list(sizes.values()), np.int64)
    distinct = {frozenset(place[column] for column in clique) for clique in cliques if clique}
    left = _Left.of(distinct, len(names))
    blocks: list[Clique] = []
    for clique in sorted(distinct, key=lambda c: (-_cells(widths, c), sorted(c))):
        if clique in left.cliques:
            members = _grow(clique, widths, left)
            left.remove(members)
            blocks.append(tuple(names[i] for i in sorted(members)))
    return blocks


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """Cliques that no block holds yet.

    Attributes:
        cliques: All of them.
        pairs: Whether two columns are such a clique, shape (columns, columns).
        larger: Column -> those of three and more columns that it belongs to.
    """

    cliques: set[Places]
    pairs: NDArray[np.int64]
    larger: dict[int, set[Places]] = field(default_factory=dict[int, set[Places]])

    @classmethod
    def of(cls, cliques: Iterable[Places], columns: int) -> _Left:
        left = cls(set(cliques), np.zeros((columns, columns), np.int64))
        for clique in left.cliques:
            if len(clique) == 2:
                a, b = clique
                left.pairs[a, b] = left.pairs[b, a] = 1
            elif len(clique) > 2:
                for column in clique:
                    left.larger.setdefault(column, set()).add(clique)
        return left

    def remove(self, block: set[int]) -> None:
        """Take out the cliques that a block holds."""
        members = sorted(block)
        self.pairs[np.ix_(members, members)] = 0
        held = {frozenset(pair) for pair in itertools.combinations(members, 2)}
        held |= {frozenset([member]) for member in members}
        for member in members:
            inside = {clique for clique in self.larger.get(member, ()) if clique <= block}
            self.larger[member] = self.larger.get(member, set()) - inside
            held |= inside
        self.cliques.difference_update(held)


def _grow(start: Places, widths: NDArray[np.int64], left: _Left) -> set[int]:
    """Add columns to a block, each time that which completes most cliques that are left."""
    members: set[int] = set()
    absent: dict[Places, int] = {}
    gains = np.zeros(len(widths), np.int64)

    def take(column: int) -> None:
        members.add(column)
        gains[:] += left.pairs[column]
        for clique in left.larger.get(column, ()):
            absent[clique] = absent.get(clique, len(clique)) - 1
            if absent[clique] == 1:
                (last,) = clique - members
                gains[last] += 1

    for column in start:
        take(column)
    cells = _cells(widths, start)
    while True:
        gains[list(members)] = 0
        # Of equal gains, the smallest column leaves most room.
        scores = np.where(cells * widths <= BLOCK_CELLS, gains * BLOCK_CELLS - widths, -1)
        best = int(scores.argmax())
        if gains[best] == 0 or scores[best] < 0:
            return members
        cells *= int(widths[best])
        take(best)


def _cells(widths: NDArray[np.int64], columns: Iterable[int]) -> int:
    return math.prod(int(widths[column]) for column in columns)
