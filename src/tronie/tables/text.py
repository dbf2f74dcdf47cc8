"""Numbers, truth values and moments written as text.

Each function reads an array of large strings without missing entries, and reads each entry by itself:
whether one value is readable never depends on the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tronie.tables.arrays import Bools, Values, array_of, missing_of, strings, values_of, words_of

DAY = 86_400_000_000
"""Microseconds of a day."""

_WHOLE = r"^-?[0-9]{1,38}$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$|^[+-]?(?i:inf|infinity)$"
_NOTHING = r"^(?i:nan)?$"
_TRUTHS = ("false", "no", "0", "0.0", "true", "yes", "1", "1.0")
_MOMENT = (
    r"^(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?:[T ](?P<hour>\d{2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,6})\d*)?)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<zone_hour>\d{2}):?(?P<zone_minute>\d{2}))?)?$"
)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What an array says, value by value; all of shape (rows,).

    Attributes:
        values: Numbers, or booleans; anything where missing or unreadable.
        missing: Where nothing is said: nulls, NaN, blanks.
        unreadable: Where something is said that is not of the kind asked for.
        inexact: Where `values` holds the nearest value of the kind asked for, not the very one.
    """

    values: Values
    missing: Bools
    unreadable: Bools
    inexact: Bools

    @classmethod
    def of(
        cls,
        values: Values,
        missing: Bools,
        *,
        unreadable: Bools | None = None,
        inexact: Bools | None = None,
    ) -> Reading:
        """A reading in which nothing is unreadable or inexact, unless said."""
        no = np.zeros(len(values), np.bool_)
        return cls(
            values,
            missing,
            no if unreadable is None else unreadable,
            no if inexact is None else inexact,
        )

    def take(self, indices: NDArray[np.integer], missing: Bools) -> Reading:
        """The reading of an array that points into this one.

        Args:
            indices: Where each value is, shape (rows,); anything where missing.
            missing: Where a pointer is missing, shape (rows,).
        """
        if not len(self.values):
            return Reading.of(np.zeros(len(indices), self.values.dtype), np.ones_like(missing))
        at = np.where(missing, 0, indices)
        return Reading(
            self.values[at],
            missing | self.missing[at],
            self.unreadable[at] & ~missing,
            self.inexact[at] & ~missing,
        )


def whole_of_floats(values: Values, missing: Bools) -> Reading:
    """The nearest 64-bit integer of each number."""
    missing = missing | np.isnan(values)
    known = np.where(missing, 0.0, values.astype(np.float64))
    nearest, limit = np.rint(known), 2.0**63
    whole = np.clip(nearest, -limit, np.nextafter(limit, 0)).astype(np.int64)
    whole[nearest >= limit] = np.iinfo(np.int64).max
    inexact = (nearest != known) | (nearest >= limit) | (nearest < -limit)
    return Reading.of(whole, missing, inexact=inexact)


def whole_of_decimals(low: NDArray[np.uint64], high: NDArray[np.int64], scale: int) -> Reading:
    """The nearest 64-bit integer of each ``(high * 2**64 + low) / 10**scale``."""
    coarse = whole_of_floats(floats_of_decimals(low, high, scale), np.zeros(len(low), np.bool_))
    if not 0 <= scale <= 18:
        return coarse
    small = low.view(np.int64)
    fits = high == small >> 63
    floor, rest = np.divmod(small, 10**scale)
    nearest = floor + (2 * rest >= 10**scale) * (rest > 0)
    return Reading.of(
        np.where(fits, nearest, coarse.values),
        coarse.missing,
        inexact=np.where(fits, rest > 0, coarse.inexact),
    )


def floats_of_decimals(
    low: NDArray[np.uint64], high: NDArray[np.int64], scale: int
) -> NDArray[np.float64]:
    """The double nearest to each ``(high * 2**64 + low) / 10**scale``, for up to 15 digits."""
    small = low.view(np.int64)
    wide = high.astype(np.float64) * 2.0**64 + low.astype(np.float64)
    unscaled = np.where(high == small >> 63, small.astype(np.float64), wide)
    return unscaled / 10.0**scale if scale >= 0 else unscaled * 10.0**-scale


def read_integers(text: pa.Array) -> Reading:
    """Whole numbers such as ``12``, ``-3``, ``4.0`` or ``1e3``."""
    text = _trimmed(text)
    fractions = read_numbers(text)
    coarse = whole_of_floats(fractions.values, fractions.missing)
    digits = _matches(text, _WHOLE)
    exact = pc.cast(_where(text, digits), pa.decimal128(38, 0))
    whole = whole_of_decimals(*words_of(exact), 0)
    coarse.values[digits], coarse.inexact[digits] = whole.values, whole.inexact
    return Reading(coarse.values, fractions.missing, fractions.unreadable, coarse.inexact)


def read_numbers(text: pa.Array) -> Reading:
    """Numbers such as ``12``, ``-0.5``, ``1e-3`` or ``inf``."""
    text = _trimmed(text)
    missing, readable = _matches(text, _NOTHING), _matches(text, _NUMBER)
    values = np.zeros(len(text))
    values[readable] = values_of(pc.cast(_where(text, readable), pa.float64()))
    return Reading.of(values, missing, unreadable=~readable & ~missing)


def read_truths(text: pa.Array) -> Reading:
    """``true`` or ``false``, ``yes`` or ``no``, ``1`` or ``0``, in any case."""
    text = _trimmed(text)
    found = pc.index_in(pc.utf8_lower(text), value_set=strings(_TRUTHS))
    missing = _matches(text, _NOTHING)
    values = np.where(missing_of(found), 0, values_of(found)) >= len(_TRUTHS) // 2
    return Reading.of(values, missing, unreadable=missing_of(found) & ~missing)


def read_moments(text: pa.Array) -> Reading:
    """Microseconds since 1970 of ISO dates and times; those with a zone are moved to UTC."""
    text = _trimmed(text)
    parts = pc.extract_regex(text, pattern=_MOMENT)
    readable = ~missing_of(parts)
    parts = _where(parts, readable)
    days, valid = _days(*(_digits(parts, name) for name in ("year", "month", "day")))
    hour, minute, second, fraction = (
        _digits(parts, name) for name in ("hour", "minute", "second", "fraction")
    )
    zone_hour, zone_minute = _digits(parts, "zone_hour"), _digits(parts, "zone_minute")
    valid &= (hour < 24) & (minute < 60) & (second < 60) & (zone_hour < 24) & (zone_minute < 60)
    west = missing_of(pc.index_in(parts.field("sign"), value_set=strings(["-"])))
    minutes = hour * 60 + minute - np.where(west, 1, -1) * (zone_hour * 60 + zone_minute)
    values = np.zeros(len(text), np.int64)
    values[readable] = days * DAY + (minutes * 60 + second) * 1_000_000 + fraction
    readable[readable] = valid
    missing = _matches(text, _NOTHING)
    return Reading.of(values, missing, unreadable=~readable & ~missing)


_WIDTHS = {"year": 4, "fraction": 6}


def _digits(parts: pa.Array, name: str) -> NDArray[np.int64]:
    """A group of digits as numbers; 0 where it was left out."""
    width = _WIDTHS.get(name, 2)
    padded = pc.utf8_rpad(parts.field(name), width=width, padding="0")
    data = np.frombuffer(padded.buffers()[2] or b"", np.uint8)[: len(padded) * width]
    return (data.reshape(-1, width).astype(np.int64) - ord("0")) @ 10 ** np.arange(width)[::-1]


def _days(
    year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Bools]:
    """Days since 1970, and whether the calendar has such a day."""
    months = (year - 1970) * 12 + month - 1
    first, following = (
        (months + k).view("datetime64[M]").astype("datetime64[D]").view(np.int64) for k in (0, 1)
    )
    days = first + day - 1
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (days < following)
    return days, valid


def _trimmed(text: pa.Array) -> pa.Array:
    """Without spaces around it, and without a plus that Arrow would stumble over."""
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.replace_substring_regex(trimmed, pattern=r"^\+([0-9.])", replacement=r"\1")


def _matches(text: pa.Array, pattern: str) -> Bools:
    return values_of(pc.match_substring_regex(text, pattern=pattern)) == 1


def _where(array: pa.Array, mask: Bools) -> pa.Array:
    return pc.filter(array, array_of(mask, pa.bool_()))
