"""Marginal net: a generator fitted to noisy marginals, of which it can hold more than a tree can.

The greater part of the budget goes to `glaze`. Its model is a tree of tables, so of a dense table it can
measure only as many pairs as keep the tables small. The rest of the budget goes to pairs that it had no
room for, by their released distances from it, whatever the tables would have cost. Then a generator is
fitted to all marginals that were measured, within their noise, and, where nothing was measured, loosely to
the tree. No row is ever seen by the network, so there are no gradients to clip.

Source: a network fitted to adaptively chosen noisy marginals, MargNet, arXiv 2511.13893, after GEM (Liu,
Vietri, Wu 2021, arXiv 2106.07153). New here, as far as we know: the tree as a teacher of the other pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Marginal as MarginalQuery
from tronie.models.fit_error import fit_error
from tronie.models.marginal import Marginal, combine
from tronie.models.markov import MarkovRandomField
from tronie.models.nets.decoding import Parameters
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.batch import Candidate, choose
from tronie.synth.generating import Draft, points_of
from tronie.synth.glaze import Glaze
from tronie.synth.layers import LARGEST_BATCH, TYPICAL_BATCH
from tronie.synth.learning import MANY, require_torch
from tronie.synth.method import Fitted
from tronie.synth.pairs import even_out
from tronie.synth.plan import Plan, Step
from tronie.synth.settings import DEFAULTS, Effort, Settings

DENSE = "dense"
"""Name of the step that measures what the tree had no room for."""

TREE = 0.8
"""Share of the marginal model."""

TRUST = 0.2
"""How far the tree is trusted where nothing was measured: as if counted in this part of all rows."""

LEAST_SHARE = 1e-4
"""Shares of cells are taken to be at least this large where the tree's error is worked out."""

TAUGHT_CELLS = 2**21
"""Cells of the tree's pairs that the generator is held to, at most; small pairs come first."""

POINTS, FEWEST_POINTS = 2048, 256
"""Components of the mixture, and those for a small table."""

LATENT, WIDTH, DEPTH = 16, 128, 2
"""Numbers of a point, units and number of hidden layers."""

STEPS: Mapping[Effort, int] = MappingProxyType({"fast": 200, "normal": 600, "high": 1500})
"""How often the generator's loss is computed, at most."""

PACE = 0.3
"""Part of that for a small table."""


@dataclass(frozen=True, slots=True)
class MarginalNet:
    """Fit a marginal model, measure what it had no room for, fit a generator to all of it."""

    name: str = "marginal_net"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """The greater part to the steps of `glaze`, the rest to further pairs.

        Raises:
            InputError: If PyTorch is not installed.
        """
        require_torch(self.name)
        plan = replace(Glaze().plan(schema, budget, settings), method=self.name)
        if all(step.name != "pairs" for step in plan.steps):
            return plan
        steps = [Step(step.name, step.share * TREE, step.why) for step in plan.steps]
        last = Step(DENSE, 1 - TREE, "measure pairs that the model has no room for")
        return replace(plan, steps=(*steps, last))

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Fit the marginal model, measure more pairs, fit the generator."""
        from tronie.models.nets.fitting import Wanted, fit_to_marginals

        rng = np.random.default_rng(0)
        fitted = Glaze().fit(curator, schema, plan)
        tree = fitted.model
        assert isinstance(tree, MarkovRandomField)
        measured = fitted.measured
        if any(step.name == DENSE for step in plan.steps):
            measured += tuple(_measure(curator, plan, _batch(plan, fitted, tree)))
        rows = fitted.prepared.total
        draft = Draft.of(fitted.prepared, rng, latent=LATENT, width=WIDTH, depth=DEPTH, model=tree)
        count = int(min(max(rows / 4, FEWEST_POINTS), POINTS))
        points = points_of(count, LATENT, rng)
        place = {column: number for number, column in enumerate(draft.order)}
        wanted = [
            Wanted(tuple(place[c] for c in m.clique), m.values / rows, m.sd / rows)
            for m in [*_combined(measured), *_taught(tree, measured)]
        ]
        steps = round(STEPS[plan.settings.effort] * (1.0 if rows >= MANY else PACE))
        parameters: Parameters = fit_to_marginals(
            draft.shape, draft.parameters, points, wanted, steps
        )
        return Fitted(fitted.prepared, draft.finish(parameters, points, rng), measured)


class _Anything:
    """Room for any number of marginals."""

    cells = 1

    def cells_with(self, clique: Clique) -> int:
        """As many as before."""
        return self.cells

    def add(self, clique: Clique) -> None:
        """Nothing changes."""


def _batch(plan: Plan, fitted: Fitted, tree: MarkovRandomField) -> dict[Clique, float]:
    """Pairs to measure, and their parts of the step's budget; if none is worth it, the known ones again."""
    prepared = fitted.prepared
    columns, rows = len(prepared.domain), prepared.total
    noise = plan.sigma(DENSE, 1 / max(TYPICAL_BATCH * columns, 1.0))
    alone = plan.sigma(DENSE) / noise
    left = [misfit.columns for misfit in fitted.misfits]
    candidates: dict[Clique, Candidate] = {}
    for misfit, table in zip(fitted.misfits, tree.marginals(left), strict=True):
        cost = fit_error(table.values, noise) * alone
        # Between two rounds the model came nearer, at most by as much as it moved.
        candidates[misfit.columns] = Candidate((misfit.distance - misfit.moved) / rows, cost / rows)
    most = max(round(LARGEST_BATCH * columns), 1)
    batch = choose(candidates, _Anything(), most=most, cells=1, forest=False)
    if batch:
        return batch
    known = {m.clique for m in fitted.measured if len(m.clique) > 1}
    sizes = {c: float(prepared.domain.size(c)) ** (2 / 3) for c in sorted(known)}
    return even_out(sizes or {prepared.domain.columns[:2]: 1.0})


def _measure(curator: Curator, plan: Plan, parts: Mapping[Clique, float]) -> list[Marginal]:
    """Measure some pairs with parts of the step's budget."""
    sigmas = {clique: plan.sigma(DENSE, part) for clique, part in parts.items()}
    answers = curator.ask([MarginalQuery(clique, sigma) for clique, sigma in sigmas.items()])
    return [
        Marginal(clique, answer.astype(np.float64), np.array(sigma))
        for (clique, sigma), answer in zip(sigmas.items(), answers, strict=True)
    ]


def _combined(measured: Sequence[Marginal]) -> list[Marginal]:
    """One marginal for all measurements of the same columns."""
    found: dict[Clique, list[Marginal]] = {}
    for marginal in measured:
        clique = tuple(sorted(marginal.clique))
        found.setdefault(clique, []).append(marginal.reorder(clique))
    return [combine(marginals) for marginals in found.values()]


def _taught(tree: MarkovRandomField, measured: Sequence[Marginal]) -> list[Marginal]:
    """The tree's pairs, where nothing was measured, with errors as large as its trust is small."""
    known = {frozenset(marginal.clique) for marginal in measured}
    pairs = [p for p in itertools.combinations(tree.domain, 2) if frozenset(p) not in known]
    pairs.sort(key=tree.domain.size)
    cells = np.cumsum([tree.domain.size(pair) for pair in pairs])
    pairs = pairs[: int((cells <= TAUGHT_CELLS).sum())]
    rows = tree.total
    return [
        Marginal(pair, table.values, np.sqrt(np.maximum(table.values, LEAST_SHARE * rows) / TRUST))
        for pair, table in zip(pairs, tree.marginals(pairs), strict=True)
    ]
