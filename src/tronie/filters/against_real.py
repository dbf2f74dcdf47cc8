"""Filters that compare with real rows. Each voids a guarantee of differential privacy.

A differentially private generator may write any row, whoever is in the table. Once the rows that equal a
real one are dropped, a plausible row that is missing from a large output is somebody's: the filter answers
"is this person in the table?" for whoever draws enough rows. A filter of outliers gives away its threshold,
which is made from a few real rows. So these exist for tables without a guarantee, where they remove
what is blatant; what is left can still be told apart by a membership attack.

Source of the attack: Ganev and De Cristofaro 2023, arXiv 2312.05114.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.errors import InputError
from tronie.filters.result import Reads
from tronie.schema.grid import Floats
from tronie.schema.schema import Schema
from tronie.tables.arrays import Bools
from tronie.tables.matching import comparable, row_keys
from tronie.tables.vectors import vectors

MOST_DIFFERING = 2
"""Columns in which a near copy may differ, at most."""

NEIGHBOURS = 5
"""A row lies as far out as its fifth nearest real row is away."""

DIMENSIONS = 8
"""Principal components in which distances are measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Similar:
    """Synthetic rows that equal a real row, or nearly.

    Attributes:
        real: The rows that the generator was made from, as for `tronie.fit`.
        differing: Columns in which a row may differ from a real one and still counts as similar; 0 drops
            exact copies only.
        columns: Compare these only; all that both tables have, when not given.
        schema: Compare on the lattices of this schema.
    """

    real: Any
    differing: int = 0
    columns: tuple[str, ...] | None = None
    schema: Schema | None = None
    name: str = "similar to a real row"
    reads: Reads = "real rows"

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,).

        Raises:
            InputError: If so many columns may differ that nothing would be compared.
        """
        written, real = comparable([rows, self.real], self.schema, self.columns).tables
        if not 0 <= self.differing <= min(MOST_DIFFERING, len(written) - 1):
            raise InputError(
                f"rows that differ in {self.differing} of {len(written)} columns are not similar.",
                f"Give a number from 0 to {min(MOST_DIFFERING, len(written) - 1)}.",
            )
        kept = np.ones(rows.num_rows, np.bool_)
        for some in itertools.combinations(written, len(written) - self.differing):
            keys = row_keys([{name: table[name] for name in some} for table in (written, real)])
            kept &= ~np.isin(keys[0], keys[1])
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Outlying:
    """Synthetic rows that lie further from all real rows than real rows lie from one another.

    Rows become vectors of ranks and indicators, and these their first principal components.

    Attributes:
        real: The rows that the generator was made from, as for `tronie.fit`.
        share: The threshold: the distance to the fifth nearest real row that this part of the real rows
            exceeds.
        columns: Compare these only; all that both tables have, when not given.
        schema: Compare on the lattices of this schema.
    """

    real: Any
    share: float = 0.01
    columns: tuple[str, ...] | None = None
    schema: Schema | None = None
    name: str = "outlying"
    reads: Reads = "real rows"

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,).

        Raises:
            InputError: If the share is not between 0 and 1, or there are too few real rows.
        """
        if not 0.0 < self.share < 1.0:
            raise InputError(f"the share is {self.share}.", "Give a number between 0 and 1.")
        found = comparable([rows, self.real], self.schema, self.columns)
        written, real = vectors(found, dimensions=DIMENSIONS)
        if len(real) <= NEIGHBOURS:
            raise InputError("there are too few real rows to tell outliers.", "Give more.")
        usual = np.quantile(_distances(real, real, NEIGHBOURS + 1), 1.0 - self.share)
        return _distances(real, written, NEIGHBOURS) <= usual


def _distances(rows: Floats, targets: Floats, k: int) -> Floats:
    """Distance of each target to its k-th nearest row."""
    from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

    tree: Any = KDTree(rows)
    return np.asarray(tree.query(targets, k=[k])[0], np.float64)[:, 0]
