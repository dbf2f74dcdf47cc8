"""Junction trees: which tables hold a model of given cliques, and how they hang together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tronie.errors import DomainTooLarge, SchemaError
from tronie.models.triangulation import Elimination, Graph, members
from tronie.schema.domain import Clique, Domain

MAX_CELLS = 10_000_000
"""Cells of a model, unless a caller sets another limit: 80 MB for each copy of its tables."""


@dataclass(frozen=True, slots=True)
class JunctionTree:
    """Maximal cliques of a triangulated graph, as a rooted tree, or one tree per component.

    Args:
        domain: All columns.
        cliques: The maximal cliques, parents before children. In each, the columns that its parent
            lacks come first and the separator comes last, in the parent's order.
        parents: Index of each clique's parent; -1 for a root.

    Raises:
        SchemaError: If that is not so, if a column is missing, or if the cliques that share a
            column are not connected (the running intersection property).

    >>> tree = junction_tree(Domain({"a": 2, "b": 3, "c": 4}), [("a", "b"), ("b", "c")])
    >>> tree.cliques, tree.parents, tree.separator(1), tree.cells
    ((('b', 'c'), ('a', 'b')), (-1, 0), ('b',), 18)
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.cliques) != len(self.parents):
            raise _not_a_tree("cliques and parents differ in number")
        seen: set[str] = set()
        for i, (clique, parent) in enumerate(zip(self.cliques, self.parents, strict=True)):
            if not -1 <= parent < i:
                raise _not_a_tree(f"clique {i} does not come after its parent")
            check_clique(self.domain, clique)
            above = self.cliques[parent] if parent >= 0 else ()
            separator = tuple(column for column in above if column in clique)
            new = clique[: len(clique) - len(separator)]
            if not new or clique[len(new) :] != separator or not seen.isdisjoint(new):
                raise _not_a_tree(f"clique {i} does not fit its parent")
            seen.update(new)
        if len(seen) != len(self.domain):
            raise _not_a_tree("some columns are in no clique")

    @property
    def cells(self) -> int:
        """Cells of all cliques' tables together."""
        return sum(map(self.domain.size, self.cliques))

    @property
    def homes(self) -> dict[str, int]:
        """Column -> its clique nearest to the root."""
        return {column: i for i in range(len(self.cliques)) for column in self.new_columns(i)}

    def smallest_with(self, columns: Iterable[str]) -> int:
        """The clique with the smallest table that contains some columns."""
        wanted = set(columns)
        containing = [i for i, clique in enumerate(self.cliques) if wanted.issubset(clique)]
        return min(containing, key=lambda i: self.domain.size(self.cliques[i]))

    def separator(self, i: int) -> Clique:
        """Columns that a clique shares with its parent, in the order of both."""
        above = self.cliques[self.parents[i]] if self.parents[i] >= 0 else ()
        return tuple(column for column in above if column in self.cliques[i])

    def new_columns(self, i: int) -> Clique:
        """Columns of a clique that its parent lacks: its first axes."""
        return self.cliques[i][: len(self.cliques[i]) - len(self.separator(i))]


def junction_tree(
    domain: Domain, cliques: Iterable[Clique], *, max_cells: int = MAX_CELLS
) -> JunctionTree:
    """A junction tree that covers some cliques, and all columns.

    Columns are eliminated greedily, the one with the smallest resulting table first. Separators of
    the tree are as large as those of any maximum-weight spanning tree of the maximal cliques.

    Args:
        domain: All columns; those in no clique become roots of their own.
        cliques: Sets of columns that some table of the model must contain.
        max_cells: Most cells of all tables together.

    Raises:
        DomainTooLarge: If the tables would have more cells; nothing was allocated.
        SchemaError: If a clique names an unknown column, or a column twice.

    Source: Koller, Friedman 2009, sections 9.4 and 10.4; Blair, Peyton 1993 for reading the tree
    off the elimination order.
    """
    elimination = Elimination.of(_graph(domain, cliques))
    if elimination.cells > max_cells:
        raise DomainTooLarge(
            f"the model's tables would have {elimination.cells:,} cells; the limit is {max_cells:,}.",
            "Use fewer or smaller cliques, or merge values of the largest columns.",
        )
    return _hang(domain, elimination)


def forecast_cells(domain: Domain, cliques: Iterable[Clique]) -> int:
    """Cells of the tables that `junction_tree` would make, without making anything.

    >>> ring = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    >>> forecast_cells(Domain(dict.fromkeys("abcd", 10)), ring)
    2000
    """
    return Elimination.of(_graph(domain, cliques)).cells


def check_clique(domain: Domain, clique: Clique) -> None:
    """Refuse a clique that names a column twice, or one that the domain lacks."""
    columns = set(clique)
    if len(columns) == len(clique) and columns <= domain.sizes.keys():
        return
    unknown = sorted(columns - domain.sizes.keys())
    raise SchemaError(
        f"{clique} is no set of columns of this table.",
        f"Unknown: {', '.join(map(repr, unknown))}." if unknown else "Name each column once.",
    )


def _graph(domain: Domain, cliques: Iterable[Clique]) -> Graph:
    """The columns by their numbers, each clique joined."""
    numbers = {column: i for i, column in enumerate(domain)}
    numbered: list[list[int]] = []
    for clique in cliques:
        check_clique(domain, clique)
        numbered.append([numbers[column] for column in clique])
    return Graph.of(domain.shape, numbered)


def _hang(domain: Domain, elimination: Elimination) -> JunctionTree:
    """Connect each maximal clique to the one that holds what is left of it in the end."""
    place = {column: i for i, column in enumerate(elimination.rests)}
    above: dict[int, int | None] = {}
    for column, holder in elimination.holders.items():
        rest = members(elimination.rests[column])
        first = min(rest, key=place.__getitem__, default=None)
        above[holder] = None if first is None else elimination.holders[first]
    below: dict[int | None, list[int]] = {}
    for holder, parent in above.items():
        below.setdefault(parent, []).append(holder)
    names = domain.columns
    index: dict[int, int] = {}
    cliques: list[Clique] = []
    parents: list[int] = []
    waiting = below.get(None, [])[::-1]
    while waiting:
        holder = waiting.pop()
        up = above[holder]
        parents.append(-1 if up is None else index[up])
        columns = {names[i] for i in (holder, *members(elimination.rests[holder]))}
        cliques.append(_axes(domain, columns, cliques, parents[-1]))
        index[holder] = len(index)
        waiting += below.get(holder, [])[::-1]
    return JunctionTree(domain, tuple(cliques), tuple(parents))


def _axes(domain: Domain, columns: set[str], cliques: list[Clique], parent: int) -> Clique:
    """Order of a clique's columns: new ones first, long axes last, where numpy is fastest."""
    separator = [c for c in cliques[parent] if c in columns] if parent >= 0 else []
    new = [column for column in domain if column in columns and column not in separator]
    return (*sorted(new, key=domain.sizes.__getitem__), *separator)


def _not_a_tree(why: str) -> SchemaError:
    return SchemaError(
        f"the cliques of a model form no junction tree: {why}.",
        "Build the tree with junction_tree.",
    )
