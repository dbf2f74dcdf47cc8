"""Which marginals to measure next, together: a greedy choice among noisy scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tronie.schema.domain import Clique
from tronie.synth.pairs import Components

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
    parts = {clique: candidate.cost ** (2 / 3) for clique, candidate in candidates.items()}
    waiting = [c for c in candidates if len(c) == 2] if forest else list(candidates)
    components = Components(waiting)
    batch: dict[Clique, float] = {}
    used = 0.0
    while waiting and len(batch) < most:
        worth = {
            c: candidates[c].gain - CAUTION * ((used + parts[c]) ** 1.5 - used**1.5)
            for c in waiting
            if not (forest and components.joined(c))
        }
        waiting = sorted((c for c in worth if worth[c] > 0), key=lambda c: -worth[c])
        sizes = {c: room.cells_with(c) for c in waiting[:LOOKAHEAD]}
        net = {c: worth[c] - _price(room.cells, sizes[c], cells) for c in sizes}
        fitting = [c for c in sizes if sizes[c] <= cells and net[c] > 0]
        gone = {c for c in sizes if sizes[c] > cells}
        if fitting:
            best = max(fitting, key=net.__getitem__)
            batch[best] = parts[best]
            used += parts[best]
            room.add(best)
            if len(best) == 2:
                components.join(best)
            gone.add(best)
        else:
            # A clique that is too dear now may become cheap once others have enlarged the model.
            gone.update(sizes)
        waiting = [c for c in waiting if c not in gone]
    return {clique: part / used for clique, part in batch.items()}


def _price(before: int, after: int, cells: int) -> float:
    """What a model's growth is worth: nothing much while there is room."""
    return SCARCITY * after / cells * math.log(max(after / before, 1.0))
