"""Rows drawn from a column network, with counts closer to its own expectation than independent rows'."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tronie.models.nets.balance import Balance, choose
from tronie.models.nets.decoding import Decoder, Memory, Singles
from tronie.schema.grid import Floats, Ints

BLOCK = 8192
"""Rows that are drawn at once."""

CANDIDATES = 8
"""Beginnings of rows that are drawn for each row that is kept, if they are given several columns."""

ALONE = 0.7
"""Rows are followed one by one once this part of them differs in the columns so far."""

Tilt: TypeAlias = Callable[[int, Singles, Floats], Singles]
"""Changes a column's log probabilities: its number, they themselves, and how many rows each line is."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """How one column is drawn.

    Attributes:
        column: Its number.
        parents: Numbers of the columns, drawn before, on which it depends what is possible.
        possible: What is possible in each cell of the parents, as the logarithm of 1 or of nearly 0, shape
            (cells of the parents, codes).
        given: Logarithm of how likely what is given is, of the same shape, for a column that comes first
            for its sake: rows at odds with it become fewer.
    """

    column: int
    parents: tuple[int, ...]
    possible: Singles
    given: Singles | None = None


def draw_rows(
    decoder: Decoder,
    steps: Sequence[Step],
    n: int,
    rng: np.random.Generator,
    tilt: Tilt | None = None,
) -> Ints:
    """Draw rows.

    Rows with the same columns so far are predicted once. Rows are not independent: see `Balance`.

    Args:
        decoder: The network.
        steps: Every column once, those with something given first.
        n: Number of rows, at least 0.
        rng: Source of randomness.
        tilt: Changes log probabilities before they are used.

    Returns:
        Codes, shape (n, columns), by the columns' numbers; in random order.

    Source: importance resampling, for rows that are given something, Rubin 1988.
    """
    sizes = decoder.shape.sizes
    balance = Balance([sizes[step.column] for step in steps])
    rows = np.empty((n, len(sizes)), np.int64)
    count = max(math.ceil(n / BLOCK), 1)
    ends = [n * (i + 1) // count for i in range(count)]
    for start, end in itertools.pairwise([0, *ends]):
        block = _Block(decoder, steps, end - start, rng, tilt)
        rows[start:end] = block.draw(balance)
    return rng.permutation(rows)


class _Block:
    """Rows that are drawn together.

    `group` is, for each row, the number of its beginning; what is known of the columns so far is held by
    beginning: `memory` of the network, `codes`, and the log of each one's weight.
    """

    def __init__(
        self,
        decoder: Decoder,
        steps: Sequence[Step],
        rows: int,
        rng: np.random.Generator,
        tilt: Tilt | None,
    ) -> None:
        self._decoder, self._steps, self._rows, self._rng = decoder, steps, rows, rng
        self._tilt = tilt
        self._memory: Memory = decoder.start()
        self._tokens = np.zeros(1, np.int64)
        self._codes: dict[int, Ints] = {}
        self._weights: Floats = np.zeros(1)
        self._alone = False
        self._group = np.zeros(rows, np.int64)

    def draw(self, balance: Balance) -> Ints:
        """Codes of all columns, shape (rows, columns)."""
        last = sum(step.given is not None for step in self._steps) - 1
        chosen = last > 0
        if chosen:
            self._group = np.zeros(self._rows * CANDIDATES, np.int64)
        drawn: list[Ints] = []
        balance.begin(self._rows)
        for number, step in enumerate(self._steps):
            logs = self._predict(step)
            shares = np.exp(logs)[self._group]
            if chosen and number <= last:
                codes = choose(shares, self._rng.random(len(shares), np.float32))
            else:
                codes = balance.draw(number, shares, self._rng)
            drawn.append(codes)
            self._extend(step.column, codes)
            if chosen and number == last:
                kept = self._resample()
                drawn = [column[kept] for column in drawn]
                for earlier, column in enumerate(drawn):
                    balance.note(earlier, column)
        rows = np.empty((self._rows, len(self._steps)), np.int64)
        for step, codes in zip(self._steps, drawn, strict=True):
            rows[:, step.column] = codes
        return rows

    def _predict(self, step: Step) -> Singles:
        """Log probabilities of a column's codes, by beginning; weights take up what is given."""
        logs = self._decoder.step(self._memory, self._tokens, step.column)
        cells = np.zeros(len(logs), np.int64)
        for parent in step.parents:
            cells = cells * self._decoder.shape.sizes[parent] + self._codes[parent]
        logs = logs + step.possible[cells]
        if self._tilt is not None:
            counts = np.bincount(self._group, minlength=len(logs)).astype(np.float64)
            logs = self._tilt(step.column, logs, counts)
        mass = _mass(logs)
        if step.given is not None:
            logs += step.given[cells]
            before, mass = mass, _mass(logs)
            self._weights = self._weights + (mass - before)[:, 0]
        return logs - mass

    def _extend(self, column: int, codes: Ints) -> None:
        """Make the drawn codes part of the beginnings."""
        size = self._decoder.shape.sizes[column]
        if not self._alone:
            ends, group = np.unique(self._group * size + codes, return_inverse=True)
            origin, codes = np.divmod(ends, size)
            self._alone = len(ends) > ALONE * len(self._group)
            if self._alone:
                origin, codes, group = origin[group], codes[group], np.arange(len(group))
            self._take(origin)
            self._group = group
        self._codes[column] = codes
        self._tokens = codes + self._decoder.shape.offsets[column]

    def _take(self, origin: Ints) -> None:
        """Keep some of the beginnings, each any number of times."""
        self._tokens = self._tokens[origin]
        self._memory = self._memory.take(origin)
        self._codes = {column: codes[origin] for column, codes in self._codes.items()}
        self._weights = self._weights[origin]

    def _resample(self) -> Ints:
        """Candidates that become rows, by systematic sampling in proportion to their weights."""
        weights = self._weights[self._group]
        likely: Floats = np.exp(weights - weights.max())
        upto: Floats = np.cumsum(likely)
        aims: Floats = (np.arange(self._rows) + self._rng.random()) / self._rows * upto[-1]
        places: Any = np.searchsorted(upto, aims, side="right")
        kept: Ints = np.minimum(places, len(upto) - 1)
        self._group = self._group[kept]
        if self._alone:
            self._take(self._group)
            self._group = np.arange(self._rows)
        return kept


def _mass(logs: Singles) -> Singles:
    """Logarithm of the sum of exponentials, by row."""
    peak = logs.max(axis=1, keepdims=True)
    return peak + np.log(np.exp(logs - peak).sum(axis=1, keepdims=True))
