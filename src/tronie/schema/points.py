"""Single public values as lattice indices, and back.

Rules name a few values; they are placed here one at a time, exactly. Rows are encoded by the
thousand elsewhere, in the same way: a decimal goes to the nearest point, a datetime to the point at
or before it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from tronie.errors import SchemaError
from tronie.schema.columns import (
    Boolean,
    Category,
    Column,
    Date,
    Datetime,
    Decimal,
    Integer,
    Listed,
    Modelled,
    Ordered,
    Value,
)
from tronie.schema.constraints import Function, Range
from tronie.schema.grid import Ints
from tronie.schema.literals import exact, parse_date, parse_datetime

if TYPE_CHECKING:
    from tronie.schema.schema import Schema

Scalar: TypeAlias = bool | int | float | str | dt.date
"""Any value of a modelled column; a `datetime.datetime` is a `datetime.date` too."""

Region: TypeAlias = tuple[tuple[int, int], ...]
"""Lattice indices of a column as inclusive intervals, in increasing order."""

EPOCH = dt.datetime(2000, 1, 1)
"""Datetimes are compared as microseconds since this moment."""

T = TypeVar("T")

_MICROSECOND = dt.timedelta(microseconds=1)


def point_of(column: Modelled, value: Scalar | None) -> int:
    """The lattice index of a value.

    A listed number is found whatever its type (1 for 1.0, but not for True).

    Args:
        column: A column with a known lattice.
        value: A value, dates and datetimes as ISO text or as objects; None is a missing value.

    Raises:
        SchemaError: If the value is not in the column's domain.

    >>> point_of(Decimal(min=0, max=1, resolution=0.1), 0.3)
    3
    >>> point_of(Category(values=("no", "yes")), None)
    3
    """
    if value is None:
        if not column.nullable:
            raise SchemaError(
                "missing values are not in the domain of the column.", "Declare `nullable: true`."
            )
        return column.points + 1
    point = _find(column, value)
    if point is None:
        raise _not_in_domain(column, value)
    return point


def value_of(column: Modelled, point: int) -> Scalar | None:
    """The value of a lattice index: of a decimal, the double nearest to the decimal number.

    Args:
        column: A column with a known lattice.
        point: A lattice index; that of `other` gives the label of others, that of null None.

    >>> value_of(Decimal(min=0, max=1, resolution=0.1), 3)
    0.3
    """
    if point >= column.points:
        is_category = isinstance(column, Category)
        return column.other_label if is_category and point == column.points else None
    match column:
        case Category() | Boolean():
            return column.values[point]
        case Integer(min=int() as low):
            return low + point
        case Decimal(min=float() as low):
            return float(exact(low) + point * column.exact_step)
        case Datetime(min=dt.datetime() as low):
            return low + dt.timedelta(microseconds=point * column.step)
        case Date(min=dt.date() as low):
            return low + dt.timedelta(days=point)
        case _:
            raise _unbounded()


def coordinate(column: Ordered, value: Scalar) -> Fraction:
    """A value as a number that columns of one kind can be compared by.

    Dates count days, datetimes microseconds since `EPOCH`. The column's bounds do not matter.

    Raises:
        SchemaError: If the value cannot be read as one of the column's kind.
    """
    if isinstance(column, Date):
        return Fraction(_parsed(parse_date, value).toordinal())
    if isinstance(column, Datetime):
        return Fraction((_parsed(parse_datetime, value) - EPOCH) // _MICROSECOND)
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, float) and math.isfinite(value):
        return exact(value)
    raise _not_in_domain(column, value)


def axis(column: Ordered) -> tuple[float, float]:
    """Origin and step of a column's points: point i has coordinate ``origin + i * step``."""
    origin, step = _exact_axis(column)
    return float(origin), float(step)


def range_points(column: Ordered, wanted: Range) -> tuple[int, int]:
    """First and last lattice point between the bounds; with none, the first is above the last.

    Raises:
        SchemaError: If a bound cannot be read as a value of the column.
    """
    least = 0 if wanted.min is None else _whole_steps(column, wanted.min, math.ceil)
    most = column.points - 1
    if wanted.max is not None:
        most = min(most, _whole_steps(column, wanted.max, math.floor))
    return max(0, least), most


def region(column: Modelled, wanted: Sequence[Scalar | None] | Range) -> Region:
    """The lattice indices that a rule names.

    Values and bounds beyond a domain that was found privately name nothing: such rules were written
    before the domain was known.

    Args:
        column: A column with a known lattice.
        wanted: Values, None for a missing one; or a range.

    Raises:
        SchemaError: If a declared domain does not hold a value, or nothing of a range.

    >>> region(Integer(min=10, max=19), Range(min=15))
    ((5, 9),)
    """
    strict = column.origin != "released"
    if isinstance(wanted, Range):
        if isinstance(column, Listed):
            raise SchemaError("a range needs an ordered column.", "List the values instead.")
        first, last = range_points(column, wanted)
        if strict and first > last:
            raise SchemaError("the range holds no value of the column.", "Correct its bounds.")
        return ((first, last),) if first <= last else ()
    if strict:
        named = {point_of(column, value) for value in wanted}
    else:
        found = (_find(column, value) for value in wanted if value is not None)
        named = {point for point in found if point is not None and point < column.points}
        named |= {column.points + 1} if None in wanted and column.nullable else set[int]()
    return tuple((point, point) for point in sorted(named))


def function_points(schema: Schema, rule: Function) -> Ints:
    """What a functional dependency with a table gives, for each lattice index.

    A missing value that is not in the table gives a missing value; so do unlisted values.

    Returns:
        Lattice indices of the determined column, shape (points + 2,) of the determining one; -1
        where the determining column has no `other` or no missing values.

    Raises:
        SchemaError: If the table leaves out a value, lists one twice, or holds an unknown one.
    """
    of, gives = schema.columns[rule.of], schema.columns[rule.gives]
    if not isinstance(of, Category | Boolean) or not isinstance(
        gives, Category | Boolean | Integer
    ):
        raise SchemaError(
            f"a function's table cannot lead from {of.kind} to {gives.kind}.",
            "It leads from a category or boolean to a category, boolean or integer.",
        )
    return _function_points(of, gives, rule)


def _function_points(of: Listed, gives: Listed | Integer, rule: Function) -> Ints:
    given = np.full(of.points + 2, -1, np.int64)
    strict = "released" not in (of.origin, rule.origin)
    has_missing = of.nullable or _has_other(of)
    find, find_given = _finder(of), _finder(gives)
    for determining, determined in rule.table or ():
        place = of.points + 1 if determining is None else find(determining)
        if place is None or (determining is None and not has_missing):
            raise _not_in_domain(of, determining)
        if strict and given[place] >= 0:
            raise SchemaError(
                f"the table lists {determining!r} twice.", "Keep one line for each value."
            )
        given[place] = _given(gives, determined, find_given)
    return _with_defaults(of, gives, given)


def _given(
    gives: Listed | Integer, value: Value | None, find: Callable[[Scalar], int | None]
) -> int:
    """The lattice index of a determined value; a missing one may stand for others."""
    if value is None:
        only_other = isinstance(gives, Category) and gives.other and not gives.nullable
        return gives.points if only_other else point_of(gives, None)
    point = find(value)
    if point is None:
        raise _not_in_domain(gives, value)
    return point


def _with_defaults(of: Listed, gives: Listed | Integer, given: Ints) -> Ints:
    """Fill in what others and nulls give, and check that nothing is left out."""
    left_out = np.flatnonzero(given[: of.points] < 0)
    if len(left_out):
        raise SchemaError(
            f"the table leaves out {of.values[left_out[0]]!r}.", "Add a line for each value."
        )
    other, null = of.points, of.points + 1
    if given[null] < 0 and gives.nullable:
        given[null] = gives.points + 1
    if given[other] < 0:
        given[other] = given[null]
    if (_has_other(of) and given[other] < 0) or (of.nullable and given[null] < 0):
        raise SchemaError(
            "the table does not say what a missing value gives.",
            "Add a line for null, or declare that the determined column is nullable.",
        )
    given[other] = given[other] if _has_other(of) else -1
    given[null] = given[null] if of.nullable else -1
    return given


def _has_other(column: Modelled) -> bool:
    return isinstance(column, Category) and column.other


def _find(column: Modelled, value: Scalar) -> int | None:
    """The lattice index of a value that is present; None if it is not in the domain."""
    return _finder(column)(value)


def _finder(column: Modelled) -> Callable[[Scalar], int | None]:
    """A function from values to lattice indices."""
    if not isinstance(column, Listed):
        return lambda value: _place(column, value)
    other = column.points if isinstance(column, Category) and column.other else None
    same_type = {(type(value), value): point for point, value in enumerate(column.values)}
    numbers = {
        value: point
        for point, value in reversed(list(enumerate(column.values)))
        if isinstance(value, int | float) and not isinstance(value, bool)
    }

    def find(value: Scalar) -> int | None:
        point = same_type.get((type(value), value))  # pyright: ignore[reportArgumentType]
        if point is None and isinstance(value, int | float) and not isinstance(value, bool):
            point = numbers.get(value)
        return other if point is None else point

    return find


def _place(column: Ordered, value: Scalar) -> int | None:
    steps = _steps(column, value)
    point = round(steps) if isinstance(column, Decimal) else math.floor(steps)
    if isinstance(column, Integer) and steps != point:
        return None
    return point if 0 <= point < column.points else None


def _steps(column: Ordered, value: Scalar) -> Fraction:
    """How many steps a value lies above the column's least one."""
    origin, step = _exact_axis(column)
    return (coordinate(column, value) - origin) / step


def _whole_steps(column: Ordered, value: Scalar, rounding: Callable[[Fraction], int]) -> int:
    """Steps, rounded one way unless the value is a point's, as far as doubles can tell."""
    steps = _steps(column, value)
    origin, step = _exact_axis(column)
    on_point = isinstance(value, float) and float(origin + round(steps) * step) == value
    return round(steps) if on_point else rounding(steps)


def _exact_axis(column: Ordered) -> tuple[Fraction, Fraction]:
    if column.min is None:
        raise _unbounded()
    step = Fraction(1)
    if isinstance(column, Decimal):
        step = column.exact_step
    elif isinstance(column, Datetime):
        step = Fraction(column.step)
    return coordinate(column, column.min), step


def _parsed(parse: Callable[[object], T | None], value: Scalar) -> T:
    try:
        parsed = parse(value)
    except ValueError as error:
        raise SchemaError(f"{value!r} is no date: {error}.", "Correct it.") from None
    assert parsed is not None
    return parsed


def _not_in_domain(column: Column, value: Scalar | None) -> SchemaError:
    return SchemaError(
        f"{value!r} is not in the domain of the {column.kind} column.",
        "Correct the value, or widen the column's declared domain.",
    )


def _unbounded() -> SchemaError:
    return SchemaError("a column has no bounds.", "Declare min and max of the column.")
