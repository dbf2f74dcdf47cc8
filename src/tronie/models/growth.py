"""How large a model's tables become if one more clique is added."""

from __future__ import annotations

from collections.abc import Iterable

from tronie.models.junction import check_clique
from tronie.models.triangulation import Graph
from tronie.schema.domain import Clique, Domain


class Growth:
    """Cells of a model's tables while cliques are added, without making the tables.

    Sizes are those of `junction_tree`, exactly. Its elimination goes the same way up to the first column
    that a new clique gives a neighbour; so the state before every step is kept, and only the rest is
    worked out for each candidate.

    Args:
        domain: All columns.
        cliques: Sets of columns that some table must contain from the start.

    Raises:
        SchemaError: If a clique names an unknown column, or a column twice.

    >>> growth = Growth(Domain(dict.fromkeys("abcd", 10)), [("a", "b"), ("b", "c"), ("c", "d")])
    >>> growth.cells, growth.cells_with(("d", "a")), growth.cells_with(("a", "b", "c"))
    (300, 2000, 1100)
    >>> growth.add(("d", "a"))
    >>> growth.cells
    2000
    """

    def __init__(self, domain: Domain, cliques: Iterable[Clique] = ()) -> None:
        self._domain = domain
        self._numbers = {column: i for i, column in enumerate(domain)}
        self._graph = Graph.of(domain.shape, map(self._members, cliques))
        self._eliminate()

    @property
    def cells(self) -> int:
        """Cells of all tables together."""
        return self._cells

    def cells_with(self, clique: Clique) -> int:
        """Cells of all tables together if a clique were added.

        Raises:
            SchemaError: If the clique names an unknown column, or a column twice.
        """
        apart = self._graph.apart(self._members(clique))
        if not apart:
            return self._cells
        first = min(self._step[column] for column in apart)
        if not self._before[first].apart(apart):
            return self._cells
        graph = self._before[first].copy()
        graph.join(apart)
        total, rests = self._sums[first], set[int]()
        for column, near in graph.eliminate():
            if near not in rests and self._rests.get(near, first) >= first:
                total += graph.cells[column]
            rests.add(near ^ 1 << column)
        return total

    def add(self, clique: Clique) -> None:
        """Add a clique.

        Raises:
            SchemaError: If the clique names an unknown column, or a column twice.
        """
        apart = self._graph.apart(self._members(clique))
        if apart:
            self._graph.join(apart)
            self._eliminate()

    def _members(self, clique: Clique) -> list[int]:
        check_clique(self._domain, clique)
        return [self._numbers[column] for column in clique]

    def _eliminate(self) -> None:
        """Eliminate all columns, and keep what it was like before each step."""
        graph = self._graph.copy()
        self._before: list[Graph] = []
        self._step: dict[int, int] = {}
        self._rests: dict[int, int] = {}
        self._sums: list[int] = []
        self._cells = 0
        for step, (column, near) in enumerate(graph.eliminate()):
            self._before.append(graph.copy())
            self._step[column] = step
            self._sums.append(self._cells)
            if near not in self._rests:
                self._cells += graph.cells[column]
            self._rests.setdefault(near ^ 1 << column, step)
