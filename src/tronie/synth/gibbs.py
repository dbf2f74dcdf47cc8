"""Gibbs: as many pairs of columns as are worth their noise, in a model that no junction tree could hold.

Where everything depends on everything, as in tables of numbers, a junction tree of bounded size holds
some pairs only. Here all promising pairs are measured, and the model is known by a population of rows.

Two batches: (1) the L1 distances of all pairs from independence are released as one noisy vector; a
maximum spanning tree of pairs is measured and fitted exactly. (2) The distances of all other pairs from
that tree are released, once for each of a few *grains*: ordered columns in 4, 8, 16 or 32 groups of codes,
or in all their codes. For each pair the grain is taken at which its squared distance most exceeds the
square of the noise that it would get. All these are measured together.

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
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Misfits
from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.gibbs_fit import Measured, estimate_field
from tronie.models.junction import forecast_cells
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.privacy.budget import Budget
from tronie.schema.columns import Boolean, Category
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding, Floats, Ints
from tronie.schema.schema import Schema
from tronie.synth.aim import columns_share
from tronie.synth.method import Fitted
from tronie.synth.mst import spanning_tree
from tronie.synth.pairs import measure_shares, rounded
from tronie.synth.plan import MEAN_ABSOLUTE, MODEL_CELLS, Plan, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.settings import DEFAULTS, Effort, Settings

SELECT = 0.05
"""Share of choosing pairs, both times together."""

FIRST = 0.3
"""Part of that for the spanning tree."""

TREE = 0.45
"""Part of the pairs' budget that goes to the spanning tree."""

GRAINS = (4, 8, 16, 32)
"""Groups that ordered columns are cut into, beside all their codes."""

CAUTION = 1.0
"""How many times the expected noise of a measurement counts against it."""

CELLS = 1_000_000
"""Cells of all measured tables together, at most."""

COPIES = 5
"""A cell takes up as much memory as this many of a junction tree's: steps of the fit are remembered."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much time to take.

    Attributes:
        stages: Stages of the fit.
        pairs: Pairs that are measured, at most.
    """

    stages: int
    pairs: int


LEVELS: Mapping[Effort, Level] = MappingProxyType(
    {"fast": Level(6, 150), "normal": Level(10, 400), "high": Level(25, 1500)}
)


@dataclass(frozen=True, slots=True)
class Gibbs:
    """Measure every column, a spanning tree of pairs, and then all other pairs that are worth it."""

    name: str = "gibbs"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A third or so to single columns, a little to the selection, the rest to pairs."""
        return pair_plan(
            self.name,
            schema,
            budget,
            settings,
            columns=columns_share(budget.mu),
            select=SELECT,
            why="choose pairs, and how finely to measure them",
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure the columns, a spanning tree, and all other pairs that are worth their noise."""
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        if len(prepared.domain) == 1:
            return Fitted(prepared, _tree(prepared, measured), tuple(measured))
        forest = _forest(curator, prepared, plan)
        measured += measure_shares(curator, plan, _shares(prepared, forest), TREE)
        tree = _tree(prepared, measured)
        found = _layer(curator, prepared, plan, tree, forest)
        if not found:
            measured += measure_shares(curator, plan, _shares(prepared, forest), 1 - TREE)
            return Fitted(prepared, _tree(prepared, measured), tuple(measured))
        field = estimate_field(
            tree,
            [*(Measured(marginal) for marginal in measured), *found],
            prepared.zeros,
            stages=LEVELS[plan.settings.effort].stages,
        )
        return Fitted(prepared, field, tuple(measured))


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
    """A pair that may be measured at some grain.

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
        """What it adds to what is known of the pair, squared, if parts of 1 get noise of a scale.

        Args:
            scale: Mean L1 distance, as a part of all rows, of one cell at a part of 1.
        """
        noise = CAUTION * scale * self.cells / self.part**0.5
        return self.weight * (self.distance * abs(self.distance) - noise**2)


def choose(
    candidates: Mapping[Clique, Sequence[Choice]], scale: float, *, most: int, cells: int
) -> dict[Clique, Choice]:
    """The pairs to be measured, each at its best grain.

    What a pair gains depends on its noise, and that on what else is measured. So noise is guessed, and
    the guess is raised until what is then chosen gets no more noise than was guessed.

    Args:
        candidates: Pair -> its grains.
        scale: Mean L1 distance, as a part of all rows, of a single cell that has the whole batch.
        most: Most pairs.
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


def _forest(curator: Curator, prepared: Prepared, plan: Plan) -> list[Clique]:
    """A maximum spanning tree, as far as structural zeros leave room for it."""
    pairs = list(itertools.combinations(prepared.domain.columns, 2))
    references = {pair: rounded(prepared.independence(pair)) for pair in pairs}
    sigma = plan.sigma("select", FIRST, len(pairs) ** 0.5)
    (scores,) = curator.ask([Misfits(references, sigma)])
    ruled = [zero.columns for zero in prepared.zeros]
    most = plan.settings.cells(MODEL_CELLS)

    def fits(tree: list[Clique]) -> bool:
        return not ruled or forecast_cells(prepared.domain, [*ruled, *tree]) <= most

    return spanning_tree(dict(zip(pairs, scores.tolist(), strict=True)), fits)


def _layer(
    curator: Curator,
    prepared: Prepared,
    plan: Plan,
    tree: MarkovRandomField,
    forest: Sequence[Clique],
) -> list[Measured]:
    """Choose other pairs and their grains, and measure them."""
    values = _weights(prepared, plan)
    pairs = [
        p
        for p in itertools.combinations(prepared.domain.columns, 2)
        if p not in forest and values.get(frozenset(p), 0.0) > 0
    ]
    if not pairs:
        return []
    grains = _grains(prepared)
    tables = tree.marginals(pairs)
    sigma = plan.sigma("select", (1 - FIRST) / len(grains), len(pairs) ** 0.5)
    candidates: dict[Clique, list[Choice]] = {pair: [] for pair in pairs}
    for number, grain in enumerate(grains):
        _count_by(curator, prepared, grain)
        references = {p: rounded(grain.table(t)) for p, t in zip(pairs, tables, strict=True)}
        (scores,) = curator.ask([Misfits(references, sigma)])
        for pair, score in zip(pairs, scores.tolist(), strict=True):
            cells = grain.cells(prepared, pair)
            weight = values[frozenset(pair)]
            candidates[pair].append(Choice(number, score / prepared.total, cells, weight))
    level = LEVELS[plan.settings.effort]
    scale = MEAN_ABSOLUTE * plan.sigma("pairs", 1 - TREE) / prepared.total
    most = min(CELLS, plan.settings.cells(COPIES * CELLS) // COPIES)
    chosen = choose(candidates, scale, most=level.pairs, cells=most)
    return _measure(curator, prepared, plan, grains, chosen)


def _measure(
    curator: Curator,
    prepared: Prepared,
    plan: Plan,
    grains: Sequence[Grain],
    chosen: Mapping[Clique, Choice],
) -> list[Measured]:
    total = sum(choice.part for choice in chosen.values())
    measured: list[Measured] = []
    for number, grain in enumerate(grains):
        mine = {p: c.part / total for p, c in chosen.items() if c.grain == number}
        if mine:
            _count_by(curator, prepared, grain)
            found = measure_shares(curator, plan, mine, 1 - TREE)
            measured += [
                Measured(m, {c: grain.groups[c] for c in m.clique if c in grain.groups})
                for m in found
            ]
    curator.recode(prepared.codings)
    return measured


def _grains(prepared: Prepared) -> list[Grain]:
    """All codes, and every coarser grain that groups some column."""
    coarse = [Grain.of(prepared, parts) for parts in GRAINS]
    return [Grain({}), *(grain for grain in coarse if grain.groups)]


def _count_by(curator: Curator, prepared: Prepared, grain: Grain) -> None:
    curator.recode({name: grain.coding(name, c) for name, c in prepared.codings.items()})


def _weights(prepared: Prepared, plan: Plan) -> dict[frozenset[str], float]:
    """How much each pair matters, where the mean pair of the workload weighs 1."""
    workload = plan.settings.workload_of(prepared.schema)
    values = workload.over(prepared.schema).pair_values()
    mean = sum(values.values()) / max(len(values), 1)
    return {pair: value / mean for pair, value in values.items()}


def _shares(prepared: Prepared, pairs: Sequence[Clique]) -> dict[Clique, float]:
    parts = {pair: prepared.domain.size(pair) ** (2 / 3) for pair in pairs}
    return {pair: part / sum(parts.values()) for pair, part in parts.items()}


def _tree(prepared: Prepared, measured: Sequence[Marginal]) -> MarkovRandomField:
    return estimate(prepared.domain, measured, prepared.total, zeros=prepared.zeros)


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
