"""The tables that were measured, how they overlap, and the functions that they span."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tronie.models.junction import JunctionTree
from tronie.models.marginal import Marginal
from tronie.models.propagation import spread
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats, Ints

SWEEPS = 2000
"""Rounds of making tables agree, at most; two or three suffice for noise that is even."""

_Set: TypeAlias = frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Where one table lies among all, and how it relates to a clique of the junction tree.

    Attributes:
        columns: Its columns, in the order of the clique.
        shape: Sizes of its columns.
        cells: Its place among the cells of all tables.
        clique: The clique that contains it.
        host: The smallest other table that contains it, if any.
        above: Its shape, spread over the axes of its host, or of its clique.
        dropped: Axes of its host, or of its clique, that it lacks.
    """

    columns: Clique
    shape: tuple[int, ...]
    cells: slice
    clique: int
    host: Block | None
    above: tuple[int, ...]
    dropped: tuple[int, ...]

    def view(self, flat: Floats) -> Floats:
        """This table's part of a vector over all cells."""
        return flat[self.cells].reshape(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way to sum tables to smaller ones: each table to at most one of those that it contains.

    Attributes:
        groups: For each of the first cells, the number of its group; groups are cells of the
            smaller tables, once per larger table.
        targets: For each group, the cell of the smaller table; beyond the last cell for the total.
    """

    groups: Ints
    targets: Ints

    def sums(self, flat: Floats) -> Floats:
        """Sum of each group's cells."""
        return weighted_count(self.groups, flat[: len(self.groups)], len(self.targets))

    def shares(self, weights: Floats) -> Floats:
        """Each cell's part of its group, by weight."""
        return weights[: len(self.groups)] / self.sums(weights)[self.groups]


class Blocks:
    """Tables that are closed under intersection, those with most others within them first.

    Args:
        tree: A junction tree that covers all tables.
        cliques: Columns of some tables; those of their intersections are added.

    Attributes:
        blocks: Where each table lies.
        size: Cells of all tables.
        ways: Sums of tables to those within them, or to the total where there are none.
    """

    def __init__(self, tree: JunctionTree, cliques: Iterable[Clique]) -> None:
        within = _containments(cliques)
        self.blocks = _lay_out(tree, within)
        self.size = self.blocks[-1].cells.stop if self.blocks else 0
        self.ways = _ways(self.blocks, within)

    def pooled(self, values: Floats, variances: Floats) -> tuple[Floats, Floats]:
        """Best estimates from each table and from the sums of those that contain it.

        Args:
            values: Estimates of each cell.
            variances: Their variances, infinite where there is none.

        Returns:
            Estimates with weights 1 / variance, and their variances.
        """
        precision = np.append(1 / variances, 0.0)
        weighted = np.append(values / variances, 0.0)
        for way in self.ways:
            weights = 1 / way.sums(variances)
            precision += weighted_count(way.targets, weights, self.size + 1)
            weighted += weighted_count(way.targets, weights * way.sums(values), self.size + 1)
        return weighted[:-1] / precision[:-1], 1 / precision[:-1]

    def reconciled(self, values: Floats, variances: Floats, total: float) -> Floats:
        """Estimates that agree with one another and with the total.

        What a table lacks of those within it is divided among its cells in proportion to their
        variances, again and again where variances differ within a table.
        """
        tables = values.copy()
        shares = [way.shares(variances) for way in self.ways]
        for _ in range(SWEEPS):
            worst = 0.0
            for way, share in zip(self.ways, shares, strict=True):
                gaps = np.append(tables, total)[way.targets] - way.sums(tables)
                tables[: len(share)] += share * gaps[way.groups]
                worst = max(worst, float(np.abs(gaps).max()))
            if worst < 1e-9 * total:
                break
        return tables

    def flatten(self, marginals: Sequence[Marginal]) -> tuple[Floats, Floats]:
        """Values and sds over all cells; 0 and infinity where nothing was measured."""
        known = {frozenset(m.clique): m for m in marginals}
        values, sds = np.zeros(self.size), np.full(self.size, np.inf)
        for block in self.blocks:
            if (marginal := known.get(frozenset(block.columns))) is not None:
                ordered = marginal.reorder(block.columns)
                block.view(values)[...] = ordered.values
                block.view(sds)[...] = ordered.sd
        return values, sds

    def scatter(self, flat: Floats, tables: Sequence[Floats]) -> None:
        """Add the sum that a vector stands for to the cliques' tables; overwrites the vector."""
        for block in reversed(self.blocks):
            host = block.host.view(flat) if block.host else tables[block.clique]
            host += block.view(flat).reshape(block.above)

    def gather(self, tables: Sequence[Floats]) -> Floats:
        """Sum the cliques' tables to these."""
        flat = np.empty(self.size)
        for block in self.blocks:
            host = block.host.view(flat) if block.host else tables[block.clique]
            np.add.reduce(host, axis=block.dropped, out=block.view(flat))
        return flat


def weighted_count(places: Ints, weights: Floats, size: int) -> Floats:
    """Sum of the weights at each place, shape (size,)."""
    return np.bincount(places, weights, minlength=size).astype(np.float64, copy=False)


def _containments(cliques: Iterable[Clique]) -> dict[_Set, list[_Set]]:
    """Each set of columns, closed under intersection -> those strictly within; the fullest first."""
    known: set[_Set] = set()
    holding: dict[str, list[_Set]] = {}
    fresh = {frozenset(clique) for clique in cliques}
    while fresh:
        known |= fresh
        for one in fresh:
            for column in one:
                holding.setdefault(column, []).append(one)
        overlaps = {one & two for one in fresh for column in one for two in holding[column]}
        fresh = overlaps - known
    within: dict[_Set, list[_Set]] = {}
    for one in sorted(known, key=sorted):
        parts = {two for column in one for two in holding[column] if two < one}
        within[one] = sorted(parts, key=lambda part: (-len(part), sorted(part)))
    return dict(sorted(within.items(), key=lambda item: -len(item[1])))


def _lay_out(tree: JunctionTree, within: Mapping[_Set, Sequence[_Set]]) -> list[Block]:
    domain = tree.domain
    hosts: dict[_Set, _Set] = {}
    for columns, parts in within.items():
        for part in parts:
            if part not in hosts or domain.size(columns) < domain.size(hosts[part]):
                hosts[part] = columns
    blocks: dict[_Set, Block] = {}
    start = 0
    for columns in within:
        host = blocks[hosts[columns]] if columns in hosts else None
        clique = host.clique if host else tree.smallest_with(columns)
        over = host.columns if host else tree.cliques[clique]
        mine = tuple(column for column in over if column in columns)
        cells = slice(start, start := start + domain.size(mine))
        dropped = tuple(axis for axis, column in enumerate(over) if column not in columns)
        shape, above = domain.project(mine).shape, spread(domain, mine, over)
        blocks[columns] = Block(mine, shape, cells, clique, host, above, dropped)
    return list(blocks.values())


def _ways(blocks: Sequence[Block], within: Mapping[_Set, Sequence[_Set]]) -> list[Way]:
    """Sums to the first table within each, to the second, and so on; to the total where none is."""
    starts = {frozenset(block.columns): block.cells.start for block in blocks}
    starts[frozenset()] = blocks[-1].cells.stop if blocks else 0
    targets = [within[frozenset(block.columns)] or [frozenset[str]()] for block in blocks]
    return [
        _way(
            [(b, parts[k]) for b, parts in zip(blocks, targets, strict=True) if k < len(parts)],
            starts,
        )
        for k in range(max(map(len, targets), default=0))
    ]


def _way(pairs: Sequence[tuple[Block, _Set]], starts: Mapping[_Set, int]) -> Way:
    groups: list[Ints] = []
    targets: list[Ints] = []
    count = 0
    for block, part in pairs:
        kept = [n if c in part else 1 for c, n in zip(block.columns, block.shape, strict=True)]
        cells = math.prod(kept)
        numbers = np.arange(count, count + cells).reshape(kept)
        groups.append(np.broadcast_to(numbers, block.shape).ravel())
        targets.append(np.arange(starts[part], starts[part] + cells))
        count += cells
    return Way(np.concatenate(groups), np.concatenate(targets))
