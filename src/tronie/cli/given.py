"""Conditions as they are typed: ``sex=Female``, ``age=30..39``, ``state=NY,NJ``, ``income=``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tronie.errors import ConditionError

if TYPE_CHECKING:
    from tronie.release.model import Condition
    from tronie.schema.columns import Modelled, Ordered, Value
    from tronie.schema.schema import Schema


def read_conditions(schema: Schema, texts: Sequence[str]) -> dict[str, Condition]:
    """Column -> what every row has there.

    Args:
        schema: The model's schema; it says which type a value is of.
        texts: One condition each.

    Raises:
        ConditionError: If a text is not a condition, or names a column a second time.
    """
    conditions: dict[str, Condition] = {}
    for text in texts:
        column, value = _split(schema, text)
        if column in conditions:
            raise ConditionError(
                f"--given names the column {column!r} twice.",
                f"List its values in one condition, as in {column}=a,b.",
            )
        conditions[column] = _condition(schema, column, value)
    return conditions


def _split(schema: Schema, text: str) -> tuple[str, str]:
    """Column and value; a column's own name may hold an equals sign."""
    known = [name for name in schema.columns if text.startswith(f"{name}=")]
    if known:
        column = max(known, key=len)
        return column, text[len(column) + 1 :]
    column, equals, value = text.partition("=")
    if not equals:
        raise ConditionError(
            f"--given {text} is not a condition.",
            "Write COLUMN=VALUE, COLUMN=LOW..HIGH or COLUMN=VALUE,VALUE.",
        )
    return column, value


def _condition(schema: Schema, name: str, text: str) -> Condition:
    """One value, several, or a range; an empty value is a missing one."""
    from tronie.schema.columns import Modelled, Ordered
    from tronie.schema.constraints import Range

    column = schema.columns.get(name)
    if not isinstance(column, Modelled):
        return text  # the library says why rows cannot be conditioned on it
    listed = _listed(column)
    if isinstance(column, Ordered) and ".." in text:
        low, high = (_ordered(name, column, bound) for bound in text.split("..", 1))
        return Range(min=low, max=high)
    parts = [text] if text in listed else text.split(",")
    values = [
        _ordered(name, column, part) if isinstance(column, Ordered) else listed.get(part, part)
        for part in parts
    ]
    return tuple(None if value == "" and "" not in listed else value for value in values)


def _ordered(name: str, column: Ordered, text: str) -> int | float | str | None:
    """A value of a column of numbers, dates or datetimes."""
    from tronie.schema.columns import Decimal, Integer

    if not text:
        return None
    whole = isinstance(column, Integer)
    try:
        if whole:
            return int(text)
        return float(text) if isinstance(column, Decimal) else text.strip()
    except ValueError:
        raise ConditionError(
            f"--given {name}: {text!r} is not a {'whole ' if whole else ''}number.",
            "Write a number, or a range such as 1..9.",
        ) from None


def _listed(column: Modelled) -> dict[str, Value]:
    """A listed column's values by how they are typed; text goes before what looks like it."""
    from tronie.schema.columns import Listed

    if not isinstance(column, Listed):
        return {}
    others = {_typed(value): value for value in column.values if not isinstance(value, str)}
    return others | {value: value for value in column.values if isinstance(value, str)}


def _typed(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
