"""Glaze: marginals in a few thin layers, each chosen where the model so far is most wrong.

A painter glazes by laying thin, transparent layers over an underpainting. Here the underpainting is the
independent model of single columns; each layer is a batch of marginals, measured at once.

How a layer is chosen and measured: `tronie.synth.layers`. Here are the rounds, and what they may spend.

Guarantee: every access is Gaussian, and the squares of their parameters sum to at most the square of the
planned mu, which is fixed beforehand. So the whole run is mu-GDP, although which marginals are measured,
and with what part of the budget, depends on earlier answers (Smith, Thakurta 2022, arXiv 2210.17520).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tronie.measure.curator import Curator
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.layers import Layers, Level, columns_share
from tronie.synth.method import Fitted
from tronie.synth.plan import Plan, pair_plan
from tronie.synth.prepare import prepare
from tronie.synth.prior import PRIOR
from tronie.synth.settings import DEFAULTS, Effort, Settings

SELECT = 0.04
"""Share of choosing marginals, over all rounds."""

LEVELS: Mapping[Effort, Level] = MappingProxyType(
    {"fast": Level(3, 100_000), "normal": Level(5, 400_000), "high": Level(6, 2_000_000)}
)


@dataclass(frozen=True, slots=True)
class Glaze:
    """Measure every column, then pairs and small triples in batches where the model is most wrong."""

    name: str = "glaze"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A part to single columns, a little to the selection, the rest to pairs and triples."""
        level = LEVELS[settings.effort].within(settings)
        return pair_plan(
            self.name,
            schema,
            budget,
            settings,
            columns=columns_share(schema, budget.mu),
            select=SELECT,
            why=f"choose pairs, in {level.rounds} rounds",
            prior=PRIOR,
            rounds=level.rounds,
            cells=level.cells,
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure the columns, then a layer of marginals in each round."""
        level = LEVELS[plan.settings.effort].within(plan.settings)
        layers = Layers(curator, prepare(curator, schema, plan), plan, level)
        model = layers.fit(layers.measure_again(layers.lay()))
        return Fitted(
            layers.prepared, model, tuple(layers.measured), layers.misfits(model.marginals)
        )
