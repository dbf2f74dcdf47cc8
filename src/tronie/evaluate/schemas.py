"""A schema for tables that come without one. INTERNAL: it takes values and bounds from real rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa

from tronie.errors import InputError, SchemaError, SchemaMismatch
from tronie.schema.columns import (
    RESOLUTIONS,
    Column,
    Date,
    Datetime,
    Decimal,
    Integer,
    Modelled,
    Value,
)
from tronie.schema.draft import MAX_PUBLIC_VALUES, Field, PublicFacts, draft_public
from tronie.schema.hints import kind_of_type
from tronie.schema.schema import Schema
from tronie.tables import reading
from tronie.tables.arrays import is_text
from tronie.tables.compatibility import can_read
from tronie.tables.csv_source import CsvSource
from tronie.tables.public import public_facts
from tronie.tables.sources import Source, open_source
from tronie.tables.text import DAY

FEW_VALUES = 50
"""Text of more distinct values is left out if they are more than half as many as the rows."""


def schema_of(real: Any, others: Sequence[Any]) -> Schema:
    """A schema that all tables fit, worked out from their types and from what any of them holds.

    It must not be used to make or publish anything: its values and bounds are those of real rows.

    Args:
        real: The private table, as for `tronie.fit`; its types say what the columns are. Columns of a
            CSV file, and dates written as text, are told by their values.
        others: Synthetic tables. Types may differ, such as 39.0 for 39; values that cannot be read as
            the column's kind are passed over.

    Returns:
        The columns that all tables have and that can be compared: identifiers, free text and text of
        very many values are left out.

    Raises:
        InputError: If no column is left.
    """
    sources = [open_source(table) for table in (real, *others)]
    names = [
        name
        for name in sources[0].schema.names
        if all(name in source.schema.names for source in sources[1:])
    ]
    if not names:
        raise InputError("the tables have no column in common.", "Check that they belong together.")
    fields = _fields(_Some(sources[0], names))
    kinds = {field.name: kind_of_type(field.type)[0] for field in fields}
    facts, *more = (_readable_facts(source, kinds) for source in sources)
    rows = sum(batch.num_rows for batch in sources[0].batches(names[:1]))
    title = Path(real).stem if isinstance(real, str | Path) else "table"
    columns: dict[str, Modelled] = {}
    for field in fields:
        own = facts.get(field.name)
        if own is not None and not _is_free_text(kinds[field.name], own, rows):
            others_facts = [found[field.name] for found in more if field.name in found]
            columns |= _drafted(field, reduce(_merged, others_facts, own), title)
    if not columns:
        raise InputError(
            "no column of the tables can be compared: all are identifiers or text.",
            "Give a schema that says what the columns are.",
        )
    return Schema(name=title, columns=dict(columns))


def _drafted(field: Field, facts: PublicFacts, title: str) -> dict[str, Modelled]:
    """The column, if it is one that can be compared."""
    try:
        return draft_public([field], {field.name: facts}, title).lattices
    except SchemaError:  # the range is too wide for a lattice
        return {}


def _is_free_text(kind: str, facts: PublicFacts, rows: int) -> bool:
    """Whether nearly each row has a text of its own."""
    distinct = len(facts.values or ())
    return kind == "open_category" and distinct > FEW_VALUES and 2 * distinct > rows


@dataclass(frozen=True, slots=True)
class _Some:
    """Some columns of a table."""

    source: Source
    names: Sequence[str]

    @property
    def schema(self) -> pa.Schema:
        """Their names and types."""
        return pa.schema([self.source.schema.field(name) for name in self.names])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Their rows."""
        return self.source.batches(columns)

    def describe(self) -> str:
        """What kind of source this is."""
        return self.source.describe()


def _fields(table: _Some) -> list[Field]:
    """The columns' types; text that is something else throughout gets the type of that."""
    fields = [Field(field.name, str(field.type), field.nullable) for field in table.schema]
    written = [field.name for field in table.schema if is_text(_value_type(field.type))]
    any_kind = isinstance(table.source, CsvSource)
    seen = {name: _Seen(any_kind, any_kind, True, True) for name in written}
    if written:
        for batch in table.batches(written):
            for place, name in enumerate(written):
                seen[name] = seen[name].after(batch.column(place))
    return [
        replace(field, type=seen[field.name].type or field.type) if field.name in seen else field
        for field in fields
    ]


def _value_type(arrow_type: pa.DataType) -> pa.DataType:
    return arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type


@dataclass(frozen=True, slots=True)
class _Seen:
    """What all text of a column so far can be read as; and whether there was any."""

    integer: bool
    decimal: bool
    moment: bool
    day: bool
    some: bool = False

    def after(self, array: pa.Array) -> _Seen:
        whole, number, moment = (
            read(array) for read in (reading.integers, reading.numbers, reading.moments)
        )
        codes = number.unreadable.any() or _has_leading_zeros(array)
        odd = moment.unreadable.any()
        return _Seen(
            self.integer and not codes and not whole.inexact.any(),
            self.decimal and not codes,
            self.moment and not odd,
            self.day and not odd and not (moment.values[~moment.missing] % DAY).any(),
            self.some or not number.missing.all(),
        )

    @property
    def type(self) -> str | None:
        """The type that says so, as Arrow writes it; None for text."""
        types = (
            (self.integer, "int64"),
            (self.decimal, "double"),
            (self.day, "date32[day]"),
            (self.moment, "timestamp[us]"),
        )
        return next((name for fits, name in types if fits), None) if self.some else None


def _has_leading_zeros(array: pa.Array) -> bool:
    """Whether some value is a code such as 01234 rather than a number."""
    distinct = array.unique().to_pylist()
    return any(len(v) > 1 and v[0] == "0" and v[1].isdigit() for v in distinct if v)


def _readable_facts(source: Source, kinds: Mapping[str, str]) -> dict[str, PublicFacts]:
    """What the columns of a table hold, without those that cannot be read as their kind there."""
    kinds = {name: kind for name, kind in kinds.items() if _can_be(kind, source.schema.field(name))}
    if not kinds:
        return {}
    try:
        return public_facts(_Some(source, list(kinds)), kinds)
    except SchemaMismatch:
        pass
    found: dict[str, PublicFacts] = {}
    for name, kind in kinds.items():
        try:
            found |= public_facts(_Some(source, [name]), {name: kind})
        except SchemaMismatch:
            continue
    return found


_ORDERED: Mapping[str, Column] = {
    "integer": Integer(),
    "decimal": Decimal(),
    "date": Date(),
    "datetime": Datetime(),
}


def _can_be(kind: str, field: pa.Field) -> bool:
    return kind not in _ORDERED or can_read(_ORDERED[kind], field.type)


def _merged(one: PublicFacts, two: PublicFacts) -> PublicFacts:
    """What two tables hold; the first says of which type values are, and roughly where they lie."""
    values = None
    if one.values is not None and two.values is not None:
        together = {*one.values, *_alike(one.values, two.values)}
        values = tuple(sorted(together, key=lambda value: (type(value).__name__, value)))
        values = values if len(values) <= MAX_PUBLIC_VALUES else None
    low, high = _bounds(one, two)
    return PublicFacts(one.nulls or two.nulls, values, low, high, _finer(one, two))


def _alike(own: Sequence[Value], values: Sequence[Value]) -> list[Value]:
    """Values of another table, in the type that the column has in the first."""
    types = {type(value) for value in own}
    if types == {str}:
        return [value if isinstance(value, str) else _written(value) for value in values]
    return [value for value in values if type(value) in types or not types]


def _written(value: Value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _bounds(one: PublicFacts, two: PublicFacts) -> tuple[Any, Any]:
    """Bounds of both, at most one range of the first beyond the first's.

    A lattice that a single stray value has stretched would show no difference between other values.
    """
    low: Any = one.min
    high: Any = one.max
    ends: tuple[Any, Any] = (two.min, two.max)
    if low is None or ends[0] is None:
        return (low, high) if ends[0] is None else ends
    least, most = min(low, ends[0]), max(high, ends[1])
    if low == high:
        return least, most
    span = high - low
    return _at_least(least, low, span), _at_most(most, high, span)


def _at_least(value: Any, low: Any, span: Any) -> Any:
    try:
        return max(value, low - span)
    except OverflowError:  # no such date
        return value


def _at_most(value: Any, high: Any, span: Any) -> Any:
    try:
        return min(value, high + span)
    except OverflowError:
        return value


def _finer(one: PublicFacts, two: PublicFacts) -> float | str | None:
    """The finer of two resolutions; None where a table needs a finer one than can be had."""
    known = [facts.resolution for facts in (one, two) if facts.min is not None]
    if not known or None in known:
        return None
    steps = {step: RESOLUTIONS.get(str(step), step) for step in known}
    return min(known, key=lambda step: float(steps[step] or 0))
