"""MWEM on a graphical model: in each round, measure the marginal of the workload that is most wrong.

As many rounds as the table has columns. In each: (1) an exponential mechanism chooses a marginal of the
workload that is far from the model, in L1; (2) it is measured; (3) the model is fitted to everything that
was measured so far. All rounds have the same budget. The noise of measuring plays no part in the choice, so
a table may be chosen that is too large to be measured well. Later methods mend that; this one is here to
compare them with.

Guarantee: every access has a part, planned beforehand, of the square of mu. An exponential mechanism is
charged as the Gaussian that dominates it.

Source: Hardt, Ligett, McSherry 2012, arXiv 1012.4763; with a graphical model in place of a table of all
combinations: McKenna, Sheldon, Miklau 2019, arXiv 1901.09136. Different from the first: single columns are
measured beforehand, whole marginals are measured rather than single queries, with Gaussian rather than
Laplace noise, and choosing gets a tenth of a round rather than half. The model has a largest size, which
grows from round to round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tronie.measure.curator import Curator
from tronie.measure.queries import Ints, Selection
from tronie.models.markov import MarkovRandomField
from tronie.privacy.budget import Budget
from tronie.privacy.events import bounded_range
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.aim import (
    LAST_TOLERANCE,
    SELECT,
    Admits,
    Room,
    columns_share,
    countable,
    expected,
    fitted,
    whole,
)
from tronie.synth.method import Fitted
from tronie.synth.pairs import measure_shares
from tronie.synth.plan import Plan, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.settings import DEFAULTS, Settings


@dataclass(frozen=True, slots=True)
class Mwem:
    """Measure every column, then in each round the workload's worst marginal.

    Attributes:
        rounds: Number of rounds; None stands for the number of columns.
    """

    rounds: int | None = None
    name: str = "mwem"

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
            why="choose the marginal that is most wrong, in each round",
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure the columns, then one marginal in each round."""
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        model = fitted(prepared, measured)
        if len(prepared.domain) > 1:
            weights = _candidates(prepared, plan)
            room = Room.of(prepared, plan.settings)
            rounds = self.rounds or len(prepared.domain)
            epsilon = bounded_range(plan.mu * (plan.share("select") / rounds) ** 0.5)
            for number in range(1, rounds + 1):
                admits = room.admits(number / rounds)
                references = _references(model, weights, admits)
                chosen = {clique: weights.get(clique, 1) for clique in references}
                clique = curator.select(Selection(references, epsilon, chosen))
                room.add(clique)
                measured += measure_shares(curator, plan, {clique: 1.0}, 1 / rounds)
                model = fitted(prepared, measured, model)
        return Fitted(prepared, fitted(prepared, measured, model, LAST_TOLERANCE), tuple(measured))


def _candidates(prepared: Prepared, plan: Plan) -> dict[Clique, int]:
    """The workload's marginals of two columns or more, with their weights."""
    workload = plan.settings.workload_of(prepared.schema).over(prepared.schema)
    wide = {clique: weight for clique, weight in workload.weights.items() if len(clique) > 1}
    kept = countable(prepared.domain, plan.settings, wide)
    return whole(kept) if kept else {}


def _references(
    model: MarkovRandomField, weights: Iterable[Clique], admits: Admits
) -> dict[Clique, Ints]:
    """The model's counts of candidates that it may take in; of single columns if there is none."""
    singles = [(column,) for column in model.domain]
    return expected(model, list(filter(admits, weights))) or expected(model, singles)
