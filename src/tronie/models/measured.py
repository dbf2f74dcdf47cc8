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
class _Way:
    """One way to sum tables to smaller ones: each table to at most one of those that it contains.

    Attributes:
        groups: For each of the first cells, the number of its group; groups are cells of the
            smaller tables, once per larger table.
        targets: For each group, the cell of the smaller table; beyond the last cell for the total.
        shares: For each group, 1 / its number of cells.
    """

    groups: Ints
    targets: Ints
    shares: Floats

    def sums(self, flat: Floats) -> Floats:
        """Sum of each group's cells."""
        return weighted_count(self.groups, flat[: len(self.groups)], len(self.shares))


class Blocks:
    """Tables that are closed under intersection, larger ones first.

    A function on a table is the sum of its *components*: for each table within it, a function of
    that table's columns alone, orthogonal to all functions of fewer. A vector over all cells stands
    for the sum of one function per table; many vectors stand for the same sum, and only the sum's
    components tell them apart from others.

    Source: Darroch, Speed 1983 for the decomposition; Xiao et al. 2023, arXiv 2305.08175, for its use
    with noisy marginals.

    Args:
        tree: A junction tree that covers all tables.
        cliques: Columns of some tables; those of their intersections are added.
    """

    def __init__(self, tree: JunctionTree, cliques: Iterable[Clique]) -> None:
        within = _containments(cliques)
        self.blocks = _lay_out(tree, within)
        self.size = self.blocks[-1].cells.stop if self.blocks else 0
        self._ways = _ways(self.blocks, within)

    def components(self, flat: Floats) -> Floats:
        """The components of the sum that a vector stands for."""
        padded = np.append(flat, 0.0)
        for way in self._ways:
            means = way.sums(flat) * way.shares
            padded += weighted_count(way.targets, means, self.size + 1)
        return self.purified(padded[:-1])

    def purified(self, flat: Floats) -> Floats:
        """Each table's own component: what is orthogonal to functions of fewer columns."""
        pure = flat.copy()
        for way in self._ways:
            means = way.sums(pure) * way.shares
            pure[: len(way.groups)] -= means[way.groups]
        return pure

    def assembled(self, components: Floats) -> Floats:
        """The adjoint of summing up: each table gets its share of every component within it."""
        padded = np.append(components, 0.0)
        tables = components.copy()
        for way in self._ways:
            tables[: len(way.groups)] += (padded[way.targets] * way.shares)[way.groups]
        return tables

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
        for way in self._ways:
            weights = 1 / way.sums(variances)
            precision += weighted_count(way.targets, weights, self.size + 1)
            weighted += weighted_count(way.targets, weights * way.sums(values), self.size + 1)
        return weighted[:-1] / precision[:-1], 1 / precision[:-1]

    def constant(self, total: float) -> Floats:
        """Each table uniform, with a given sum."""
        return np.concatenate(
            [
                np.empty(0),
                *(np.full(math.prod(b.shape), total / math.prod(b.shape)) for b in self.blocks),
            ]
        )

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


def _ways(blocks: Sequence[Block], within: Mapping[_Set, Sequence[_Set]]) -> list[_Way]:
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


def _way(pairs: Sequence[tuple[Block, _Set]], starts: Mapping[_Set, int]) -> _Way:
    groups: list[Ints] = []
    targets: list[Ints] = []
    shares: list[Floats] = []
    count = 0
    for block, part in pairs:
        kept = [n if c in part else 1 for c, n in zip(block.columns, block.shape, strict=True)]
        cells = math.prod(kept)
        numbers = np.arange(count, count + cells).reshape(kept)
        groups.append(np.broadcast_to(numbers, block.shape).ravel())
        targets.append(np.arange(starts[part], starts[part] + cells))
        shares.append(np.full(cells, cells / math.prod(block.shape)))
        count += cells
    return _Way(np.concatenate(groups), np.concatenate(targets), np.concatenate(shares))
