"""From codes back to lattice points: each code's points are drawn by its released histogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.schema.grid import Coding, Floats, Ints

Codes: TypeAlias = NDArray[np.integer[Any]]

GOLDEN = (5**0.5 - 1) / 2

BLOCK = 2**17
"""Rows that are spread at once; as many as the processor's cache is good for."""


KEYS = 6
"""Other columns over whose values the points of a code are spread evenly, at most."""

KEY_BITS = 63
"""Bits of a sort key."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Where an ordered column's lattice lies among numbers: point i is ``origin + i * step``."""

    origin: float
    step: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """``low <= high`` in every row in which both are present, or ``<`` when strict."""

    low: str
    high: str
    strict: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Where the points of each code lie on a line on which code g covers [g, g + 1).

    Attributes:
        cuts: Where each cell's stretch begins, cells sorted by code, shape (cells + 1,).
        starts: First lattice index of each cell.
        widths: Lattice points of each cell.
    """

    cuts: Floats
    starts: Ints
    widths: Ints

    @classmethod
    def of(cls, coding: Coding) -> _Spread:
        grid = coding.grid
        order = np.argsort(coding.groups, kind="stable")
        groups, widths = coding.groups[order], grid.widths[order]
        weights = coding.weights[order]
        mass = np.bincount(groups, weights)
        weights = np.where(mass[groups] > 0, weights, widths)
        share = weights / np.bincount(groups, weights)[groups]
        ends = np.cumsum(share)
        firsts: Ints = np.searchsorted(groups, np.arange(coding.size))
        begun = ends - share
        cuts = groups + np.clip(begun - begun[firsts][groups], 0.0, 1.0)
        return cls(np.append(cuts, groups[-1] + 1.0), grid.starts[order], widths)

    @property
    def trivial(self) -> bool:
        """Whether each code is one point."""
        return len(self.starts) == self.cuts[-1] and bool((self.widths == 1).all())

    def draw(
        self, codes: Codes, others: Sequence[Codes], step: float, rng: np.random.Generator
    ) -> Ints:
        """A lattice index for each code, evenly spread within each code.

        Args:
            codes: Codes of the rows, shape (rows,).
            others: Codes of other columns; points are spread evenly over each of their values, too,
                the first of them best.
            step: Irrational step of the positions of a code's successive rows.
            rng: Source of each code's first position.
        """
        if self.trivial:
            return self.starts[codes]
        counts = np.bincount(codes, minlength=int(self.cuts[-1]))
        # Rows in the order of their codes: look-ups then go from left to right, which is fast.
        order = _sorted([codes, *others])
        ranks = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
        position = (ranks * step + np.repeat(rng.random(len(counts)), counts)) % 1.0
        place = np.minimum(position, 1 - 2.0**-30) + np.repeat(np.arange(len(counts)), counts)
        cell = np.searchsorted(self.cuts, place, side="right") - 1
        inside = (place - self.cuts[cell]) / np.diff(self.cuts)[cell]
        widths = self.widths[cell]
        offset = np.minimum((inside * widths).astype(np.int64), widths - 1)
        points = np.empty(len(codes), np.int64)
        points[order] = self.starts[cell] + offset
        return points


def _sorted(columns: Sequence[Codes]) -> Ints:
    """Rows in the order of some columns, as many of them as fit a sort key; ties stay in order."""
    bits = max(len(columns[0]) - 1, 1).bit_length()
    packed = np.zeros(len(columns[0]), np.int64)
    room = 1 << (KEY_BITS - bits)
    for codes in columns:
        size = int(codes.max(initial=0)) + 1
        if size <= room:
            room //= size
            packed *= size
            packed += codes
    packed <<= bits
    packed |= np.arange(len(packed))
    packed.sort()
    packed &= (1 << bits) - 1
    return packed


def expand(
    codings: Mapping[str, Coding],
    codes: Mapping[str, Codes],
    rng: np.random.Generator,
    *,
    axes: Mapping[str, Axis] | None = None,
    rankings: Sequence[Ranking] = (),
) -> dict[str, Ints]:
    """Draw a lattice point for each code.

    Within a code, the rows' positions are a low-discrepancy sequence with a step of each column's
    own and a random start, so each cell gets its share to within a few rows. Rows of one code are
    taken in the order of a few other columns, chosen at random, so that cells are spread evenly over
    their values as well. Rows are expected in random order.

    Args:
        codings: Column -> its codes.
        codes: Column -> codes of the rows, shape (rows,).
        rng: Source of the random starts.
        axes: Column -> axis, for the columns that rankings compare.
        rankings: Comparisons that every row obeys; codes must leave room for them.
    """
    points: dict[str, Ints] = {}
    for number, (column, coding) in enumerate(codings.items()):
        spread, step = _Spread.of(coding), _step(number)
        rows = codes[column]
        names = [name for name in codings if name != column]
        keys = [codes[names[i]] for i in rng.permutation(len(names))[:KEYS].tolist()]
        blocks = [
            spread.draw(rows[part], [key[part] for key in keys], step, rng)
            for part in (slice(i, i + BLOCK) for i in range(0, max(len(rows), 1), BLOCK))
        ]
        points[column] = np.concatenate(blocks)
    if rankings:
        _repair(points, codings, codes, rng, axes or {}, rankings)
    return points


def _step(number: int) -> float:
    """Fractional part of a multiple of the golden ratio's root; distinct columns do not resonate."""
    return float(np.sqrt(_prime(number)) * GOLDEN % 1.0)


def _prime(number: int) -> int:
    """The prime with this index; columns are few, so trial division will do."""
    candidate, found = 1, -1
    while found < number:
        candidate += 1
        found += all(candidate % d for d in range(2, int(candidate**0.5) + 1))
    return candidate


def _repair(
    points: dict[str, Ints],
    codings: Mapping[str, Coding],
    codes: Mapping[str, Codes],
    rng: np.random.Generator,
    axes: Mapping[str, Axis],
    rankings: Sequence[Ranking],
) -> None:
    """Draw anew, lowest column first, the rows in which a comparison fails."""
    wrong = np.zeros(len(next(iter(points.values()))), bool)
    for rule in rankings:
        low, high = (_values(points[c], codings[c], axes[c]) for c in (rule.low, rule.high))
        wrong |= (low >= high) if rule.strict else (low > high)
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return
    order = _lowest_first(rankings)
    bounds = {c: _code_bounds(codings[c], codes[c][rows]) for c in order}
    for column in reversed(order):
        for rule in (r for r in rankings if r.low == column):
            cap = _partner_bound(rule, bounds, axes, codings, upper=True)
            bounds[column][1][:] = np.minimum(bounds[column][1], cap)
    for column in order:
        for rule in (r for r in rankings if r.high == column):
            floor = _partner_bound(rule, bounds, axes, codings, upper=False)
            bounds[column][0][:] = np.maximum(bounds[column][0], floor)
        drawn = _draw_between(codings[column], *bounds[column], rng)
        points[column][rows] = drawn
        bounds[column] = (drawn, drawn)


def _values(points: Ints, coding: Coding, axis: Axis) -> Floats:
    """Numbers of the points; a missing value compares with nothing."""
    return np.where(points < coding.grid.points, axis.origin + axis.step * points, np.nan)


def _lowest_first(rankings: Sequence[Ranking]) -> list[str]:
    """Columns in an order in which each comes after those below it."""
    columns = dict.fromkeys(c for rule in rankings for c in (rule.low, rule.high))
    order: list[str] = []
    while len(order) < len(columns):
        order.append(
            next(
                c
                for c in columns
                if c not in order and all(r.low in order for r in rankings if r.high == c)
            )
        )
    return order


def code_spans(coding: Coding) -> tuple[Ints, Ints]:
    """First and last lattice index of each code of an ordered column, each of shape (size,)."""
    starts = coding.grid.starts
    first = np.full(coding.size, np.iinfo(np.int64).max)
    last = np.full(coding.size, -1, np.int64)
    np.minimum.at(first, coding.groups, starts)
    np.maximum.at(last, coding.groups, starts + coding.grid.widths - 1)
    return first, last


def _code_bounds(coding: Coding, codes: Codes) -> tuple[Ints, Ints]:
    first, last = code_spans(coding)
    return first[codes], last[codes]


def _partner_bound(
    rule: Ranking,
    bounds: Mapping[str, tuple[Ints, Ints]],
    axes: Mapping[str, Axis],
    codings: Mapping[str, Coding],
    *,
    upper: bool,
) -> Ints:
    """Largest point of `low` that its partner's largest allows, or smallest of `high`."""
    mine, other = (rule.low, rule.high) if upper else (rule.high, rule.low)
    edge = bounds[other][1 if upper else 0]
    move = previous_point if upper else next_point
    bound = move(edge, axes[other], axes[mine], strict=rule.strict)
    free = (edge >= codings[other].grid.points) | (bounds[mine][0] >= codings[mine].grid.points)
    return np.where(free, bounds[mine][1 if upper else 0], bound)


def next_point(points: Ints, here: Axis, there: Axis, *, strict: bool) -> Ints:
    """Lowest point of another axis that is not below (strictly above) each point of one."""
    place = _place(points, here, there)
    return (np.floor(place) + 1 if strict else np.ceil(place)).astype(np.int64)


def previous_point(points: Ints, here: Axis, there: Axis, *, strict: bool) -> Ints:
    """Highest point of another axis that is not above (strictly below) each point of one."""
    place = _place(points, here, there)
    return (np.ceil(place) - 1 if strict else np.floor(place)).astype(np.int64)


def _place(points: Ints, here: Axis, there: Axis) -> Floats:
    """Where points of one axis lie on another; rounding errors of the steps are undone."""
    place = (here.origin + here.step * points - there.origin) / there.step
    nearest = np.rint(place)
    return np.where(np.abs(place - nearest) < 1e-6, nearest, place)


def _draw_between(coding: Coding, first: Ints, last: Ints, rng: np.random.Generator) -> Ints:
    """A point between two bounds (inclusive, of one code), by the column's weights."""
    grid = coding.grid
    runs = coding.weights[: grid.runs]
    cumulative = np.concatenate([[0.0], np.cumsum(runs)])
    start, end = (np.interp(x, grid.edges, cumulative) for x in (first, last + 1))
    u = rng.random(len(first))
    target = start + u * (end - start)
    drawn = np.floor(np.interp(target, cumulative + 1e-12 * np.arange(len(cumulative)), grid.edges))
    flat = end - start <= 1e-9
    drawn = np.where(flat, np.floor(first + u * (last - first + 1)), drawn)
    return np.clip(drawn, first, last).astype(np.int64)
