"""What every marginal method does first: find unknown domains, measure single columns, choose codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Marginal as MarginalQuery
from tronie.measure.queries import Total
from tronie.models.factor import Factor
from tronie.models.histogram import Histogram, group_nominal, group_ordered
from tronie.models.marginal import Marginal
from tronie.models.rules import Rules
from tronie.schema.columns import is_nominal
from tronie.schema.domain import Domain
from tronie.schema.grid import Coding, Floats
from tronie.schema.schema import Schema
from tronie.synth.discover import discover, learn_functions
from tronie.synth.plan import MEAN_ABSOLUTE, Plan, first_grid, histogram_weights, most_codes, pieces

BRANCHES = (4, 8, 64)
"""Most parts of a heavy cell, by level of detail."""

LEVELS = (0.25, 0.25, 0.25, 0.25)
"""Parts of a wide column's budget, by level of detail."""

HEAVY_SDS, MOST_SDS = 5.0, 15.0
"""A cell is split if its count is above `HEAVY_SDS` noise sds of the next level times the root of the
parts, or above `MOST_SDS`. These constants were measured on numeric columns: benchmarks/numeric_bins.py."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Released facts about single columns, and the codes that rest on them.

    Attributes:
        schema: The schema, its unknowns found.
        total: Estimated number of rows, at least 1.
        codings: Column -> codes.
        oneways: Noisy counts of each column's codes.
        zeros: What declared constraints make impossible, as 0/1 factors.
    """

    schema: Schema
    total: float
    codings: Mapping[str, Coding]
    oneways: tuple[Marginal, ...]
    zeros: tuple[Factor, ...]

    @property
    def domain(self) -> Domain:
        """Names and numbers of codes."""
        return Domain({name: coding.size for name, coding in self.codings.items()})

    @property
    def column_errors(self) -> dict[str, float]:
        """Expected total variation of each column's codes, from the noise of its measurement."""
        return {
            marginal.clique[0]: min(
                MEAN_ABSOLUTE * float(marginal.sd.sum()) / (2 * self.total), 1.0
            )
            for marginal in self.oneways
        }

    def independence(self, clique: tuple[str, ...]) -> Floats:
        """Expected counts of a clique if its columns were independent, given the one-way counts."""
        table = np.array(self.total)
        for column in clique:
            coding = self.codings[column]
            mass = np.bincount(coding.groups, coding.weights)
            table = np.multiply.outer(table, mass / mass.sum())
        return table


def prepare(curator: Curator, schema: Schema, plan: Plan) -> Prepared:
    """Find unknown domains, measure all single columns, and choose codes.

    Args:
        curator: Who answers.
        schema: Public facts; unknown bounds and categories are found with the step `discover`.
        plan: Its steps `total`, `columns` and, where needed, `discover` and `functions` are spent.
    """
    schema = learn_functions(curator, discover(curator, schema, plan), plan)
    histograms, total = measure_columns(curator, schema, plan)
    rules = Rules.of(schema)
    most = most_codes(len(histograms))
    count = min(pieces(total, plan.mu), most)
    codings = {
        name: _code(schema, rules, name, histogram, total, count, most)
        for name, histogram in histograms.items()
    }
    curator.recode(codings)
    oneways = tuple(_oneway(name, histograms[name], c) for name, c in codings.items())
    return Prepared(schema, total, codings, oneways, rules.zeros(codings))


def measure_columns(
    curator: Curator, schema: Schema, plan: Plan
) -> tuple[dict[str, Histogram], float]:
    """Measure each column's histogram, wide ones in finer and finer cells, and the number of rows."""
    rules = Rules.of(schema)
    grids = {
        name: first_grid(column).split_at(rules.barriers(name))
        for name, column in schema.modelled.items()
    }
    wide = [name for name, grid in grids.items() if grid.runs < grid.points]
    weights = histogram_weights({name: grid.size for name, grid in grids.items()})
    sigmas = {
        n: plan.sigma("columns", w * (LEVELS[0] if n in wide else 1)) for n, w in weights.items()
    }
    noise = plan.sigma("total")
    curator.recode({name: Coding.identity(grid) for name, grid in grids.items()})
    rows, *answers = curator.ask([Total(noise), *(MarginalQuery((n,), sigmas[n]) for n in grids)])
    histograms = {
        name: Histogram.single(grid, answer, sigmas[name])
        for (name, grid), answer in zip(grids.items(), answers, strict=True)
    }
    for branch, share in zip(BRANCHES, LEVELS[1:], strict=True):
        finer = {name: plan.sigma("columns", weights[name] * share) for name in wide}
        histograms |= _refine(curator, {n: histograms[n] for n in wide}, finer, branch)
    return histograms, _combined_total(float(rows), noise, histograms)


def _refine(
    curator: Curator, histograms: Mapping[str, Histogram], sigmas: Mapping[str, float], branch: int
) -> dict[str, Histogram]:
    """Split the heavy cells of some histograms, and measure all their cells again."""
    if not histograms:
        return {}
    split = {
        name: histogram.grid.refine(_heavy(histogram, sigmas[name], branch), branch)
        for name, histogram in histograms.items()
    }
    curator.recode({name: Coding.identity(grid) for name, (grid, _) in split.items()})
    answers = curator.ask([MarginalQuery((name,), sigmas[name]) for name in split])
    return {
        name: histograms[name].refine(grid, parents, answer, sigmas[name])
        for (name, (grid, parents)), answer in zip(split.items(), answers, strict=True)
    }


def _heavy(histogram: Histogram, sigma: float, branch: int) -> list[int]:
    """Cells whose parts would stand out of the noise."""
    widths = np.diff(histogram.grid.edges)
    counts = histogram.counts[: histogram.grid.runs]
    threshold = sigma * min(HEAVY_SDS * np.sqrt(branch), MOST_SDS)
    heavy = (counts > threshold) & (widths > 1)
    return np.flatnonzero(heavy).tolist()


def _combined_total(rows: float, sigma: float, histograms: Mapping[str, Histogram]) -> float:
    """Inverse-variance mean of the measured number of rows and the histograms' sums."""
    estimates = [(rows, sigma**2), *(histogram.total for histogram in histograms.values())]
    precision = sum(1 / variance for _, variance in estimates)
    return max(sum(value / variance for value, variance in estimates) / precision, 1.0)


def _code(
    schema: Schema,
    rules: Rules,
    name: str,
    histogram: Histogram,
    total: float,
    count: int,
    most: int,
) -> Coding:
    column = schema.modelled[name]
    if is_nominal(column):
        return group_nominal(
            histogram, total, keep=rules.named(name, histogram.grid), at_most=min(8 * count, most)
        )
    return group_ordered(histogram, total, pieces=count, barriers=rules.barriers(name))


def _oneway(name: str, histogram: Histogram, coding: Coding) -> Marginal:
    values = np.bincount(coding.groups, histogram.counts).astype(np.float64)
    return Marginal((name,), values, np.sqrt(histogram.group_variance(coding.groups)))
