"""A schema's public facts in words, for people and for the certificate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tronie.schema.columns import (
    Category,
    Column,
    Datetime,
    Decimal,
    Identifier,
    Listed,
    OpenCategory,
    Ordered,
    Text,
)
from tronie.schema.constraints import Constraint, Function, Impossible, Range

if TYPE_CHECKING:
    from tronie.schema.schema import PrivacyUnit, Schema

_OUTSIDE = {
    "clip": "values outside move to the nearest bound",
    "missing": "values outside become missing",
    "error": "values outside are refused",
}

_ORIGIN = {
    "declared": "declared",
    "public": "taken from a file that was declared public",
    "released": "found privately, and paid for",
}


def describe(schema: Schema) -> list[tuple[str, str]]:
    """Subject and fact, for everything that a schema declares or that was released for it."""
    derived = schema.derived
    facts = [("data set", schema.name), ("unit", _unit(schema.unit))]
    for name, column in schema.columns.items():
        computed = [f"computed from {derived[name].of!r}"] if name in derived else []
        facts.append((f"column {name!r}", "; ".join([*_column(column), *computed])))
    for number, rule in enumerate(schema.constraints, 1):
        facts.append((f"constraint {number}", _constraint(rule)))
    return facts


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _unit(unit: PrivacyUnit) -> str:
    rows = _number(unit.max_rows, "row")
    if unit.kind == "id":
        return f"all rows with one value of {unit.id_column!r}, of which at most {rows} are used"
    return f"row; promised: at most {rows} about one person"


def _column(column: Column) -> Iterator[str]:
    if isinstance(column, Identifier):
        fate = f"written anew as {column.pattern!r}" if column.pattern else "left out"
        yield f"identifier, never read, {fate}"
        return
    if isinstance(column, Text):
        yield from _text(column)
        return
    yield _domain(column)
    yield "missing values allowed" if column.nullable else "no missing values"
    if isinstance(column, Category | Ordered):
        yield _OUTSIDE[column.outside]
    yield _ORIGIN[column.origin]


def _text(column: Text) -> Iterator[str]:
    if column.max_length is None:
        yield "text, never read, left out"
        return
    yield f"text, read and written by language models only, cut to {column.max_length} characters"
    yield "missing values allowed" if column.nullable else "missing ones read as empty"


def _domain(column: Listed | OpenCategory | Ordered) -> str:
    if isinstance(column, OpenCategory):
        return f"category of {column.value_type} values, to be found privately"
    if isinstance(column, Listed):
        number = _number(column.points, "value")
        ordered = isinstance(column, Category) and column.ordered
        other = ", and a cell for others" if isinstance(column, Category) and column.other else ""
        return f"{'ordered ' if ordered else ''}{column.kind} of {number}{other}"
    bounds = (
        f"from {column.min} to {column.max}" if column.bounded else "bounds to be found privately"
    )
    return f"{column.kind}, {bounds}{_resolution(column)}"


def _resolution(column: Ordered) -> str:
    if isinstance(column, Decimal):
        return f", in steps of {column.resolution}" if column.resolution is not None else ""
    return f", to the {column.resolution}" if isinstance(column, Datetime) else ""


def _constraint(rule: Constraint) -> str:
    if isinstance(rule, Impossible):
        parts = [f"{name!r} {_wanted(wanted)}" for name, wanted in rule.when.items()]
        return f"never together: {' and '.join(parts)}"
    if isinstance(rule, Function):
        table = "the likeliest pairs, to be found privately"
        if rule.table is not None:
            table = f"a table of {_number(len(rule.table), 'line')}, {_ORIGIN[rule.origin]}"
        return f"{rule.of!r} determines {rule.gives!r} by {table}"
    return f"{rule.low!r} {'<' if rule.strict else '<='} {rule.high!r}"


def _wanted(wanted: Iterable[object] | Range) -> str:
    if not isinstance(wanted, Range):
        return f"in {list(wanted)!r}"
    low = "" if wanted.min is None else f" from {wanted.min}"
    high = "" if wanted.max is None else f" to {wanted.max}"
    return f"{low}{high}".strip() or "present"
