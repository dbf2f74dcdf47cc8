"""Transformer: single columns by noisy counts, all that ties them together by a network.

One token for each code of each column, one head for each column. The network begins with the released
shares of single columns, so no private step is spent on those, and is trained by private gradient descent
(DP-SGD). At the end its single columns are raked to the released shares, and it learns from its own rows to
begin with any columns, so that rows can be drawn given some values. Both are arithmetic on what is public.

`lstm` is the same with a recurrent network.

Source: a network that predicts a row's columns one after another under DP-SGD, Castellon et al. 2023,
arXiv 2307.10430; DP-SGD, Abadi et al. 2016, arXiv 1607.00133; a recurrent network for tables as in Gretel's
synthetics, here one token per value rather than per character.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tronie.measure.curator import Curator
from tronie.models.nets.shape import Body
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.learning import (
    TRAIN,
    Start,
    finish,
    require_affordable,
    require_torch,
    train_privately,
)
from tronie.synth.method import Fitted
from tronie.synth.plan import Plan, make_plan
from tronie.synth.prepare import prepare
from tronie.synth.settings import DEFAULTS, Settings

COLUMNS = 0.12
"""Share of single columns."""


@dataclass(frozen=True, slots=True)
class Transformer:
    """Measure every column, then train a network on rows.

    Attributes:
        body: What carries the columns that are known to the one that is predicted.
    """

    body: Body = "transformer"

    @property
    def name(self) -> str:
        """The method's name, as on the command line."""
        return self.body

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A tenth or so to single columns, the rest to training.

        Raises:
            InputError: If PyTorch is not installed, or the budget does not allow the noise that was asked.
        """
        require_torch(self.name)
        columns = len(schema.modelled) + len(schema.unknowns())
        later = {TRAIN: (1 - COLUMNS, "train a network on sampled rows")} if columns > 1 else {}
        plan = make_plan(self.name, schema, budget, later, settings, pairs=0)
        return require_affordable(plan, schema)

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure, train, rake."""
        rng = np.random.default_rng(0)
        prepared = prepare(curator, schema, plan)
        start = Start.of(prepared, plan, self.body, rng)
        parameters = start.parameters
        if any(step.name == TRAIN for step in plan.steps):
            parameters = train_privately(curator, schema, plan, start, parameters)
        return Fitted(prepared, finish(start, parameters, rng), prepared.oneways)
