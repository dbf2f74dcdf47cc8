"""A Gibbs field from noisy marginals: weights first, then chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from tronie.models.components import Components
from tronie.models.estimation import FINE, SLACK
from tronie.models.factor import Factor
from tronie.models.gibbs import GibbsField
from tronie.models.gibbs_chains import Chains, Term
from tronie.models.junction import JunctionTree
from tronie.models.lbfgs import Evaluation, dot, minimise
from tronie.models.marginal import Marginal, combine
from tronie.models.markov import Convergence, MarkovRandomField
from tronie.models.measured import Block, Blocks
from tronie.models.propagation import IMPOSSIBLE
from tronie.models.sampling import sample
from tronie.models.systematic import Codes
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats, Ints

LEAST_ROWS, MOST_ROWS = 20_000, 60_000
"""Rows of the population: as many as the table has, between these bounds."""

DAMPING, MORE_DAMPING = 0.3, 0.1
"""Weight of staying near the last stage's potentials, at first and added with each stage; in units of
the curvature. Without it the chance of the population would be fitted along with the noise."""

EFFECTIVE = 0.7
"""Least part of the population that must be left effective when it is weighed anew."""

STEPS = 10
"""Steps of one stage."""

CLOSE = 1.5
"""Root mean square of the gradient, in sds of noise and sampling together, that counts as converged: the
chance of the population alone makes it 1 where there is little noise."""

STEERED = 2
"""Sweeps of the final population towards the fitted counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A noisy marginal of columns whose codes may have been grouped.

    Attributes:
        marginal: Counts of the groups.
        groups: Column -> group of each of its codes; a column that is left out was counted by codes.
    """

    marginal: Marginal
    groups: Mapping[str, Ints] = field(default_factory=lambda: MappingProxyType({}))


def estimate_field(
    start: MarkovRandomField,
    measured: Sequence[Measured],
    zeros: Sequence[Factor] = (),
    *,
    stages: int = 10,
    slack: float = SLACK,
    seed: int = 0,
) -> GibbsField:
    """The distribution of largest entropy that explains noisy marginals, however they overlap.

    The same problem as `estimation.estimate` solves on a junction tree: minimise
    ``total * log Z - <dual, counts> + slack / 2 * sum(sd * dual^2)``. Here the partition function
    and the expected counts come from a population of rows. It begins as rows of `start`. In each
    stage the rows are weighted so that the weighted population solves the problem, as far as the
    weights stay even and the step stays damped; the rows are drawn anew by their weights, and
    every column is drawn once given the others. So each stage is a step towards the optimum whose
    direction knows all correlations, and chains have little to make up for.

    Args:
        start: A model of the same columns and zeros, of some of the measurements.
        measured: All measurements, those of `start` included.
        zeros: Tables over some columns, 0 for each combination that cannot occur.
        stages: Number of stages.
        slack: As in `estimation.estimate`.
        seed: Seed of the chains; all of this is post-processing of released numbers.

    Source: Geyer, Thompson 1992 for likelihoods by weighted samples; Tieleman 2008 for chains that
    go on while the model moves; Del Moral, Doucet, Jasra 2006 for weighing, drawing and moving in turn.
    Steps by the gradient alone (persistent contrastive divergence) did not converge on strongly
    correlated numbers.
    """
    rng = np.random.default_rng(seed)
    problem = _Problem(start, measured, zeros, slack)
    rows = int(min(max(start.total, LEAST_ROWS), MOST_ROWS))
    codes = sample(start, rows, rng)
    potentials = problem.start(start.duals)
    convergence = None
    for stage in range(stages):
        population = _Population(problem, codes)
        gap = population.gap(potentials)
        convergence = Convergence(gap, stage + 1, gap < CLOSE)
        damping = DAMPING + MORE_DAMPING * stage
        potentials, weights = population.improve(potentials, damping)
        kept = _drawn_by(weights, rng)
        chains = Chains(
            start.domain,
            problem.terms(potentials),
            {name: column[kept] for name, column in codes.items()},
        )
        chains.sweep(rng)
        codes = chains.codes
    chains = Chains(start.domain, problem.terms(potentials), codes)
    for _ in range(STEERED):
        chains.steer(start.total, rng)
    return GibbsField(start, problem.terms(potentials), chains.codes, convergence)


class _Problem:
    """What is to be explained, over one variable per cell of the measured tables' closure.

    Columns that were counted by different groups have names of their own in the tables' domain.

    Attributes:
        counts: What each cell should have, from all measurements that tell of it.
        units: Noise sd of each cell.
        slack: Residual of each cell, per unit of its component.
    """

    def __init__(
        self,
        start: MarkovRandomField,
        measured: Sequence[Measured],
        zeros: Sequence[Factor],
        slack: float,
    ) -> None:
        self._domain, self.total, self._zeros = start.domain, start.total, zeros
        self._seen: dict[str, tuple[str, Ints]] = {}
        marginals = _combine_same([self._renamed(m) for m in measured])
        sizes = {name: int(groups.max()) + 1 for name, (_, groups) in self._seen.items()}
        everything = JunctionTree(Domain(sizes), (tuple(sizes),), (-1,))
        blocks = Blocks(everything, [m.clique for m in marginals])
        self.blocks, self.size = blocks.blocks, blocks.size
        values, sds = blocks.flatten(marginals)
        possible = np.concatenate([self._possible(block).ravel() for block in blocks.blocks])
        values = np.where(possible, values, 0.0)
        counts, variances = blocks.pooled(values, sds**2)
        self.counts = blocks.reconciled(counts, variances, self.total)
        _, self.slack = blocks.pooled(values, slack * sds * np.minimum(sds / FINE, 1.0))
        self.components = Components(blocks, self.slack)
        self.units = np.sqrt(variances)

    def start(self, duals: Sequence[Factor]) -> Floats:
        """Potentials of the model that chains begin from; 0 where it has none."""
        known = {frozenset(dual.columns): dual for dual in duals}
        point = np.zeros(self.size)
        for block in self.blocks:
            columns = [self._seen[name][0] for name in block.columns]
            dual = known.get(frozenset(columns))
            if dual is not None and dual.domain.project(columns).shape == block.shape:
                block.view(point)[...] = dual.project(columns).values
        return point

    def terms(self, potentials: Floats) -> tuple[Term, ...]:
        """The model: its potentials, the counts that they imply, and what is impossible."""
        pull = self.slack * self.components.of(potentials)
        counts = self.counts - self.components.adjoint(pull)
        tracked = [
            self.term(block, block.view(potentials), block.view(counts)) for block in self.blocks
        ]
        return (*tracked, *(_mask(zero) for zero in self._zeros))

    def term(self, block: Block, potential: Floats, counts: Floats | None = None) -> Term:
        """A block as a term."""
        seen = [self._seen[name] for name in block.columns]
        return Term(
            tuple(column for column, _ in seen),
            tuple(groups for _, groups in seen),
            potential,
            counts,
        )

    def _renamed(self, measured: Measured) -> Marginal:
        """A measurement in terms of names that tell groupings of a column apart."""
        names: list[str] = []
        for column in measured.marginal.clique:
            groups = np.asarray(measured.groups.get(column, np.arange(self._domain[column])))
            found = (
                name
                for name, (known, same) in self._seen.items()
                if known == column and np.array_equal(groups, same)
            )
            name = next(found, f"{len(self._seen)}")
            self._seen[name] = (column, groups)
            names.append(name)
        return Marginal(tuple(names), measured.marginal.values, measured.marginal.sd)

    def _possible(self, block: Block) -> Floats:
        """Cells that no table of zeros rules out by itself, shape of the block."""
        seen = [self._seen[name] for name in block.columns]
        columns = tuple(column for column, _ in seen)
        possible = np.ones([len(groups) for _, groups in seen], bool)
        for zero in self._zeros:
            if set(zero.columns) <= set(columns):
                wide = zero.expand(self._domain.project(columns)).values
                possible &= wide > 0
        cells = np.zeros(block.shape, bool)
        np.logical_or.at(cells, np.ix_(*(groups for _, groups in seen)), possible)
        return cells


class _Population:
    """The problem as one population of rows sees it.

    Args:
        problem: What is to be explained.
        codes: Column -> codes of the rows.
    """

    def __init__(self, problem: _Problem, codes: Mapping[str, Codes]) -> None:
        self._problem = problem
        self._rows = len(next(iter(codes.values())))
        nothing = np.zeros(problem.size)
        self._places = [
            problem.term(block, block.view(nothing)).cells(codes) for block in problem.blocks
        ]
        self._expected = self._counts(np.ones(self._rows))

    def gap(self, potentials: Floats) -> float:
        """Root mean square of the gradient, in sds of noise and of the population's sampling."""
        problem = self._problem
        pull = problem.slack * problem.components.of(potentials)
        gradient = self._expected - problem.counts + problem.components.adjoint(pull)
        sampling = self._expected * (problem.total / self._rows)
        return float(np.sqrt(np.mean(gradient**2 / (problem.units**2 + sampling))))

    def improve(self, potentials: Floats, damping: float) -> tuple[Floats, Floats]:
        """Potentials nearer to the optimum, and what they make of each row's weight."""
        stay = damping * (self._expected + self._problem.slack)

        def objective(point: Floats) -> Evaluation:
            return self._evaluate(point, potentials, stay)

        end = minimise(
            objective, potentials, self._problem.units, tolerance=0.01, max_iterations=STEPS
        )
        weights, _ = self._weights(end.point - potentials)
        return end.point, weights

    def _evaluate(self, point: Floats, origin: Floats, stay: Floats) -> Evaluation:
        problem, moved = self._problem, point - origin
        weights, log_mean = self._weights(moved)
        component, change = problem.components.of(point), problem.components.of(moved)
        pull, back = problem.slack * component, stay * change
        value = 0.5 * (dot(pull, component) + dot(back, change))
        value += problem.total * log_mean - dot(point, problem.counts)
        if self._rows / dot(weights, weights) < EFFECTIVE:
            value = np.inf
        expected = self._counts(weights)
        gradient = expected - problem.counts + problem.components.adjoint(pull + back)
        curvature = np.maximum(np.maximum(expected, problem.counts), 0.0) + problem.slack + stay
        return Evaluation(point, value, gradient, curvature)

    def _weights(self, moved: Floats) -> tuple[Floats, float]:
        """Weight of each row when potentials move, of mean 1, and the log of what they were before."""
        logs = np.zeros(self._rows)
        for block, places in zip(self._problem.blocks, self._places, strict=True):
            logs += moved[block.cells][places]
        peak = float(logs.max())
        weights = np.exp(logs - peak)
        mean = float(weights.mean())
        return weights / mean, peak + float(np.log(mean))

    def _counts(self, weights: Floats) -> Floats:
        counts = [
            np.bincount(places, weights, minlength=block.cells.stop - block.cells.start)
            for block, places in zip(self._problem.blocks, self._places, strict=True)
        ]
        scale = self._problem.total / self._rows
        return np.concatenate(counts).astype(np.float64) * scale


def _mask(zero: Factor) -> Term:
    groups = tuple(np.arange(size) for size in zero.domain.shape)
    return Term(zero.columns, groups, np.where(zero.values > 0, 0.0, IMPOSSIBLE))


def _drawn_by(weights: Floats, rng: np.random.Generator) -> Ints:
    """Numbers of rows, as many as there are, drawn systematically by weights of mean 1."""
    order = rng.permutation(len(weights))
    upto = np.cumsum(weights[order])
    upto *= len(weights) / upto[-1]
    places = np.searchsorted(upto, np.arange(len(weights)) + rng.random(), side="right")
    return order[np.minimum(places, len(weights) - 1)]


def _combine_same(marginals: Sequence[Marginal]) -> list[Marginal]:
    groups: dict[Clique, list[Marginal]] = {}
    for marginal in marginals:
        groups.setdefault(tuple(sorted(marginal.clique)), []).append(marginal)
    return [combine(group) for group in groups.values()]
