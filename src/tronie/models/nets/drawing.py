"""Rows drawn from a column network, with counts closer to its own expectation than independent rows'."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tronie.models.nets.balance import Balance, choose
from tronie.models.nets.decoding import Decoder, Memory, Singles
from tronie.models.propagation import IMPOSSIBLE
from tronie.schema.grid import Floats, Ints

BLOCK = 8192
"""Rows that are drawn at once."""

CANDIDATES = 4
"""Rows that are drawn for each one that is kept, if rows are drawn given something."""

ALONE = 0.7
"""Rows are followed one by one once this part of them differs in the columns so far."""

Ties: TypeAlias = Mapping[tuple[int, int], Singles]
"""Numbers of an earlier and a later column -> what each pair of codes adds to the log probability of the
later one's, shape (codes of the earlier, codes of the later)."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """What predicts a column from those before it.

    Attributes:
        decoder: The network.
        ties: What is added to its predictions, where both columns are known.
    """

    decoder: Decoder
    ties: Ties = field(default_factory=dict[tuple[int, int], Singles])


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """How one column is drawn.

    Attributes:
        column: Its number.
        parents: Numbers of the columns, drawn before, on which it depends what is possible.
        possible: What is possible in each cell of the parents, as the logarithm of 1 or of nearly 0, shape
            (cells of the parents, codes).
        given: Logarithm of how likely what is given is, of the same shape; none for a column of which
            nothing is given.
    """

    column: int
    parents: tuple[int, ...]
    possible: Singles
    given: Singles | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Beginnings:
    """The different beginnings of rows, just before a column is drawn.

    Attributes:
        counts: Rows that begin with each, shape (beginnings,).
        codes: Number of each column so far -> its codes, shape (beginnings,).
    """

    counts: Floats
    codes: Mapping[int, Ints]


Tilt: TypeAlias = Callable[[int, Singles, Beginnings], Singles]
"""Changes log probabilities of a column, given by its number, for each beginning."""

Chooser: TypeAlias = Callable[[int, Singles], Ints]
"""Codes of a column, given by its place among the steps, from their probabilities in each row."""


def draw_rows(
    predictor: Predictor,
    steps: Sequence[Step],
    n: int,
    rng: np.random.Generator,
    *,
    tilt: Tilt | None = None,
    block: int = BLOCK,
) -> Ints:
    """Draw rows.

    Rows with the same columns so far are predicted once. Rows are not independent: see `Balance`.

    Args:
        predictor: The network.
        steps: Every column once, in an order; nothing is given.
        n: Number of rows, at least 0.
        rng: Source of randomness.
        tilt: Changes log probabilities before they are used.
        block: Rows that are drawn at once.

    Returns:
        Codes, shape (n, columns), by the columns' numbers; in random order.
    """
    sizes = predictor.decoder.shape.sizes
    balance = Balance([sizes[step.column] for step in steps])
    rows = np.empty((n, len(sizes)), np.int64)
    for start, end in blocks(n, block):
        balance.begin(end - start)
        walk = Walk(predictor, steps, end - start, tilt)
        rows[start:end] = walk.to_the_end(lambda place, shares: balance.draw(place, shares, rng))
    return rng.permutation(rows)


def draw_given(
    predictor: Predictor,
    steps: Sequence[Step],
    guide: Predictor,
    guided: Sequence[Step],
    n: int,
    rng: np.random.Generator,
) -> Ints:
    """Draw rows given something.

    Candidates are drawn in an order that begins with what is given; of these, rows are taken in proportion
    to how much likelier they are in the network's own order. So rows are those of the network, whatever the
    guide; a poor guide only makes more of them alike.

    Args:
        predictor: The network.
        steps: Every column once, in its order.
        guide: A network that knows any order.
        guided: Every column once, those of which something is given first.
        n: Number of rows, at least 0.
        rng: Source of randomness.

    Returns:
        Codes, shape (n, columns), by the columns' numbers; in random order.

    Source: importance resampling, Rubin 1988; systematic, Kitagawa 1996.
    """
    rows = np.empty((n, len(steps)), np.int64)
    for start, end in blocks(n, BLOCK // CANDIDATES):
        count = (end - start) * CANDIDATES
        proposed = Walk(guide, guided, count)
        candidates = proposed.to_the_end(
            lambda _, shares: choose(shares, rng.random(len(shares), np.float32))
        )
        own = Walk(predictor, steps, count)
        # `codes` is bound now: the loop's variable would be another block's later.
        own.to_the_end(lambda place, _, codes=candidates: codes[:, steps[place].column])
        weights = own.logs + proposed.likely - proposed.logs
        rows[start:end] = candidates[resample(weights, end - start, rng)]
    return rng.permutation(rows)


def row_logs(
    predictor: Predictor, steps: Sequence[Step], rows: Ints, *, block: int = BLOCK
) -> Floats:
    """Log probability of each code of some rows, given those that are drawn before it.

    Args:
        predictor: The network.
        steps: Every column once, in its order; nothing is given.
        rows: Codes, shape (rows, columns), by the columns' numbers.
        block: Rows that are followed at once.

    Returns:
        Shape (rows, columns), by the columns' numbers; minus infinity for what is impossible.
    """
    parts = [
        _block_logs(predictor, steps, rows[start:end]) for start, end in blocks(len(rows), block)
    ]
    return np.concatenate(parts)


def _block_logs(predictor: Predictor, steps: Sequence[Step], rows: Ints) -> Floats:
    walk = Walk(predictor, steps, len(rows))
    before: list[Floats] = []

    def known(place: int, _: Singles) -> Ints:
        before.append(walk.logs.copy())
        return rows[:, steps[place].column]

    walk.to_the_end(known)
    found = np.empty(rows.shape)
    found[:, [step.column for step in steps]] = np.diff([*before, walk.logs], axis=0).T
    return np.where(found > IMPOSSIBLE / 2, found, -np.inf)


def blocks(n: int, most: int) -> list[tuple[int, int]]:
    """Even stretches of rows."""
    count = max(math.ceil(n / most), 1)
    return list(itertools.pairwise([n * i // count for i in range(count + 1)]))


def resample(weights: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Candidates by systematic sampling, in proportion to the exponentials of some weights."""
    if not count:
        return np.empty(0, np.int64)
    upto: Floats = np.cumsum(np.exp(weights - weights.max()))
    aims = (np.arange(count) + rng.random()) * (float(upto[-1]) / count)
    return np.minimum(upto.searchsorted(aims, side="right"), len(weights) - 1)


class Walk:
    """Rows on their way through the columns, together.

    What is known of the columns so far is held once for all rows that begin alike.

    Args:
        predictor: The network.
        steps: Every column once.
        rows: Number of rows.
        tilt: Changes log probabilities before they are used.

    Attributes:
        logs: Log probability of each row's codes so far, given what is given.
        likely: Log probability of what is given in each row, as far as its columns are known.
    """

    def __init__(
        self,
        predictor: Predictor,
        steps: Sequence[Step],
        rows: int,
        tilt: Tilt | None = None,
    ) -> None:
        self._predictor, self._steps, self._tilt = predictor, steps, tilt
        self._shape = predictor.decoder.shape
        self._memory: Memory = predictor.decoder.start()
        self._tokens = np.zeros(1, np.int64)
        self._codes: dict[int, Ints] = {}
        self._alone = False
        self._begun = np.zeros(rows, np.int64)
        self.logs: Floats = np.zeros(rows)
        self.likely: Floats = np.zeros(rows)

    def to_the_end(self, chooser: Chooser) -> Ints:
        """Codes of all columns, shape (rows, columns), by the columns' numbers."""
        rows = np.empty((len(self._begun), len(self._steps)), np.int64)
        for place, step in enumerate(self._steps):
            logs, cells = self._predict(step)
            codes = chooser(place, np.exp(logs)[self._begun])
            self.logs += logs[self._begun, codes]
            if step.given is not None:
                self.likely += step.given[cells[self._begun], codes]
            rows[:, step.column] = codes
            self._extend(step.column, codes)
        return rows

    def _predict(self, step: Step) -> tuple[Singles, Ints]:
        """Log probabilities of a column's codes, and the cell of its parents, by beginning."""
        logs = self._predictor.decoder.step(self._memory, self._tokens, step.column)
        for (earlier, later), tie in self._predictor.ties.items():
            if later == step.column and earlier in self._codes:
                logs += tie[self._codes[earlier]]
        cells = np.zeros(len(logs), np.int64)
        for parent in step.parents:
            cells = cells * self._shape.sizes[parent] + self._codes[parent]
        logs += step.possible[cells]
        if self._tilt is not None:
            counts = np.bincount(self._begun, minlength=len(logs)).astype(np.float64)
            logs = self._tilt(step.column, logs, Beginnings(counts, self._codes))
        if step.given is not None:
            logs += step.given[cells]
        peak = logs.max(axis=1, keepdims=True)
        logs -= peak + np.log(np.exp(logs - peak).sum(axis=1, keepdims=True))
        return logs, cells

    def _extend(self, column: int, codes: Ints) -> None:
        """Make the chosen codes part of the beginnings."""
        size = self._shape.sizes[column]
        if not self._alone:
            ends, begun = np.unique(self._begun * size + codes, return_inverse=True)
            origin, codes = np.divmod(ends, size)
            self._alone = len(ends) > ALONE * len(begun)
            if self._alone:
                origin, codes, begun = origin[begun], codes[begun], np.arange(len(begun))
            self._memory = self._memory.take(origin)
            self._codes = {number: known[origin] for number, known in self._codes.items()}
            self._begun = begun
        self._codes[column] = codes
        self._tokens = codes + self._shape.offsets[column]
