"""Marginals of many pairs of columns of a calibrated junction tree.

Pairs across cliques are worked out for many columns at once, by sweeps along the tree: all pairs of a model
take about as many multiplications as the codes of all columns times the cells of all cliques.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeAlias

import numpy as np

from tronie.models.sweeps import Calibrated, Sweep, keep
from tronie.schema.grid import Floats

CHUNK = 2**21
"""Cells of the largest array of a sweep, unless a single column needs more."""

_Pair: TypeAlias = tuple[str, str]
_Tables: TypeAlias = Iterator[tuple[_Pair, Floats]]


def pair_marginals(
    model: Calibrated, pairs: Iterable[_Pair], max_cells: int
) -> dict[_Pair, Floats]:
    """Marginal probabilities of pairs of columns.

    Args:
        model: The calibrated tree.
        pairs: Any pairs of different columns.
        max_cells: Most cells of a pair's table, and of the joint table of the column whose home comes first
            with any separator on the way to the other one. Pairs that need more are left out.

    Returns:
        Pair -> its table, one axis per column in their order.
    """
    wanted = dict.fromkeys(pairs)
    apart: list[_Pair] = []
    within: dict[int, set[_Pair]] = {}
    across: dict[str, list[str]] = {}
    for one, two in wanted:
        first, second = (one, two) if model.ranks[one] < model.ranks[two] else (two, one)
        if not _has_room(model, first, second, max_cells):
            continue
        home = model.homes[second]
        if model.root(first) != model.root(second):
            apart.append((first, second))
        elif first in model.tree.cliques[home]:
            within.setdefault(home, set()).add((first, second))
        else:
            across.setdefault(first, []).append(second)
    tables = chain(_apart(model, apart), _within(model, within), _across(model, across))
    found: dict[_Pair, Floats] = {}
    for (first, second), table in tables:
        for pair, turned in (((first, second), table), ((second, first), table.T)):
            if pair in wanted:
                found[pair] = np.array(turned, order="C")
    return found


def _has_room(model: Calibrated, source: str, target: str, max_cells: int) -> bool:
    """Whether two columns' table, and those on the way to it, have at most so many cells."""
    sizes = model.tree.domain.sizes
    if sizes[source] * max(sizes[target], model.widest) <= max_cells:
        return True
    if sizes[source] * sizes[target] > max_cells:
        return False
    here, there = model.homes[source], model.homes[target]
    while here != there and model.root(source) == model.root(target):
        hop = model.walk.towards(here, there)
        # Parents come before their children: the later of the two owns the separator.
        if model.tree.domain.size({*model.separators[max(here, hop)], source}) > max_cells:
            return False
        here = hop
    return True


def _apart(model: Calibrated, pairs: Iterable[_Pair]) -> _Tables:
    """Columns of two components are independent."""
    singles: dict[str, Floats] = {}
    for pair in pairs:
        for column in pair:
            if column not in singles:
                home = model.homes[column]
                singles[column] = keep(model.beliefs[home], model.tree.cliques[home], (column,))
        yield pair, np.multiply.outer(singles[pair[0]], singles[pair[1]])


def _within(model: Calibrated, pairs: Mapping[int, set[_Pair]]) -> _Tables:
    """Pairs of a new column of a clique and any other; new columns are summed out one by one."""
    for home, some in pairs.items():
        table, columns = model.beliefs[home], model.tree.cliques[home]
        for new in model.tree.new_columns(home):
            for other in columns[1:]:
                for pair in ((new, other), (other, new)):
                    if pair in some:
                        yield pair, keep(table, columns, pair)
            table, columns = table.sum(axis=0), columns[1:]


def _across(model: Calibrated, targets: Mapping[str, Iterable[str]]) -> _Tables:
    """Pairs of each source and its targets, in sweeps of many sources."""
    for sources in _chunks(model, targets):
        told: dict[str, list[str]] = {}
        for source in sources:
            for target in targets[source]:
                told.setdefault(target, []).append(source)
        yield from Sweep(model, told).tables()


def _chunks(model: Calibrated, sources: Iterable[str]) -> Iterator[list[str]]:
    """Sources by rank, those of one component together as long as their arrays stay small."""
    chunk: list[str] = []
    codes = 0
    for source in sorted(sources, key=model.ranks.__getitem__):
        size = model.tree.domain[source]
        full = (codes + size) * model.widest > CHUNK
        if chunk and (full or model.root(source) != model.root(chunk[0])):
            yield chunk
            chunk, codes = [], 0
        chunk.append(source)
        codes += size
    if chunk:
        yield chunk
