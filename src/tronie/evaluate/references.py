"""What private tables are compared with in a release report: public tables of counts.

They rest on the schema and on synthetic rows only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tronie.errors import InputError
from tronie.evaluate.distances import cliques_of, shuffled_codes, uniform_codes
from tronie.evaluate.expected import TwoSamples
from tronie.evaluate.headline import LEAST_SPAN, Order
from tronie.evaluate.tables import Coded, Points, code, codings_of, read_synthetic, sizes_of
from tronie.measure.comparisons import Overlaps
from tronie.measure.queries import Ints, Misfits
from tronie.schema.columns import is_nominal
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema
from tronie.tables.counting import count_marginals

SCALE = 2**16
"""Units of a reference table that make one row: rounding moves a cell by at most 2^-17 rows."""

GUESS = 85.0
"""Points that a part of the score is taken to have when a budget is planned."""

ORDERS = ("columns", "pairs", "triples")
"""Parts of the score, for one, two and three columns at a time."""

OWN, BASELINE = 0, 1
"""A part's tables of the synthetic rows, and those of the rows that are its floor."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Public tables that private ones are compared with.

    Attributes:
        tables: Clique -> public rows in each cell; the last code of a column may stand for values
            outside the domain.
        rows: Number of public rows.
        sizes: Column -> number of codes, that of values outside the domain not included.
    """

    tables: Mapping[Clique, Ints]
    rows: int
    sizes: Mapping[str, int]

    def query(self, rows: float, sigma: float) -> Misfits:
        """The question, in which public counts are scaled to a number of private rows."""
        factor = SCALE * rows / self.rows
        references = {c: np.rint(factor * self._inside(c)).astype(np.int64) for c in self.tables}
        return Misfits(references, sigma, SCALE)

    def variations(self, distances: Ints, rows: float) -> dict[Clique, float]:
        """Total variation of each table, from noisy L1 distances in rows; noise may take it below 0.

        Public rows outside the domain meet no private row, so all of them count. What is estimated is
        ``sum |private counts - rows * public shares| / (2 * rows)``. If there are n private rows in
        truth, that is within ``|n - rows| / (2 * rows)`` of the total variation between shares, whatever
        the tables are: by the triangle inequality, as private shares sum to 1.
        """
        return {
            clique: (float(distance) / rows + 1 - float(self._inside(clique).sum()) / self.rows) / 2
            for clique, distance in zip(self.tables, distances, strict=True)
        }

    def _inside(self, clique: Clique) -> Ints:
        """The part of a table that private rows can be in."""
        return self.tables[clique][tuple(slice(self.sizes[name]) for name in clique)]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A synthetic table, and what its score is made from.

    Attributes:
        schema: The compared columns.
        codings: Column -> its codes.
        points: The rows on the columns' lattices.
        rows: Number of rows.
        groups: (Part of the score, `OWN` or `BASELINE`) -> tables.
    """

    schema: Schema
    codings: Mapping[str, Coding]
    points: Points
    rows: int
    groups: Mapping[tuple[str, int], Group]

    @classmethod
    def read(cls, synthetic: Any, schema: Schema) -> Subject:
        """Read and count a synthetic table.

        Args:
            synthetic: Public rows.
            schema: The compared columns; their domains are known.

        Raises:
            InputError: If the table has no rows, or lacks a column.
        """
        columns = schema.lattices
        points = read_synthetic(synthetic, columns)
        if not points.rows:
            raise InputError("the synthetic table has no rows.", "Give one that has.")
        codings = codings_of(columns, [points])
        own = code(points, codings)
        uniform, shuffled = uniform_codes(columns, codings, own.rows), shuffled_codes(own)
        groups: dict[tuple[str, int], Group] = {}
        for number, part in enumerate(ORDERS, start=1):
            if cliques := cliques_of(list(columns), number):
                baseline = uniform if part == "columns" else shuffled
                for which, rows in ((OWN, own), (BASELINE, baseline)):
                    groups[part, which] = _group(rows, codings, sizes_of(codings, [own]), cliques)
        return cls(schema, codings, points, own.rows, groups)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the score; a table of one column has no pairs."""
        return tuple(part for part, which in self.groups if which == OWN)

    def expected(self, part: str, rows: float) -> float:
        """Mean distance that chance alone explains, if there are so many private rows."""
        chance = TwoSamples(self.rows, max(round(rows), 1))
        tables = self.groups[part, OWN].tables.values()
        return float(np.mean([chance.expected(table) for table in tables]))

    def guess(self, rows: float) -> dict[str, Order]:
        """Means as they would be for a synthetic table of the usual worth.

        The span from floor to ceiling is taken to be wider than between the public tables, because
        what a synthetic table lacks its baseline lacks as well.
        """
        found: dict[str, Order] = {}
        for part in self.parts:
            expected = self.expected(part, rows)
            far = _mean_variation(self.groups[part, OWN], self.groups[part, BASELINE])
            chance = 1 - Order(0.0, 1.0, expected).ceiling
            span = max(far - chance, LEAST_SPAN) / (GUESS / 100)
            found[part] = Order(chance + (1 - GUESS / 100) * span, chance + span, expected)
        return found

    def overlaps(self, sigma: float) -> Overlaps:
        """The question about whole rows."""
        columns, invalid = self.schema.lattices, self.points.invalid
        nowhere = -1  # no private row's index
        rows = {
            name: np.where(invalid[name], nowhere, indices) if name in invalid else indices
            for name, indices in self.points.indices.items()
        }
        return Overlaps(rows, tuple(n for n in columns if is_nominal(columns[n])), sigma)


def _group(
    rows: Coded, codings: Mapping[str, Coding], sizes: Mapping[str, int], cliques: list[Clique]
) -> Group:
    inside = {name: coding.size for name, coding in codings.items()}
    return Group(count_marginals([rows.codes], sizes, cliques), rows.rows, inside)


def _mean_variation(one: Group, other: Group) -> float:
    """Mean total variation between public tables of the same number of rows."""
    gaps = [np.abs(table - other.tables[clique]).sum() for clique, table in one.tables.items()]
    return float(np.mean(gaps)) / (2 * one.rows)
