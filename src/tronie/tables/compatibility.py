"""Which Arrow types can hold which kinds of column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.errors import SchemaMismatch
from tronie.schema.columns import (
    Boolean,
    Category,
    Column,
    Date,
    Datetime,
    Decimal,
    Integer,
    Modelled,
    OpenCategory,
    Text,
    Value,
)
from tronie.schema.schema import Schema
from tronie.tables.arrays import dtype_of, is_text
from tronie.tables.lattice import span_of, steps_of
from tronie.tables.text import DAY

_INT64 = np.iinfo(np.int64)
_MANTISSA = {16: 11, 32: 24, 64: 53}
_WIDEST = 10**18
"""Decimals are written by way of 64-bit integers."""


def check_types(schema: Schema, arrow_schema: pa.Schema) -> None:
    """Check that a table can be what a schema says, before any row is read.

    Args:
        schema: The declared columns.
        arrow_schema: Names and types of the table's columns.

    Raises:
        SchemaMismatch: Naming all columns that the table lacks, that the schema lacks, or whose
            type cannot hold their kind. Names of the table's columns are left out if the schema
            knows none of them: they may be the first row of a file without a header.
    """
    there = dict(zip(arrow_schema.names, arrow_schema.types, strict=True))
    expected = schema.columns
    if not any(name in there for name in expected):
        raise SchemaMismatch(
            "the table has none of the schema's columns.",
            "Check that the schema is of this table, and that the table has a header.",
        )
    problems = _sentence("the table lacks {}", (n for n in expected if n not in there))
    problems += _sentence("the schema lacks {}", (n for n in there if n not in expected))
    for name, column in expected.items():
        if name in there and not can_read(column, there[name]):
            problems.append(f"{name!r} is of kind {column.kind}, but of type {there[name]}")
    if problems:
        raise SchemaMismatch(
            f"the table does not fit the schema: {'; '.join(problems)}.",
            "Declare every column of the table (as identifier or text, to leave it out), or "
            "change the table.",
        )


def output_type(column: Column, arrow_type: pa.DataType | None) -> pa.DataType:
    """The type of a synthetic column.

    Args:
        column: Its kind.
        arrow_type: The type of the real column; None if it is not known.

    Returns:
        The real column's type if it can hold every value of the kind, so that types come back as
        they went in; otherwise, and for numbers and dates that were text, as in CSV files, the
        natural type of the kind.
    """
    if isinstance(column, OpenCategory):
        value: Value = 0 if column.value_type == "integer" else ""
        label = column.other_label
        column = Category(values=(value,), other=label is not None, other_label=label)
    if not isinstance(column, Category | Boolean | Integer | Decimal | Date | Datetime):
        return pa.string()
    if arrow_type is None:
        return _natural(column)
    if pa.types.is_dictionary(arrow_type) and isinstance(column, Category):
        arrow_type = _wide_enough(arrow_type, len(labels_of(column)))
    return arrow_type if can_write(column, arrow_type) else _natural(column)


def labels_of(column: Category) -> tuple[Value, ...]:
    """What a category's values and its cell of others are written as."""
    label = column.other_label if column.other else None
    return column.values if label is None or label in column.values else (*column.values, label)


def can_read(column: Column, arrow_type: pa.DataType) -> bool:
    """Whether values of a type can be values of a kind at all."""
    is_ = pa.types
    if is_.is_dictionary(arrow_type):
        return can_read(column, arrow_type.value_type)
    if is_text(arrow_type) or is_.is_null(arrow_type):
        return True
    number = _is_number(arrow_type) or (is_.is_decimal(arrow_type) and arrow_type.bit_width <= 128)
    match column:
        case Category() | OpenCategory():
            return not _is_spoken(column) and (number or is_.is_boolean(arrow_type))
        case Boolean():
            return _is_number(arrow_type) or is_.is_boolean(arrow_type)
        case Integer() | Decimal():
            return number
        case _:
            written = isinstance(column, Text) and column.max_length is not None
            dated = isinstance(column, Date | Datetime)
            moments = is_.is_date(arrow_type) or is_.is_timestamp(arrow_type)
            return moments if dated else not written


def _is_spoken(column: Category | OpenCategory) -> bool:
    """Whether some of a category's values are text."""
    if isinstance(column, OpenCategory):
        return column.value_type == "string"
    return any(isinstance(value, str) for value in column.values)


def can_write(column: Modelled, arrow_type: pa.DataType) -> bool:
    """Whether a type can hold every point of a column's lattice."""
    match column:
        case Category():
            return _holds_labels(labels_of(column), arrow_type)
        case Boolean():
            return pa.types.is_boolean(arrow_type) or _is_number(arrow_type)
        case Integer():
            if not column.bounded:
                return _is_number(arrow_type) or _is_decimal(arrow_type)
            return _holds_whole(span_of(column), arrow_type)
        case Decimal():
            return _holds_decimal(column, arrow_type)
        case Date() | Datetime():
            return _holds_moments(column, arrow_type)


def _is_number(arrow_type: pa.DataType) -> bool:
    return pa.types.is_integer(arrow_type) or pa.types.is_floating(arrow_type)


def _is_decimal(arrow_type: pa.DataType) -> bool:
    return pa.types.is_decimal(arrow_type) and arrow_type.bit_width <= 128 and arrow_type.scale >= 0


def _holds_labels(labels: tuple[Value, ...], arrow_type: pa.DataType) -> bool:
    if pa.types.is_dictionary(arrow_type):
        fits = len(labels) <= _capacity(arrow_type)
        return fits and _holds_labels(labels, arrow_type.value_type)
    numbers = [label for label in labels if not isinstance(label, str)]
    if is_text(arrow_type) or len(numbers) < len(labels):
        return is_text(arrow_type) and (len(numbers) < len(labels) or not labels)
    if pa.types.is_boolean(arrow_type):
        return all(isinstance(number, bool) for number in numbers)
    if pa.types.is_integer(arrow_type):
        return all(x == int(x) and _holds_whole((int(x), int(x)), arrow_type) for x in numbers)
    return pa.types.is_floating(arrow_type)


def _holds_whole(span: tuple[int, int], arrow_type: pa.DataType) -> bool:
    """Whether all integers between two are exact in a type."""
    low, high = span
    largest = max(-low, high)
    if pa.types.is_integer(arrow_type):
        limits = np.iinfo(dtype_of(arrow_type))
        return bool(limits.min <= low and high <= limits.max)
    if pa.types.is_floating(arrow_type):
        return largest <= 2 ** _MANTISSA[arrow_type.bit_width]
    return _is_decimal(arrow_type) and largest < 10 ** (arrow_type.precision - arrow_type.scale)


def _holds_decimal(column: Decimal, arrow_type: pa.DataType) -> bool:
    if pa.types.is_floating(arrow_type):
        return True
    if not column.bounded:
        return _is_decimal(arrow_type)
    steps = steps_of(column)
    if pa.types.is_integer(arrow_type) and (steps is None or steps.scale):
        return False
    low, high = int(np.floor(column.min or 0)), int(np.ceil(column.max or 0))
    return max(-low, high) < _WIDEST and _holds_whole((low, high), arrow_type)


def _holds_moments(column: Date | Datetime, arrow_type: pa.DataType) -> bool:
    if not (pa.types.is_date(arrow_type) or pa.types.is_timestamp(arrow_type)):
        return False
    if not column.bounded:
        return True
    low, high = span_of(column)
    if pa.types.is_date(arrow_type):
        return isinstance(column, Date) or (column.resolution == "day" and low % DAY == 0)
    unit = DAY if isinstance(column, Date) else 1
    return arrow_type.unit != "ns" or max(-low, high) * unit <= _INT64.max // 1000


def _natural(column: Modelled) -> pa.DataType:
    match column:
        case Category():
            labels = labels_of(column)
            kinds: tuple[Any, ...] = (pa.string(), pa.bool_(), pa.int64(), pa.float64())
            return next(kind for kind in kinds if _holds_labels(labels, kind))
        case Boolean():
            return pa.bool_()
        case Integer():
            return pa.int64()
        case Decimal():
            return pa.float64()
        case Date():
            return pa.date32()
        case Datetime():
            return pa.timestamp("us")


def _capacity(arrow_type: pa.DataType) -> int:
    return int(np.iinfo(dtype_of(arrow_type.index_type)).max) + 1


def _wide_enough(arrow_type: pa.DataType, labels: int) -> pa.DataType:
    if labels <= _capacity(arrow_type):
        return arrow_type
    return pa.dictionary(pa.int32(), arrow_type.value_type, ordered=arrow_type.ordered)


def _sentence(pattern: str, names: Iterable[str]) -> list[str]:
    listed = ", ".join(map(repr, names))
    return [pattern.format(listed)] if listed else []
