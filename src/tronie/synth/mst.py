"""MST: a maximum spanning tree of pairs, measured and fitted as a graphical model.

Source: McKenna, Miklau, Sheldon 2021, "Winning the NIST contest", arXiv 2108.04978. Different here:
columns are measured first with noise that suits their size, ordered columns are cut into codes of equal
mass, the selection gets a small share, and by default it is one vector of noisy scores rather than a
chain of exponential mechanisms, so that the whole release is Gaussian and its accounting exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Ints, Misfits, Selection
from tronie.measure.queries import Marginal as MarginalQuery
from tronie.models.estimation import estimate
from tronie.models.marginal import Marginal
from tronie.privacy.budget import Budget
from tronie.privacy.gdp import advantage
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.method import Fitted
from tronie.synth.plan import Plan, make_plan
from tronie.synth.prepare import Prepared, prepare

SELECT = 0.06
"""Share of choosing the tree."""

COLUMNS = 0.3
"""Share of single columns."""


@dataclass(frozen=True, slots=True)
class Mst:
    """Measure every column, choose a spanning tree of dependent pairs, measure those.

    Attributes:
        selection: `gaussian` for one vector of noisy scores, or `exponential` for one exponential
            mechanism per edge, as published.
    """

    selection: Literal["gaussian", "exponential"] = "gaussian"
    name: str = "mst"

    def plan(self, schema: Schema, budget: Budget, *, rows: int | None = None) -> Plan:
        """A third to single columns, a little to the selection, the rest to the tree's pairs."""
        columns = len(schema.modelled) + len(schema.unknowns())
        later = {
            "select": (SELECT, "choose the pairs that depend on one another most"),
            "pairs": (1 - COLUMNS - SELECT, "measure those pairs"),
        }
        return make_plan(
            self.name,
            schema,
            budget,
            later if columns > 1 else {},
            rows=rows,
            pairs=columns * (columns - 1) // 2,
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure, choose, measure, fit."""
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        if len(prepared.domain) > 1:
            tree = self._choose(curator, prepared, plan)
            measured += measure_cliques(curator, prepared, plan, "pairs", tree)
        model = estimate(prepared.domain, measured, prepared.total, zeros=prepared.zeros)
        return Fitted(prepared, model)

    def _choose(self, curator: Curator, prepared: Prepared, plan: Plan) -> list[Clique]:
        pairs = list(itertools.combinations(prepared.domain.columns, 2))
        references = {pair: rounded(prepared.independence(pair)) for pair in pairs}
        if self.selection == "exponential":
            return _choose_in_turn(curator, references, plan)
        sigma = plan.sigma("select", sensitivity=len(pairs) ** 0.5)
        (scores,) = curator.ask([Misfits(references, sigma)])
        return spanning_tree(dict(zip(pairs, scores.tolist(), strict=True)))


def rounded(table: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Ints:
    """The nearest integer table."""
    return np.rint(table).astype(np.int64)


def spanning_tree(weights: Mapping[Clique, float]) -> list[Clique]:
    """The pairs of a maximum spanning tree, heaviest first.

    Source: Kruskal 1956.

    >>> spanning_tree({("a", "b"): 3, ("b", "c"): 1, ("a", "c"): 2})
    [('a', 'b'), ('a', 'c')]
    """
    components = _Components(weights)
    heaviest_first = sorted(weights, key=lambda pair: -weights[pair])
    return [pair for pair in heaviest_first if components.join(pair)]


def _choose_in_turn(
    curator: Curator, references: Mapping[Clique, Ints], plan: Plan
) -> list[Clique]:
    """Kruskal's algorithm with the exponential mechanism in place of the maximum."""
    components = _Components(references)
    epsilon = _bounded_range(plan.mu * (plan.share("select") / (components.count - 1)) ** 0.5)
    tree: list[Clique] = []
    while components.count > 1:
        open_pairs = {pair: r for pair, r in references.items() if not components.joined(pair)}
        tree.append(curator.select(Selection(open_pairs, epsilon)))
        components.join(tree[-1])
    return tree


def _bounded_range(mu: float) -> float:
    """The epsilon of an exponential mechanism that costs a GDP parameter of mu."""
    return 4 * math.atanh(advantage(mu)) * (1 - 1e-6)


class _Components:
    """Which columns are connected so far."""

    def __init__(self, pairs: Iterable[Clique]) -> None:
        self._member = {column: column for pair in pairs for column in pair}

    @property
    def count(self) -> int:
        return len(set(self._member.values()))

    def joined(self, pair: Clique) -> bool:
        return self._member[pair[0]] == self._member[pair[1]]

    def join(self, pair: Clique) -> bool:
        """Connect a pair; whether it was not connected yet."""
        if self.joined(pair):
            return False
        kept, lost = (self._member[column] for column in pair)
        self._member = {c: kept if m == lost else m for c, m in self._member.items()}
        return True


def measure_cliques(
    curator: Curator, prepared: Prepared, plan: Plan, step: str, cliques: list[Clique]
) -> list[Marginal]:
    """Measure some cliques, each with noise that suits its size."""
    raw = {clique: prepared.domain.size(clique) ** (2 / 3) for clique in cliques}
    sigmas = {c: plan.sigma(step, value / sum(raw.values())) for c, value in raw.items()}
    answers = curator.ask([MarginalQuery(clique, sigma) for clique, sigma in sigmas.items()])
    return [
        Marginal(clique, answer.astype(np.float64), np.array(sigma))
        for (clique, sigma), answer in zip(sigmas.items(), answers, strict=True)
    ]
