"""VAE: single columns by noisy counts, all that ties them together by a variational autoencoder.

The generator's heads begin with the released shares of single columns. Encoder and generator are trained
together by private gradient descent (DP-SGD) on each row's evidence lower bound, in which nothing is drawn
at random: see `tronie.models.nets.autoencoder`. Then the encoder is thrown away, and the generator, with
points from its prior, is the model; its single columns are raked to the released shares.

Source: Kingma and Welling 2014, arXiv 1312.6114; for tables, TVAE in Xu et al. 2019, arXiv 1907.00503;
DP-SGD, Abadi et al. 2016, arXiv 1607.00133.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tronie.measure.curator import Curator
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.generating import COMPONENTS, Draft, points_of
from tronie.synth.learning import TRAIN, require_affordable, require_torch, settings_of
from tronie.synth.method import Fitted
from tronie.synth.plan import Plan, make_plan
from tronie.synth.prepare import prepare
from tronie.synth.settings import DEFAULTS, Settings

COLUMNS = 0.12
"""Share of single columns."""

LATENT, WIDTH, DEPTH = 16, 128, 2
"""Numbers of a point, units and number of hidden layers."""


@dataclass(frozen=True, slots=True)
class Vae:
    """Measure every column, then train an autoencoder on rows."""

    name: str = "vae"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A tenth or so to single columns, the rest to training.

        Raises:
            InputError: If PyTorch is not installed, or the budget does not allow the noise that was asked.
        """
        require_torch(self.name)
        columns = len(schema.modelled) + len(schema.unknowns())
        later = {TRAIN: (1 - COLUMNS, "train an autoencoder on sampled rows")}
        plan = make_plan(self.name, schema, budget, later if columns > 1 else {}, settings, pairs=0)
        return require_affordable(plan, schema)

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure, train, rake."""
        from tronie.models.nets.autoencoder import Autoencoder

        rng = np.random.default_rng(0)
        prepared = prepare(curator, schema, plan)
        draft = Draft.of(prepared, rng, latent=LATENT, width=WIDTH, depth=DEPTH)
        parameters = draft.parameters
        if any(step.name == TRAIN for step in plan.steps):
            network = Autoencoder(draft.shape, parameters, rng)
            descent = settings_of(plan, schema, prepared.total)
            curator.train(
                network, draft.order, descent, after_step=lambda step: network.begin(step + 1)
            )
            parameters = network.generator.parameters_now()
        points = points_of(COMPONENTS, LATENT, rng)
        return Fitted(prepared, draft.finish(parameters, points, rng), prepared.oneways)
