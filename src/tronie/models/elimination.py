"""Marginals of any columns of a calibrated junction tree, by elimination along the tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from tronie.errors import DomainTooLarge
from tronie.models.factor import Factor
from tronie.models.junction import JunctionTree
from tronie.models.pairwise import pair_marginals
from tronie.models.sweeps import Calibrated
from tronie.schema.domain import Clique, Domain

MAX_TABLE = 10_000_000
"""Cells of a marginal, unless a caller sets another limit."""

KEPT_CELLS = 2**23
"""Cells of the messages that are remembered, at most: 64 MiB."""

_Message: TypeAlias = tuple[int, int, frozenset[str]]
"""A clique, the neighbour that it tells (itself for an answer), and the columns that it tells of."""


def tree_marginals(
    tree: JunctionTree, beliefs: Sequence[Factor], wanted: Iterable[Clique], max_cells: int
) -> list[Factor]:
    """Marginal probabilities of several sets of columns.

    Pairs go together (see `pair_marginals`). Of larger sets, columns of one clique are summed out of its
    table. Others are carried to a common clique along the paths of the tree, where everything else is
    summed out as early as can be; what several sets of columns have in common is worked out once.

    Args:
        tree: The junction tree.
        beliefs: Marginal probabilities of each clique.
        wanted: Sets of columns.
        max_cells: Most cells of any table.

    Raises:
        DomainTooLarge: If a table would have more cells.
    """
    cliques = list(wanted)
    model = Calibrated.of(tree, [belief.values for belief in beliefs])
    pairs = pair_marginals(model, ((c[0], c[1]) for c in cliques if len(c) == 2), max_cells)
    query = _Query(model, beliefs, max_cells)
    return [
        Factor(tree.domain.project(clique), pairs[clique[0], clique[1]])
        if clique in pairs
        else query.marginal(clique)
        for clique in cliques
    ]


class _Query:
    """Messages between neighbouring cliques, each of them conditional on their separator."""

    def __init__(self, model: Calibrated, beliefs: Sequence[Factor], max_cells: int) -> None:
        self._tree, self._beliefs, self._max_cells = model.tree, beliefs, max_cells
        self._homes, self._walk = model.homes, model.walk
        self._known: dict[_Message, Factor] = {}
        self._kept = 0

    def marginal(self, clique: Clique) -> Factor:
        """Marginal probabilities of some columns, in their order."""
        if self._kept > KEPT_CELLS:
            self._known.clear()
            self._kept = 0
        components: dict[int, list[str]] = {}
        for column in clique:
            components.setdefault(self._walk.roots[self._homes[column]], []).append(column)
        result = Factor(Domain({}), np.ones(()))
        for columns in components.values():
            self._require_room([*result.columns, *columns])
            result = result * self._connected(columns)
        return result.project(clique)

    def _connected(self, columns: Sequence[str]) -> Factor:
        """Marginal probabilities of columns of one component.

        If a clique contains them all, so does the lowest of the columns' homes.
        """
        lowest = max(self._homes[column] for column in columns)
        together = set(columns) <= set(self._tree.cliques[lowest])
        place = lowest if together else self._homes[columns[-1]]
        needed: list[_Message] = [(place, place, frozenset(columns))]
        for message in needed:
            needed += [source for source in self._sources(message) if source not in self._known]
        for message in reversed(needed[1:]):
            joint = self._joint(message)
            given = [column for column in joint.columns if column not in message[2]]
            self._known[message] = joint / joint.project(given)
            self._kept += joint.values.size
        return self._joint(needed[0])

    def _sources(self, message: _Message) -> list[_Message]:
        """Messages that one rests on: of columns that lie beyond its clique."""
        here, _, told = message
        beyond: dict[int, set[str]] = {}
        for column in told.difference(self._tree.cliques[here]):
            hop = self._walk.towards(here, self._homes[column])
            beyond.setdefault(hop, set()).add(column)
        return [(hop, here, frozenset(beyond[hop])) for hop in sorted(beyond)]

    def _joint(self, message: _Message) -> Factor:
        """Probabilities of the columns that a message tells of, and of the separator."""
        here, told_to, told = message
        near = self._tree.cliques[here]
        separator = set(near) & set(self._tree.cliques[told_to]) if told_to != here else set[str]()
        keep = separator | told
        parts = [self._known[source] for source in self._sources(message)]
        result = self._beliefs[here]
        for i, part in enumerate(parts):
            later = {column for other in parts[i + 1 :] for column in other.columns}
            wanted = keep | (later & set(near))
            self._require_room((set(result.columns) | set(part.columns)) & wanted)
            result = result.contract(part, wanted)
        return result.project([column for column in result.columns if column in keep])

    def _require_room(self, columns: Iterable[str]) -> None:
        names = tuple(columns)
        cells = self._tree.domain.size(names)
        if cells > self._max_cells:
            raise DomainTooLarge(
                f"a table of {len(names)} columns on the way would have {cells:,} cells; "
                f"the limit is {self._max_cells:,}.",
                "Ask for fewer columns at once.",
            )
