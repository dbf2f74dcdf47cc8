"""Noisy marginals as one consistent set of tables, and the functions that they span."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.models.junction import JunctionTree
from tronie.models.marginal import Marginal
from tronie.models.propagation import spread
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats, Ints


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
class _Sums:
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
        return np.bincount(self.groups, flat[: len(self.groups)], minlength=len(self.shares))


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
        self._domain = tree.domain
        within = _containments(cliques)
        self.blocks = _lay_out(tree, within)
        self.size = self.blocks[-1].cells.stop if self.blocks else 0
        self._ways = _ways(self.blocks, within)

    def components(self, flat: Floats) -> Floats:
        """The components of the sum that a vector stands for."""
        padded = np.append(flat, 0.0)
        for way in self._ways:
            means = way.sums(flat) * way.shares
            padded += np.bincount(way.targets, means, minlength=self.size + 1)
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
            precision += np.bincount(way.targets, weights, minlength=self.size + 1)
            weighted += np.bincount(
                way.targets, weights * way.sums(values), minlength=self.size + 1
            )
        return weighted[:-1] / precision[:-1], 1 / precision[:-1]

    def constant(self, total: float) -> Floats:
        """Each table uniform, with a given sum."""
        return np.concatenate(
            [np.empty(0), *(np.full(b.shape, total / np.prod(b.shape)).ravel() for b in self.blocks)]
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
            np.sum(host, axis=block.dropped, out=block.view(flat))
        return flat


def _containments(cliques: Iterable[Clique]) -> dict[frozenset[str], list[frozenset[str]]]:
    """Each set of columns, closed under intersection -> those strictly within; the fullest first."""
    known = {frozenset(clique) for clique in cliques}
    fresh = known
    while fresh:
        fresh = {one & two for one in fresh for two in known} - known - {frozenset[str]()}
        known = known | fresh
    ordered = sorted(known, key=lambda columns: (-len(columns), sorted(columns)))
    within = {columns: [other for other in ordered if other < columns] for columns in ordered}
    return dict(sorted(within.items(), key=lambda item: -len(item[1])))


def _lay_out(
    tree: JunctionTree, within: dict[frozenset[str], list[frozenset[str]]]
) -> list[Block]:
    domain = tree.domain
    hosts: dict[frozenset[str], frozenset[str]] = {}
    for columns, parts in within.items():
        for part in parts:
            if part not in hosts or domain.size(columns) < domain.size(hosts[part]):
                hosts[part] = columns
    blocks: dict[frozenset[str], Block] = {}
    start = 0
    for columns in within:
        host = blocks[hosts[columns]] if columns in hosts else None
        clique = host.clique if host else smallest_clique(tree, columns)
        over = host.columns if host else tree.cliques[clique]
        mine = tuple(column for column in over if column in columns)
        stop = start + domain.size(mine)
        blocks[columns] = Block(
            columns=mine,
            shape=domain.project(mine).shape,
            cells=slice(start, stop),
            clique=clique,
            host=host,
            above=spread(domain, mine, over),
            dropped=tuple(axis for axis, column in enumerate(over) if column not in columns),
        )
        start = stop
    return list(blocks.values())


def _ways(
    blocks: Sequence[Block], within: dict[frozenset[str], list[frozenset[str]]]
) -> list[_Sums]:
    """Sums to the first table within each, to the second, and so on; to the total where none is."""
    places = {frozenset(block.columns): block for block in blocks}
    most = max((len(parts) for parts in within.values()), default=0)
    ways: list[_Sums] = []
    for k in range(max(most, 1)):
        groups: list[NDArray[np.int64]] = []
        targets: list[NDArray[np.int64]] = []
        shares: list[Floats] = []
        count = 0
        for columns, parts in within.items():
            if k >= max(len(parts), 1):
                break
            block = places[columns]
            part = places[parts[k]] if parts else None
            into = part.columns if part else ()
            sizes = [n if c in into else 1 for c, n in zip(block.columns, block.shape, strict=True)]
            cells = int(np.prod(sizes))
            numbers = np.arange(count, count + cells).reshape(sizes)
            groups.append(np.broadcast_to(numbers, block.shape).ravel())
            first = part.cells.start if part else blocks[-1].cells.stop
            targets.append(np.arange(first, first + cells))
            shares.append(np.full(cells, cells / np.prod(block.shape)))
            count += cells
        if groups:
            ways.append(
                _Sums(np.concatenate(groups), np.concatenate(targets), np.concatenate(shares))
            )
    return ways


def smallest_clique(tree: JunctionTree, columns: Iterable[str]) -> int:
    """The clique with the smallest table that contains some columns."""
    wanted = set(columns)
    containing = [i for i, clique in enumerate(tree.cliques) if wanted <= set(clique)]
    return min(containing, key=lambda i: tree.domain.size(tree.cliques[i]))
