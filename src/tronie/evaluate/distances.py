"""How far a synthetic table's distributions are from the real ones: one, two and three columns at a time.

INTERNAL: it reads real rows.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.evaluate.expected import TwoSamples
from tronie.evaluate.tables import Coded, Tables
from tronie.schema.columns import Datetime, Modelled, Ordered, is_nominal
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding, Floats, Ints
from tronie.schema.points import Scalar, axis, value_of
from tronie.tables.counting import count_marginals

MOST_PAIRS = 5_000
"""All pairs of up to 100 columns are looked at; of more columns a fixed selection of pairs."""

MOST_TRIPLES = 500
"""All triples of up to 15 columns are looked at; of more columns a fixed selection of triples."""

BUCKETS: tuple[tuple[int, int | None], ...] = (
    (1, 1),
    (2, 4),
    (5, 9),
    (10, 19),
    (20, 99),
    (100, 999),
    (1000, None),
)
"""Real rows in a cell: least and most of each kind of group."""

BASELINE_SEED = 20_040_917
"""Of the baselines, so that the same table always gets the same score."""

_BATCH_CELLS = 2**22

Cells: TypeAlias = tuple[Ints, Ints]
"""Cells that are not empty, in row-major order, and their rows."""


@dataclass(frozen=True, slots=True)
class ColumnDistance:
    """How far one column's distribution is from the real one.

    Attributes:
        name: The column.
        kind: Its kind in the schema ("integer", "category", ...).
        distance: Total variation of its codes, 0 (equal) to 1 (disjoint); 1 - distance is the
            histogram intersection.
        expected: Mean total variation of two samples of these sizes from one distribution.
        ks: Kolmogorov-Smirnov distance on lattice points of an ordered column, missing values left
            out; None for others, and where one table has no value at all.
        wasserstein: Earth mover's distance in the column's own unit (days for dates, seconds for
            datetimes, places in the list for ordered categories), likewise.
        labels: A name for each code.
        real: Share of rows of each code, as in `labels`.
        synthetic: Likewise, of the synthetic table.
        invalid: Share of synthetic rows whose value is outside the column's domain.
        uniform: Distance that values drawn at random from the column's domain get.
    """

    name: str
    kind: str
    distance: float
    expected: float
    ks: float | None
    wasserstein: float | None
    labels: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]
    invalid: float = 0.0
    uniform: float = 1.0

    @property
    def intersection(self) -> float:
        """Normalised histogram intersection: the share of rows that both tables have in common."""
        return 1.0 - self.distance


@dataclass(frozen=True, slots=True)
class MarginalDistance:
    """Total variation of the joint distribution of two or three columns.

    Attributes:
        columns: The columns.
        distance: Total variation, 0 (equal) to 1 (disjoint).
        expected: Mean total variation of two samples of these sizes from one distribution.
        independent: Distance of the synthetic rows after each column was shuffled on its own, which
            leaves columns as they are and no relation between them.
    """

    columns: Clique
    distance: float
    expected: float
    independent: float

    @property
    def intersection(self) -> float:
        """Normalised histogram intersection: the share of rows that both tables have in common."""
        return 1.0 - self.distance


@dataclass(frozen=True, slots=True)
class RareGroups:
    """What happens to combinations of two columns' values that some number of real rows have.

    Synthetic rows are scaled to the number of real rows.

    Attributes:
        low: Least number of real rows.
        high: Greatest number, included; None for no limit.
        cells: Number of such combinations.
        missing: Share of them that no synthetic row has.
        error: Mean of |synthetic rows - real rows| / real rows.
        bias: Mean of (synthetic rows - real rows) / real rows.
        kept: Synthetic rows with such combinations over real ones.
    """

    low: int
    high: int | None
    cells: int
    missing: float
    error: float
    bias: float
    kept: float


@dataclass(frozen=True, slots=True)
class Distributions:
    """All distances of one synthetic table, farthest beyond what chance explains first.

    Attributes:
        columns: Of each column.
        pairs: Of each pair of columns.
        triples: Of each triple of columns.
        rare: What happens to rare groups, rarest first; kinds of group that do not occur are left out.
        rows: Number of synthetic rows.
        real_rows: Number of real rows.
    """

    columns: tuple[ColumnDistance, ...]
    pairs: tuple[MarginalDistance, ...]
    triples: tuple[MarginalDistance, ...]
    rare: tuple[RareGroups, ...]
    rows: int
    real_rows: int


@dataclass(frozen=True, slots=True, eq=False)
class DistanceReference:
    """What rests on the real rows only, for several synthetic tables.

    Attributes:
        counts: Clique -> cells that are not empty.
        ordered: Ordered column -> distinct lattice points that occur, and rows up to each.
    """

    counts: Mapping[Clique, Cells]
    ordered: Mapping[str, Cells]

    @classmethod
    def of(cls, tables: Tables) -> DistanceReference:
        """Count the real rows."""
        counts: dict[Clique, Cells] = {}
        for size in (1, 2, 3):
            found = _tables(tables.real, tables.sizes, cliques_of(list(tables.codings), size))
            for clique, table in found:
                flat = table.reshape(-1)
                cells = np.flatnonzero(flat)
                counts[clique] = (cells, flat[cells])
        return cls(
            counts,
            {
                name: _cumulated(tables.real.points[name], column)
                for name, column in tables.columns.items()
                if not is_nominal(column)
            },
        )


def distributions(
    tables: Tables, name: str, reference: DistanceReference | None = None
) -> Distributions:
    """Compare all columns, pairs and triples of a synthetic table with the real one's.

    Args:
        tables: The tables.
        name: Which synthetic table.
        reference: What rests on the real rows only, to work it out once for several tables.
    """
    reference = reference or DistanceReference.of(tables)
    return compared(tables, tables.synthetic[name], reference)


def compared(tables: Tables, rows: Coded, reference: DistanceReference) -> Distributions:
    """The same for any rows in the same codes, such as the holdout's.

    Args:
        tables: The tables.
        rows: The rows.
        reference: What rests on the real rows only.
    """
    chance = TwoSamples(rows.rows, tables.real.rows)
    alone, random = shuffled_codes(rows), uniform_codes(tables.columns, tables.codings, rows.rows)
    rare = _Rare(tables.real.rows / rows.rows)
    columns: list[ColumnDistance] = []
    for clique, table in _tables(rows, tables.sizes, cliques_of(list(tables.codings), 1)):
        columns.append(_column(tables, clique[0], rows, table, random, reference, chance))
    joint: dict[int, list[MarginalDistance]] = {2: [], 3: []}
    for size, found in joint.items():
        cliques = cliques_of(list(tables.codings), size)
        both = zip(
            _tables(rows, tables.sizes, cliques),
            _tables(alone, tables.sizes, cliques),
            strict=True,
        )
        for (clique, table), (_, independent) in both:
            real = reference.counts[clique]
            if size == 2:
                rare.add(real[1], table.reshape(-1)[real[0]])
            found.append(
                MarginalDistance(
                    clique,
                    total_variation(real, tables.real.rows, table, rows.rows),
                    chance.expected(table),
                    total_variation(real, tables.real.rows, independent, rows.rows),
                )
            )
    return Distributions(
        tuple(sorted(columns, key=_excess)),
        tuple(sorted(joint[2], key=_excess)),
        tuple(sorted(joint[3], key=_excess)),
        rare.groups(),
        rows.rows,
        tables.real.rows,
    )


def cliques_of(columns: Sequence[str], size: int) -> list[Clique]:
    """Which sets of so many columns are looked at: all, or a selection that rests on the names only.

    Args:
        columns: All columns, in order.
        size: 1, 2 or 3.

    >>> cliques_of(["a", "b", "c"], 2)
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    most = {1: len(columns), 2: MOST_PAIRS, 3: MOST_TRIPLES}[size]
    total = math.comb(len(columns), size)
    if total <= most:
        return list(itertools.combinations(columns, size))
    digest = hashlib.sha256("\0".join(columns).encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    chosen: set[tuple[int, ...]] = set()
    while len(chosen) < most:
        drawn = np.sort(rng.integers(0, len(columns), (most, size)))
        distinct = drawn[(np.diff(drawn) > 0).all(axis=1)]
        chosen.update(map(tuple, distinct[: most - len(chosen)].tolist()))
    return [tuple(columns[place] for place in places) for places in sorted(chosen)]


def shuffled_codes(rows: Coded) -> Coded:
    """The same rows with each column shuffled on its own: as good columns, and no relation.

    Args:
        rows: Public rows.

    Returns:
        Codes only; always the same for the same rows.
    """
    rng = np.random.default_rng(BASELINE_SEED)
    codes = {name: rng.permutation(codes) for name, codes in rows.codes.items()}
    return Coded({}, codes, rows.rows)


def uniform_codes(
    columns: Mapping[str, Modelled], codings: Mapping[str, Coding], rows: int
) -> Coded:
    """Rows of values drawn at random from the columns' domains: all that a schema tells.

    Args:
        columns: Kind and domain of each column.
        codings: Its codes.
        rows: How many.

    Returns:
        Codes only; always the same for the same arguments.
    """
    rng = np.random.default_rng(BASELINE_SEED)
    codes: dict[str, Ints] = {}
    for name, column in columns.items():
        grid = codings[name].grid
        specials = grid.starts[grid.runs :]
        drawn = rng.integers(0, column.points + len(specials), rows)
        lattice = np.minimum(drawn, column.points - 1)
        if len(specials):
            special = specials[np.maximum(drawn - column.points, 0)]
            lattice = np.where(drawn < column.points, lattice, special)
        codes[name] = codings[name].code_of(lattice)
    return Coded({}, codes, rows)


def total_variation(real: Cells, real_rows: int, table: Ints, rows: int) -> float:
    """Total variation between shares of rows.

    Args:
        real: Cells with real rows.
        real_rows: Number of real rows.
        table: Synthetic rows in each cell, any shape.
        rows: Number of synthetic rows.
    """
    inside = table.reshape(-1)[real[0]]
    apart = np.abs(inside / rows - real[1] / real_rows).sum() + (rows - inside.sum()) / rows
    return min(float(apart) / 2, 1.0)


def labels_of(column: Modelled, coding: Coding, *, invalid: bool) -> tuple[str, ...]:
    """A name for each code: a value, a range, several values, or why there is no value.

    Args:
        column: Kind and domain.
        coding: Its codes.
        invalid: Whether one code more stands for values outside the domain.
    """
    grid = coding.grid
    edges: list[int] = grid.edges.tolist()
    cells = [_cell(column, start, stop) for start, stop in itertools.pairwise(edges)]
    cells += ["other values"] * grid.other + ["missing"] * grid.null
    members: list[list[str]] = [[] for _ in range(coding.size)]
    groups: list[int] = coding.groups.tolist()
    for cell, group in zip(cells, groups, strict=True):
        members[group].append(cell)
    named = [_several(group) for group in members]
    return (*named, *(["not in the domain"] if invalid else []))


def _several(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} and {len(values) - 1} more"


def _cell(column: Modelled, start: int, stop: int) -> str:
    """What the points from one to before another are."""
    first, last = (_written(value_of(column, point)) for point in (start, stop - 1))
    return first if stop - start == 1 else f"{first} to {last}"


def _written(value: Scalar | None) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _column(
    tables: Tables,
    name: str,
    rows: Coded,
    table: Ints,
    random: Coded,
    reference: DistanceReference,
    chance: TwoSamples,
) -> ColumnDistance:
    column, real_rows = tables.columns[name], tables.real.rows
    real = reference.counts[name,]
    size = len(table)
    dense = np.bincount(real[0], real[1], size)
    uniform = np.bincount(random.codes[name], minlength=size)
    moved = (None, None)
    if name in reference.ordered:
        moved = _moved(reference.ordered[name], _cumulated(rows.points[name], column))
    unit = _unit(column)
    return ColumnDistance(
        name,
        column.kind,
        total_variation(real, real_rows, table, rows.rows),
        chance.expected(table),
        moved[0],
        None if moved[1] is None else moved[1] * unit,
        labels_of(column, tables.codings[name], invalid=size > tables.codings[name].size),
        tuple((dense / real_rows).tolist()),
        tuple((table / rows.rows).tolist()),
        rows.invalid.get(name, 0.0),
        total_variation(real, real_rows, uniform, rows.rows),
    )


def _excess(found: ColumnDistance | MarginalDistance) -> float:
    """Farthest beyond chance first."""
    return found.expected - found.distance


def _tables(
    rows: Coded, sizes: Mapping[str, int], cliques: Sequence[Clique]
) -> Iterator[tuple[Clique, Ints]]:
    """Contingency tables, so many at a time that they fit in memory."""
    batch: list[Clique] = []
    cells = 0
    for clique in cliques:
        more = math.prod(sizes[column] for column in clique)
        if batch and cells + more > _BATCH_CELLS:
            yield from count_marginals([rows.codes], sizes, batch).items()
            batch, cells = [], 0
        batch.append(clique)
        cells += more
    yield from count_marginals([rows.codes], sizes, batch).items()


def _cumulated(points: Ints, column: Modelled) -> Cells:
    """Distinct lattice points that occur, and rows up to each."""
    values, counts = np.unique(points[points < column.points], return_counts=True)
    return values, np.cumsum(counts)


def _moved(real: Cells, synthetic: Cells) -> tuple[float, float] | tuple[None, None]:
    """Kolmogorov-Smirnov and earth mover's distance, the latter in lattice steps."""
    if not len(real[0]) or not len(synthetic[0]):
        return None, None
    points = np.union1d(real[0], synthetic[0])
    one, two = (_shares_up_to(points, cells) for cells in (real, synthetic))
    gaps = np.abs(one - two)
    return float(gaps.max()), float((gaps[:-1] * np.diff(points)).sum())


def _shares_up_to(points: Ints, cells: Cells) -> Floats:
    place = np.searchsorted(cells[0], points, side="right")
    return np.append(0, cells[1])[place] / cells[1][-1]


def _unit(column: Modelled) -> float:
    """How far one lattice step is: seconds for datetimes, the column's own unit for others."""
    if not isinstance(column, Ordered):
        return 1.0
    step = axis(column)[1]
    return step / 1e6 if isinstance(column, Datetime) else step


class _Rare:
    """Sums over cells, by their number of real rows."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._starts = np.array([low for low, _ in BUCKETS])
        self._sums: NDArray[np.float64] = np.zeros((6, len(BUCKETS)))

    def add(self, real: Ints, synthetic: Ints) -> None:
        """Take in cells with real rows."""
        bucket = np.searchsorted(self._starts, real, side="right") - 1
        scaled = synthetic * self._scale
        relative = scaled / real - 1
        ones = np.ones(len(real))
        for place, weights in enumerate(
            (ones, synthetic == 0, np.abs(relative), relative, scaled, real)
        ):
            self._sums[place] += np.bincount(bucket, weights, len(BUCKETS))

    def groups(self) -> tuple[RareGroups, ...]:
        """What was found, kinds of group that do not occur left out."""
        found: list[RareGroups] = []
        for (low, high), sums in zip(BUCKETS, self._sums.T.tolist(), strict=True):
            cells, missing, error, bias, scaled, real = sums
            if cells:
                missing, error, bias = missing / cells, error / cells, bias / cells
                found.append(RareGroups(low, high, int(cells), missing, error, bias, scaled / real))
        return tuple(found)
