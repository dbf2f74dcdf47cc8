"""Batches of marginals, each chosen where the model so far is most wrong: what `glaze` and `gibbs` share.

Round by round: (1) the L1 distances of unmeasured pairs, and of small triples, from the model are
released as one noisy vector; (2) a batch is taken greedily: what a marginal should gain is its distance
less the error that noise will leave in the fitted table, as long as the model stays small; the first
round takes a forest; (3) the batch is measured, each marginal with noise that suits it; (4) the model is
fitted again from where it stood.

Source: adaptive selection as in AIM (McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677); batches
chosen by noisy errors, and shares by a closed form, as in SWIFT and AIM-GDP (google/dpsynth).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Ints, Misfits
from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.fit_error import fit_error
from tronie.models.growth import Growth
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.models.uncertainty import Misfit
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.batch import Candidate, choose
from tronie.synth.pairs import measure_shares, rounded
from tronie.synth.plan import Plan, grid_sizes, measured_cells
from tronie.synth.prepare import Prepared
from tronie.synth.prior import adopt
from tronie.synth.settings import Settings

TYPICAL_BATCH, LARGEST_BATCH = 0.7, 2.0
"""Marginals of one batch for each column: as many as its noise is guessed for, and at most."""

SHORTLIST = 10
"""Candidates of one kind for each column, after the first round: those that scored best in it."""

TRIPLE_CELLS = 0.03
"""A triple is a candidate if it has fewer cells than this part of all rows, in noise sds."""

TRIPLE_WEIGHT = 0.3
"""Weight of a triple, where a pair with the mean weight of its pairs weighs 1."""

ROUND_TOLERANCE, TOLERANCE = 0.1, 0.03
"""Fits between rounds stop at this gradient, in noise sds, and the last one at the second."""

LARGE_COLUMN = 10.0
"""Mean of columns' cells to the power 2/3 from which on single columns get their whole share."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much time to take.

    Attributes:
        rounds: Number of batches; the first is a forest.
        cells: Most cells of the model's tables.
    """

    rounds: int
    cells: int

    def within(self, settings: Settings) -> Level:
        """The same, in the memory that a user allows."""
        return Level(self.rounds, min(self.cells, settings.cells(self.cells)))


def columns_share(schema: Schema, mu: float) -> float:
    """Share of single columns: noise hurts them most where it is large and they have many cells."""
    cells = [measured_cells(size) ** (2 / 3) for size in grid_sizes(schema).values()]
    large = min(sum(cells) / len(cells) / LARGE_COLUMN, 1.0)
    return min(max(0.228 * large * mu**-0.25, 0.05), 0.6)


class Scored(NamedTuple):
    """A released distance of a pair from the model of some round."""

    reference: Ints
    distance: float
    sd: float
    number: int


@dataclass(slots=True)
class Layers:
    """One run: what was measured so far, and what is left to spend.

    Attributes:
        curator: Who answers.
        prepared: The codes, and the single columns as measured.
        plan: The plan, with steps `select` and `pairs`.
        level: How many batches, and how large a model.
        select: Part of the step `select` for all of them together.
        left: Part of the step `pairs` that is left for them.
        measured: All marginals.
        first_scores: Noisy distances of all pairs from independence, as parts of all rows.
        adopted: Public pairs that stand in for measurements.
        scored: Pair -> the last released distance from the model.
        weights: How much each pair matters.
    """

    curator: Curator
    prepared: Prepared
    plan: Plan
    level: Level
    select: float = 1.0
    left: float = 1.0
    measured: list[Marginal] = field(init=False)
    first_scores: dict[Clique, float] = field(init=False, default_factory=dict[Clique, float])
    adopted: list[Marginal] = field(init=False, default_factory=list[Marginal])
    scored: dict[Clique, Scored] = field(init=False, default_factory=dict[Clique, Scored])
    weights: Mapping[frozenset[str], float] = field(init=False)

    def __post_init__(self) -> None:
        self.measured = list(self.prepared.oneways)
        workload = self.plan.settings.workload_of(self.prepared.schema)
        values = workload.over(self.prepared.schema).pair_values()
        mean = sum(values.values()) / max(len(values), 1)
        self.weights = {pair: value / mean for pair, value in values.items()}

    @property
    def known(self) -> list[Clique]:
        """The pairs and triples that were measured, once each."""
        return list(dict.fromkeys(m.clique for m in self.measured if len(m.clique) > 1))

    def fit(
        self, warm: MarkovRandomField | None, tolerance: float = TOLERANCE
    ) -> MarkovRandomField:
        """The model of all that was measured."""
        return estimate(
            self.prepared.domain,
            [*self.measured, *self.adopted],
            self.prepared.total,
            zeros=self.prepared.zeros,
            warm=warm,
            tolerance=tolerance,
        )

    def lay(self) -> MarkovRandomField:
        """Take over public pairs, if there are any, and measure all batches.

        A round without a promising batch leaves its budget to the next; what the last one leaves is left.
        """
        model = self.fit(None, ROUND_TOLERANCE)
        if len(self.prepared.domain) > 1:
            model = self._adopt(model)
            for number in range(self.level.rounds):
                model = self._layer(model, number)
        return model

    def measure_again(self, model: MarkovRandomField) -> MarkovRandomField:
        """Spend what is left on what was measured before."""
        if not self.left or len(self.prepared.domain) == 1:
            return model
        again = self.known or [self.prepared.domain.columns[:2]]
        return self._measure(model, {clique: 1 / len(again) for clique in again}, self.left)

    def _adopt(self, model: MarkovRandomField) -> MarkovRandomField:
        prior = self.plan.settings.prior
        if prior is None:
            return model
        noise = self.noise(self.left / self.level.rounds)
        self.adopted = adopt(
            self.curator,
            self.prepared,
            self.plan,
            prior,
            model,
            noise=noise,
            cells=self.level.cells,
        )
        return self.fit(model, ROUND_TOLERANCE)

    def noise(self, part: float) -> float:
        """Noise of a pair in a batch of typical size."""
        columns = len(self.prepared.domain)
        return self.plan.sigma("pairs", part / max(TYPICAL_BATCH * columns, 1.0))

    def misfits(
        self, marginals: Callable[[Sequence[Clique]], Sequence[Factor]]
    ) -> tuple[Misfit, ...]:
        """What is known of the pairs that were not measured, given the final model's marginals."""
        left = [pair for pair in self.scored if pair not in self.known]
        found: list[Misfit] = []
        for pair, factor in zip(left, marginals(left), strict=True):
            last = self.scored[pair]
            moved = float(np.abs(factor.values - last.reference).sum())
            found.append(Misfit(pair, last.distance, last.sd, moved, last.number))
        return tuple(found)

    def _layer(self, model: MarkovRandomField, number: int) -> MarkovRandomField:
        """Choose a batch, measure it, fit again."""
        part = self.left / (self.level.rounds - number)
        batch = self._choose(model, part, number)
        return self._measure(model, batch, part) if batch else model

    def _measure(
        self, model: MarkovRandomField, batch: Mapping[Clique, float], part: float
    ) -> MarkovRandomField:
        self.measured += measure_shares(self.curator, self.plan, batch, part)
        self.left -= part
        return self.fit(model, ROUND_TOLERANCE)

    def _choose(self, model: MarkovRandomField, part: float, number: int) -> dict[Clique, float]:
        """The marginals of one batch, and their parts of its budget."""
        columns = len(self.prepared.domain)
        total = self.prepared.total
        noise = self.noise(part)
        cliques = self._candidates(noise, first=number == 0)
        if not cliques:
            return {}
        tables = [factor.values for factor in model.marginals(cliques)]
        references = {c: rounded(table) for c, table in zip(cliques, tables, strict=True)}
        sigma = self.plan.sigma("select", self.select / self.level.rounds, len(cliques) ** 0.5)
        (scores,) = self.curator.ask([Misfits(references, sigma)])
        alone = self.plan.sigma("pairs", part) / noise
        candidates: dict[Clique, Candidate] = {}
        for clique, table, score in zip(cliques, tables, scores.tolist(), strict=True):
            weight = self.weight(clique)
            cost = fit_error(table, noise) * alone
            candidates[clique] = Candidate(weight * score / total, weight * cost / total)
            if len(clique) == 2:
                self.scored[clique] = Scored(references[clique], score, sigma, number)
                if number == 0:
                    self.first_scores[clique] = score / total
        ruled = [zero.columns for zero in self.prepared.zeros]
        held = [marginal.clique for marginal in self.adopted]
        room = Growth(self.prepared.domain, [*ruled, *held, *self.known])
        most = max(round(LARGEST_BATCH * columns), 1)
        return choose(candidates, room, most=most, cells=self.level.cells, forest=number == 0)

    def _candidates(self, noise: float, *, first: bool) -> list[Clique]:
        """What may be measured: all pairs first, then a short list of pairs and of small triples."""
        domain = self.prepared.domain
        if first:
            # A column of a single code depends on nothing.
            varied = [column for column in domain if domain[column] > 1]
            return [pair for pair in itertools.combinations(varied, 2) if self.weight(pair) > 0]
        known = set(self.known)
        pairs = [pair for pair in self._ranked if pair not in known][: self._short]
        return pairs + self.triples(noise)

    @property
    def _ranked(self) -> list[Clique]:
        """All pairs, those first that depended most on one another, by the first round."""
        return sorted(self.first_scores, key=lambda pair: -self.first_scores[pair])

    @property
    def _short(self) -> int:
        return SHORTLIST * len(self.prepared.domain)

    def triples(self, noise: float) -> list[Clique]:
        """Small triples, not measured yet, whose pairs depended most on one another, by the first round.

        Args:
            noise: What each would be measured with, about, in rows.
        """
        domain, scores = self.prepared.domain, self.first_scores
        most = TRIPLE_CELLS * self.prepared.total / noise
        small = [c for c in domain if domain[c] * 4 <= most]
        among = [pair for pair in self._ranked if set(pair) <= set(small)][: self._short]
        near: dict[str, set[str]] = {}
        for a, b in among:
            near.setdefault(a, set()).add(b)
            near.setdefault(b, set()).add(a)
        place = {column: i for i, column in enumerate(domain)}
        triples = {
            tuple(sorted((a, b, c), key=place.__getitem__))
            for a, b in among
            for c in near[a] & near[b]
            if domain.size((a, b, c)) <= most
        }
        value = {t: sum(scores[pair] for pair in itertools.combinations(t, 2)) for t in triples}
        known = set(self.known)
        best = sorted(value, key=lambda t: (-value[t], t))[: self._short]
        return [triple for triple in best if triple not in known]

    def weight(self, clique: Clique) -> float:
        """How much a marginal matters, where the mean pair of the workload weighs 1."""
        pairs = list(itertools.combinations(clique, 2))
        mean = sum(self.weights.get(frozenset(pair), 0.0) for pair in pairs) / len(pairs)
        return mean if len(clique) == 2 else TRIPLE_WEIGHT * mean
