"""MST: a maximum spanning tree of pairs, measured and fitted as a graphical model.

Source: McKenna, Miklau, Sheldon 2021, "Winning the NIST contest", arXiv 2108.04978. Different here:
columns are measured first with noise that suits their size, ordered columns are cut into codes of equal
mass, the selection gets a small share, and by default it is one vector of noisy scores rather than a
chain of exponential mechanisms, so that the whole release is Gaussian and its accounting exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tronie.measure.curator import Curator
from tronie.measure.queries import Ints, Misfits, Selection
from tronie.models.estimation import estimate
from tronie.models.junction import forecast_cells
from tronie.privacy.budget import Budget
from tronie.privacy.events import bounded_range
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.method import Fitted
from tronie.synth.pairs import Components, measure_weighted, rounded
from tronie.synth.plan import MODEL_CELLS, Plan, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.settings import DEFAULTS, Settings

SELECT = 0.06
"""Share of choosing the tree."""


def columns_share(mu: float) -> float:
    """Share of single columns: noise hurts them most where it is largest.

    Measured on Adult: 0.45 is best at epsilon 0.1, 0.3 at 1, and from 1 upwards it matters little.

    >>> [round(columns_share(mu), 2) for mu in (0.02, 0.18, 1.5)]
    [0.46, 0.3, 0.25]
    """
    return min(max(0.21 * mu**-0.2, 0.25), 0.5)


@dataclass(frozen=True, slots=True)
class Mst:
    """Measure every column, choose a spanning tree of dependent pairs, measure those.

    Attributes:
        selection: `gaussian` for one vector of noisy scores, or `exponential` for one exponential
            mechanism per edge, as published.
    """

    selection: Literal["gaussian", "exponential"] = "gaussian"
    name: str = "mst"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A third or so to single columns, a little to the selection, the rest to the tree's pairs."""
        return pair_plan(
            self.name,
            schema,
            budget,
            settings,
            columns=columns_share(budget.mu),
            select=SELECT,
            why="choose the pairs that depend on one another most",
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure, choose, measure, fit."""
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        if len(prepared.domain) > 1:
            tree = self._choose(curator, prepared, plan)
            measured += measure_weighted(curator, prepared, plan, dict.fromkeys(tree, 1.0))
        model = estimate(prepared.domain, measured, prepared.total, zeros=prepared.zeros)
        return Fitted(prepared, model, tuple(measured))

    def _choose(self, curator: Curator, prepared: Prepared, plan: Plan) -> list[Clique]:
        pairs = list(itertools.combinations(prepared.domain.columns, 2))
        references = {pair: rounded(prepared.independence(pair)) for pair in pairs}
        ruled = [zero.columns for zero in prepared.zeros]

        def fits(tree: list[Clique]) -> bool:
            return not ruled or forecast_cells(prepared.domain, [*ruled, *tree]) <= MODEL_CELLS

        if self.selection == "exponential":
            return _choose_in_turn(curator, references, plan, fits)
        sigma = plan.sigma("select", sensitivity=len(pairs) ** 0.5)
        (scores,) = curator.ask([Misfits(references, sigma)])
        return spanning_tree(dict(zip(pairs, scores.tolist(), strict=True)), fits)


def spanning_tree(
    weights: Mapping[Clique, float], fits: Callable[[list[Clique]], bool] = lambda pairs: True
) -> list[Clique]:
    """The pairs of a maximum spanning tree, heaviest first.

    Args:
        weights: Weight of each pair of columns.
        fits: Whether a model of some pairs fits in memory; a pair that would not is left out.

    Source: Kruskal 1956.

    >>> spanning_tree({("a", "b"): 3, ("b", "c"): 1, ("a", "c"): 2})
    [('a', 'b'), ('a', 'c')]
    """
    components = Components(weights)
    tree: list[Clique] = []
    for pair in sorted(weights, key=lambda pair: -weights[pair]):
        if not components.joined(pair) and fits([*tree, pair]):
            components.join(pair)
            tree.append(pair)
    return tree


def _choose_in_turn(
    curator: Curator,
    references: Mapping[Clique, Ints],
    plan: Plan,
    fits: Callable[[list[Clique]], bool],
) -> list[Clique]:
    """Kruskal's algorithm with the exponential mechanism in place of the maximum."""
    components = Components(references)
    epsilon = bounded_range(plan.mu * (plan.share("select") / (components.count - 1)) ** 0.5)
    tree: list[Clique] = []
    while open_pairs := {
        pair: reference
        for pair, reference in references.items()
        if not components.joined(pair) and fits([*tree, pair])
    }:
        tree.append(curator.select(Selection(open_pairs, epsilon)))
        components.join(tree[-1])
    return tree
