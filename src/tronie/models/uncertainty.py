"""How far a fitted model's marginals may be from the truth, from released numbers only.

The noise of every measurement is known, so its effect on the model can be replayed: measure the fitted
model itself with fresh noise of the same size, fit again, and see how far the new model's marginals are
from the first one's (a parametric bootstrap). That needs the measured columns and the size of the noise,
and neither the noisy counts nor a private row.

What noise cannot tell is the *bias* of a marginal that no measurement determines. The model takes such
columns to be independent given those that tie them together; where that is wrong, the marginal is wrong,
however small the noise. Such a marginal is not `supported`, and has no standard error here. If its
distance from the model was released while pairs were chosen, `error_bound` bounds what is left.

Source: Efron, Tibshirani 1993, section 6.5, for the bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tronie.errors import SchemaError
from tronie.models.estimation import SLACK, estimate
from tronie.models.factor import Factor
from tronie.models.junction import MAX_CELLS, JunctionTree
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.models.propagation import IMPOSSIBLE, Propagation
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats

REPLICAS = 25
"""Fits to fresh noise: they know a standard error to about 14 % (1 / sqrt(2 * 25))."""

TOLERANCE = 0.1
"""Root mean square of a replica's gradient, in noise sds, at which its fit stops."""

ONE_SIDED = 1.645
"""Standard normal quantile of probability 0.95."""


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """How far one marginal may be from the truth.

    Attributes:
        columns: The marginal's columns.
        noise: What the measurements' noise does to each cell: root mean square, in rows.
        supported: Whether one measurement holds all these columns, so that the estimate follows the
            data and not the model's assumptions.
    """

    columns: Clique
    noise: Floats
    supported: bool

    @property
    def standard_error(self) -> Floats:
        """Standard error of each cell, in rows; not a number where the marginal is not supported."""
        return self.noise if self.supported else np.full(self.noise.shape, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Replicas:
    """Models that differ from a fitted one as it does, by noise, from the truth.

    Held by their dual variables, one number per measured cell and replica.

    Attributes:
        model: The fitted model.
        measured: The sets of columns that were measured.
        tree: Junction tree of the replicas.
        zeros: What cannot occur.
        totals: Number of rows of each replica.
        duals: Dual variables of each replica.
    """

    model: MarkovRandomField
    measured: tuple[frozenset[str], ...]
    tree: JunctionTree
    zeros: tuple[Factor, ...]
    totals: tuple[float, ...]
    duals: tuple[tuple[Factor, ...], ...]

    @property
    def total_error(self) -> float:
        """Standard error of the number of rows."""
        squares = (np.array(self.totals) - self.model.total) ** 2
        return float(_widened(squares.mean(keepdims=True), len(self.totals))[0])

    def supports(self, columns: Iterable[str]) -> bool:
        """Whether one measurement holds some columns."""
        wanted = frozenset(columns)
        return any(wanted <= clique for clique in self.measured)

    def uncertainty(self, cliques: Iterable[Clique]) -> list[Uncertainty]:
        """How far some marginals may be from the truth.

        The error is the root mean square distance of the replicas' marginals from the model's, widened
        by the ratio of Student's and the normal distribution's quantiles. It holds the bias that the
        fit's regularisation and the bound at zero cause, as far as the model shows it. So
        ``estimate +- 1.96 * error`` is meant to hold the truth 95 times in 100.

        In simulated releases (`benchmarks/coverage.py`) it held 93 to 99 % of the cells of measured pairs,
        whatever their exact count, and 93 to 96 % of the codes of single columns with at least 5 noise
        sds of rows. It claims too little for rare codes of single columns, which the fit draws towards
        an even distribution by up to one noise sd: 91 to 96 % were held where the exact count was 3 to 5
        sds, 84 to 92 % below that, and under half of the few that held less than one sd of rows and
        were kept because noise made them look frequent. By estimated count it was at least 86 %.

        How codes were chosen, from the same noisy counts, is not replayed.

        Args:
            cliques: Sets of columns, in any order.

        Raises:
            DomainTooLarge: If a table on the way would have too many cells.
            SchemaError: If a column is unknown or named twice.
        """
        wanted = list(cliques)
        centres = [factor.values for factor in self.model.marginals(wanted)]
        squares = [np.zeros(centre.shape) for centre in centres]
        for replica in self.models():
            for square, centre, factor in zip(
                squares, centres, replica.marginals(wanted), strict=True
            ):
                square += (factor.values - centre) ** 2
        count = len(self.totals)
        return [
            Uncertainty(clique, _widened(square / count, count), self.supports(clique))
            for clique, square in zip(wanted, squares, strict=True)
        ]

    def models(self) -> Iterator[MarkovRandomField]:
        """The replicas, one after the other."""
        propagation = Propagation(self.tree)
        domain = self.tree.domain
        for total, duals in zip(self.totals, self.duals, strict=True):
            tables = [np.zeros(domain.project(clique).shape) for clique in self.tree.cliques]
            for dual in duals:
                i = self.tree.smallest_with(dual.columns)
                tables[i] += dual.expand(domain.project(self.tree.cliques[i])).values
            for zero in self.zeros:
                i = self.tree.smallest_with(zero.columns)
                possible = zero.expand(domain.project(self.tree.cliques[i])).values > 0
                tables[i] = np.where(possible, tables[i], IMPOSSIBLE)
            propagation.calibrate(tables)
            yield MarkovRandomField(self.tree, total, tuple(tables))


@dataclass(frozen=True, slots=True)
class Misfit:
    """A released distance of a marginal that was not measured from the model of some round.

    Attributes:
        columns: The marginal's columns.
        distance: Noisy L1 distance between the private counts and that model's, in rows.
        sd: Standard deviation of its noise, in rows.
        moved: L1 distance between that model's counts and the final model's, in rows; both are public.
        round: Number of the round.
    """

    columns: Clique
    distance: float
    sd: float
    moved: float
    round: int


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """What a model rests on: all of it was released.

    Attributes:
        marginals: What was measured, single columns included.
        total_sd: Noise sd of the count of rows; 0 if that is not known.
        misfits: Distances of marginals that were not measured.
    """

    marginals: tuple[Marginal, ...] = ()
    total_sd: float = 0.0
    misfits: tuple[Misfit, ...] = ()

    def supports(self, columns: Iterable[str]) -> bool:
        """Whether one measurement holds some columns."""
        wanted = frozenset(columns)
        return self.total_sd > 0 and any(wanted.issubset(m.clique) for m in self.marginals)


def replicate(
    model: MarkovRandomField,
    measured: Sequence[Marginal],
    *,
    total_sd: float,
    zeros: Sequence[Factor] = (),
    replicas: int = REPLICAS,
    seed: int = 0,
    slack: float = SLACK,
) -> Replicas:
    """Fit again and again to fresh noise around a fitted model.

    The number of rows is estimated anew each time as it was at first: from a count of its own and from
    the sums of all measured single columns.

    Args:
        model: The fitted model.
        measured: What it was fitted to, all measurements; only columns and noise are used.
        total_sd: Noise sd of the count of rows, positive.
        zeros: What cannot occur, as the model was fitted with.
        replicas: How many, at least 2.
        seed: Makes them repeatable.
        slack: As the model was fitted with.

    Raises:
        SchemaError: If there are fewer than two replicas, the noise is not positive, or a measurement
            does not fit the model.
    """
    if replicas < 2 or not (np.isfinite(total_sd) and total_sd > 0):
        raise SchemaError(
            "standard errors need at least two replicas and a count of rows with positive noise.",
            "Give the noise with which rows were counted.",
        )
    rng = np.random.default_rng(seed)
    centres = [factor.values for factor in model.marginals([m.clique for m in measured])]
    fits: list[MarkovRandomField] = []
    for _ in range(replicas):
        fresh = [_blurred(m, centre, rng) for m, centre in zip(measured, centres, strict=True)]
        fits.append(
            estimate(
                model.domain,
                fresh,
                _total(model.total + total_sd * rng.normal(), total_sd, fresh),
                zeros=zeros,
                warm=fits[0] if fits else None,
                tolerance=TOLERANCE,
                slack=slack,
                max_cells=max(MAX_CELLS, model.tree.cells),
            )
        )
    return Replicas(
        model,
        tuple(dict.fromkeys(frozenset(m.clique) for m in measured)),
        fits[0].tree,
        tuple(zeros),
        tuple(fit.total for fit in fits),
        tuple(fit.duals for fit in fits),
    )


def error_bound(misfits: Iterable[Misfit], total: float) -> dict[frozenset[str], float]:
    """Bound on the whole error of marginals that were not measured, where their misfit was released.

    The distance between the truth and the final model is at most that between the truth and an earlier
    model, which was released with noise, and that between the two models (triangle inequality). The
    latest round is used. Each bound holds with probability 95 % over the released distance's noise;
    among pairs that were left unmeasured because that distance seemed small, a little less often.

    Args:
        misfits: Released distances, of any rounds.
        total: Number of rows.

    Returns:
        Columns -> bound on half the L1 distance of counts, as a part of all rows; at most 1.

    >>> error_bound([Misfit(("a", "b"), 40.0, 10.0, 3.55, 0)], 1000.0)[frozenset("ab")]
    0.03
    """
    latest: dict[frozenset[str], Misfit] = {}
    for misfit in sorted(misfits, key=lambda misfit: misfit.round):
        latest[frozenset(misfit.columns)] = misfit
    return {
        columns: min(
            max(m.distance + ONE_SIDED * m.sd, 0.0) / (2 * total) + m.moved / (2 * total), 1.0
        )
        for columns, m in latest.items()
    }


def _blurred(measured: Marginal, centre: Floats, rng: np.random.Generator) -> Marginal:
    """What a measurement of the model might have said."""
    noise = measured.sd * rng.normal(size=centre.shape)
    return Marginal(measured.clique, centre + noise, measured.sd)


def _total(rows: float, sd: float, measured: Iterable[Marginal]) -> float:
    """Inverse-variance mean of a count of rows and of the sums of single columns; at least 1."""
    precision, weighted = sd**-2, rows * sd**-2
    for marginal in measured:
        if len(marginal.clique) == 1:
            weight = 1 / float((marginal.sd**2).sum())
            precision += weight
            weighted += weight * float(marginal.values.sum())
    return max(weighted / precision, 1.0)


def _widened(mean_square: Floats, count: int) -> Floats:
    """Root of a mean square over few replicas, times Student's quantile over the normal one.

    That ratio is ``1 + (z^2 + 1) / (4 * count)`` to first order (Cornish, Fisher 1937), z = 1.96.
    """
    return np.sqrt(mean_square) * (1 + 1.21 / count)
