"""Hybrid: marginals first, and a network that begins with what they know.

A part of the budget goes to `glaze`. A transformer learns from rows of that model, which costs nothing, and
then, by private gradient descent with the rest of the budget, what marginals of two or three columns cannot
say. Its single columns are raked to those of the marginal model, and its pairs to those that were measured,
as far as their noise allows.

Source: rows of no one before private rows, as in DP-2Stage (Afonja et al. 2024, arXiv 2412.02467), where
they are drawn evenly or from another table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tronie.measure.curator import Curator
from tronie.models.field import draw
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.glaze import Glaze
from tronie.synth.learning import (
    TRAIN,
    Start,
    finish,
    in_order,
    require_affordable,
    require_torch,
    train_privately,
    train_publicly,
)
from tronie.synth.method import Fitted
from tronie.synth.plan import Plan, Step
from tronie.synth.settings import DEFAULTS, Settings

MARGINALS = 0.75
"""Share of the marginal model."""

ROWS = 2**18
"""Rows of the marginal model that the network learns from."""


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Fit a marginal model, train a network on its rows, and then on private ones."""

    name: str = "hybrid"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A part to the steps of `glaze`, the rest to training.

        Raises:
            InputError: If PyTorch is not installed, or the budget does not allow the noise that was asked.
        """
        require_torch(self.name)
        plan = replace(Glaze().plan(schema, budget, settings), method=self.name)
        if all(step.name != "pairs" for step in plan.steps):
            return plan
        steps = [Step(step.name, step.share * MARGINALS, step.why) for step in plan.steps]
        last = Step(TRAIN, 1 - MARGINALS, "train a network on sampled rows")
        return require_affordable(replace(plan, steps=(*steps, last)), schema)

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Fit the marginal model, learn from its rows, then from private ones."""
        rng = np.random.default_rng(0)
        fitted = Glaze().fit(curator, schema, plan)
        start = Start.of(fitted.prepared, plan, "transformer", rng, fitted.model)
        parameters = start.parameters
        if any(step.name == TRAIN for step in plan.steps):
            rows = in_order(draw(fitted.model, ROWS, rng), start.order)
            parameters = train_publicly(start, parameters, rows, start.level.public, rng)
            parameters = train_privately(curator, schema, plan, start, parameters)
        model = finish(start, parameters, rng, fitted.measured)
        return Fitted(fitted.prepared, model, fitted.measured)
