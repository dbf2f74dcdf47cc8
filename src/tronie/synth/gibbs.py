"""Gibbs: as many pairs of columns as are worth their noise, in a model that no junction tree could hold.

Where everything depends on everything, as in tables of numbers, a junction tree of bounded size holds
some pairs only. Here all promising pairs are measured, and the model is known by a population of rows.

(1) Pairs and small triples are measured in a few batches, as in `glaze`, in a junction tree. (2) The L1
distances of all other pairs from that tree are released, once for each of a few *grains*: ordered columns
in 4, 8, 16 or 32 groups of codes, or in all their codes. For each pair the grain is taken at which its
squared distance most exceeds the square of the noise that it would get; small triples, in all their codes,
compete with them. All that is chosen is measured together.

Guarantee: every access is Gaussian, and the squares of their parameters sum to at most the square of the
planned mu, which is fixed beforehand. So the whole run is mu-GDP, although what is measured depends on
earlier answers (Smith, Thakurta 2022, arXiv 2210.17520).

Source: many pairs in a model sampled by records, as in PrivSyn (Zhang et al. 2021, arXiv 2012.15128),
which the choice by expected error and the closed-form noise follow too; the model itself is that of
McKenna, Sheldon, Miklau 2019, arXiv 1901.09136, estimated by `tronie.models.gibbs_fit`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Misfits
from tronie.models.factor import Factor
from tronie.models.gibbs_fit import LEAST_ROWS, MOST_ROWS, Measured, estimate_field
from tronie.models.markov import MarkovRandomField
from tronie.privacy.budget import Budget
from tronie.schema.columns import Boolean, Category
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding, Floats, Ints
from tronie.schema.schema import Schema
from tronie.synth.layers import Layers, Level, Scored, columns_share
from tronie.synth.method import Fitted
from tronie.synth.pairs import measure_shares, rounded
from tronie.synth.plan import MEAN_ABSOLUTE, Forecast, Plan, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.prior import PRIOR
from tronie.synth.settings import DEFAULTS, Effort, Settings

SELECT = 0.04
"""Share of choosing what is measured, both times together."""

FIRST = 0.4
"""Part of that for the tree."""

TREE = 0.6
"""Part of the pairs' budget that goes to the tree."""

GRAINS = (4, 8, 16, 32)
"""Groups that ordered columns are cut into, beside all their codes."""

CAUTION = 1.0
"""How many times the expected noise of a measurement counts against it."""

CELLS = 1_000_000
"""Cells of all measured tables together, at most."""

PLACE_SECONDS, PLACE_BYTES = 4e-7, 10
"""What a row of the population takes for each table, in each stage and in memory."""

COPIES = 5
"""A cell takes up as much memory as this many of a junction tree's: steps of the fit are remembered."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How much time to take.

    Attributes:
        tree: Batches and cells of the tree.
        stages: Stages of the fit.
        pairs: Pairs and triples that are measured beside the tree, at most.
    """

    tree: Level
    stages: int
    pairs: int

    def ahead(self, tree: Forecast, schema: Schema, settings: Settings) -> Forecast:
        """What a run will need, given what it would need without the population."""
        columns = len(schema.modelled) + len(schema.unknowns())
        tables = min(math.comb(columns, 2), self.pairs) + 3 * columns
        rows = min(max(settings.rows or MOST_ROWS, LEAST_ROWS), MOST_ROWS)
        return replace(
            tree,
            seconds=round(tree.seconds + PLACE_SECONDS * self.stages * rows * tables, 2),
            megabytes=round(tree.megabytes + PLACE_BYTES * rows * tables / 2**20, 1),
        )


DEPTHS: Mapping[Effort, Depth] = MappingProxyType(
    {
        "fast": Depth(Level(2, 100_000), 6, 150),
        "normal": Depth(Level(3, 100_000), 10, 400),
        "high": Depth(Level(4, 400_000), 25, 1500),
    }
)


@dataclass(frozen=True, slots=True)
class Gibbs:
    """Measure every column, a tree of pairs and triples, and all others that are worth it."""

    name: str = "gibbs"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A part to single columns, a little to the selection, the rest to pairs and triples."""
        depth = DEPTHS[settings.effort]
        tree = depth.tree.within(settings)
        plan = pair_plan(
            self.name,
            schema,
            budget,
            settings,
            columns=columns_share(schema, budget.mu),
            select=SELECT,
            why="choose pairs, and how finely to measure them",
            prior=PRIOR,
            rounds=tree.rounds,
            cells=tree.cells,
        )
        return replace(plan, forecast=depth.ahead(plan.forecast, schema, settings))

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure the columns, a tree in layers, and all pairs and triples beside it that are worth it."""
        depth = DEPTHS[plan.settings.effort]
        layers = Layers(
            curator,
            prepare(curator, schema, plan),
            plan,
            depth.tree.within(plan.settings),
            select=FIRST,
            left=TREE,
        )
        tree = layers.fit(layers.lay())
        layers.left += 1 - TREE
        prepared, measured = layers.prepared, layers.measured
        found = _others(layers, tree, depth)
        if not found:
            tree = layers.fit(layers.measure_again(tree))
            return Fitted(prepared, tree, tuple(measured), layers.misfits(tree.marginals))
        known = [Measured(marginal) for marginal in (*measured, *layers.adopted)]
        field = estimate_field(tree, [*known, *found], prepared.zeros, stages=depth.stages)
        misfits = layers.misfits(lambda pairs: [field.marginal(pair) for pair in pairs])
        return Fitted(prepared, field, tuple(measured), misfits)


@dataclass(frozen=True, slots=True, eq=False)
class Grain:
    """How coarsely columns are counted.

    Attributes:
        groups: Column -> group of each of its codes; columns that are not grouped are left out.
    """

    groups: Mapping[str, Ints]

    @classmethod
    def of(cls, prepared: Prepared, parts: int) -> Grain:
        """Groups of neighbouring codes, of about equal mass by the released counts."""
        masses = {m.clique[0]: np.maximum(m.values, 0.0) for m in prepared.oneways}
        return cls(
            {
                name: _even_groups(masses[name], parts, _ordinary(prepared.codings[name]))
                for name, column in prepared.schema.modelled.items()
                if prepared.domain[name] > parts
                and not (
                    isinstance(column, Boolean)
                    or (isinstance(column, Category) and not column.ordered)
                )
            }
        )

    def coding(self, name: str, coding: Coding) -> Coding:
        """A column's codes, grouped."""
        if name not in self.groups:
            return coding
        return Coding(coding.grid, self.groups[name][coding.groups], coding.weights)

    def cells(self, prepared: Prepared, pair: Clique) -> int:
        """Cells of a pair's table."""
        return math.prod(
            int(self.groups[c].max()) + 1 if c in self.groups else prepared.domain[c] for c in pair
        )

    def table(self, factor: Factor) -> Floats:
        """A table of codes, summed to groups."""
        values = factor.values
        for axis, column in enumerate(factor.columns):
            if column in self.groups:
                starts = np.flatnonzero(np.diff(self.groups[column], prepend=-1))
                values = np.add.reduceat(values, starts, axis=axis)
        return values


@dataclass(frozen=True, slots=True)
class Choice:
    """A pair, or a triple, that may be measured at some grain.

    Attributes:
        grain: Number of the grain.
        distance: Its noisy distance from the model, as a part of all rows.
        cells: Cells of its table.
        weight: How much it matters, where a mean pair weighs 1.
    """

    grain: int
    distance: float
    cells: int
    weight: float

    @property
    def part(self) -> float:
        """Its part of the batch, in proportion: tables of c cells with errors ``c * sigma``."""
        return (self.weight * self.cells) ** (2 / 3)

    def gain(self, scale: float) -> float:
        """What it adds to what is known of the table, squared, if parts of 1 get noise of a scale.

        Args:
            scale: Mean L1 distance, as a part of all rows, of one cell at a part of 1.
        """
        noise = CAUTION * scale * self.cells / self.part**0.5
        return self.weight * (self.distance * abs(self.distance) - noise**2)


def choose(
    candidates: Mapping[Clique, Sequence[Choice]], scale: float, *, most: int, cells: int
) -> dict[Clique, Choice]:
    """The pairs and triples to be measured, each at its best grain.

    What one gains depends on its noise, and that on what else is measured. So noise is guessed, and
    the guess is raised until what is then chosen gets no more noise than was guessed.

    Args:
        candidates: Pair or triple -> its grains.
        scale: Mean L1 distance, as a part of all rows, of a single cell that has the whole batch.
        most: Most of them.
        cells: Most cells of all tables.
    """
    guess = scale
    while True:
        chosen = _promising(candidates, guess, most=most, cells=cells)
        total = sum(choice.part for choice in chosen.values())
        if scale * total**0.5 <= guess:
            return chosen
        guess *= 1.05


def _promising(
    candidates: Mapping[Clique, Sequence[Choice]], scale: float, *, most: int, cells: int
) -> dict[Clique, Choice]:
    best = {p: max(choices, key=lambda c: c.gain(scale)) for p, choices in candidates.items()}
    ranked = sorted(best, key=lambda pair: -best[pair].gain(scale))
    chosen: dict[Clique, Choice] = {}
    used = 0
    for pair in ranked[:most]:
        choice = best[pair]
        if choice.gain(scale) > 0 and used + choice.cells <= cells:
            chosen[pair] = choice
            used += choice.cells
    return chosen


def _others(layers: Layers, tree: MarkovRandomField, depth: Depth) -> list[Measured]:
    """Choose pairs beside the tree, their grains, and triples, and measure them with what is left."""
    curator, prepared, plan = layers.curator, layers.prepared, layers.plan
    varied = [column for column in prepared.domain if prepared.domain[column] > 1]
    if len(varied) < 2:
        return []
    known = {frozenset(clique) for clique in layers.known}
    pairs = [
        pair
        for pair in itertools.combinations(varied, 2)
        if frozenset(pair) not in known and layers.weight(pair) > 0
    ]
    cliques = [*pairs, *layers.triples(layers.noise(layers.left))]
    if not cliques:
        return []
    grains = _grains(prepared) if pairs else [Grain({})]
    tables = dict(zip(cliques, tree.marginals(cliques), strict=True))
    candidates: dict[Clique, list[Choice]] = {clique: [] for clique in cliques}
    for number, grain in enumerate(grains):
        asked = pairs if grain.groups else cliques
        _count_by(curator, prepared, grain)
        references = {clique: rounded(grain.table(tables[clique])) for clique in asked}
        sigma = plan.sigma("select", (1 - FIRST) / len(grains), len(asked) ** 0.5)
        (scores,) = curator.ask([Misfits(references, sigma)])
        for clique, score in zip(asked, scores.tolist(), strict=True):
            if not grain.groups and len(clique) == 2:
                layers.scored[clique] = Scored(
                    references[clique], score, sigma, layers.level.rounds
                )
            cells, weight = grain.cells(prepared, clique), layers.weight(clique)
            candidates[clique].append(Choice(number, score / prepared.total, cells, weight))
    scale = MEAN_ABSOLUTE * plan.sigma("pairs", layers.left) / prepared.total
    most = min(CELLS, plan.settings.cells(COPIES * CELLS) // COPIES)
    chosen = choose(candidates, scale, most=depth.pairs, cells=most)
    measured = _measure(layers, grains, chosen)
    curator.recode(prepared.codings)
    return measured


def _measure(
    layers: Layers, grains: Sequence[Grain], chosen: Mapping[Clique, Choice]
) -> list[Measured]:
    total = sum(choice.part for choice in chosen.values())
    measured: list[Measured] = []
    for number, grain in enumerate(grains):
        mine = {p: c.part / total for p, c in chosen.items() if c.grain == number}
        if mine:
            _count_by(layers.curator, layers.prepared, grain)
            found = measure_shares(layers.curator, layers.plan, mine, layers.left)
            measured += [
                Measured(m, {c: grain.groups[c] for c in m.clique if c in grain.groups})
                for m in found
            ]
    return measured


def _grains(prepared: Prepared) -> list[Grain]:
    """All codes, and every coarser grain that groups some column."""
    coarse = [Grain.of(prepared, parts) for parts in GRAINS]
    return [Grain({}), *(grain for grain in coarse if grain.groups)]


def _count_by(curator: Curator, prepared: Prepared, grain: Grain) -> None:
    curator.recode({name: grain.coding(name, c) for name, c in prepared.codings.items()})


def _ordinary(coding: Coding) -> int:
    """Codes of an ordered column that hold values; that of missing ones comes after them."""
    return int(coding.groups[: coding.grid.runs].max()) + 1


def _even_groups(mass: Floats, parts: int, ordinary: int) -> Ints:
    """Groups of neighbouring codes, of about equal mass; codes beyond the ordinary ones stay alone."""
    among = mass[:ordinary] + 1e-9
    middle = np.cumsum(among) - among / 2
    wanted = np.minimum(middle * (parts / float(among.sum())), parts - 1).astype(np.int64)
    alone = np.arange(parts, parts + len(mass) - ordinary)
    numbers = np.unique(np.concatenate([wanted, alone]), return_inverse=True)[1]
    return numbers.astype(np.int64)
