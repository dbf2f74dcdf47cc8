"""Sweeps along a calibrated junction tree: joint probabilities of columns that lie apart."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from tronie.models.junction import JunctionTree
from tronie.models.walk import Walk
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A junction tree with the marginal probabilities of its cliques.

    Attributes:
        tree: The junction tree.
        beliefs: Marginal probabilities of each clique, in the order of its columns.
        walk: The ways through the tree.
        homes: Column -> its clique nearest to the root.
        ranks: Column -> its place among all columns, those of one home together.
        separators: Columns that each clique shares with its parent.
        widest: Cells of the largest separator.
    """

    tree: JunctionTree
    beliefs: Sequence[Floats]
    walk: Walk
    homes: Mapping[str, int]
    ranks: Mapping[str, int]
    separators: Sequence[Clique]
    widest: int

    @classmethod
    def of(cls, tree: JunctionTree, beliefs: Sequence[Floats]) -> Calibrated:
        """Work out how the cliques hang together."""
        walk = Walk(tree.parents)
        ranked = (column for i in walk.order for column in tree.new_columns(i))
        ranks = {column: rank for rank, column in enumerate(ranked)}
        separators = [tree.separator(i) for i in range(len(tree.cliques))]
        widest = max(map(tree.domain.size, separators), default=1)
        return cls(tree, beliefs, walk, tree.homes, ranks, separators, widest)

    def root(self, column: str) -> int:
        """The root of a column's component."""
        return self.walk.roots[self.homes[column]]

    def place(self, column: str) -> int:
        """The place of a column's home in depth-first order."""
        return self.walk.places[self.homes[column]]


@dataclass(frozen=True, slots=True, eq=False)
class _Message:
    """Joint probabilities of a separator's cells and of some sources' codes.

    Sources that are in the separator have zeros.

    Attributes:
        separator: The separator's columns.
        start: The first of the rows.
        table: One axis per column of the separator, then the rows.
    """

    separator: Clique
    start: int
    table: Floats

    @property
    def stop(self) -> int:
        """After the last of the rows."""
        return self.start + self.table.shape[-1]

    def carried(self, table: Floats, columns: Clique, kept: Clique) -> Floats:
        """The rows' joint probabilities with other columns of a clique that has the separator.

        Args:
            table: Marginal probabilities of the clique.
            columns: Its columns.
            kept: The columns to go on with; the result has an axis for each, then the rows.
        """
        both = tuple(c for c in kept if c in self.separator)
        old = tuple(c for c in self.separator if c not in kept)
        new = tuple(c for c in kept if c not in self.separator)
        rows = self.table.shape[-1]
        size = dict(zip(columns, table.shape, strict=True))
        mine = _turned(self.table, self.separator, both + old)
        if old or new:
            lengths = [math.prod(size[c] for c in part) for part in (both, new, old)]
            joint = keep(table, columns, both + new + old).reshape(lengths)
            mass = joint.sum(axis=1, keepdims=True)
            given = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
            mine = given @ mine.reshape(lengths[0], lengths[2], rows)
            mine = mine.reshape(*(size[c] for c in both + new), rows)
        return _turned(mine, both + new, kept)


class Sweep:
    """One sweep from some sources of a component up the tree, and down to their targets.

    Rows are the codes of all sources, one source after the other. Those of sources that a clique holds
    come from its own table; others were sent to it by its parent, or by one of its children.

    Args:
        model: The calibrated tree.
        targets: Column -> sources whose joint tables with it are wanted; a source's home comes before
            its target's in depth-first order, and the latter does not hold the source.
    """

    def __init__(self, model: Calibrated, targets: Mapping[str, Sequence[str]]) -> None:
        self._model, self._targets = model, targets
        sources = sorted(
            {s for some in targets.values() for s in some}, key=model.ranks.__getitem__
        )
        self._ends = [0, *accumulate(model.tree.domain[source] for source in sources)]
        self._rows = {c: slice(*self._ends[k : k + 2]) for k, c in enumerate(sources)}
        self._from = [model.place(source) for source in sources]
        self._to = sorted(model.place(target) for target in targets)
        self._told: dict[int, list[str]] = {}
        for target in targets:
            self._told.setdefault(model.homes[target], []).append(target)
        self._received: dict[int, list[_Message]] = {}
        self._sent: dict[int, dict[Clique, tuple[Floats, int]]] = {}
        walk = model.walk
        below = walk.order[self._from[0] + 1 : self._to[-1] + 1]
        self._down = [i for i in below if self._targets_in(walk.places[i], walk.ends[i])]
        self._last = {model.tree.parents[i]: i for i in self._down}

    def tables(self) -> Iterator[tuple[tuple[str, str], Floats]]:
        """Each source and target with their joint table, a view."""
        self._send_up()
        for i in self._down:
            message = self._from_parent(i)
            for target in self._told.get(i, ()):
                table = message.carried(self._model.beliefs[i], self._clique(i), (target,))
                for source in self._targets[target]:
                    yield (source, target), table[:, self._rows[source]].T
            if i in self._last:
                self._received.setdefault(i, []).append(message)

    def _send_up(self) -> None:
        """Tell cliques of sources below them, if there are targets in later branches."""
        walk = self._model.walk
        root = self._model.root(next(iter(self._rows)))
        for i in reversed(walk.order[walk.places[root] + 1 : self._from[-1] + 1]):
            start, stop = self._rows_before(walk.places[i]), self._rows_before(walk.ends[i])
            if start < stop and self._targets_in(walk.ends[i], walk.ends[root]):
                separator = self._model.separators[i]
                table = self._empty(separator, stop - start)
                self._fill(table, start, i, separator)
                parent = self._model.tree.parents[i]
                self._received.setdefault(parent, []).append(_Message(separator, start, table))
                self._forget(i)

    def _forget(self, i: int) -> None:
        """Drop what was received and goes to no later child."""
        last = self._last.get(i)
        needed = 0 if last is None else self._rows_before(self._model.walk.places[last])
        left = [message for message in self._received.get(i, ()) if message.stop <= needed]
        self._received[i] = left

    def _from_parent(self, i: int) -> _Message:
        """What a clique must know of all sources before it; children with one separator share it."""
        parent, separator = self._model.tree.parents[i], self._model.separators[i]
        places = self._model.walk.places
        sent = self._sent.setdefault(parent, {})
        if separator not in sent:
            most = self._rows_before(places[self._last[parent]])
            sent[separator] = self._empty(separator, most), 0
        table, done = sent[separator]
        stop = self._rows_before(places[i])
        self._fill(table[..., done:stop], done, parent, separator)
        sent[separator] = table, stop
        if self._last[parent] == i:
            del self._sent[parent]
            self._received.pop(parent, None)
        return _Message(separator, 0, table[..., :stop])

    def _fill(self, table: Floats, start: int, i: int, separator: Clique) -> None:
        """Joint probabilities of some rows with a separator of a clique, from all that it knows."""
        stop = start + table.shape[-1]
        belief, clique = self._model.beliefs[i], self._clique(i)
        for message in self._received.get(i, ()):
            if start <= message.start and message.stop <= stop:
                part = table[..., message.start - start : message.stop - start]
                part[...] = message.carried(belief, clique, separator)
        for column in clique:
            rows = self._rows.get(column)
            if rows and start <= rows.start < stop and column not in separator:
                part = table[..., rows.start - start : rows.stop - start]
                part[...] = keep(belief, clique, (*separator, column))

    def _empty(self, separator: Clique, rows: int) -> Floats:
        return np.zeros((*self._model.tree.domain.project(separator).shape, rows))

    def _clique(self, i: int) -> Clique:
        return self._model.tree.cliques[i]

    def _rows_before(self, place: int) -> int:
        """Rows of sources whose homes come before a place."""
        return self._ends[bisect_left(self._from, place)]

    def _targets_in(self, start: int, stop: int) -> bool:
        """Whether homes of targets lie within some places."""
        return bisect_left(self._to, start) < bisect_left(self._to, stop)


def keep(table: Floats, columns: Clique, kept: Clique) -> Floats:
    """Sum out all columns of a table but some, whose axes then come in the given order."""
    dropped = tuple(axis for axis, column in enumerate(columns) if column not in kept)
    left = tuple(column for column in columns if column in kept)
    return _turned(table.sum(axis=dropped), left, kept)


def _turned(table: Floats, columns: Clique, wanted: Clique) -> Floats:
    """The same table with its columns in another order; a last axis of rows stays last."""
    axes = [columns.index(column) for column in wanted]
    return table.transpose(*axes, *range(len(axes), table.ndim))
