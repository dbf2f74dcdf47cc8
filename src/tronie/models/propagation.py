"""Belief propagation over a junction tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tronie.models.junction import JunctionTree
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats

IMPOSSIBLE = -1e30
"""Log potential of a cell that cannot occur.

Finite, so that no difference of two is ever undefined; and so far below any sum of real potentials that
the exponential of a difference is exactly 0.
"""


@dataclass(frozen=True, slots=True)
class _Edge:
    """How one clique's table speaks with its parent's.

    Attributes:
        new: Number of leading axes that the parent lacks.
        parent: Index of the parent; -1 for a root.
        dropped: Axes of the parent that are not in the separator.
        above: Separator's shape, spread over the parent's axes.
        here: Separator's shape, spread over the clique's own axes.
    """

    new: int
    parent: int
    dropped: tuple[int, ...]
    above: tuple[int, ...]
    here: tuple[int, ...]


class Propagation:
    """Belief propagation over one tree, prepared once and run often.

    Args:
        tree: The junction tree.
    """

    def __init__(self, tree: JunctionTree) -> None:
        self._edges = [_edge(tree, i) for i in range(len(tree.cliques))]

    def calibrate(self, tables: Sequence[Floats]) -> float:
        """Turn log potentials into marginal probabilities, in place.

        Messages towards the roots are sums in log space and leave conditional probabilities behind;
        back from the roots those are multiplied by the parents' marginals. That is one exponential
        per cell, and a probability below 1e-308 of its neighbours' becomes 0.

        Args:
            tables: One log potential per clique, in the shape of its columns; `IMPOSSIBLE` marks
                cells that cannot occur. Overwritten.

        Returns:
            Logarithm of the partition function; below ``IMPOSSIBLE / 2`` if no cell can occur.

        Source: Lauritzen, Spiegelhalter 1988.
        """
        log_partition = 0.0
        for edge, table in zip(reversed(self._edges), reversed(tables), strict=True):
            message = _condition(table, edge.new)
            if edge.parent < 0:
                log_partition += float(message)
            else:
                above = tables[edge.parent]
                above += message.reshape(edge.above)
        for edge, table in zip(self._edges, tables, strict=True):
            if edge.parent >= 0:
                table *= tables[edge.parent].sum(axis=edge.dropped).reshape(edge.here)
        return log_partition


def _condition(table: Floats, new: int) -> Floats:
    """Normalise over the leading axes, in place; returns the logarithm of what was divided by."""
    axes = tuple(range(new))
    peak = table.max(axis=axes)
    table -= peak
    np.exp(table, out=table)
    mass = table.sum(axis=axes)
    table /= mass
    return np.log(mass) + peak


def _edge(tree: JunctionTree, i: int) -> _Edge:
    separator = tree.separator(i)
    parent = tree.parents[i]
    above = tree.cliques[parent] if parent >= 0 else ()
    return _Edge(
        new=len(tree.new_columns(i)),
        parent=parent,
        dropped=tuple(axis for axis, column in enumerate(above) if column not in separator),
        above=spread(tree.domain, separator, above),
        here=tree.domain.project(separator).shape,
    )


def spread(domain: Domain, columns: Clique, over: Clique) -> tuple[int, ...]:
    """Shape that lets a table of some columns broadcast over a larger set of columns."""
    return tuple(domain[column] if column in columns else 1 for column in over)
