"""Which columns to count together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from tronie.schema.domain import Clique

BLOCK_CELLS = 2**16 - 1
"""Columns are packed while joint codes and sizes fit in 16 bits, which are the fastest to compute."""


def cover(sizes: Mapping[str, int], cliques: Iterable[Clique]) -> list[Clique]:
    """Few blocks of columns such that each clique lies within one of them.

    Greedy: a block starts from the largest clique that is left, then takes in the column that brings
    in most others, while it has at most `BLOCK_CELLS` cells.
    """
    distinct = {frozenset(clique) for clique in cliques if clique}
    by_size = sorted(distinct, key=lambda c: (-math.prod(sizes[column] for column in c), sorted(c)))
    by_column: dict[str, set[frozenset[str]]] = {column: set() for column in sizes}
    for clique in distinct:
        for column in clique:
            by_column[column].add(clique)
    blocks: list[Clique] = []
    for clique in by_size:
        if any(clique in by_column[column] for column in clique):
            members = _grow(clique, sizes, by_column)
            blocks.append(tuple(column for column in sizes if column in members))
            for member in members:
                for covered in [c for c in by_column[member] if c <= members]:
                    for column in covered:
                        by_column[column].discard(covered)
    return blocks


def _grow(
    start: frozenset[str], sizes: Mapping[str, int], by_column: Mapping[str, set[frozenset[str]]]
) -> set[str]:
    """Add columns to a block, each time that which completes most open cliques."""
    members: set[str] = set()
    absent: dict[frozenset[str], int] = {}
    gains: Counter[str] = Counter()

    def take(column: str) -> None:
        members.add(column)
        gains.pop(column, None)
        for clique in by_column[column]:
            absent[clique] = absent.get(clique, len(clique)) - 1
            if absent[clique] == 1:
                gains[next(c for c in clique if c not in members)] += 1

    for column in sorted(start):
        take(column)
    cells = math.prod(sizes[column] for column in start)
    while fitting := [c for c in gains if cells * sizes[c] <= BLOCK_CELLS]:
        best = max(fitting, key=lambda c: (gains[c], -sizes[c], c))
        cells *= sizes[best]
        take(best)
    return members
