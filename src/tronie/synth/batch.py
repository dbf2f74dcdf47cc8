"""Which marginals to measure next, together: a greedy choice among noisy scores."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tronie.schema.domain import Clique
from tronie.synth.pairs import Components, even_out

CAUTION = 2.0
"""How many times the expected noise of a measurement counts against it.

Scores of the chosen are over-estimates, as they were chosen for their scores."""

SCARCITY = 0.08
"""What an e-fold of a full model's size is worth, as a part of all rows; less in an emptier one."""

LOOKAHEAD = 30
"""Most promising candidates whose effect on the model's size is worked out at each step."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A marginal that may be measured.

    Attributes:
        gain: Its noisy distance from the model, as a part of all rows, times its weight.
        cost: Expected error of its measurement, as a part of all rows, times its weight, if it had
            the whole batch's budget for itself.
    """

    gain: float
    cost: float


class Room(Protocol):
    """How large a model becomes."""

    @property
    def cells(self) -> int:
        """Cells of the model so far."""
        ...

    def cells_with(self, clique: Clique) -> int:
        """Cells if a clique were added."""
        ...

    def add(self, clique: Clique) -> None:
        """Add a clique."""
        ...


def choose(
    candidates: Mapping[Clique, Candidate], room: Room, *, most: int, cells: int, forest: bool
) -> dict[Clique, float]:
    """A batch, and the part of its budget that each of its marginals gets.

    Marginals with errors ``c / sqrt(budget)`` share a budget best in proportion to ``c^(2/3)``, and
    then err together by ``(sum of c^(2/3))^(3/2) / sqrt(budget)``. So one more marginal costs the
    difference that it makes to that sum; it is taken as long as it gains more, the best first.

    Args:
        candidates: Clique -> what it gains and costs.
        room: The model so far; chosen cliques are added to it.
        most: Most marginals.
        cells: Most cells of the model.
        forest: Whether to take pairs only that close no circle.

    Source: closed-form allocation as in SWIFT (google/dpsynth).
    """
    waiting = _Waiting([c for c in candidates if len(c) == 2 or not forest], candidates)
    components = Components(waiting.cliques)
    batch: dict[Clique, float] = {}
    while len(batch) < most:
        best, least = None, 0.0
        tried = gone = frozenset[int]()
        for i, worth in waiting.promising(sum(batch.values())):
            # A price only takes away: in a forest, none that comes later can be better.
            if len(tried) == LOOKAHEAD or (forest and worth <= least):
                break
            if forest and components.joined(waiting.cliques[i]):
                gone |= {i}
                continue
            tried |= {i}
            size = room.cells_with(waiting.cliques[i])
            net = worth - _price(room.cells, size, cells)
            if size > cells:
                gone |= {i}
            elif net > least:
                best, least = i, net
        if not tried:
            break
        if best is not None:
            clique = waiting.cliques[best]
            batch[clique] = waiting.part(best)
            room.add(clique)
            if len(clique) == 2:
                components.join(clique)
        # A clique that is too dear now may become cheap once others have enlarged the model.
        waiting.drop(gone | (tried if best is None else {best}))
    return even_out(batch)


class _Waiting:
    """Candidates that are neither taken nor dropped, as arrays: there may be many thousands."""

    def __init__(self, cliques: list[Clique], candidates: Mapping[Clique, Candidate]) -> None:
        self.cliques = cliques
        self._gains = np.array([candidates[c].gain for c in cliques])
        self._parts = np.array([candidates[c].cost for c in cliques]) ** (2 / 3)
        self._left = np.arange(len(cliques))

    def part(self, i: int) -> float:
        """A candidate's part of the batch's budget, before parts are made to sum to 1."""
        return float(self._parts[i])

    def promising(self, used: float) -> Iterator[tuple[int, float]]:
        """Candidates worth more than they cost, the best first; the others are dropped.

        Args:
            used: Sum of the parts that were taken; costs only rise with it.
        """
        costs = (used + self._parts[self._left]) ** 1.5 - used**1.5
        worth = self._gains[self._left] - CAUTION * costs
        order = np.argsort(-worth, kind="stable")
        order = order[worth[order] > 0]
        self._left = self._left[order]
        return zip(self._left.tolist(), worth[order].tolist(), strict=True)

    def drop(self, gone: Collection[int]) -> None:
        """Leave candidates out from now on."""
        self._left = self._left[~np.isin(self._left, list(gone))]


def _price(before: int, after: int, cells: int) -> float:
    """What a model's growth is worth: nothing much while there is room."""
    return SCARCITY * after / cells * math.log(max(after / before, 1.0))
