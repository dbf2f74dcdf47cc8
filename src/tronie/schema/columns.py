"""Kinds of column, and what is publicly known about each.

Every modelled column is, for the rest of the house, a *lattice*: a finite list of points
``0 .. points - 1`` in a fixed order. A category's points are its listed values, an integer's are
its values from ``min`` to ``max``, a decimal's are ``min, min + resolution, ...`` up to ``max``, a
date's are days and a datetime's are steps of its resolution. Missing values are not points; they
are a cell of their own (see `tronie.schema.grid`).
"""

from __future__ import annotations

import datetime as dt
import math
from abc import abstractmethod
from fractions import Fraction
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tronie.errors import SchemaError
from tronie.schema.literals import exact, is_writable, parse_date, parse_datetime

Outside: TypeAlias = Literal["clip", "missing", "error"]
"""What happens to a value outside the declared domain."""

Value: TypeAlias = bool | int | float | str
"""A category's value."""

FLOAT_POINTS = 2**20
"""Points of a decimal without a declared resolution."""

MAX_POINTS = 2**53
"""Most points of a lattice: indices stay exact in a double."""

LONGEST_TEXT = 1000
"""Most characters of a text that a language model is to write."""

Int64: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number that a table can hold."""


class _Column(BaseModel):
    """What all kinds share.

    Attributes:
        nullable: Whether missing values occur; they are then modelled as a value.
        guessed: Field -> reason, for each field that a draft guessed from names and types.
        origin: Where the domain's values come from; `released` values were paid for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nullable: bool = True
    guessed: dict[str, str] = Field(default_factory=dict)
    origin: Literal["declared", "public", "released"] = "declared"

    @model_validator(mode="after")
    def _room_for_what_is_outside(self) -> Self:
        if getattr(self, "outside", None) == "missing" and not self.nullable:
            raise ValueError("outside: missing needs nullable: true")
        return self


class Category(_Column):
    """A closed list of values.

    Attributes:
        values: The values, in the order of their codes.
        ordered: Whether that order means something, so that neighbours may be merged.
        outside: What an unlisted value becomes; `clip` makes no sense for a category.
        other: Whether unlisted values get a cell of their own (set for discovered categories);
            it is sampled as a missing value, or as `other_label` where one is given.
    """

    kind: Literal["category"] = "category"
    values: tuple[Value, ...]
    ordered: bool = False
    outside: Literal["missing", "error"] = "error"
    other: bool = False
    other_label: str | None = None

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[Value, ...]) -> tuple[Value, ...]:
        if len({(type(value), value) for value in values}) != len(values):
            raise ValueError("a category lists a value twice")
        if not all(is_writable(value) for value in values):
            raise ValueError("a category's values are finite numbers and valid text")
        return values

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.values and not self.other:
            raise ValueError("a category needs at least one value")
        return self

    @property
    def points(self) -> int:
        """Number of lattice points."""
        return len(self.values)


class OpenCategory(_Column):
    """A category whose values are unknown and are found privately.

    Attributes:
        value_type: Type of the values.
        other_label: What undiscovered values are sampled as; missing when not given.
    """

    kind: Literal["open_category"] = "open_category"
    value_type: Literal["string", "integer"] = "string"
    other_label: str | None = None


class Boolean(_Column):
    """True or false."""

    kind: Literal["boolean"] = "boolean"

    @property
    def values(self) -> tuple[Value, ...]:
        """The two values, in the order of their codes."""
        return (False, True)

    @property
    def points(self) -> int:
        """Number of lattice points."""
        return 2


class _Ordered(_Column):
    """A column whose points are equally spaced; bounds not given are found privately."""

    outside: Outside = "clip"
    min: Any = None
    max: Any = None

    @property
    def bounded(self) -> bool:
        """Whether both bounds are known."""
        return self.min is not None and self.max is not None

    @property
    @abstractmethod
    def points(self) -> int:
        """Number of lattice points between the bounds, both included."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.bounded:
            if self.min > self.max:
                raise ValueError("min is above max")
            if self.points > MAX_POINTS:
                raise ValueError("the resolution is too fine for the bounds")
        elif self.min is not None or self.max is not None:
            raise ValueError("give both min and max, or neither")
        return self

    def _need_bounds(self) -> SchemaError:
        return SchemaError(
            "a column has no bounds.", "Declare min and max, or let them be found privately."
        )


class Integer(_Ordered):
    """Whole numbers between two bounds."""

    kind: Literal["integer"] = "integer"
    min: Int64 | None = None
    max: Int64 | None = None

    @property
    def points(self) -> int:
        """Number of lattice points."""
        if self.min is None or self.max is None:
            raise self._need_bounds()
        return self.max - self.min + 1


class Decimal(_Ordered):
    """Numbers between two bounds, in steps of a resolution.

    Attributes:
        resolution: Distance of neighbouring values, such as 0.01; without one the range is cut
            into `FLOAT_POINTS` points.
    """

    kind: Literal["decimal"] = "decimal"
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    resolution: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def exact_step(self) -> Fraction:
        """Distance of neighbouring points, as the decimal number that it is written as."""
        if self.min is None or self.max is None:
            raise self._need_bounds()
        if self.resolution is not None:
            return exact(self.resolution)
        return (exact(self.max) - exact(self.min)) / (FLOAT_POINTS - 1) or Fraction(1)

    @property
    def step(self) -> float:
        """Distance of neighbouring points."""
        return float(self.exact_step)

    @property
    def points(self) -> int:
        """Number of lattice points."""
        if self.min is None or self.max is None:
            raise self._need_bounds()
        return (exact(self.max) - exact(self.min)) // self.exact_step + 1

    @model_validator(mode="after")
    def _steps_are_doubles(self) -> Self:
        if self.min is not None and self.max is not None:
            if math.isinf(self.max - self.min):
                raise ValueError("the bounds are too far apart")
            if self.step == 0:
                raise ValueError("the bounds are too close for a column without a resolution")
        return self


class Date(_Ordered):
    """Days between two bounds."""

    kind: Literal["date"] = "date"
    min: Annotated[dt.date | None, BeforeValidator(parse_date)] = None
    max: Annotated[dt.date | None, BeforeValidator(parse_date)] = None

    @property
    def points(self) -> int:
        """Number of lattice points."""
        if self.min is None or self.max is None:
            raise self._need_bounds()
        return (self.max - self.min).days + 1


RESOLUTIONS = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
}
"""Microseconds of each datetime resolution."""


class Datetime(_Ordered):
    """Moments between two bounds, without a time zone, in steps of a resolution."""

    kind: Literal["datetime"] = "datetime"
    min: Annotated[dt.datetime | None, BeforeValidator(parse_datetime)] = None
    max: Annotated[dt.datetime | None, BeforeValidator(parse_datetime)] = None
    resolution: Literal["microsecond", "millisecond", "second", "minute", "hour", "day"] = "second"

    @property
    def step(self) -> int:
        """Microseconds between neighbouring points."""
        return RESOLUTIONS[self.resolution]

    @property
    def points(self) -> int:
        """Number of lattice points."""
        if self.min is None or self.max is None:
            raise self._need_bounds()
        return (self.max - self.min) // dt.timedelta(microseconds=self.step) + 1


class Identifier(_Column):
    """A key that says who a row is about: never read; written anew by a pattern, or dropped.

    Attributes:
        pattern: A format with the field ``n``, the running number from 1, such as
            ``"C-{n:06d}"``; without one the column is left out of the output.
    """

    kind: Literal["identifier"] = "identifier"
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _formats(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                first, second = pattern.format(n=1), pattern.format(n=2)
            except (KeyError, IndexError, ValueError, AttributeError) as error:
                raise ValueError("a pattern has one field n, as in 'C-{n:06d}'") from error
            if first == second:
                raise ValueError("a pattern must hold the running number {n}")
        return pattern


class Text(_Column):
    """Free text: written by a language model if its length is limited, else left out of the output.

    Attributes:
        max_length: Most characters of a text, a public fact; longer ones are cut when they are read.
    """

    kind: Literal["text"] = "text"
    max_length: int | None = Field(default=None, ge=1, le=LONGEST_TEXT)

    def line(self, text: str) -> str:
        r"""A text as it is read and written: printable, on one line, not too long.

        What cannot be printed becomes a space, spaces beside each other one, and those at the ends are
        left out; so is U+FFFD, which stands for bytes that are no character.

        >>> Text(max_length=9).line(" two\n lines, cut")
        'two lines'
        """
        plain = "".join(c if c.isprintable() else " " for c in text.replace("\ufffd", ""))
        return " ".join(plain.split())[: self.max_length].rstrip()


Ordered: TypeAlias = Integer | Decimal | Date | Datetime
"""Kinds whose points are equally spaced."""

Listed: TypeAlias = Category | Boolean
"""Kinds whose points are a list."""

Modelled: TypeAlias = Category | Boolean | Integer | Decimal | Date | Datetime
"""Kinds that can have a lattice."""

Column: TypeAlias = Annotated[
    Category | OpenCategory | Integer | Decimal | Boolean | Date | Datetime | Identifier | Text,
    Field(discriminator="kind"),
]
"""Any kind of column."""


def is_nominal(column: Modelled) -> bool:
    """Whether a column's values have no order.

    >>> is_nominal(Boolean()), is_nominal(Category(values=("low", "high"), ordered=True))
    (True, False)
    """
    return isinstance(column, Boolean) or (isinstance(column, Category) and not column.ordered)
