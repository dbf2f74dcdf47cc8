"""A network's single columns, and some of its pairs, brought to what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tronie.models.lbfgs import Evaluation, dot, minimise
from tronie.models.nets.decoding import Decoder, Parameters, Singles
from tronie.models.nets.drawing import BLOCK, Beginnings, Predictor, Step, draw_rows
from tronie.models.nets.shape import Shape
from tronie.schema.grid import Floats, Ints

ROUNDS = 100
"""Rounds of raking one column, at most."""

CLOSE = 1e-5
"""Total variation from the given shares at which to stop."""

RAREST = 1e-9
"""Smaller shares are taken to be this large."""

FURTHEST = 40.0
"""Largest shift of a log probability: rules may make the wanted shares impossible."""

TRUST = 0.2
"""How far a network's pairs are trusted: as if counted in this part of all rows. On coded Adult at
epsilon 1 errors of pairs and triples were least at 0.1 to 0.3."""

TOLERANCE, ITERATIONS = 0.02, 40
"""Gradient at which the fit of a column's ties stops, in noise sds, and its steps, at most."""

REMEMBERED = 2**26
"""Numbers that a network may remember of rows that are drawn at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A pair of columns as it was measured.

    Attributes:
        shares: Noisy shares of all rows, shape (codes of the earlier, codes of the later).
        sd: Standard deviation of their noise, of the same shape.
    """

    shares: Floats
    sd: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Raked:
    """A network after raking.

    Attributes:
        parameters: Its parameters, the biases of its heads shifted.
        ties: Numbers of two columns -> what is added to predictions of the later one.
        rows: Rows that were drawn on the way, shape (rows, columns); they have the wanted shares.
    """

    parameters: Parameters
    ties: dict[tuple[int, int], Singles]
    rows: Ints


def rake(
    shape: Shape,
    parameters: Parameters,
    steps: Sequence[Step],
    shares: Mapping[int, Floats],
    rows: int,
    rng: np.random.Generator,
    *,
    pairs: Mapping[tuple[int, int], Pair] | None = None,
    total: float = 1.0,
) -> Raked:
    """Change a network's predictions so that columns, and pairs as far as they are known, come out right.

    Columns are taken in the order of drawing, each for rows that are drawn from the columns before. First
    ties to earlier columns are added, such that measured pairs are met within their noise; then the
    biases of the column's head are shifted, such that its shares are met.

    Ties minimise ``TRUST * total * KL + (distance / sd)^2 / 2``: relative entropy to what the network
    says, and the squared distance from what was measured.

    Args:
        shape: Sizes of the network.
        parameters: Its parameters.
        steps: How its columns are drawn.
        shares: Column's number -> wanted probability of each code.
        rows: Number of rows that are drawn.
        rng: Source of randomness.
        pairs: Numbers of an earlier and a later column -> what was measured of them.
        total: Number of rows that shares are parts of.

    Source: iterative proportional fitting, Deming and Stephan 1940, of conditional probabilities; ties by
    maximum entropy with slack, Dudik, Phillips, Schapire 2007.
    """
    raking = _Raking(shares, pairs or {}, TRUST * total)
    each = shape.columns * shape.width * shape.depth * 2
    block = max(min(rows, REMEMBERED // each), BLOCK)
    predictor = Predictor(Decoder(shape, parameters))
    drawn = draw_rows(predictor, steps, rows, rng, tilt=raking.tilt, block=block)
    biases = {f"heads.{column}.bias": shift for column, shift in raking.shifts.items()}
    raked = {name: value + biases.get(name, 0) for name, value in parameters.items()}
    return Raked(raked, raking.ties, drawn)


@dataclass(slots=True, eq=False)
class _Raking:
    """What was found so far; later blocks of rows are drawn by what the first one found."""

    shares: Mapping[int, Floats]
    pairs: Mapping[tuple[int, int], Pair]
    trust: float
    shifts: dict[int, Singles] = field(default_factory=dict[int, Singles])
    ties: dict[tuple[int, int], Singles] = field(default_factory=dict[tuple[int, int], Singles])

    def tilt(self, column: int, logs: Singles, begun: Beginnings) -> Singles:
        """Log probabilities of a column with its ties and its shift."""
        known = column in self.shifts
        mine = {pair[0]: p for pair, p in self.pairs.items() if pair[1] == column}
        if mine and not known:
            level = logs + shift_to(logs, begun.counts, self.shares[column])
            found = _fit_ties(level, begun, self.shares[column], mine, self.trust)
            self.ties |= {(earlier, column): tie for earlier, tie in found.items()}
        for (earlier, later), tie in self.ties.items():
            if later == column:
                logs = logs + tie[begun.codes[earlier]]
        if not known:
            self.shifts[column] = shift_to(logs, begun.counts, self.shares[column])
        return logs + self.shifts[column]


def shift_to(logs: Singles, counts: Floats, shares: Floats) -> Singles:
    """What to add to each code's log probability, for the mean over rows to be as wanted."""
    weights = (counts / counts.sum()).astype(np.float32)
    wanted = np.maximum(shares, RAREST)
    wanted = wanted / wanted.sum()
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    shift = np.zeros(len(wanted))
    for _ in range(ROUNDS):
        tilted = odds * np.exp(shift - shift.max()).astype(np.float32)
        mean = weights @ (tilted / tilted.sum(axis=1, keepdims=True))
        if np.abs(mean - wanted).sum() < 2 * CLOSE:
            break
        shift += np.log(wanted / np.maximum(mean, RAREST))
        np.clip(shift, -FURTHEST, FURTHEST, out=shift)
    return (shift - shift.mean()).astype(np.float32)


def _fit_ties(
    logs: Singles,
    begun: Beginnings,
    shares: Floats,
    pairs: Mapping[int, Pair],
    trust: float,
) -> dict[int, Singles]:
    """Ties of one column to earlier ones.

    Args:
        logs: Log probabilities of its codes in each beginning, up to a constant, after raking.
        begun: The beginnings.
        shares: Its shares, which it keeps.
        pairs: Number of an earlier column -> what was measured of both.
        trust: Rows that the network's pairs are worth.
    """
    weights = begun.counts / begun.counts.sum()
    sums = {c: _Sums(begun.codes[c], weights, len(pair.shares)) for c, pair in pairs.items()}
    # The first line is for all beginnings: a shift, known as if without noise.
    wanted = np.concatenate([shares[None], *(_consistent(p, sums[c]) for c, p in pairs.items())])
    sds = np.concatenate([p.sd for p in pairs.values()])
    slack = np.concatenate([np.zeros((1, len(shares))), trust * np.square(sds)])
    units = np.concatenate([np.full((1, len(shares)), sds.min()), sds])
    ends = np.cumsum([1, *(len(pair.shares) for pair in pairs.values())])[:-1]

    def objective(point: Floats) -> Evaluation:
        shift, *ties = np.split(point.reshape(wanted.shape), ends)
        tied = logs.astype(np.float64) + shift
        for column, tie in zip(pairs, ties, strict=True):
            tied += tie[begun.codes[column]]
        peak = tied.max(axis=1, keepdims=True)
        odds = np.exp(tied - peak)
        mass = odds.sum(axis=1, keepdims=True)
        odds *= weights[:, None] / mass
        expected = np.concatenate([odds.sum(axis=0)[None], *(sums[c].of(odds) for c in pairs)])
        held = slack.ravel() * point
        value = float(weights @ (peak + np.log(mass))[:, 0])
        value += dot(point, held / 2 - wanted.ravel())
        gradient = (expected - wanted).ravel() + held
        curvature = np.maximum(expected, RAREST) + slack
        return Evaluation(point, value, gradient, curvature.ravel())

    start = np.zeros(wanted.size)
    end = minimise(objective, start, units.ravel(), tolerance=TOLERANCE, max_iterations=ITERATIONS)
    _, *ties = np.split(end.point.reshape(wanted.shape).astype(np.float32), ends)
    return dict(zip(pairs, ties, strict=True))


class _Sums:
    """Sums of rows by a column's codes.

    Args:
        codes: The column, shape (rows,).
        weights: Of the rows.
        size: Number of its codes.

    Attributes:
        shares: Weight of each code.
    """

    def __init__(self, codes: Ints, weights: Floats, size: int) -> None:
        self.shares: Floats = np.bincount(codes, weights, minlength=size).astype(np.float64)
        self._order = np.argsort(codes, kind="stable")
        ordered = codes[self._order]
        self._starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self._used, self._size = ordered[self._starts], size

    def of(self, values: Floats) -> Floats:
        """One line per code, of values with one line per row."""
        result = np.zeros((self._size, values.shape[1]))
        result[self._used] = np.add.reduceat(values[self._order], self._starts, axis=0)
        return result


def _consistent(pair: Pair, earlier: _Sums) -> Floats:
    """Measured shares of a pair, moved evenly so that the earlier column has the shares it has.

    No prediction of the later column can change those.
    """
    excess = pair.shares.sum(axis=1) - earlier.shares
    return pair.shares - (excess / pair.shares.shape[1])[:, None]
