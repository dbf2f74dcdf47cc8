"""A first schema for a table: from names and types alone, or from a table that is public.

Whatever a draft guesses it says so, with the reason, in the column's `guessed`. Without public facts
no value of the table is looked at, so nothing is spent and nothing can leak.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, get_args

from pydantic import TypeAdapter, ValidationError

from tronie.errors import SchemaError
from tronie.schema.columns import Column, Value
from tronie.schema.hints import kind_of_type, suggest
from tronie.schema.schema import Schema

MAX_PUBLIC_VALUES = 1000
"""A public text column with more distinct values is not listed."""

FEW_INTEGERS = 20
"""Public integers with gaps, of at most so many distinct values, are listed as codes."""

KINDS: tuple[str, ...] = tuple(
    model.model_fields["kind"].default for model in get_args(get_args(Column)[0])
)
"""All kinds of column."""

Bound: TypeAlias = int | float | dt.date | None
"""An end of a public column's range; a `datetime.datetime` is a `datetime.date` too."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column's name and type.

    Args:
        name: Name of the column.
        type: Type as Arrow writes it, such as ``"int64"`` or ``"timestamp[us]"``.
        nullable: Whether the type allows missing values.
    """

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class PublicFacts:
    """What a column of a table holds, read from a table that its owner declared public.

    Args:
        nulls: Whether there are missing values.
        values: The distinct values, sorted, without missing ones; None if there are more than
            `MAX_PUBLIC_VALUES`.
        min: Least value of numbers, dates and datetimes.
        max: Greatest value.
        resolution: Largest step that all values are multiples of: a number for decimals, a name
            such as ``"minute"`` for datetimes.
    """

    nulls: bool
    values: tuple[Value, ...] | None = None
    min: Bound = None
    max: Bound = None
    resolution: float | str | None = None


class Guess(NamedTuple):
    """Something that a draft guessed."""

    column: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Start:
    """A column before it is checked: its kind, its fields, and why they were chosen."""

    kind: str
    fields: dict[str, Any]
    guessed: dict[str, str]

    def having(self, **fields: Any) -> _Start:
        return _Start(self.kind, {**self.fields, **fields}, self.guessed)

    def instead(self, kind: str, reason: str, **fields: Any) -> _Start:
        return _Start(kind, fields, {**self.guessed, "kind": reason})


def draft(
    fields: Sequence[Field],
    name: str,
    *,
    kinds: Mapping[str, str] | None = None,
    typed: bool = True,
) -> Schema:
    """A schema from names and types; no value of the table is looked at.

    Args:
        fields: The columns.
        name: The data set's name.
        kinds: Column -> kind, where it is known. A `category` without its values becomes an
            `open_category`: the values are then found privately.
        typed: Whether the types mean something; those of a CSV do not.

    Raises:
        SchemaError: If there are no columns, two of one name, or an unknown kind.

    >>> people = draft([Field("age", "int64"), Field("user_id", "int64")], "people")
    >>> {name: column.kind for name, column in people.columns.items()}
    {'age': 'integer', 'user_id': 'identifier'}
    """
    kinds = _checked_kinds(fields, kinds)
    columns: dict[str, Column] = {}
    for field in fields:
        start = _start(field, kinds.get(field.name), typed=typed)
        if start.kind == "category":
            start = start.instead("open_category", "its values are not listed", **start.fields)
        if field.nullable and start.kind not in {"identifier", "text"}:
            start.guessed["nullable"] = "allowed to be safe"
        if field.name not in kinds and start.kind == "datetime":
            start.guessed["resolution"] = "most moments are written in whole seconds"
        columns[field.name] = _column(field.name, start.having(nullable=field.nullable))
    return Schema(name=name, columns=columns)


def draft_public(
    fields: Sequence[Field],
    facts: Mapping[str, PublicFacts],
    name: str,
    *,
    kinds: Mapping[str, str] | None = None,
) -> Schema:
    """A schema with the values and bounds of a table that its owner declared public.

    Text of at most `MAX_PUBLIC_VALUES` distinct values becomes a category, and so do integers with
    gaps of at most `FEW_INTEGERS`; other numbers, dates and datetimes get their bounds.

    Args:
        fields: The columns.
        facts: Column -> what it holds.
        name: The data set's name.
        kinds: Column -> kind, where it is known.

    Raises:
        SchemaError: If there are no columns, two of one name, or an unknown kind.
    """
    kinds = _checked_kinds(fields, kinds)
    columns: dict[str, Column] = {}
    for field in fields:
        start = _start(field, kinds.get(field.name), typed=True)
        if start.kind not in {"identifier", "text"}:
            start = _with_facts(start, facts[field.name], declared=field.name in kinds)
        columns[field.name] = _column(field.name, start)
    return Schema(name=name, columns=columns)


def explain(schema: Schema) -> list[Guess]:
    """Everything that a draft guessed, with the reason."""
    return [
        Guess(name, field, reason)
        for name, column in schema.columns.items()
        for field, reason in column.guessed.items()
    ]


def _checked_kinds(fields: Sequence[Field], kinds: Mapping[str, str] | None) -> Mapping[str, str]:
    names = [field.name for field in fields]
    if not names:
        raise SchemaError("the table has no columns.", "Check that it is the right table.")
    for name, number in Counter(names).items():
        if number > 1:
            raise SchemaError(f"{number} columns are called {name!r}.", "Rename them.")
    for name, kind in (kinds or {}).items():
        if name not in names:
            raise SchemaError(
                f"a kind is given for {name!r}, which is not a column.",
                f"The columns are {', '.join(names)}.",
            )
        if kind not in KINDS:
            raise SchemaError(
                f"unknown kind {kind!r} for column {name!r}.", f"Possible are {', '.join(KINDS)}."
            )
    return kinds or {}


def _start(field: Field, declared: str | None, *, typed: bool) -> _Start:
    """Kind of a column: as declared, else by its name, else by its type."""
    kind, fields = kind_of_type(field.type)
    if declared is not None:
        kept = fields if kind == declared else {}
        if declared in {"open_category", "category"} and kind == "integer":
            kept = {"value_type": "integer"}
        return _Start(declared, kept, {})
    meaning = suggest(field.name)
    plain = kind in {"open_category", "integer"}
    if meaning == "identifier" and plain:
        return _Start("identifier", {}, {"kind": "the name looks like an identifier"})
    if meaning == "text" and kind == "open_category":
        return _Start("text", {}, {"kind": "the name looks like free text"})
    if not kind:
        return _Start("text", {}, {"kind": f"left out: no kind fits the type {field.type}"})
    reason = f"the type is {field.type}"
    if not typed:
        reason = "a CSV has no types; declare another kind here, or by --types"
    if meaning == "date" and kind == "open_category":
        reason += "; but the name suggests a date"
    if meaning == "code" and kind == "integer":
        reason += "; but the name suggests a code, which is a category"
    return _Start(kind, fields, {"kind": reason})


def _with_facts(start: _Start, facts: PublicFacts, *, declared: bool) -> _Start:
    """The column with what the public table says about it."""
    start = start.having(nullable=facts.nulls)
    if start.kind in {"open_category", "category"}:
        return _listed(start, facts)
    if start.kind == "integer" and not declared and _are_codes(facts):
        return start.instead(
            "category",
            f"the type is integer, but there are at most {FEW_INTEGERS} values, with gaps",
            values=facts.values,
            ordered=True,
            nullable=facts.nulls,
            origin="public",
        )
    if start.kind == "boolean" or facts.min is None:
        return start
    start = start.having(min=facts.min, max=facts.max, origin="public")
    if start.kind in {"decimal", "datetime"} and facts.resolution is not None:
        start = start.having(resolution=facts.resolution)
    return start


def _listed(start: _Start, facts: PublicFacts) -> _Start:
    if not facts.values:
        why = "every value is missing" if facts.values is not None else "too many values to list"
        return start.instead("open_category", why, **start.fields)
    return start.instead(
        "category",
        f"at most {MAX_PUBLIC_VALUES} values",
        values=facts.values,
        nullable=facts.nulls,
        origin="public",
    )


def _are_codes(facts: PublicFacts) -> bool:
    values = facts.values
    if not values or len(values) > FEW_INTEGERS or not isinstance(facts.min, int):
        return False
    return isinstance(facts.max, int) and facts.max - facts.min + 1 > len(values)


def _column(name: str, start: _Start) -> Column:
    adapter: TypeAdapter[Column] = TypeAdapter(Column)
    data = {"kind": start.kind, **start.fields, "guessed": start.guessed}
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise SchemaError(
            f"column {name!r} cannot be drafted as {start.kind}: {reason}.", "Give its kind."
        ) from None
