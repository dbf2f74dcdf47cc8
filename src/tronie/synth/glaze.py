"""Glaze: marginals in a few thin layers, each chosen where the model so far is most wrong.

A painter glazes by laying thin, transparent layers over an underpainting. Here the underpainting is the
independent model of single columns; each layer is a batch of marginals, measured at once.

Round by round: (1) the L1 distances of unmeasured pairs, and of small triples, from the model are
released as one noisy vector; (2) a batch is taken greedily: what a marginal should gain is its distance
less the error that noise will leave in the fitted table, as long as the model stays small; the first
round takes a forest; (3) the batch is measured, each marginal with noise that suits it; (4) the model is
fitted again from where it stood.

Guarantee: every access is Gaussian, and the squares of their parameters sum to at most the square of the
planned mu, which is fixed beforehand. So the whole run is mu-GDP, although which marginals are measured,
and with what part of the budget, depends on earlier answers (Smith, Thakurta 2022, arXiv 2210.17520).

Source: adaptive selection as in AIM (McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677); batches
chosen by noisy errors, and shares by a closed form, as in SWIFT and AIM-GDP (google/dpsynth).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Ints, Misfits
from tronie.models.estimation import estimate
from tronie.models.fit_error import fit_error
from tronie.models.growth import Growth
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.models.uncertainty import Misfit
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.batch import Candidate, choose
from tronie.synth.method import Fitted
from tronie.synth.pairs import measure_shares, rounded
from tronie.synth.plan import Plan, grid_sizes, measured_cells, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.prior import PRIOR, adopt
from tronie.synth.settings import DEFAULTS, Effort, Settings

SELECT = 0.04
"""Share of choosing marginals, over all rounds."""

TYPICAL_BATCH, LARGEST_BATCH = 0.7, 2.0
"""Marginals of one batch for each column: as many as its noise is guessed for, and at most."""

SHORTLIST = 10
"""Candidates of one kind for each column, after the first round: those that scored best in it."""

TRIPLE_CELLS = 0.03
"""A triple is a candidate if it has fewer cells than this part of all rows, in noise sds."""

TRIPLE_WEIGHT = 0.3
"""Weight of a triple, where a pair with the mean weight of its pairs weighs 1."""

ROUND_TOLERANCE = 0.1
"""Fits between rounds stop at this gradient, in noise sds; the last one goes on to 0.03."""

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

    @classmethod
    def of(cls, settings: Settings) -> Level:
        """What a user allows."""
        level = LEVELS[settings.effort]
        return cls(level.rounds, min(level.cells, settings.cells(level.cells)))


LEVELS: Mapping[Effort, Level] = MappingProxyType(
    {"fast": Level(3, 100_000), "normal": Level(5, 400_000), "high": Level(6, 2_000_000)}
)


def columns_share(schema: Schema, mu: float) -> float:
    """Share of single columns: noise hurts them most where it is large and they have many cells."""
    cells = [measured_cells(size) ** (2 / 3) for size in grid_sizes(schema).values()]
    large = min(sum(cells) / len(cells) / LARGE_COLUMN, 1.0)
    return min(max(0.228 * large * mu**-0.25, 0.05), 0.6)


@dataclass(frozen=True, slots=True)
class Glaze:
    """Measure every column, then pairs and small triples in batches where the model is most wrong."""

    name: str = "glaze"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A part to single columns, a little to the selection, the rest to pairs and triples."""
        level = Level.of(settings)
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
        run = _Run(curator, prepare(curator, schema, plan), plan)
        model = run.fit(None, ROUND_TOLERANCE)
        if len(run.prepared.domain) > 1:
            model = run.adopt(model)
            for number in range(run.level.rounds):
                model = run.layer(model, number)
        final = run.fit(model, 0.03)
        return Fitted(run.prepared, final, tuple(run.measured), run.misfits(final))


class Scored(NamedTuple):
    """A released distance of a pair from the model of some round."""

    reference: Ints
    distance: float
    sd: float
    number: int


@dataclass(slots=True)
class _Run:
    """One run: what was measured so far, and what is left to spend.

    Attributes:
        left: Part of the step `pairs` that is left.
        first_scores: Noisy distances of all pairs from independence, as parts of all rows.
        adopted: Public pairs that stand in for measurements.
        scored: Pair -> the last released distance from the model.
        weights: How much each pair matters.
    """

    curator: Curator
    prepared: Prepared
    plan: Plan
    measured: list[Marginal] = field(init=False)
    left: float = 1.0
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
    def level(self) -> Level:
        """Rounds and cells."""
        return Level.of(self.plan.settings)

    @property
    def known(self) -> list[Clique]:
        """The pairs and triples that were measured, once each."""
        return list(dict.fromkeys(m.clique for m in self.measured if len(m.clique) > 1))

    def fit(self, warm: MarkovRandomField | None, tolerance: float) -> MarkovRandomField:
        """The model of all that was measured."""
        return estimate(
            self.prepared.domain,
            [*self.measured, *self.adopted],
            self.prepared.total,
            zeros=self.prepared.zeros,
            warm=warm,
            tolerance=tolerance,
        )

    def adopt(self, model: MarkovRandomField) -> MarkovRandomField:
        """Take over public pairs that are near the truth, if there are any."""
        prior = self.plan.settings.prior
        if prior is None:
            return model
        noise = self._noise(1 / self.level.rounds)
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

    def _noise(self, part: float) -> float:
        """Noise of a pair in a batch of typical size."""
        columns = len(self.prepared.domain)
        return self.plan.sigma("pairs", part / max(TYPICAL_BATCH * columns, 1.0))

    def misfits(self, model: MarkovRandomField) -> tuple[Misfit, ...]:
        """What is known of the pairs that were not measured."""
        left = [pair for pair in self.scored if pair not in self.known]
        found: list[Misfit] = []
        for pair, factor in zip(left, model.marginals(left), strict=True):
            last = self.scored[pair]
            moved = float(np.abs(factor.values - last.reference).sum())
            found.append(Misfit(pair, last.distance, last.sd, moved, last.number))
        return tuple(found)

    def layer(self, model: MarkovRandomField, number: int) -> MarkovRandomField:
        """Choose a batch, measure it, fit again; a round without a batch leaves its budget to others."""
        rounds = self.level.rounds
        part = self.left / (rounds - number)
        batch = self._choose(model, part, number)
        if not batch and number == rounds - 1:
            again = self.known or [self.prepared.domain.columns[:2]]
            batch = {clique: 1 / len(again) for clique in again}
        if not batch:
            return model
        self.measured += measure_shares(self.curator, self.plan, batch, part)
        self.left -= part
        return self.fit(model, ROUND_TOLERANCE)

    def _choose(self, model: MarkovRandomField, part: float, number: int) -> dict[Clique, float]:
        """The marginals of one batch, and their parts of its budget."""
        columns = len(self.prepared.domain)
        total = self.prepared.total
        noise = self._noise(part)
        cliques = self._candidates(noise, first=number == 0)
        if not cliques:
            return {}
        tables = [factor.values for factor in model.marginals(cliques)]
        references = {c: rounded(table) for c, table in zip(cliques, tables, strict=True)}
        sigma = self.plan.sigma("select", 1 / self.level.rounds, len(cliques) ** 0.5)
        (scores,) = self.curator.ask([Misfits(references, sigma)])
        alone = self.plan.sigma("pairs", part) / noise
        candidates: dict[Clique, Candidate] = {}
        for clique, table, score in zip(cliques, tables, scores.tolist(), strict=True):
            weight = self._weight(clique)
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
            return [pair for pair in itertools.combinations(varied, 2) if self._weight(pair) > 0]
        known = set(self.known)
        ranked = sorted(self.first_scores, key=lambda pair: -self.first_scores[pair])
        short = SHORTLIST * len(domain)
        pairs = [pair for pair in ranked if pair not in known][:short]
        most = TRIPLE_CELLS * self.prepared.total / noise
        return pairs + [t for t in self._triples(ranked, most, short) if t not in known]

    def _triples(self, ranked: list[Clique], most: float, count: int) -> list[Clique]:
        """Small triples whose three pairs depended most on one another, by the first round."""
        domain = self.prepared.domain
        small = [c for c in domain if domain[c] * 4 <= most]
        scores = self.first_scores
        among = [pair for pair in ranked if set(pair) <= set(small)][:count]
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
        return sorted(value, key=lambda t: (-value[t], t))[:count]

    def _weight(self, clique: Clique) -> float:
        """How much a marginal matters, where the mean pair of the workload weighs 1."""
        pairs = list(itertools.combinations(clique, 2))
        mean = sum(self.weights.get(frozenset(pair), 0.0) for pair in pairs) / len(pairs)
        return mean if len(clique) == 2 else TRIPLE_WEIGHT * mean
