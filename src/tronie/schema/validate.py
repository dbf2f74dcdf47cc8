"""Whether the parts of a schema fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, TypeVar

from tronie.errors import SchemaError
from tronie.schema.columns import (
    Identifier,
    Integer,
    Listed,
    Modelled,
    OpenCategory,
    Ordered,
    Text,
)
from tronie.schema.constraints import Function, Impossible, Order, Range
from tronie.schema.points import Scalar, axis, coordinate, function_points, region

if TYPE_CHECKING:
    from tronie.schema.schema import Schema

T = TypeVar("T")


def check(schema: Schema) -> None:
    """Refuse a schema whose unit or constraints contradict its columns.

    Raises:
        SchemaError: At the first contradiction, naming the constraint and the column.
    """
    _check_unit(schema)
    for number, rule in enumerate(schema.constraints, 1):
        where = f"constraint {number} ({rule.kind})"
        if isinstance(rule, Impossible):
            _check_impossible(where, schema, rule)
        elif isinstance(rule, Function):
            _check_function(where, schema, rule)
        else:
            _check_order(where, schema, rule)
    _check_functions_together(schema)
    _check_orders_together(schema)


def _check_unit(schema: Schema) -> None:
    unit = schema.unit
    if unit.kind == "row":
        if unit.id_column is not None:
            raise SchemaError(
                "the unit is a row, but names an id_column.", "Set kind: id, or leave it out."
            )
        return
    if unit.id_column is None:
        raise SchemaError("a unit of kind id names no id_column.", "Add id_column.")
    column = schema.columns.get(unit.id_column)
    if not isinstance(column, Identifier):
        problem = "is not a column" if column is None else f"is of kind {column.kind}"
        raise SchemaError(
            f"the unit's id_column {unit.id_column!r} {problem}.",
            "Name a column of kind identifier.",
        )


def _column(where: str, schema: Schema, name: str) -> Modelled | OpenCategory:
    """A column that a rule may be about."""
    if name not in schema.columns:
        raise SchemaError(
            f"{where} names the column {name!r}, which the schema does not have.",
            "Correct the name, or add the column.",
        )
    column = schema.columns[name]
    if isinstance(column, Identifier | Text):
        raise SchemaError(
            f"{where} names the column {name!r}, of kind {column.kind}, which is never read.",
            "Leave the column out of the constraint, or give it another kind.",
        )
    return column


def _located(where: str, work: Callable[[], T]) -> T:
    """Do something, and say where it was if it fails."""
    try:
        return work()
    except SchemaError as error:
        raise SchemaError(f"{where}: {error.what}", error.remedy) from None


def _check_impossible(where: str, schema: Schema, rule: Impossible) -> None:
    whole = True
    for name, wanted in rule.when.items():
        column = _column(where, schema, name)
        whole = _located(f"{where}, column {name!r}", partial(_is_whole, column, wanted)) and whole
    if whole:
        raise SchemaError(f"{where} leaves no possible row.", "Narrow it down.")


def _is_whole(column: Modelled | OpenCategory, wanted: Sequence[Scalar | None] | Range) -> bool:
    """Whether a rule names all of a column's declared domain; refuses what cannot be read."""
    if isinstance(wanted, Range) and not isinstance(column, Ordered):
        raise SchemaError("a range needs an ordered column.", "List the values instead.")
    if isinstance(column, Ordered):
        _check_readable(column, wanted)
    if isinstance(column, OpenCategory) or (isinstance(column, Ordered) and not column.bounded):
        return False
    named = sum(last - first + 1 for first, last in region(column, wanted))
    return column.origin != "released" and named == column.points + column.nullable


def _check_readable(column: Ordered, wanted: Sequence[Scalar | None] | Range) -> None:
    """Whether the values are of the column's kind, whatever its bounds."""
    bounded = isinstance(wanted, Range)
    values = (wanted.min, wanted.max) if bounded else wanted
    places = [coordinate(column, value) for value in values if value is not None]
    if bounded and len(places) == 2 and places[0] > places[1]:
        raise SchemaError("the range's min is above its max.", "Swap them.")


def _check_function(where: str, schema: Schema, rule: Function) -> None:
    of, gives = _column(where, schema, rule.of), _column(where, schema, rule.gives)
    if not isinstance(of, Listed | OpenCategory):
        raise SchemaError(
            f"{where}: the determining column {rule.of!r} is of kind {of.kind}.",
            "It must be a category or a boolean.",
        )
    if not isinstance(gives, Listed | OpenCategory | Integer):
        raise SchemaError(
            f"{where}: the determined column {rule.gives!r} is of kind {gives.kind}.",
            "It must be a category, a boolean or an integer.",
        )
    if rule.table is None:
        return
    for name, column in ((rule.of, of), (rule.gives, gives)):
        if isinstance(column, OpenCategory) or (isinstance(column, Integer) and not column.bounded):
            raise SchemaError(
                f"{where} has a table, but the domain of column {name!r} is not declared.",
                "Declare the column's values or bounds: the table's are public.",
            )
    _located(f"{where}, from {rule.of!r} to {rule.gives!r}", lambda: function_points(schema, rule))


def _check_functions_together(schema: Schema) -> None:
    functions = [rule for rule in schema.constraints if isinstance(rule, Function)]
    determined: dict[str, Function] = {}
    for rule in functions:
        if rule.gives in determined:
            raise SchemaError(
                f"two constraints determine the column {rule.gives!r}.", "Keep one of them."
            )
        determined[rule.gives] = rule
    for rule in functions:
        if rule.table is None and rule.of in schema.derived:
            raise SchemaError(
                f"what {rule.gives!r} is determined by, {rule.of!r}, is itself computed.",
                f"Let it be determined by {schema.derived[rule.of].of!r}, or give a table.",
            )
    _check_no_circle("functions", {rule.gives: [rule.of] for rule in functions}, "determines")


def _check_order(where: str, schema: Schema, rule: Order) -> None:
    low, high = _column(where, schema, rule.low), _column(where, schema, rule.high)
    if not (isinstance(low, Ordered) and isinstance(high, Ordered) and low.kind == high.kind):
        raise SchemaError(
            f"{where} compares {rule.low!r} ({low.kind}) with {rule.high!r} ({high.kind}).",
            "Compare two columns of the same kind: integer, decimal, date or datetime.",
        )
    declared = "released" not in (low.origin, high.origin)
    if declared and low.bounded and high.bounded and not (low.nullable or high.nullable):
        (least, _), (origin, step) = axis(low), axis(high)
        greatest = origin + step * (high.points - 1)
        if least > greatest or (rule.strict and least == greatest):
            raise SchemaError(
                f"{where} leaves no possible row: {rule.low!r} starts above the end of "
                f"{rule.high!r}.",
                "Swap low and high, or correct the bounds.",
            )


def _check_orders_together(schema: Schema) -> None:
    orders = [rule for rule in schema.constraints if isinstance(rule, Order)]
    determined = {rule.gives for rule in schema.constraints if isinstance(rule, Function)}
    below: dict[str, list[str]] = {}
    for rule in orders:
        for name in {rule.low, rule.high} & determined:
            raise SchemaError(
                f"column {name!r} is compared by an order, but is determined by a function.",
                "Keep one of the two constraints.",
            )
        below.setdefault(rule.high, []).append(rule.low)
    _check_no_circle("orders", below, "<=")


def _check_no_circle(rules: str, before: Mapping[str, Sequence[str]], relation: str) -> None:
    """Whether columns can be put in an order in which each comes after those before it."""
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        circle = f" {relation} ".join(repr(name) for name in error.args[1])
        raise SchemaError(
            f"the {rules} go round in a circle: {circle}.", "Leave one of them out."
        ) from None
