"""Rules that every row obeys, declared by the user and free of privacy cost."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tronie.schema.columns import Value
from tronie.schema.literals import is_writable


def _as_text(value: object) -> object:
    """Dates as they are written in a schema; anything else stays as it is."""
    if not is_writable(value):
        raise ValueError("a rule's values are finite numbers and valid text")
    return value.isoformat() if isinstance(value, dt.date) else value


def _as_bound(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a bound is a number, a date or a datetime")
    return _as_text(value)


Named: TypeAlias = Annotated[Value, BeforeValidator(_as_text)]
"""A value as a rule names it; dates and datetimes are ISO text."""

Bound: TypeAlias = Annotated[int | float | str | None, BeforeValidator(_as_bound)]
"""A bound as a rule names it; dates and datetimes are ISO text."""


class _Constraint(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Constraint):
    """Values of an ordered column between two bounds, both included; a bound may be left out.

    Bounds are written as in the column: a number, or an ISO date or datetime. Without bounds it is
    every value that is present.
    """

    min: Bound = None
    max: Bound = None


class Impossible(_Constraint):
    """A combination that never occurs.

    Attributes:
        when: Column -> the values that do not occur together: a list of values (``None`` is a
            missing value), or a `Range` for an ordered column.
    """

    kind: Literal["impossible"] = "impossible"
    when: dict[str, Annotated[tuple[Named | None, ...], Field(min_length=1)] | Range] = Field(
        min_length=1
    )


class Function(_Constraint):
    """A functional dependency: one column's value is determined by another's.

    Attributes:
        of: The determining column (a listed kind).
        gives: The determined column (a listed kind, or an integer).
        table: Determining value -> determined value, if it is publicly known. Without it the pair
            is measured and the likeliest value of each is taken. A missing value that is not in
            the table gives a missing value.
        origin: Where the table comes from; a `released` one was measured and paid for.
    """

    kind: Literal["function"] = "function"
    of: str
    gives: str
    table: tuple[tuple[Named | None, Named | None], ...] | None = None
    origin: Literal["declared", "released"] = "declared"


class Order(_Constraint):
    """``low <= high`` (or ``<`` when strict) wherever both are present.

    Both columns are of the same ordered kind.
    """

    kind: Literal["order"] = "order"
    low: str
    high: str
    strict: bool = False


Constraint: TypeAlias = Annotated[Impossible | Function | Order, Field(discriminator="kind")]
"""Any rule."""
