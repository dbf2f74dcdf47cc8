"""A text for each code of each column, from public facts and released codes only.

A language model reads and writes rows in these words. A category's code is its value; a number's is the
roundest number of its bin; a moment's is a year, a month, a day or an hour, the coarsest that begins in
its bin. Several rare values of one code, and missing values, get words that no value has.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from tronie.models.expansion import code_spans
from tronie.schema.columns import Category, Date, Datetime, Decimal, Listed, Modelled, Ordered
from tronie.schema.grid import Coding
from tronie.schema.literals import exact
from tronie.schema.points import value_of
from tronie.schema.schema import Schema

LONGEST = 48
"""Characters of a value that are written, at most."""

MISSING, OTHER, EMPTY = "missing", "other", "empty"

"""Words of codes that hold missing values, several rare values, and an empty text."""

_FORMS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d %Hh", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")


def texts_of(schema: Schema, codings: Mapping[str, Coding]) -> dict[str, tuple[str, ...]]:
    """Column -> the text of each of its codes; those of a column are distinct.

    Args:
        schema: The schema, its unknowns found.
        codings: Column -> its codes.

    >>> from tronie.schema.grid import Grid
    >>> schema = Schema.parse("{name: people, columns: {age: {kind: integer, min: 0, max: 99}}}")
    >>> coding = Coding.identity(Grid.equal_width(points=100, cells=4, null=True))
    >>> texts_of(schema, {"age": coding})
    {'age': ('10', '40', '60', '90', 'missing')}
    """
    return {name: _texts(schema.modelled[name], coding) for name, coding in codings.items()}


def _texts(column: Modelled, coding: Coding) -> tuple[str, ...]:
    texts = _listed(column, coding) if isinstance(column, Listed) else _spans(column, coding)
    return distinct(plain(text) for text in texts)


def plain(text: str) -> str:
    r"""A text on one line, without what separates columns, and not too long.

    >>> plain("a,  b\n"), plain(" ")
    ('a; b', 'empty')
    """
    words = "".join(c if c.isprintable() else " " for c in text.replace(",", ";")).split()
    return " ".join(words)[:LONGEST].strip() or EMPTY


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """The same texts, numbered where one occurs again.

    >>> distinct(["a", "a", "a 2", "b"])
    ('a', 'a 3', 'a 2', 'b')
    """
    wanted = list(texts)
    taken, used, found = set(wanted), set[str](), list[str]()
    for text in wanted:
        word, number = text, 1
        while word in used:
            number += 1
            word = f"{text} {number}" if f"{text} {number}" not in taken else word
        used.add(word)
        found.append(word)
    return tuple(found)


def _listed(column: Listed, coding: Coding) -> list[str]:
    """A value's own text; the likeliest of neighbours; a word of their own for rare values together."""
    ordered = isinstance(column, Category) and column.ordered
    texts: list[str] = []
    for code in range(coding.size):
        cells = np.flatnonzero(coding.groups == code)
        if len(cells) > 1 and not ordered:
            texts.append(OTHER)
            continue
        cell = cells[np.argmax(coding.weights[cells])]
        texts.append(_value_text(column, int(coding.grid.starts[cell])))
    return texts


def _value_text(column: Listed, point: int) -> str:
    """The text of a listed value, of others, or of a missing value."""
    value = value_of(column, point)
    if value is None:
        return OTHER if point == column.points else MISSING
    return str(value)


def _spans(column: Ordered, coding: Coding) -> list[str]:
    first, last = code_spans(coding)
    spans = zip(first.tolist(), last.tolist(), strict=True)
    write = _writer(column)
    return [write(low, high) if low < column.points else MISSING for low, high in spans]


def _writer(column: Ordered) -> Callable[[int, int], str]:
    """What writes a stretch of lattice points, given by its first and last."""
    match column:
        case Date(min=dt.date() as low):
            start = dt.datetime.combine(low, dt.time())
            return lambda a, b: _moment(start + dt.timedelta(a), start + dt.timedelta(b))
        case Datetime(min=dt.datetime() as low, step=step):
            each = dt.timedelta(microseconds=step)
            return lambda a, b: _moment(low + a * each, low + b * each)
        case Decimal(exact_step=step):
            origin = exact(column.min or 0.0)
            # Points without a declared resolution have many digits; any number up to the next will do.
            more = Fraction(0) if column.resolution else step * Fraction(9, 10)
            return lambda a, b: roundest(origin + a * step, origin + b * step + more)
        case _:
            least = Fraction(int(str(column.min)))
            return lambda a, b: roundest(least + a, least + b)


def roundest(low: Fraction, high: Fraction) -> str:
    """The number of a stretch that has the fewest digits; of several, the one nearest to its middle.

    Args:
        low: Least number.
        high: Greatest; a decimal number if it is the least one too.

    >>> roundest(Fraction(17), Fraction(24)), roundest(Fraction(1, 8), Fraction(3, 16))
    ('20', '0.16')
    >>> roundest(Fraction(-3), Fraction(5)), roundest(Fraction(41), Fraction(41))
    ('1', '41')
    """
    greatest = max(abs(low), abs(high))
    digits = math.floor(math.log10(greatest)) if greatest else 0
    middle = (low + high) / 2
    while True:
        unit = Fraction(10) ** digits
        steps = range(math.ceil(low / unit), math.floor(high / unit) + 1)
        if steps:
            nearest = min(max(round(middle / unit), steps[0]), steps[-1])
            return _digits(nearest, digits)
        digits -= 1


def _digits(number: int, digits: int) -> str:
    """A whole number times a power of ten, as it is written."""
    if digits >= 0:
        return str(number * 10**digits)
    text = str(abs(number)).rjust(1 - digits, "0")
    return f"{'-' if number < 0 else ''}{text[:digits]}.{text[digits:]}"


def _moment(first: dt.datetime, last: dt.datetime) -> str:
    """The coarsest unit of time that begins between two moments, nearest to their middle."""
    middle = first + (last - first) / 2
    for depth, form in enumerate(_FORMS):
        for begin in (_begin(middle, depth), _after(middle, depth), _after(first, depth)):
            if begin is not None and first <= begin <= last:
                return _written(begin, form)
    return middle.isoformat(" ") if first < last else first.isoformat(" ")


def _written(moment: dt.datetime, form: str) -> str:
    """As `strftime`, with four digits for years before 1000 everywhere."""
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))


def _begin(moment: dt.datetime, depth: int) -> dt.datetime:
    """The beginning of a moment's year (depth 0), month (1), ... or second (5)."""
    least: dict[str, Any] = {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}
    return moment.replace(microsecond=0, **dict(list(least.items())[depth:]))


def _after(moment: dt.datetime, depth: int) -> dt.datetime | None:
    """The beginning of the next unit; None after the last that can be written."""
    begin = _begin(moment, depth)
    try:
        if depth > 1:
            return begin + dt.timedelta(**{("days", "hours", "minutes", "seconds")[depth - 2]: 1})
        months = 12 * begin.year + begin.month - 1 + (12 if depth == 0 else 1)
        return begin.replace(year=months // 12, month=months % 12 + 1)
    except (ValueError, OverflowError):
        return None
