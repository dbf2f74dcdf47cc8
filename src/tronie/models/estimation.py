"""A Markov random field from noisy marginals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import SchemaError
from tronie.models.components import Components
from tronie.models.factor import Factor
from tronie.models.junction import MAX_CELLS, JunctionTree, check_clique, junction_tree
from tronie.models.lbfgs import Evaluation, dot, minimise
from tronie.models.marginal import Marginal, combine
from tronie.models.markov import Convergence, MarkovRandomField
from tronie.models.measured import Blocks
from tronie.models.propagation import IMPOSSIBLE, Propagation
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats

SLACK = 0.4
"""Residual that the fit leaves, in noise sds, per unit of a dual variable."""

FINE = 0.1
"""Noise sd, in rows, below which the slack shrinks with the variance rather than with the sd."""


def estimate(
    domain: Domain,
    marginals: Iterable[Marginal],
    total: float,
    *,
    zeros: Iterable[Factor] = (),
    warm: MarkovRandomField | None = None,
    tolerance: float = 0.03,
    max_iterations: int = 1000,
    slack: float = SLACK,
    max_cells: int = MAX_CELLS,
) -> MarkovRandomField:
    """The joint distribution of largest entropy that explains noisy marginals within their noise.

    Minimises ``total * log Z - <dual, counts> + slack / 2 * sum(sd * dual^2)`` over one dual variable
    per measured cell; their sum is the model's log potential. Where measurements overlap, many dual
    variables have the same sum; the problem is therefore stated in terms of the sum's orthogonal
    components (see `Components`), each of them estimated from all measurements that tell of it. That is
    the same optimum, up to those weights, in a tenth of the steps.

    Args:
        domain: All columns; those that no marginal names come out uniform and independent.
        marginals: What was measured; several of the same columns are combined first.
        total: Number of rows, positive; it need not be whole.
        zeros: Tables over some columns, 0 for each combination that cannot occur and positive for
            others; the model gives those probability 0, exactly.
        warm: An earlier estimate, whose dual variables to start from wherever columns match.
        tolerance: Root mean square of the gradient, in noise sds, at which to stop.
        max_iterations: Most steps; read `convergence` on the result for whether they sufficed.
        slack: The residual left at the optimum is ``slack * sd * dual``, and less than that for noise
            below `FINE` rows, so that exact counts are met exactly.
        max_cells: Most cells of the model's tables.

    Raises:
        SchemaError: If a marginal does not fit the domain, the total is not positive, or the zeros
            leave no possible row.
        DomainTooLarge: If the model would have more cells.

    Source: McKenna, Sheldon, Miklau 2019, arXiv 1901.09136, for the model; Dudik, Phillips, Schapire
    2007, for the regularised dual.
    """
    if not (np.isfinite(total) and total > 0):
        raise SchemaError("the number of rows to model is not positive.", "Use at least 1.")
    measured, masks = list(marginals), list(zeros)
    for marginal in measured:
        _require_fit(domain, marginal.clique, marginal.values.shape)
    for mask in masks:
        _require_fit(domain, mask.columns, mask.values.shape)
    cliques = [m.clique for m in measured] + [mask.columns for mask in masks]
    tree = junction_tree(domain, cliques, max_cells=max_cells)
    dual = _Dual(tree, _combine_same(measured), total, masks, slack)
    end = minimise(
        dual.evaluate,
        dual.start(warm.duals if warm is not None else ()),
        dual.units,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    convergence = Convergence(end.rms, end.iterations, end.converged)
    beliefs = dual.beliefs(end.point)
    return MarkovRandomField(tree, float(total), beliefs, convergence, dual.factors(end.point))


class _Dual:
    """The dual objective, over one variable per cell of the measured tables' closure.

    Attributes:
        units: Noise sd of each cell.
    """

    def __init__(
        self,
        tree: JunctionTree,
        marginals: Sequence[Marginal],
        total: float,
        masks: Sequence[Factor],
        slack: float,
    ) -> None:
        self._tree, self._total = tree, total
        self._propagation = Propagation(tree)
        self._base = _log_masks(tree, masks)
        self._tables = [np.empty(tree.domain.project(c).shape) for c in tree.cliques]
        self._blocks = Blocks(tree, [m.clique for m in marginals])
        values, sds = self._blocks.flatten(marginals)
        values = np.where(self._possible(), values, 0.0)
        counts, variances = self._blocks.pooled(values, sds**2)
        self._counts = self._blocks.reconciled(counts, variances, total)
        _, self._slack = self._blocks.pooled(values, slack * sds * np.minimum(sds / FINE, 1.0))
        self._components = Components(self._blocks, self._slack)
        self.units = np.sqrt(variances)

    def evaluate(self, duals: Floats) -> Evaluation:
        """Value, gradient and, roughly, curvature; the last is that of independent counts."""
        blocks = self._blocks
        components = self._components.of(duals)
        pull = self._slack * components
        value = 0.5 * dot(pull, components) - dot(duals, self._counts)
        value += self._total * self._calibrate(duals)
        expected = self._total * blocks.gather(self._tables)
        gradient = expected - self._counts + self._components.adjoint(pull)
        curvature = np.maximum(np.maximum(expected, self._counts), 0.0) + self._slack
        return Evaluation(duals, value, gradient, curvature)

    def start(self, duals: Sequence[Factor]) -> Floats:
        """A point from dual variables of an earlier estimate; 0 where there are none."""
        known = {frozenset(dual.columns): dual for dual in duals}
        point = np.zeros(self._blocks.size)
        for block in self._blocks.blocks:
            dual = known.get(frozenset(block.columns))
            if dual is not None and dual.domain.project(block.columns).shape == block.shape:
                block.view(point)[...] = dual.project(block.columns).values
        return point

    def beliefs(self, point: Floats) -> tuple[Floats, ...]:
        """The marginal probabilities of each clique."""
        self._calibrate(point)
        return tuple(self._tables)

    def factors(self, point: Floats) -> tuple[Factor, ...]:
        """The dual variables of each table, in units of 1 / count."""
        return tuple(
            Factor(self._tree.domain.project(block.columns), block.view(point))
            for block in self._blocks.blocks
        )

    def _calibrate(self, duals: Floats) -> float:
        """Fill the tables with the marginal probabilities that dual variables lead to."""
        for table, base in zip(self._tables, self._base, strict=True):
            table[...] = base
        self._blocks.scatter(duals.copy(), self._tables)
        return self._propagation.calibrate(self._tables)

    def _possible(self) -> NDArray[np.bool_]:
        """Measured cells that the masks leave possible."""
        if self._calibrate(np.zeros(self._blocks.size)) < IMPOSSIBLE / 2:
            raise SchemaError(
                "the constraints leave no possible row.", "Remove those that contradict others."
            )
        return self._blocks.gather(self._tables) > 0.0


def _log_masks(tree: JunctionTree, masks: Sequence[Factor]) -> list[Floats]:
    """Log potentials of the structural zeros, per clique: a scalar 0 where there are none."""
    base = [np.zeros(()) for _ in tree.cliques]
    for mask in masks:
        i = tree.smallest_with(mask.columns)
        logs = Factor(mask.domain, np.where(mask.values > 0, 0.0, IMPOSSIBLE))
        base[i] = np.minimum(base[i], logs.expand(tree.domain.project(tree.cliques[i])).values)
    return base


def _combine_same(marginals: Iterable[Marginal]) -> list[Marginal]:
    """One marginal per set of columns."""
    groups: dict[frozenset[str], list[Marginal]] = {}
    for marginal in marginals:
        groups.setdefault(frozenset(marginal.clique), []).append(marginal)
    return [combine(group) for group in groups.values()]


def _require_fit(domain: Domain, columns: Clique, shape: tuple[int, ...]) -> None:
    check_clique(domain, columns)
    wanted = domain.project(columns).shape
    if shape != wanted:
        raise SchemaError(
            f"a marginal of columns {columns} has shape {shape}, but their codes have {wanted}.",
            "Measure the columns by the codes that the domain describes.",
        )
