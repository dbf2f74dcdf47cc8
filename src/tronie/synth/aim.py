"""AIM: one marginal per round, the one of the workload whose measurement should help most.

Round by round: (1) of the workload's marginals and all that they contain, the one is chosen whose
distance from the model, less the noise of measuring it, is largest, weighted by how much of the workload
it touches; (2) it is measured; (3) the model is fitted again from where it stood; (4) if that moved it by
no more than the noise, later rounds get four times the budget. The model may grow as the budget is used.

Guarantee: each round costs a part of the planned square of mu, and the parts sum to 1. That limit is fixed
beforehand; what is chosen, and how large a part is, depends on earlier answers only. So the run is mu-GDP
(Smith, Thakurta 2022, arXiv 2210.17520).

Source: McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677. Different here: columns are measured
first with noise that suits their size, rounds are fewer, and by default the choice is the largest of noisy
scores rather than an exponential mechanism: all candidates are scored once, and in each round only the most
promising ones again, as in AIM-GDP (google/dpsynth).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from tronie.errors import DomainTooLarge
from tronie.measure.curator import Curator
from tronie.measure.queries import Ints, Misfits, Selection
from tronie.measure.tables import MAX_SIGMA
from tronie.models.estimation import estimate
from tronie.models.growth import Growth
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.privacy.budget import Budget
from tronie.privacy.events import bounded_range
from tronie.schema.domain import Clique, Domain
from tronie.schema.schema import Schema
from tronie.synth.method import Fitted
from tronie.synth.pairs import measure_shares, rounded
from tronie.synth.plan import MEAN_ABSOLUTE, PAIR_CELLS, Plan, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.settings import CELL_BYTES, DEFAULTS, Effort, Settings
from tronie.synth.workload import Workload

SELECT = 0.1
"""Share of choosing, of what single columns leave."""

FIRST = 0.2
"""Part of the choosing that scores all candidates once."""

PROMISING = 16
"""Candidates that are scored again in each round."""

NOISE = 0.5
"""Most noise of a score that a round should have, as a part of all rows."""

ANNEALING = 4.0
"""How much more later rounds get after one that told nothing new."""

ROUNDS: Mapping[Effort, int] = {"fast": 2, "normal": 4, "high": 8}
"""Planned rounds for each column; annealing makes them fewer."""

CELLS: Mapping[Effort, int] = {"fast": 100_000, "normal": 400_000, "high": 1_000_000}
"""Most cells of the model's tables once the whole budget is used."""

COUNT_BYTES = 16
"""Bytes for a cell of a candidate's table: its count, and the model's. Counts get half the memory."""

CANDIDATES = 20_000
"""Most candidates; those with the smallest tables are kept."""

WIDTH = 5
"""Most columns of a candidate."""

WEIGHT_STEPS = 1000
"""The largest of the integer weights of an exponential mechanism."""

ROUND_TOLERANCE, LAST_TOLERANCE = 0.1, 0.03
"""Fits between rounds stop at the first gradient, in noise sds; the last fit goes on to the second."""

Admits: TypeAlias = Callable[[Clique], bool]
"""Whether the model may take in a clique."""


def columns_share(mu: float) -> float:
    """Share of single columns: noise hurts them most where it is largest.

    >>> [round(columns_share(mu), 2) for mu in (0.02, 0.18, 1.5)]
    [0.6, 0.35, 0.21]
    """
    return min(max(0.228 * mu**-0.25, 0.15), 0.6)


@dataclass(frozen=True, slots=True)
class Aim:
    """Measure every column, then in each round the marginal that should help the workload most.

    Attributes:
        selection: `gaussian` for the largest of noisy scores, or `exponential` for an exponential
            mechanism over all candidates, as published.
        rounds: Planned rounds for each column; None leaves it to the effort.
    """

    selection: Literal["gaussian", "exponential"] = "gaussian"
    rounds: float | None = None
    name: str = "aim"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A third or so to single columns; of the rest a tenth to choosing."""
        columns = columns_share(budget.mu)
        return pair_plan(
            self.name,
            schema,
            budget,
            settings,
            columns=columns,
            select=SELECT * (1 - columns),
            why="choose marginals, one in each round",
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure the columns, then one marginal in each round."""
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        model = fitted(prepared, measured)
        if len(prepared.domain) > 1:
            scores = self._scores(curator, prepared, plan, model)
            room = Room.of(prepared, plan.settings)
            left, part = 1.0, self._first_part(prepared, plan)
            while left > 0:
                part = left if left < 2 * part else part
                clique = scores.choose(model, part, room.admits(1 - left + part))
                room.add(clique)
                (answer,) = measure_shares(curator, plan, {clique: 1.0}, part)
                measured.append(answer)
                before, model = model, fitted(prepared, measured, model)
                left -= part
                if not told_something(before, model, answer):
                    part *= ANNEALING
        return Fitted(prepared, fitted(prepared, measured, model, LAST_TOLERANCE), tuple(measured))

    def _first_part(self, prepared: Prepared, plan: Plan) -> float:
        """The part of the first round: larger where its scores would be noise alone."""
        rounds = (self.rounds or ROUNDS[plan.settings.effort]) * len(prepared.domain)
        noise = plan.sigma("select", 1 - FIRST, PROMISING**0.5)
        most = min(NOISE * prepared.total, MAX_SIGMA)
        return min(max(1.0 / math.ceil(rounds), (noise / most) ** 2), 1.0)

    def _scores(
        self, curator: Curator, prepared: Prepared, plan: Plan, model: MarkovRandomField
    ) -> Scores:
        workload = plan.settings.workload_of(prepared.schema).over(prepared.schema)
        weights = closure(workload) or dict.fromkeys(((c,) for c in prepared.domain), 1.0)
        weights = countable(prepared.domain, plan.settings, weights)
        # Two tables of n rows are at most 2 n apart: where noise alone adds more, no measurement helps.
        most = 2 * prepared.total / (MEAN_ABSOLUTE * plan.sigma("pairs"))
        weights = {
            c: w for c, w in weights.items() if len(c) == 1 or prepared.domain.size(c) <= most
        }
        if self.selection == "exponential":
            return _Exponential(curator, plan, weights)
        return _Noisy(curator, plan, weights, model)


class Scores(Protocol):
    """How the clique of a round is chosen."""

    def choose(self, model: MarkovRandomField, part: float, admits: Admits) -> Clique:
        """The clique to measure with a part of the budget."""
        ...


class _Noisy:
    """The largest of noisy scores; a candidate's distance is known as of when it was last asked for."""

    def __init__(
        self,
        curator: Curator,
        plan: Plan,
        weights: Mapping[Clique, float],
        model: MarkovRandomField,
    ) -> None:
        self._curator, self._plan, self._weights = curator, plan, weights
        self._distances: dict[Clique, float] = {}
        drawable = int((MAX_SIGMA / plan.sigma("select", FIRST)) ** 2)
        self._ask(expected(model, list(weights)[: max(drawable, 1)]), FIRST)

    def choose(self, model: MarkovRandomField, part: float, admits: Admits) -> Clique:
        """Score the most promising candidates again; the best of them."""
        noise = MEAN_ABSOLUTE * self._plan.sigma("pairs", part)

        def worth(clique: Clique) -> float:
            error = noise * model.domain.size(clique)
            return self._weights[clique] * (self._distances[clique] - error)

        ranked = filter(admits, sorted(self._distances, key=worth, reverse=True))
        references: dict[Clique, Ints] = {}
        while not references and (promising := list(itertools.islice(ranked, PROMISING))):
            references = expected(model, promising)
        self._ask(references, (1 - FIRST) * part)
        return max(references, key=worth)

    def _ask(self, references: Mapping[Clique, Ints], part: float) -> None:
        sigma = self._plan.sigma("select", part, len(references) ** 0.5)
        (distances,) = self._curator.ask([Misfits(references, sigma)])
        self._distances |= dict(zip(references, distances.tolist(), strict=True))


class _Exponential:
    """An exponential mechanism over all candidates in each round."""

    def __init__(self, curator: Curator, plan: Plan, weights: Mapping[Clique, float]) -> None:
        self._curator, self._plan = curator, plan
        self._weights = whole(weights)

    def choose(self, model: MarkovRandomField, part: float, admits: Admits) -> Clique:
        """A candidate with a high score."""
        noise = MEAN_ABSOLUTE * self._plan.sigma("pairs", part)
        references = expected(model, list(filter(admits, self._weights)))
        weights = {clique: self._weights[clique] for clique in references}
        offsets = {c: round(w * noise * model.domain.size(c)) for c, w in weights.items()}
        epsilon = bounded_range(self._plan.mu * (self._plan.share("select") * part) ** 0.5)
        return self._curator.select(Selection(references, epsilon, weights, offsets))


class Room:
    """How large a model may become.

    Args:
        growth: The size of its tables as cliques are added.
        cells: Most cells of its tables once the whole budget is used.
    """

    def __init__(self, growth: Growth, cells: int) -> None:
        self._growth, self._cells = growth, cells
        self._sizes: dict[Clique, int] = {}

    @classmethod
    def of(cls, prepared: Prepared, settings: Settings) -> Room:
        """As much as the effort and the memory allow; half the memory is for counts."""
        cells = CELLS[settings.effort]
        growth = Growth(prepared.domain, [zero.columns for zero in prepared.zeros])
        return cls(growth, min(cells, settings.cells(2 * cells) // 2))

    def admits(self, used: float) -> Admits:
        """Whether the model may take in a clique: what its tables hold already, and what is small enough.

        Args:
            used: Part of the budget that is used, this round included.
        """
        limit = max(self._cells * used, self._growth.cells)

        def admits(clique: Clique) -> bool:
            # A model only grows: what was too large for this limit once is so still.
            if self._sizes.get(clique, 0) <= limit:
                self._sizes[clique] = self._growth.cells_with(clique)
            return self._sizes[clique] <= limit

        return admits

    def add(self, clique: Clique) -> None:
        """Let the model hold a clique."""
        self._growth.add(clique)


def closure(workload: Workload) -> dict[Clique, float]:
    """All sets of columns that a marginal of the workload holds, each with its weight.

    The weight of a set is the sum, over the workload, of a marginal's weight times the number of columns
    that both have. Sets of more than `WIDTH` columns are left out.

    Source: McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677, section 4.

    >>> closure(Workload({("a", "b"): 1.0, ("b", "c"): 2.0}))
    {('a',): 1.0, ('b',): 3.0, ('c',): 2.0, ('a', 'b'): 4.0, ('b', 'c'): 5.0}
    """
    worth: dict[str, float] = {}
    for clique, weight in workload.weights.items():
        for column in clique:
            worth[column] = worth.get(column, 0.0) + weight
    parts = (
        part
        for width in range(1, WIDTH + 1)
        for clique in workload.weights
        for part in itertools.combinations(clique, width)
    )
    return {part: sum(worth[column] for column in part) for part in dict.fromkeys(parts)}


def countable(
    domain: Domain, settings: Settings, weights: Mapping[Clique, float]
) -> dict[Clique, float]:
    """Candidates whose tables can all be counted at once, smallest first."""
    room = min(PAIR_CELLS, settings.cells(PAIR_CELLS) * CELL_BYTES // (2 * COUNT_BYTES))
    kept: dict[Clique, float] = {}
    for clique in sorted(weights, key=domain.size)[:CANDIDATES]:
        room -= domain.size(clique)
        if room >= 0:
            kept[clique] = weights[clique]
    return kept


def expected(model: MarkovRandomField, cliques: Sequence[Clique]) -> dict[Clique, Ints]:
    """The model's counts, as whole numbers; those that would take too large tables are left out."""
    try:
        tables = model.marginals(cliques)
    except DomainTooLarge:
        halves = cliques[: len(cliques) // 2], cliques[len(cliques) // 2 :]
        return {} if len(cliques) == 1 else expected(model, halves[0]) | expected(model, halves[1])
    return {c: rounded(table.values) for c, table in zip(cliques, tables, strict=True)}


def told_something(before: MarkovRandomField, after: MarkovRandomField, answer: Marginal) -> bool:
    """Whether a measurement moved the model by more than its noise."""
    old, new = (model.marginal(answer.clique).values for model in (before, after))
    return float(np.abs(new - old).sum()) > MEAN_ABSOLUTE * float(answer.sd.sum())


def whole(weights: Mapping[Clique, float]) -> dict[Clique, int]:
    """Weights as whole numbers from 1 to `WEIGHT_STEPS`.

    >>> whole({("a", "b"): 0.5, ("b", "c"): 2.0})
    {('a', 'b'): 250, ('b', 'c'): 1000}
    """
    step = max(weights.values()) / WEIGHT_STEPS
    return {clique: max(round(weight / step), 1) for clique, weight in weights.items()}


def fitted(
    prepared: Prepared,
    measured: Sequence[Marginal],
    warm: MarkovRandomField | None = None,
    tolerance: float = ROUND_TOLERANCE,
) -> MarkovRandomField:
    """A model of what was measured, found from where an earlier one stood."""
    return estimate(
        prepared.domain,
        measured,
        prepared.total,
        zeros=prepared.zeros,
        warm=warm,
        tolerance=tolerance,
    )
