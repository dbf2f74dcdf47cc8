"""The Synthetic Quality Score of Gretel and NeMo Safe Synthesizer, for comparison only.

It is worked out by the formulas of the published code (repository NVIDIA-NeMo/Safe-Synthesizer, folder
src/nemo_safe_synthesizer/evaluation, Apache-2.0), so that its numbers can be put beside others. It is no
measure to go by: rows of Adult whose columns were shuffled independently of one another get 7.9 of 10, at
the border of what that code calls "Excellent"; other real rows get 9.7. INTERNAL: it reads real rows.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tronie.evaluate.features import coordinates, sampled
from tronie.evaluate.structure import principal_components
from tronie.evaluate.tables import Coded, Tables
from tronie.schema.columns import Boolean, Category, Decimal, Integer, Modelled
from tronie.schema.grid import Floats, Ints

ROWS = 5_000
"""Rows of each table that it looks at."""

SEED = 424242
"""Of the sample. Rows are drawn with another generator, so they are not those that its code draws."""

FEW_VALUES = 10
"""Whole numbers with so few values, none negative, count as categories."""

UNIQUE = 0.1
"""A category with more distinct values than this share of the rows is left out."""

EMPTY = 0.5887
"""Distance where one of the two has no values."""

GRADES = ("Very Poor", "Poor", "Moderate", "Good", "Excellent")

_Kind: TypeAlias = Literal["numeric", "categorical"]


@dataclass(frozen=True, slots=True)
class GretelScore:
    """Gretel's score and its three components, each from 0 to 10 and rounded to a decimal.

    Attributes:
        distribution: "Column Distribution Stability".
        correlation: "Column Correlation Stability"; None with fewer than two columns.
        structure: "Deep Structure Stability"; None with fewer than two columns.
        overall: "Synthetic Quality Score".
        grade: What its code calls that.
    """

    distribution: float
    correlation: float | None
    structure: float | None
    overall: float
    grade: str


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A column as that code sees it.

    Attributes:
        kind: How it is treated; None if it is left out.
        values: Numbers, or lattice indices of categories; NaN where a number is missing.
    """

    kind: _Kind | None
    values: Floats

    @property
    def present(self) -> Floats:
        """Values that are not missing."""
        return self.values[~np.isnan(self.values)]


def gretel(tables: Tables, name: str) -> GretelScore:
    """Gretel's score of a synthetic table.

    Kinds of columns are guessed from the values, as in its code: a column with two distinct values and
    whole numbers with few are categories, categories with many distinct values are left out.

    Args:
        tables: The tables.
        name: Which synthetic table.
    """
    rows = min(ROWS, tables.real.rows, tables.synthetic[name].rows)
    rng = np.random.default_rng(SEED)
    real, synthetic = (
        _columns(tables, sampled(t, rows, rng)) for t in (tables.real, tables.synthetic[name])
    )
    real = {name: column for name, column in real.items() if column.kind is not None}
    synthetic = {name: synthetic[name] for name in real}
    parts = [
        distribution_score(_mean_distance(real, synthetic)) if real else 0.0,
        _correlation(real, synthetic),
        _structure(real, synthetic),
    ]
    distribution, correlation, structure = (None if p is None else _rounded(p) for p in parts)
    overall = combine(distribution or 0.0, correlation, structure)
    return GretelScore(distribution or 0.0, correlation, structure, overall, grade(overall))


def distribution_score(distance: float) -> float:
    """Score of the mean Jensen-Shannon distance of the columns.

    >>> round(distribution_score(0.1), 4), distribution_score(0.01), distribution_score(1.0)
    (8.7148, 10.0, 0.0)
    """
    if distance > 0.99:
        return 0.0
    if distance < 0.02:
        return 10.0
    return 7.44 * distance**2 - 16.646 * distance + 10.305


def correlation_score(difference: float) -> float:
    """Score of the mean absolute difference of the association matrices, their diagonals included.

    >>> round(correlation_score(0.1), 5), correlation_score(0.001), correlation_score(0.5)
    (6.86732, 10.0, 0.0)
    """
    if difference > 0.46:
        return 0.0
    if difference < 0.01:
        return 10.0
    return 37.562 * difference**2 - 35.643 * difference + 10.056


def structure_score(distance: float) -> float:
    """Score of the mean Jensen-Shannon distance along two principal components; never below 2.

    >>> structure_score(0.0), round(structure_score(1.0), 3)
    (10.0, 2.019)
    """
    return 10.0 * math.exp(-1.6 * distance)


def combine(distribution: float, correlation: float | None, structure: float | None) -> float:
    """The overall score: a weighted mean of the components that there are.

    >>> combine(10.0, 7.0, 8.5)
    8.4
    """
    weighted = [(0.84, structure), (0.86, distribution), (1.0, correlation)]
    known = [(weight, score) for weight, score in weighted if score is not None]
    return _rounded(round(sum(w * s for w, s in known) / sum(w for w, _ in known), 3))


def grade(score: float) -> str:
    """What the code calls a score from 0 to 10.

    >>> grade(8.0), grade(7.9)
    ('Excellent', 'Good')
    """
    return GRADES[min(int(score) // 2, len(GRADES) - 1)]


def jensen_shannon(one: Floats, two: Floats) -> float:
    """Jensen-Shannon distance, the root of the divergence in bits: 0 (equal) to 1 (disjoint).

    Args:
        one: Weight of each cell, not negative.
        two: Likewise; each is scaled to sum to 1.

    >>> jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 3.0]))
    1.0
    """
    if not one.sum() or not two.sum():
        return EMPTY
    p, q = one / one.sum(), two / two.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return math.sqrt(max(divergence, 0.0))


def theils_u(table: Ints) -> float:
    """Theil's U of a contingency table: how much of the rows' variable the columns' one tells, 0 to 1."""
    counts = table.astype(np.float64)
    whole = _entropy(counts.sum(axis=1))
    return (whole + _entropy(counts.sum(axis=0)) - _entropy(counts)) / whole if whole else 1.0


def _relative_entropy(p: Floats, q: Floats) -> float:
    inside = p > 0
    return float((p[inside] * np.log2(p[inside] / q[inside])).sum())


def _entropy(counts: Floats) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _rounded(score: float) -> float:
    return max(0.0, min(10.0, round(score, 1)))


def _columns(tables: Tables, rows: Coded) -> dict[str, _Column]:
    return {name: _column(column, rows.points[name]) for name, column in tables.columns.items()}


def _column(column: Modelled, points: Ints) -> _Column:
    """A column's values, and how they are treated."""
    if isinstance(column, Category | Boolean):
        values = points.astype(np.float64)
    else:
        values = coordinates(column, points)
    present = values[points <= column.points]
    distinct = len(np.unique(present))
    if not distinct:
        return _Column(None, values)
    if distinct == 2:
        return _Column("categorical", values)
    if isinstance(column, Decimal):
        return _Column("numeric", values)
    if isinstance(column, Integer):
        few = distinct <= FEW_VALUES and present.min() >= 0
        return _Column("categorical" if few else "numeric", values)
    return _Column("categorical" if distinct <= UNIQUE * len(present) else None, values)


def _mean_distance(real: dict[str, _Column], synthetic: dict[str, _Column]) -> float:
    """Mean Jensen-Shannon distance of the columns; those left out of the synthetic table count 0."""
    return sum(_distance(real[name], synthetic[name]) for name in real) / len(real)


def _distance(real: _Column, synthetic: _Column) -> float:
    if synthetic.kind is None:
        return 0.0
    if "categorical" in {real.kind, synthetic.kind}:
        return jensen_shannon(*_tallies(real.values, synthetic.values))
    return numeric_distance(real.present, synthetic.present)


def numeric_distance(one: Floats, two: Floats) -> float:
    """Jensen-Shannon distance of two columns of numbers, in the bins of Doane's rule for both.

    The code's limit of 500 bins does not matter: the rule gives fewer for as few rows as it looks at.
    """
    edges = np.histogram_bin_edges(np.concatenate([one, two]), "doane")
    cells = [np.clip(np.searchsorted(edges, v, side="left") - 1, 0, None) for v in (one, two)]
    size = len(edges)
    return jensen_shannon(*(np.bincount(c, minlength=size).astype(np.float64) for c in cells))


def _tallies(one: Floats, two: Floats) -> tuple[Floats, Floats]:
    """How often each value occurs; missing ones count as one."""
    labels, size = _labels(np.concatenate([one, two]))
    parts = labels[: len(one)], labels[len(one) :]
    first, second = (np.bincount(p, minlength=size).astype(np.float64) for p in parts)
    return first, second


def _labels(values: Floats) -> tuple[Ints, int]:
    """Values as numbers from 0, and how many there are; missing ones share the last."""
    distinct, labels = np.unique(values, return_inverse=True)
    return labels.astype(np.int64), len(distinct)


def _correlation(real: dict[str, _Column], synthetic: dict[str, _Column]) -> float | None:
    if len(real) < 2:
        return None
    kinds = {name: column.kind for name, column in real.items()}
    matrices = [
        correlations(
            {n: c.values for n, c in table.items()},
            {n for n, kind in kinds.items() if kind == "categorical"},
        )
        for table in (real, synthetic)
    ]
    return correlation_score(float(np.abs(matrices[0] - matrices[1]).mean()))


def correlations(columns: dict[str, Floats], categorical: set[str]) -> Floats:
    """Association matrix: Pearson's correlation, Theil's U (not symmetric) and the correlation ratio.

    Args:
        columns: Column -> values, NaN where missing.
        categorical: Which are categories.

    Returns:
        Shape (columns, columns); a constant column has 0 everywhere but on the diagonal.
    """
    found = np.eye(len(columns))
    varies = [len(np.unique(v[~np.isnan(v)])) > 1 for v in columns.values()]
    labels = {name: _labels(columns[name]) for name in categorical}
    names = list(columns)
    for (i, one), (j, two) in itertools.combinations(enumerate(names), 2):
        if varies[i] and varies[j]:
            if one in labels and two in labels:
                table = _contingency(labels[one], labels[two])
                found[i, j], found[j, i] = theils_u(table.T), theils_u(table)
            elif one in labels or two in labels:
                nominal, ordered = (one, two) if one in labels else (two, one)
                found[i, j] = found[j, i] = _ratio(labels[nominal], columns[ordered])
            else:
                found[i, j] = found[j, i] = _pearson(columns[one], columns[two])
    return found


def _contingency(one: tuple[Ints, int], two: tuple[Ints, int]) -> Ints:
    size = one[1] * two[1]
    return np.bincount(one[0] * two[1] + two[0], minlength=size).reshape(one[1], two[1])


def _ratio(labels: tuple[Ints, int], values: Floats) -> float:
    present = ~np.isnan(values)
    places, numbers = labels[0][present], values[present]
    numbers = numbers - numbers.mean()
    counts = np.bincount(places, minlength=labels[1])
    sums = np.bincount(places, numbers, minlength=labels[1])
    between = float((sums**2 / np.maximum(counts, 1)).sum())
    total = float((numbers**2).sum())
    return math.sqrt(min(between / total, 1.0)) if total > 0 else 0.0


def _pearson(one: Floats, two: Floats) -> float:
    both = ~(np.isnan(one) | np.isnan(two))
    if not both.any():
        return 0.0
    a, b = one[both] - one[both].mean(), two[both] - two[both].mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else 0.0


def _structure(real: dict[str, _Column], synthetic: dict[str, _Column]) -> float | None:
    """Score of the distances along two principal components of the real rows."""
    usable = [n for n, c in real.items() if c.kind == "categorical" or synthetic[n].kind == c.kind]
    if len(usable) < 2:
        return None
    pairs = [_encoded(real[name], synthetic[name]) for name in usable]
    one, two = (np.column_stack([pair[i] for pair in pairs]) for i in range(2))
    if min(len(one), len(two)) < 2:
        return None
    means, scales = one.mean(axis=0), one.std(axis=0)
    scales[scales == 0] = 1.0
    one, two = (one - means) / scales, (two - means) / scales
    directions = principal_components(one)[0]
    projected = one @ directions, two @ directions
    distances = [numeric_distance(projected[0][:, i], projected[1][:, i]) for i in range(2)]
    return structure_score(sum(distances) / 2)


def _encoded(real: _Column, synthetic: _Column) -> tuple[Floats, Floats]:
    """Numbers with missing ones at the median; categories as their counts in the real rows."""
    if real.kind == "numeric":
        columns = [
            np.where(np.isnan(c.values), np.median(c.present), c.values) for c in (real, synthetic)
        ]
        return columns[0], columns[1]
    labels, _ = _labels(np.concatenate([real.values, synthetic.values]))
    rows = len(real.values)
    counts = np.bincount(labels[:rows], minlength=int(labels.max()) + 1).astype(np.float64)
    return counts[labels[:rows]], counts[labels[rows:]]
