"""Systematic sampling of one column within the cells of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.schema.grid import Floats, Ints

Codes: TypeAlias = NDArray[np.unsignedinteger[Any]]

Axis: TypeAlias = tuple[Codes, int]
"""Codes of a drawn column, and how many there can be."""

SLOPES = (
    0.369306393762915,
    0.580123449734643,
    0.703257409548814,
    0.720465053408525,
    0.638516480713450,
    0.566352173265570,
    0.410046195535937,
    0.270690632574555,
    0.694069000494829,
    0.617851130197758,
    0.767591879243998,
    0.609250984251476,
)
"""Fractions whose multiples modulo 1 spread evenly, and so do those of any two together.

Quadratic irrationals. For each slope a, h times the distance of ``h a`` from the integers is at least
0.23 (the golden section has the largest possible, 0.38); for each two, ``h k`` times the distance of
``h a + k b`` is at least 0.005 for h, k up to 24.
"""

KEY_BITS = 63
"""Bits of a sort key."""

CHUNK = 2**18
"""Cells of a table that are worked on at once."""


class Labels:
    """An order of rows that breaks ties.

    Columns that are drawn with the same order and different slopes are balanced against one another;
    there are as many of those as slopes, and then a new order is needed.

    Args:
        rows: Number of rows.
        rng: Source of randomness.
    """

    def __init__(self, rows: int, rng: np.random.Generator) -> None:
        self._rng, self._uses = rng, 0
        self.rows = rows
        self.of_rows = self.to_rows = np.arange(rows)

    def next_slope(self) -> float:
        """A slope that no column was drawn with since the last change of order."""
        turn = self._uses % len(SLOPES)
        if self._uses and turn == 0:
            self.to_rows = self._rng.permutation(self.rows)
            self.of_rows = np.empty_like(self.to_rows)
            self.of_rows[self.to_rows] = np.arange(self.rows)
        self._uses += 1
        return SLOPES[turn]


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Rows, sorted by the cell of their parents.

    Attributes:
        rows: Numbers of the rows.
        cells: The cells that have rows, ascending.
        counts: How many each has.
    """

    rows: Ints
    cells: Ints
    counts: Ints


def draw_column(
    parents: Sequence[Axis],
    keys: Sequence[Axis],
    cumulative: Floats,
    labels: Labels,
    rng: np.random.Generator,
) -> Codes:
    """Draw one column's codes given others', with counts as even as whole numbers can be.

    Each cell of the parents gets the whole numbers below its codes' expected counts; the few rows that
    are left over are dealt out so that runs of neighbouring cells have the expected counts, too,
    however few rows each of them has. Within a cell, rows are sorted by the keys and numbered; a
    rank-1 lattice spreads each stretch of them over all the codes, so counts are nearly right for each
    value of the keys, too.

    Args:
        parents: Columns that the probabilities depend on.
        keys: Other columns to balance against, the most important first; those beyond what fits a
            sort key are left out.
        cumulative: Cumulative probabilities of the codes in each cell of the parents, shape
            (cells, codes); the last one is 1.
        labels: The order that breaks ties.
        rng: Source of randomness; every row's code has the given probabilities.

    Returns:
        Codes, shape (rows,), in the smallest unsigned integer type.

    Source: L'Ecuyer, Lecot, Tuffin 2008 (array-RQMC) for sorting and stratifying; Madow 1949 for
    systematic sampling.
    """
    slope = labels.next_slope()
    order = _sort(parents, keys, len(cumulative), labels)
    ranked = _cut(cumulative, order, rng)
    codes = np.empty(labels.rows, ranked.dtype)
    codes[order.rows] = ranked[_ranks(order.counts, slope, rng.random(len(order.counts)))]
    return codes


def _sort(parents: Sequence[Axis], keys: Sequence[Axis], cells: int, labels: Labels) -> _Order:
    """Sort by parents, keys and labels, all packed into one integer."""
    bits = max(labels.rows - 1, 1).bit_length()
    packed = np.zeros(labels.rows, np.int64)
    for codes, size in parents:
        packed *= size
        packed += codes
    counts = np.bincount(packed, minlength=cells)
    room = (1 << (KEY_BITS - bits)) // cells
    for codes, size in keys:
        if room >= size:
            room //= size
            packed *= size
            packed += codes
    packed <<= bits
    packed |= labels.of_rows
    packed.sort()
    packed &= (1 << bits) - 1
    occupied = np.flatnonzero(counts)
    return _Order(labels.to_rows[packed], occupied, counts[occupied])


def _cut(cumulative: Floats, order: _Order, rng: np.random.Generator) -> Codes:
    """Codes by rank, cell after cell: each as often as its probability says, rounded."""
    size = cumulative.shape[1]
    codes = np.arange(size, dtype=np.min_scalar_type(size - 1))
    ranked = np.empty(order.counts.sum(), codes.dtype)
    carries = _carries(size, rng)
    start, few = 0, max(CHUNK // size, 1)
    for i in range(0, len(order.cells), few):
        counts = order.counts[i : i + few]
        parts = np.diff(cumulative[order.cells[i : i + few]], axis=1, prepend=0.0)
        parts *= counts[:, None]
        quotas = parts.astype(np.int64)
        parts -= quotas
        quotas += _deal(counts - quotas.sum(axis=1), parts, carries)
        part = np.repeat(np.broadcast_to(codes, quotas.shape).ravel(), quotas.ravel())
        ranked[start : (start := start + len(part))] = part
    return ranked


def _carries(size: int, rng: np.random.Generator) -> list[Floats]:
    """For each split of the codes in halves, the whole range first, where rounding starts: in [0, 1)."""
    return [rng.random(1 << level) for level in range((size - 1).bit_length())]


def _deal(counts: Ints, parts: Floats, carries: Sequence[Floats]) -> Ints:
    """Round expectations up or down, such that they keep their sum in each cell.

    Codes are halved again and again, and both halves' expectations rounded up or down. Where one of the
    two goes up, it is the left one with the probability that keeps the expectation; as often over all
    cells so far as these probabilities, and a random shift, add up to, rounded down.

    Args:
        counts: Sums, shape (cells,).
        parts: Expectations, shape (cells, codes).
        carries: What rounding down left over in each split; moved on to the end of these cells.

    Returns:
        Whole numbers, shape (cells, codes).

    Source: Srinivasan 2001 (dependent rounding along a tree).
    """
    numbers = counts[:, None]
    for carry, halves in zip(carries, reversed(_halves(parts, len(carries))), strict=True):
        left, right = halves[:, 0::2], halves[:, 1::2]
        least, most = np.floor(left), np.ceil(left)
        np.maximum(least, numbers - np.ceil(right), out=least)
        np.minimum(most, numbers - np.floor(right), out=most)
        sums = _chance(left - np.floor(left), right - np.floor(right))
        sums *= most > least
        sums.cumsum(axis=0, out=sums)
        sums += carry
        floors = np.floor(sums)
        carry[:] = sums[-1] - floors[-1]
        to_left = least + np.diff(floors, axis=0, prepend=0)
        numbers = np.stack([to_left, numbers - to_left], axis=-1).reshape(len(counts), -1)
    return numbers[:, : parts.shape[1]].astype(np.int64)


def _chance(left: Floats, right: Floats) -> Floats:
    """The probability that the left one of two is rounded up, where just one of them is.

    Above a sum of 1 one is rounded up for certain, and it is as if one were rounded down.
    """
    mass = left + right
    above = mass >= 1
    ours, all_ = np.where(above, 1 - right, left), np.where(above, 2 - mass, mass)
    return np.divide(ours, all_, out=np.zeros_like(ours), where=all_ > 0)


def _halves(parts: Floats, levels: int) -> list[Floats]:
    """The codes' expectations, padded to a power of two; sums of two neighbours; of four, and so on."""
    now = np.pad(parts, ((0, 0), (0, (1 << levels) - parts.shape[1])))
    halves: list[Floats] = []
    for _ in range(levels):
        halves.append(now)
        now = now[:, 0::2] + now[:, 1::2]
    return halves


def _ranks(counts: Ints, slope: float, shifts: Floats) -> Ints:
    """For each row, cell after cell, its place in its cell's ranks: a rank-1 lattice."""
    sizes, which = np.unique(counts, return_inverse=True)
    strides = _strides(sizes, slope)[which]
    starts = np.cumsum(counts) - counts
    first = (shifts * counts).astype(np.int64)
    ranks: Ints = np.arange(int(counts.sum())) - np.repeat(starts, counts)
    ranks *= np.repeat(strides, counts)
    ranks += np.repeat(first, counts)
    ranks %= np.repeat(counts, counts)
    return ranks + np.repeat(starts, counts)


def _strides(sizes: Ints, slope: float) -> Ints:
    """For each size, the number nearest to the slope times it that has no divisor in common."""
    ideal = np.rint(sizes * slope).astype(np.int64)
    strides = np.zeros_like(sizes)
    distance = 0
    while not strides.all():
        for guess in (ideal + distance, ideal - distance):
            fits = (strides == 0) & (guess > 0) & (np.gcd(guess, sizes) == 1)
            strides[fits] = guess[fits]
        distance += 1
    return strides
