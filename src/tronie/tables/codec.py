"""Raw values to lattice indices, and back; deterministic both ways.

Indices follow `tronie.schema.grid`: ``0 .. points - 1`` for the lattice, ``points`` for a value that a
discovered list does not hold, ``points + 1`` for a missing one. Each value is encoded by itself: what
becomes of one row never depends on another.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tronie.errors import SchemaMismatch
from tronie.schema.columns import (
    Boolean,
    Category,
    Date,
    Datetime,
    Decimal,
    Integer,
    Listed,
    Ordered,
)
from tronie.tables import reading
from tronie.tables.arrays import Bools, chunks_of
from tronie.tables.compatibility import (
    can_read,
    can_write,
    check_types,
    labels_of,
    output_type,
)
from tronie.tables.lattice import since_epoch, span_of, steps_of
from tronie.tables.lookup import look_up
from tronie.tables.text import DAY, Reading
from tronie.tables.writing import (
    write_floats,
    write_labels,
    write_moments,
    write_numbers,
    write_scaled,
)

__all__ = ["check_types", "decode", "encode", "numbers", "output_type"]

Indices: TypeAlias = NDArray[np.int32 | np.int64]
Ints: TypeAlias = NDArray[np.int64]


def encode(name: str, column: Listed | Ordered, array: pa.Array | pa.ChunkedArray) -> Indices:
    """Lattice index of each value.

    Text is read as what the column's kind says, blanks and ``nan`` as missing. A number between two
    points of a decimal's lattice goes to the nearer one; a moment goes to the last point before it.
    Moments with a time zone are moved to UTC.

    Args:
        name: The column's name, for errors.
        column: Its kind and domain.
        array: Its values; NaN is a missing value.

    Returns:
        Shape (rows,), int32 where that is wide enough, otherwise int64.

    Raises:
        SchemaMismatch: If the array's type cannot hold the kind, if values lie outside the domain and
            the column's policy is `error`, or if values are missing (or unreadable, where they should
            be clipped) in a column that is not nullable. No value is named or counted.
        SchemaError: If an ordered column has no bounds.

    Edge cases:
        Infinities are clipped to a bound. `outside: clip` moves a fraction in an integer column to
        the nearest integer, and makes what cannot be read at all missing.

    >>> column = Integer(min=17, max=90)
    >>> encode("age", column, pa.array([17, 95, None])).tolist()
    [0, 73, 75]
    """
    _require_fit(name, column, array.type)
    dtype = np.int32 if column.points + 1 <= np.iinfo(np.int32).max else np.int64
    parts = [_settle(name, column, _place(column, chunk)) for chunk in chunks_of(array)]
    return np.concatenate([np.empty(0, dtype), *(part.astype(dtype) for part in parts)])


def decode(
    column: Listed | Ordered, indices: NDArray[np.integer], arrow_type: pa.DataType
) -> pa.Array:
    """Values of lattice indices.

    Args:
        column: Kind and domain.
        indices: Shape (rows,). The index of others becomes `other_label`, or a missing value.
        arrow_type: The type of the result, as `output_type` gives it.

    Returns:
        An array of exactly that type. Floats of a decimal are the doubles nearest to the decimal
        numbers; nothing lies outside the declared bounds.

    Raises:
        SchemaMismatch: If the type cannot hold the column's domain.

    >>> decode(Decimal(min=0, max=1, resolution=0.01), np.array([7, 102]), pa.float64()).to_pylist()
    [0.07, None]
    """
    if not can_write(column, arrow_type):
        raise SchemaMismatch(
            f"a column of kind {column.kind} with this domain cannot be written as {arrow_type}.",
            "Choose the type that `output_type` gives.",
        )
    missing = indices >= column.points
    at = np.where(missing, 0, indices).astype(np.int64)
    match column:
        case Category():
            return write_labels(labels_of(column), _label_at(column, indices), arrow_type)
        case Boolean():
            return write_numbers(at == 1, arrow_type, missing)
        case Integer():
            return write_scaled(span_of(column)[0] + at, 0, arrow_type, missing)
        case Decimal():
            return _decode_decimal(column, at, arrow_type, missing)
        case Date():
            return write_moments((span_of(column)[0] + at) * DAY, arrow_type, missing)
        case Datetime():
            return write_moments(span_of(column)[0] + at * column.step, arrow_type, missing)


def numbers(
    column: Ordered, array: pa.Array | pa.ChunkedArray, origin: dt.datetime
) -> NDArray[np.float64]:
    """Values of an ordered column as numbers, whatever its bounds.

    Args:
        column: Its kind.
        array: Its values.
        origin: From when dates are counted, in days, and datetimes, in microseconds.

    Returns:
        Shape (rows,); NaN where values are missing or unreadable.
    """
    return np.concatenate(
        [np.empty(0), *(_numbers(column, chunk, origin) for chunk in chunks_of(array))]
    )


def _numbers(column: Ordered, array: pa.Array, origin: dt.datetime) -> NDArray[np.float64]:
    if isinstance(column, Date):
        read, start = reading.days(array), since_epoch(origin) // DAY
    elif isinstance(column, Datetime):
        read, start = reading.moments(array), since_epoch(origin)
    else:
        read, start = reading.numbers(array), 0
    values = (read.values - start).astype(np.float64)
    return np.where(read.missing | read.unreadable, np.nan, values)


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Where values fall; all of shape (rows,).

    Attributes:
        index: Nearest lattice point; anything where missing or lost.
        missing: Where values are missing.
        outside: Where values are not in the domain.
        lost: Where they are not, and no point is near.
    """

    index: Ints
    missing: Bools
    outside: Bools
    lost: Bools


def _place(column: Listed | Ordered, array: pa.Array) -> _Placed:
    match column:
        case Category():
            found = look_up(column.values, array)
            return _Placed(found.values, found.missing, found.unreadable, found.unreadable)
        case Boolean():
            truth = reading.truths(array)
            index = truth.values.astype(np.int64)
            return _Placed(index, truth.missing, truth.unreadable, truth.unreadable)
        case Integer():
            return _on_span(reading.integers(array), span_of(column), 1)
        case Decimal():
            return _on_steps(reading.numbers(array), column)
        case Date():
            return _on_span(reading.days(array), span_of(column), 1)
        case Datetime():
            return _on_span(reading.moments(array), span_of(column), column.step)


def _on_span(read: Reading, span: tuple[int, int], step: int) -> _Placed:
    """Place integers on every `step`-th integer between two."""
    low, high = span
    index = (np.clip(read.values, low, high) - low) // step
    outside = (read.values < low) | (read.values > high) | read.inexact
    return _Placed(index, read.missing, *_known(read, outside))


def _on_steps(read: Reading, column: Decimal) -> _Placed:
    """Place numbers on the points of a decimal's lattice."""
    low, high = np.array([column.min, column.max], np.float64)
    values = np.where(read.missing, low, read.values.astype(np.float64))
    with np.errstate(over="ignore"):
        narrow = read.values.dtype.type if read.values.dtype.kind == "f" else np.float64
        outside = (read.values < narrow(low)) | (read.values > narrow(high))
    index = np.rint((np.clip(values, low, high) - low) / column.step)
    index = np.minimum(index, column.points - 1).astype(np.int64)
    return _Placed(index, read.missing, *_known(read, outside))


def _known(read: Reading, outside: Bools) -> tuple[Bools, Bools]:
    """Which values are outside, and which of these have no nearest point."""
    return (outside & ~read.missing) | read.unreadable, read.unreadable


def _settle(name: str, column: Listed | Ordered, placed: _Placed) -> Ints:
    """Apply the policies for outside and missing values."""
    index, missing = placed.index, placed.missing
    policy = "error" if isinstance(column, Boolean) else column.outside
    if isinstance(column, Category) and column.other:
        index = np.where(placed.outside, column.points, index)
    elif policy != "error":
        missing = missing | (placed.lost if policy == "clip" else placed.outside)
    elif placed.outside.any():
        raise _outside_error(name, column)
    if missing.any() and not column.nullable:
        raise SchemaMismatch(
            f"column {name!r} holds missing or unreadable values, but is declared not nullable "
            "(which and how many is private).",
            "Set `nullable: true` in the schema, or fill them in before.",
        )
    return np.where(missing, column.points + 1, index)


def _outside_error(name: str, column: Listed | Ordered) -> SchemaMismatch:
    match column:
        case Category():
            remedy = "List all values in the schema, or set `outside: missing`."
        case Boolean():
            remedy = "Declare it as a category that lists its values."
        case _:
            remedy = "Widen the bounds in the schema, or set `outside` to `clip` or `missing`."
    return SchemaMismatch(
        f"column {name!r} holds values outside its declared domain (which and how many is private).",
        remedy,
    )


def _require_fit(name: str, column: Listed | Ordered, arrow_type: pa.DataType) -> None:
    """Refuse a type that cannot hold the column's kind."""
    if not can_read(column, arrow_type):
        raise SchemaMismatch(
            f"column {name!r} is declared as {column.kind}, but is of type {arrow_type}.",
            "Declare another kind, or change the column's type.",
        )


def _label_at(column: Category, indices: NDArray[np.integer]) -> Ints:
    """Position of each row's label; -1 where it is missing."""
    label = column.other_label if column.other else None
    other = -1 if label is None else labels_of(column).index(label)
    positions = np.append(np.arange(column.points), [other, -1])
    return positions[indices]


def _decode_decimal(column: Decimal, at: Ints, arrow_type: pa.DataType, missing: Bools) -> pa.Array:
    steps = steps_of(column)
    if steps is not None:
        values = np.minimum(steps.first + at * steps.step, steps.last)
        return write_scaled(values, steps.scale, arrow_type, missing)
    low, high = np.array([column.min, column.max], np.float64)
    values = np.minimum(low + at * column.step, high)
    return write_floats(values, float(max(-low, high)), arrow_type, missing)
