"""Each column on its own: the baseline that every other method must beat."""

from __future__ import annotations

from dataclasses import dataclass

from tronie.measure.curator import Curator
from tronie.models.estimation import estimate
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.method import Fitted
from tronie.synth.plan import Plan, make_plan
from tronie.synth.prepare import prepare
from tronie.synth.settings import DEFAULTS, Settings


@dataclass(frozen=True, slots=True)
class Independent:
    """Measure every column, and draw each independently of the others.

    Declared constraints still hold in every row.
    """

    name: str = "independent"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """All that is not spent on finding the domain goes to single columns."""
        return make_plan(self.name, schema, budget, {}, settings, pairs=0)

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure the columns and fit them, constraints included."""
        prepared = prepare(curator, schema, plan)
        model = estimate(prepared.domain, prepared.oneways, prepared.total, zeros=prepared.zeros)
        return Fitted(prepared, model, prepared.oneways)
