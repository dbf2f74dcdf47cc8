"""How columns depend on one another, in a real and a synthetic table. INTERNAL: it reads real rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.evaluate.features import columns_as_floats, halves, sampled, shuffled
from tronie.evaluate.score import Score
from tronie.evaluate.tables import Coded, Tables
from tronie.schema.columns import Category, is_nominal
from tronie.schema.grid import Floats, Ints

MOST_ROWS = 200_000
"""Rows of a table that associations are worked out from; a larger one is sampled."""

MOST_VALUES = 256
"""Nominal columns with more points than this are compared by their codes, rare values merged."""

SPLITS = 4
"""Times that the real rows are split at random, for the ceilings."""

LEVELS = (0.1, 0.3, 0.5)
"""Where low, weak, middle and strong associations part."""

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Dependence:
    """Associations between columns in both tables.

    Attributes:
        columns: The columns, in order.
        real: Association of each pair of columns in the real table, row after row. Two ordered columns:
            Pearson's correlation, -1 to 1. Two nominal ones: Cramer's V, corrected for bias, 0 to 1. One
            of each: the correlation ratio, 0 to 1. A constant column has 0 everywhere.
        synthetic: Likewise, in the synthetic table.
        difference: Mean absolute difference of all pairs of different columns.
        correlation_accuracy: Share of pairs in the same level, as DP-2Stage counts it.
        scores: Both with floor and ceiling.
    """

    columns: tuple[str, ...]
    real: Matrix
    synthetic: Matrix
    difference: float
    correlation_accuracy: float
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DependenceReference:
    """What rests on the real rows only, for several synthetic tables.

    Attributes:
        rows: The real rows, or a sample of them.
        real: Their associations.
        unordered: The same with the order of categories left aside.
        floors: Difference and correlation accuracy of the same rows with each column shuffled on its own.
        split: Difference and correlation accuracy between random halves of the rows, on average.
    """

    rows: Coded
    real: Floats
    unordered: Floats
    floors: tuple[float, float]
    split: tuple[float, float]

    @classmethod
    def of(cls, tables: Tables, *, seed: int = 0) -> DependenceReference:
        """Work it out."""
        rng = np.random.default_rng(seed)
        rows = sampled(tables.real, MOST_ROWS, rng)
        whole, alone = _both(tables, rows), _both(tables, shuffled(rows, rng))
        parts = [[_both(tables, half) for half in halves(rows, rng)] for _ in range(SPLITS)]
        splits = [_compared(one, two) for one, two in parts]
        split = tuple(float(np.mean(values)) for values in zip(*splits, strict=True))
        return cls(rows, *whole, _compared(whole, alone), (split[0], split[1]))


def dependence(
    tables: Tables, name: str, reference: DependenceReference | None = None, *, seed: int = 0
) -> Dependence:
    """Compare the associations of a synthetic table with the real one's.

    Args:
        tables: The tables.
        name: Which synthetic table.
        reference: What rests on the real rows only, to work it out once for several tables.
        seed: Of the samples and shuffles.
    """
    reference = reference or DependenceReference.of(tables, seed=seed)
    rng = np.random.default_rng(seed)
    rows = sampled(tables.synthetic[name], MOST_ROWS, rng)
    found, unordered = _both(tables, rows)
    real = reference.unordered
    if rows.rows < reference.rows.rows:
        real = associations(tables, sampled(reference.rows, rows.rows, rng), ranked=False)
    elif rows.rows > reference.rows.rows:
        unordered = associations(tables, sampled(rows, reference.rows.rows, rng), ranked=False)
    difference = mean_difference(reference.real, found)
    accuracy = correlation_accuracy(real, unordered)
    return Dependence(
        tuple(tables.codings),
        _matrix(reference.real),
        _matrix(found),
        difference,
        accuracy,
        _scores(reference, rows.rows, difference, accuracy),
    )


def associations(tables: Tables, coded: Coded, *, ranked: bool = True) -> Floats:
    """Association of each pair of columns, shape (columns, columns).

    A missing value of a nominal column counts as a value; rows where an ordered one is missing are left
    out of that column's pairs. The diagonal is 1, but 0 for a constant column.

    Args:
        tables: What the columns are.
        coded: Rows of one of the tables.
        ranked: Whether ordered categories count as ordered columns; else as nominal ones.

    Source: Bergsma 2013, doi 10.1016/j.jkss.2012.10.002, for the correction of Cramer's V.
    """
    columns = tables.columns
    nominal = [
        name
        for name, column in columns.items()
        if is_nominal(column) or (not ranked and isinstance(column, Category))
    ]
    ordered = [name for name in columns if name not in nominal]
    place = {name: i for i, name in enumerate(columns)}
    found = np.zeros((len(columns), len(columns)))
    labels = {name: _labels(tables, coded, name) for name in nominal}
    values = columns_as_floats(tables, coded, ordered)
    present = ~np.isnan(values)
    values = _standardised(values, present)
    at = np.array([place[name] for name in ordered], np.intp)
    found[np.ix_(at, at)] = pearson(values, present)
    for i, one in enumerate(nominal):
        a, size = labels[one]
        ratios = correlation_ratios(a, size, values, present)
        found[place[one], at] = found[at, place[one]] = ratios
        for two in nominal[: i + 1]:
            b, other = labels[two]
            table = np.bincount(a * other + b, minlength=size * other).reshape(size, other)
            found[place[one], place[two]] = found[place[two], place[one]] = cramers_v(table)
    for name in nominal:
        found[place[name], place[name]] = float(np.ptp(labels[name][0]) > 0 if coded.rows else 0)
    return found


def pearson(values: Floats, present: NDArray[np.bool_]) -> Floats:
    """Pearson's correlations of all pairs of columns, each from the rows that have both.

    Args:
        values: Shape (rows, columns), about 0 and of about unit size; 0 where missing.
        present: What is not missing.

    Returns:
        Shape (columns, columns); 0 where a column is constant, 1 on the diagonal elsewhere.
    """
    mask = present.astype(np.float64)
    counts = np.maximum(mask.T @ mask, 1.0)
    sums = values.T @ mask
    variance = (values**2).T @ mask - sums**2 / counts
    covariance = values.T @ values - sums * sums.T / counts
    scale = np.sqrt(np.maximum(variance, 0.0) * np.maximum(variance.T, 0.0))
    varies = np.minimum(variance, variance.T) > 1e-12 * counts
    found = np.divide(covariance, scale, out=np.zeros_like(scale), where=varies)
    np.fill_diagonal(found, varies.diagonal())
    return np.clip(found, -1.0, 1.0)


def correlation_ratios(
    labels: Ints, size: int, values: Floats, present: NDArray[np.bool_]
) -> Floats:
    """Share of the standard deviation of each ordered column that a nominal one explains.

    Args:
        labels: Values of the nominal column, shape (rows,), below `size`.
        size: Number of values.
        values: Shape (rows, columns); 0 where missing.
        present: What is not missing.

    Returns:
        The correlation ratio eta, shape (columns,), 0 to 1; 0 for a constant column.
    """
    found = np.zeros(values.shape[1])
    for i, (column, mask) in enumerate(zip(values.T, present.T, strict=True)):
        counts = np.bincount(labels, mask, minlength=size)
        sums = np.bincount(labels, column, minlength=size)
        n = max(counts.sum(), 1.0)
        middle = sums.sum() ** 2 / n
        between = (sums**2 / np.maximum(counts, 1.0)).sum() - middle
        total = (column**2).sum() - middle
        if total > 1e-12 * n:
            found[i] = np.sqrt(np.clip(between / total, 0.0, 1.0))
    return found


def cramers_v(table: Ints) -> float:
    """Cramer's V of a contingency table, corrected for bias; 0 if one of the columns is constant.

    Source: Bergsma 2013, doi 10.1016/j.jkss.2012.10.002.

    >>> cramers_v(np.array([[50, 0], [0, 50]])), cramers_v(np.array([[25, 25], [25, 25]]))
    (1.0, 0.0)
    """
    n = int(table.sum())
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    r, c = int((rows > 0).sum()), int((columns > 0).sum())
    if min(r, c, n) < 2:
        return 0.0
    expected = np.outer(rows, columns) / n
    phi2 = float((table**2 / np.where(expected > 0, expected, 1.0)).sum()) / n - 1.0
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1.0
    return float(min(np.sqrt(phi2 / least), 1.0)) if least > 0 else 0.0


def correlation_accuracy(real: Floats, synthetic: Floats) -> float:
    """Share of the entries of two association matrices that are in the same level.

    The levels are low [0, 0.1), weak [0.1, 0.3), middle [0.3, 0.5) and strong: all others. As in
    DP-2Stage's code, the diagonal counts, and a negative correlation is strong, however small it is.

    Source: DP-2Stage (arXiv 2412.02467), file metrics/column_pair.py of its repository. There, too, the
    larger table is first cut to the smaller one's size, and all text is nominal. It takes the associations
    of the package dython, which differ in that tables of two by two values get Yates' correction and
    missing numbers are read as 0.

    >>> one, two = np.array([[1.0, 0.2], [0.2, 1.0]]), np.array([[1.0, 0.05], [0.05, 1.0]])
    >>> correlation_accuracy(one, two)
    0.5
    """
    if not real.size:
        return 1.0
    levels = [np.where(m < 0, len(LEVELS), np.digitize(m, LEVELS)) for m in (real, synthetic)]
    return float((levels[0] == levels[1]).mean())


def mean_difference(one: Floats, two: Floats) -> float:
    """Mean absolute difference off the diagonal; 0 if there is only one column."""
    columns = len(one)
    if columns < 2:
        return 0.0
    off = ~np.eye(columns, dtype=bool)
    return float(np.abs(one - two)[off].mean())


def _both(tables: Tables, rows: Coded) -> tuple[Floats, Floats]:
    """Associations with and without the order of categories."""
    columns = tables.columns.values()
    found = associations(tables, rows)
    if not any(isinstance(column, Category) and column.ordered for column in columns):
        return found, found
    return found, associations(tables, rows, ranked=False)


def _compared(one: tuple[Floats, Floats], two: tuple[Floats, Floats]) -> tuple[float, float]:
    """Difference and correlation accuracy."""
    return mean_difference(one[0], two[0]), correlation_accuracy(one[1], two[1])


def _scores(
    reference: DependenceReference, rows: int, difference: float, accuracy: float
) -> tuple[Score, ...]:
    # The split's halves are smaller than the tables: differences shrink with the root of the sizes.
    n, m = reference.rows.rows, rows
    expected = reference.split[0] * math.sqrt((1 / n + 1 / m) / (4 / n))
    return (
        Score(
            "associations",
            1.0 - difference,
            1.0 - reference.floors[0],
            1.0 - expected,
            "How strongly two columns go together differs from the real table by "
            f"{difference:.3f} on average, on a scale from 0 to 1.",
        ),
        Score(
            "correlation accuracy",
            accuracy,
            reference.floors[1],
            reference.split[1],
            f"{100 * accuracy:.0f} % of the pairs of columns are as strongly linked as in the real "
            "table: low, weak, middle or strong.",
        ),
    )


def _labels(tables: Tables, coded: Coded, name: str) -> tuple[Ints, int]:
    """Values of a nominal column as numbers, and how many there may be."""
    points = tables.schema.lattices[name].points
    if points + 2 <= MOST_VALUES:
        return coded.points[name], points + 2
    return coded.codes[name], tables.sizes[name]


def _standardised(values: Floats, present: NDArray[np.bool_]) -> Floats:
    """Centred and scaled, so that sums of squares lose no digits; 0 where missing."""
    counts = np.maximum(present.sum(axis=0), 1)
    values = np.where(present, values, 0.0)
    means = values.sum(axis=0) / counts
    values = np.where(present, values - means, 0.0)
    spread = np.sqrt((values**2).sum(axis=0) / counts)
    tiny = spread <= 1e-12 * np.maximum(np.abs(means), 1.0)
    return np.where(tiny, 0.0, values / np.where(tiny, 1.0, spread))


def _matrix(values: Floats) -> Matrix:
    return tuple(tuple(float(v) for v in row) for row in values)
