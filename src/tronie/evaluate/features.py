"""Rows as numbers: what linear models, trees and projections work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.evaluate.tables import Coded, Tables
from tronie.schema.columns import Modelled, Ordered, is_nominal
from tronie.schema.grid import Floats, Ints
from tronie.schema.points import axis

RARE = 0.01
"""Codes with a smaller share of the rows have no feature of their own; they share one."""


def coordinates(column: Modelled, points: Ints) -> Floats:
    """Values of an ordered column as numbers on its axis; NaN where there is none.

    Dates count days, datetimes microseconds; an ordered category counts its values from 0.

    Args:
        column: A column whose values have an order.
        points: Lattice indices, shape (rows,).

    >>> from tronie.schema.columns import Integer
    >>> coordinates(Integer(min=10, max=19, nullable=True), np.array([0, 9, 11])).tolist()
    [10.0, 19.0, nan]
    """
    origin, step = axis(column) if isinstance(column, Ordered) else (0.0, 1.0)
    values = points.astype(np.float64)
    values *= step
    values += origin
    values[points >= column.points] = np.nan
    return values


def tree_features(tables: Tables, coded: Coded, columns: Sequence[str]) -> Floats:
    """One feature per column, for trees: coordinates of ordered columns, codes of nominal ones.

    Args:
        tables: What the columns are.
        coded: Rows of one of the tables.
        columns: Which columns.

    Returns:
        Shape (rows, columns); NaN where an ordered value is missing.
    """
    found = np.empty((coded.rows, len(columns)))
    for place, name in enumerate(columns):
        column = tables.schema.lattices[name]
        nominal = is_nominal(column)
        found[:, place] = coded.codes[name] if nominal else coordinates(column, coded.points[name])
    return found


def nominal_mask(tables: Tables, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Which columns have values without an order, shape (columns,)."""
    return np.array([is_nominal(tables.schema.lattices[name]) for name in columns], bool)


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """Standardised numbers for linear models: each feature has mean 0 and variance 1 in some rows.

    An ordered column is one feature, and a second that says where it is missing if it can be; a nominal
    one has a feature per frequent code, and one for all rare codes together.

    Attributes:
        columns: Column -> what it is, in the order of the features.
        slots: Nominal column -> feature of each code among the column's, shape (codes,).
        owners: Column of each feature.
        means: Of each feature in the rows that it was fitted to; missing values left out.
        scales: Standard deviations; 1 for a feature that is constant.
    """

    columns: Mapping[str, Modelled]
    slots: Mapping[str, Ints]
    owners: tuple[str, ...]
    means: Floats
    scales: Floats

    @classmethod
    def fit(cls, tables: Tables, coded: Coded, columns: Sequence[str]) -> Encoder:
        """Choose features and scale them by some rows.

        Args:
            tables: What the columns are.
            coded: The rows, at least one.
            columns: Which columns.
        """
        chosen = {name: tables.schema.lattices[name] for name in columns}
        sizes = tables.sizes
        slots = {
            name: _slots(np.bincount(coded.codes[name], minlength=sizes[name]))
            for name, column in chosen.items()
            if is_nominal(column)
        }
        widths = {name: _width(column, slots.get(name)) for name, column in chosen.items()}
        owners = tuple(name for name, width in widths.items() for _ in range(width))
        raw = cls(chosen, slots, owners, np.zeros(len(owners)), np.ones(len(owners)))
        values = raw._raw(coded)
        present = ~np.isnan(values)
        counts = np.maximum(present.sum(axis=0), 1)
        means = np.where(present, values, 0.0).sum(axis=0) / counts
        squares = np.where(present, (values - means) ** 2, 0.0).sum(axis=0) / counts
        scales = np.sqrt(squares)
        tiny = scales <= 1e-12 * np.maximum(np.abs(means), 1.0)
        return cls(chosen, slots, owners, means, np.where(tiny, 1.0, scales))

    def transform(self, coded: Coded) -> Floats:
        """Features of some rows, shape (rows, features); a missing value becomes the mean, 0."""
        values = self._raw(coded)
        values -= self.means
        values /= self.scales
        values[np.isnan(values)] = 0.0
        return values

    def _raw(self, coded: Coded) -> Floats:
        """Features before they are scaled; NaN where missing."""
        found = np.zeros((coded.rows, len(self.owners)))
        place, rows = 0, np.arange(coded.rows)
        for name, column in self.columns.items():
            slots = self.slots.get(name)
            if slots is not None:
                found[rows, place + slots[coded.codes[name]]] = 1.0
            else:
                found[:, place] = coordinates(column, coded.points[name])
                if column.nullable:
                    found[:, place + 1] = coded.points[name] >= column.points
            place += _width(column, slots)
        return found


def _slots(counts: Ints) -> Ints:
    """Feature of each code: its own for frequent ones, the last one for all others."""
    frequent = counts >= max(RARE * counts.sum(), 1)
    slots = np.cumsum(frequent) - 1
    return np.where(frequent, slots, frequent.sum()).astype(np.int64)


def _width(column: Modelled, slots: Ints | None) -> int:
    return 1 + column.nullable if slots is None else int(slots.max()) + 1


def sampled(coded: Coded, most: int, rng: np.random.Generator) -> Coded:
    """At most so many of a table's rows, chosen at random without replacement."""
    if coded.rows <= most:
        return coded
    return coded.take(rng.permutation(coded.rows)[:most])


def halves(coded: Coded, rng: np.random.Generator, share: float = 0.5) -> tuple[Coded, Coded]:
    """A table's rows in two parts at random; the first gets the given share."""
    order = rng.permutation(coded.rows)
    cut = round(share * coded.rows)
    return coded.take(order[:cut]), coded.take(order[cut:])


def shuffled(coded: Coded, rng: np.random.Generator) -> Coded:
    """The same columns, independent of one another: each is put in a random order of its own."""
    orders = {name: rng.permutation(coded.rows) for name in coded.codes}
    return Coded(
        {name: points[orders[name]] for name, points in coded.points.items()},
        {name: codes[orders[name]] for name, codes in coded.codes.items()},
        coded.rows,
    )


def columns_as_floats(tables: Tables, coded: Coded, columns: Sequence[str]) -> Floats:
    """Coordinates of ordered columns side by side, shape (rows, columns); NaN where missing."""
    found = np.empty((coded.rows, len(columns)))
    for place, name in enumerate(columns):
        found[:, place] = coordinates(tables.schema.lattices[name], coded.points[name])
    return found
