"""How private rows and public ones overlap, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.measure.queries import Ints
from tronie.privacy.events import Event, Gaussian

Codes: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """How many public rows occur among the private ones, and how many private rows have a new value.

    The answer is two numbers. The first counts the distinct public rows that equal some private row
    in all columns. The second counts the private rows that hold, in at least one of `listed`, a value
    that no public row holds there.

    Args:
        rows: Column -> lattice indices of public rows, such as synthetic ones, shape (rows,); see
            `tronie.schema.points`.
        listed: The columns whose values are looked up for the second number.
        sigma: Standard deviation of the noise on each number, in rows.

    Guarantee:
        A private row equals at most one distinct public row, so it moves the first number by at most
        1; or it holds a new value, which no public row has, and moves the second by 1; never both. So
        k rows move the two numbers by at most k in L1, and hence in L2.

    Edge cases:
        A missing value is a value like any other. Rows are compared as indices on the columns'
        lattices, so the same value in another type or spelling is the same value.
    """

    rows: Mapping[str, Ints]
    listed: tuple[str, ...]
    sigma: float

    def __post_init__(self) -> None:
        lengths = {len(points) for points in self.rows.values()}
        if len(lengths) != 1 or 0 in lengths or not set(self.listed) <= set(self.rows):
            raise TypeError("public rows are columns of one length, at least one row of them")

    def event(self, rows_per_unit: int) -> Event:
        """A Gaussian event of sensitivity k."""
        return Gaussian(
            query="overlaps",
            columns=tuple(sorted(self.rows)),
            sigma=self.sigma,
            sensitivity=rows_per_unit,
        )

    def exact(self, chunks: Iterable[Mapping[str, Codes]]) -> Ints:
        """The two numbers, shape (2,); only the curator calls it.

        Args:
            chunks: Parts of the private table: column -> lattice indices.
        """
        public = np.unique(_keys(self.rows, self.rows))
        known = {name: np.unique(self.rows[name]) for name in self.listed}
        met, strangers = np.zeros(len(public), np.bool_), 0
        for chunk in chunks:
            private = _keys(chunk, self.rows)
            place = np.searchsorted(public, private) % len(public)
            met[place[public[place] == private]] = True
            new = np.zeros(len(private), np.bool_)
            for name, values in known.items():
                new |= ~np.isin(chunk[name], values)
            strangers += int(new.sum())
        return np.array([met.sum(), strangers], np.int64)


def _keys(points: Mapping[str, Codes], columns: Iterable[str]) -> NDArray[np.void]:
    """Each row as one value that equals another row's only if all columns do, shape (rows,)."""
    rows = np.ascontiguousarray(np.stack([points[name].astype(np.int64) for name in columns], 1))
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
