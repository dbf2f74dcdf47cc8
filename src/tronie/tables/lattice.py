"""The lattice of an ordered column in whole numbers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal as Exact

from tronie.schema.columns import Date, Datetime, Decimal, Integer
from tronie.tables.text import DAY

_EPOCH = dt.datetime(1970, 1, 1)
_EXACT = 2**53
_MAX_SCALE = 22
"""Powers of ten up to this one are exact in a double, so that a quotient is the nearest double."""


def span_of(column: Integer | Date | Datetime) -> tuple[int, int]:
    """First and last value: a number, days since 1970, or microseconds since 1970."""
    assert column.min is not None
    assert column.max is not None
    if isinstance(column, Integer):
        return column.min, column.max
    low, high = since_epoch(column.min), since_epoch(column.max)
    return (low // DAY, high // DAY) if isinstance(column, Date) else (low, high)


def since_epoch(moment: dt.date) -> int:
    """Microseconds from 1970 to a day's start or a moment."""
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Steps:
    """A decimal lattice, in units of ``10**-scale``.

    Attributes:
        first: The first value.
        step: Distance of neighbouring values.
        last: The bound above, which the last value does not pass.
        scale: Digits after the point.
    """

    first: int
    step: int
    last: int
    scale: int


def steps_of(column: Decimal) -> Steps | None:
    """The lattice as it is written in the schema; None if doubles cannot count in its units.

    >>> steps_of(Decimal(min=-1, max=1, resolution=0.25))
    Steps(first=-100, step=25, last=100, scale=2)
    """
    if column.resolution is None:
        return None
    parts = [Exact(repr(x)).normalize() for x in (column.min, column.resolution, column.max)]
    scale = max(0, *(-int(part.as_tuple().exponent) for part in parts))
    first, step, last = (int(part.scaleb(scale)) for part in parts)
    if scale > _MAX_SCALE or max(abs(first), abs(last)) + step >= _EXACT:
        return None
    return Steps(first, step, last, scale)
