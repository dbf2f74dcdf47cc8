"""Numbers and moments as a schema writes them."""

from __future__ import annotations

import datetime as dt
import math
from contextlib import suppress
from fractions import Fraction


def exact(number: float) -> Fraction:
    """The decimal number that a double is written as: 0.1 is one tenth."""
    return Fraction(repr(float(number)))


def is_writable(value: object) -> bool:
    """Whether a value can be written to a file: neither NaN nor infinite nor half a character."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return not isinstance(value, float) or math.isfinite(value)


def parse_date(value: object) -> dt.date | None:
    """A date, from ISO text such as ``2020-01-31`` or as it is.

    Raises:
        ValueError: If it is neither; a number of seconds is not a date here.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            return dt.date.fromisoformat(value)
    elif value is None or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
        return value
    raise ValueError("a date is written as 2020-01-31")


def parse_datetime(value: object) -> dt.datetime | None:
    """A moment, from ISO text such as ``2020-01-31T12:30:00`` or as it is; in UTC if it has a zone.

    Raises:
        ValueError: If it is neither; a number of seconds is not a moment here.
    """
    if value is None:
        return None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    with suppress(ValueError, OverflowError):
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, dt.datetime):
            moment = moment.astimezone(dt.UTC) if moment.tzinfo else moment
            return moment.replace(tzinfo=None, fold=0)
    raise ValueError("a datetime is written as 2020-01-31T12:30:00")
