"""GAN: single columns by noisy counts, all that ties them together by a generator and its adversary.

A discriminator learns by private gradient descent (DP-SGD) to tell rows from made-up ones. It is the only
part that sees rows. Every few steps a generator learns from the noisy discriminator, which costs nothing.
Rows are made under conditions (this column has this code) that are drawn from released shares. At the end
the generator's single columns are raked to these.

Source: Goodfellow et al. 2014, arXiv 1406.2661; for tables, CTGAN in Xu et al. 2019, arXiv 1907.00503;
noise on the discriminator only, DPGAN in Xie et al. 2018, arXiv 1802.06739; DP-SGD, Abadi et al. 2016,
arXiv 1607.00133. How the generator learns: see `tronie.models.nets.adversary`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tronie.measure.curator import Curator
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.generating import COMPONENTS, Draft, points_of
from tronie.synth.learning import (
    LEVELS,
    MANY,
    TRAIN,
    require_affordable,
    require_torch,
    settings_of,
    with_training,
)
from tronie.synth.method import Fitted
from tronie.synth.plan import Plan, make_plan
from tronie.synth.prepare import prepare
from tronie.synth.settings import DEFAULTS, Settings

COLUMNS = 0.12
"""Share of single columns."""

LATENT, WIDTH, DEPTH = 32, 128, 2
"""Numbers of a point, its condition included; units and number of the generator's hidden layers."""

DISCRIMINATOR = 128
"""Units of the discriminator's layers."""

LEARNING_RATE = 2.5e-2
"""Largest learning rate of the discriminator, where none is asked for; chosen on coded Adult."""

PATIENCE = 2.0
"""How many times as many epochs as other networks need it is trained, where none are asked for: one bit for
each row teaches slowly."""

BRIEF = {"every": 40, "steps": 40, "made": 2048, "batch": 256, "points": 128}
"""How a generator of a small table learns."""


@dataclass(frozen=True, slots=True)
class Gan:
    """Measure every column, then train a discriminator on rows and a generator on the discriminator."""

    name: str = "gan"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A tenth or so to single columns, the rest to training.

        Raises:
            InputError: If PyTorch is not installed, or the budget does not allow the noise that was asked.
        """
        require_torch(self.name)
        columns = len(schema.modelled) + len(schema.unknowns())
        later = {TRAIN: (1 - COLUMNS, "train a discriminator on sampled rows")}
        plan = make_plan(self.name, schema, budget, later if columns > 1 else {}, settings, pairs=0)
        require_affordable(_patient(plan), schema)
        return plan

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure, train, rake."""
        from tronie.models.nets.adversary import Adversary, Duel

        prepared = prepare(curator, schema, plan)
        rng = np.random.default_rng(0)
        draft = Draft.of(prepared, rng, latent=LATENT, width=WIDTH, depth=DEPTH)
        later = np.random.default_rng(1)
        if all(step.name != TRAIN for step in plan.steps):
            points = points_of(COMPONENTS, LATENT, later)
            return Fitted(prepared, draft.finish(draft.parameters, points, later), prepared.oneways)
        many = prepared.total >= MANY
        duel = Duel() if many else Duel(**BRIEF)
        descent = settings_of(_patient(plan), schema, prepared.total)
        if plan.budget.dp and plan.settings.training.learning_rate is None:
            descent = replace(descent, learning_rate=LEARNING_RATE)
        width = DISCRIMINATOR if many else DISCRIMINATOR // 4
        network = Adversary(
            draft.shape, draft.parameters, draft.shares, descent.steps, width, duel, rng
        )
        curator.train(network, draft.order, descent, after_step=network.after_step)
        points = network.points(COMPONENTS, later)
        parameters = network.generator.parameters_now()
        return Fitted(prepared, draft.finish(parameters, points, later), prepared.oneways)


def _patient(plan: Plan) -> Plan:
    """The plan with as many epochs as a discriminator needs."""
    wishes = plan.settings.training
    if wishes.epochs is not None or not plan.budget.dp:
        return plan
    epochs = PATIENCE * LEVELS[plan.settings.effort].epochs
    return with_training(plan, replace(wishes, epochs=epochs))
