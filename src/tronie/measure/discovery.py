"""Questions about columns whose domain is unknown: magnitudes, decimals and frequent values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tronie.measure.noise import gaussian_threshold
from tronie.measure.queries import Ints
from tronie.privacy.events import Event, Gaussian, Threshold
from tronie.schema.columns import Ordered
from tronie.tables.codec import numbers

if TYPE_CHECKING:
    import pyarrow as pa

OCTAVE_PARTS = 4
"""Buckets of each doubling: bounds are found to within 19 %."""

LEAST, MOST = -20, 64
"""Magnitudes from 2**-20 to 2**64 are told apart."""

MAX_DECIMALS = 6
"""Values with more decimals are treated as continuous."""

MOMENT_ORIGIN = dt.datetime(2025, 1, 1)
"""Dates and datetimes count from here, so that recent ones are told apart best."""

_PER_SIGN = (MOST - LEAST) * OCTAVE_PARTS


class RawQuery(Protocol):
    """A histogram of one column's raw values over a fixed, public set of buckets."""

    @property
    def column(self) -> str:
        """The column."""
        ...

    @property
    def sigma(self) -> float:
        """Standard deviation of each bucket's noise, in rows."""
        ...

    @property
    def size(self) -> int:
        """Number of buckets."""
        ...

    def event(self, rows_per_unit: int) -> Event:
        """What it costs."""
        ...

    def exact(self, values: pa.Array[Any]) -> Ints:
        """The histogram of some rows; only the curator calls it."""
        ...


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """How many values lie in each quarter of an octave, by sign; the middle bucket is zero.

    Args:
        column: The column's name.
        kind: The column, bounds unknown; says how values are read as numbers (dates as days,
            datetimes as microseconds, from `MOMENT_ORIGIN`).
        sigma: Standard deviation of the noise, in rows.

    Guarantee:
        Each row falls into at most one bucket, so k rows move the histogram by at most k in L2.

    Edge cases:
        Missing and unreadable values fall into no bucket; infinities into the outermost ones.
    """

    column: str
    kind: Ordered
    sigma: float

    @property
    def size(self) -> int:
        """Number of buckets."""
        return 2 * _PER_SIGN + 1

    def event(self, rows_per_unit: int) -> Event:
        """A Gaussian event of sensitivity k."""
        return _gaussian("magnitudes", self.column, self.sigma, rows_per_unit)

    def exact(self, values: pa.Array[Any]) -> Ints:
        """The histogram, shape (size,)."""
        x = numbers(self.kind, values, MOMENT_ORIGIN)
        x = x[~np.isnan(x)]
        with np.errstate(divide="ignore"):
            octaves = np.log2(np.abs(x))
        part = np.clip((octaves - LEAST) * OCTAVE_PARTS, -1, _PER_SIGN - 1)
        step = np.floor(part).astype(np.int64) + 1
        return np.bincount(_PER_SIGN + np.sign(x).astype(np.int64) * step, minlength=self.size)

    @staticmethod
    def edges() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Outer edges: bucket i holds numbers from edges[i] to edges[i + 1] (of either sign)."""
        powers = 2.0 ** (LEAST + np.arange(_PER_SIGN + 1) / OCTAVE_PARTS)
        return np.concatenate([-powers[::-1], powers])


@dataclass(frozen=True, slots=True)
class Decimals:
    """How many values need 0, 1, 2, ... decimals, or more than `MAX_DECIMALS`.

    Args:
        column: The column's name.
        kind: The column.
        sigma: Standard deviation of the noise, in rows.

    Guarantee:
        Each row falls into at most one bucket, so k rows move the histogram by at most k in L2.

    Edge cases:
        Missing, infinite and unreadable values fall into no bucket.
    """

    column: str
    kind: Ordered
    sigma: float

    @property
    def size(self) -> int:
        """Number of buckets."""
        return MAX_DECIMALS + 2

    def event(self, rows_per_unit: int) -> Event:
        """A Gaussian event of sensitivity k."""
        return _gaussian("decimals", self.column, self.sigma, rows_per_unit)

    def exact(self, values: pa.Array[Any]) -> Ints:
        """The histogram, shape (size,)."""
        x = numbers(self.kind, values, MOMENT_ORIGIN)
        x = x[np.isfinite(x)]
        # The nearest float to a decimal number is off by a few parts in 2^53, or in 2^24.
        rounding = 2.0**-20 if str(values.type) in ("float", "halffloat") else 2.0**-49
        need = np.full(len(x), MAX_DECIMALS + 1)
        for decimals in range(MAX_DECIMALS, -1, -1):
            scaled = x * 10.0**decimals
            gap = np.abs(scaled - np.rint(scaled))
            need[gap <= rounding * np.maximum(np.abs(scaled), 1)] = decimals
        return np.bincount(need, minlength=self.size)


@dataclass(frozen=True, slots=True)
class Keys:
    """Which values of an open category are frequent.

    Args:
        column: The column's name.
        sigma: Standard deviation of each count's noise, in rows.
        delta: Probability with which a value held by one unit alone may be named.

    Guarantee:
        The counts of named values move by at most k in L2; see `Curator.keys` for the rest.

    Edge cases:
        Missing values are no key.
    """

    column: str
    sigma: float
    delta: float

    def event(self, rows_per_unit: int) -> Threshold:
        """A Gaussian event of sensitivity k, and delta for the threshold."""
        return Threshold(
            query="keys",
            columns=(self.column,),
            sigma=self.sigma,
            sensitivity=rows_per_unit,
            threshold=gaussian_threshold(self.sigma, self.delta, rows_per_unit),
            delta=self.delta,
        )


def _gaussian(query: str, column: str, sigma: float, rows_per_unit: int) -> Event:
    return Gaussian(query=query, columns=(column,), sigma=sigma, sensitivity=rows_per_unit)
