"""A real and several synthetic tables, read once and coded alike. INTERNAL: it reads real rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tronie.errors import InputError, SchemaMismatch
from tronie.schema.columns import (
    Category,
    Date,
    Datetime,
    Decimal,
    Integer,
    Listed,
    Modelled,
    is_nominal,
)
from tronie.schema.grid import Coding, Grid, Ints
from tronie.schema.schema import Schema
from tronie.tables import reading
from tronie.tables.codec import encode
from tronie.tables.sources import open_source

BINS = 16
"""Codes of about equal mass that an ordered column is cut into, besides those of heavy values."""

MOST_VALUES = 32
"""Codes of a nominal column, besides that of missing values."""

Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """One table.

    Attributes:
        points: Column -> lattice indices, shape (rows,); see `tronie.schema.points`. A value outside
            the domain has the index of a missing one.
        codes: Column -> codes, shape (rows,): bins of ordered columns, values of others. A value
            outside the domain has a code of its own, which no real row has.
        rows: Number of rows.
        invalid: Column -> share of rows whose value is outside the domain, for columns with such.
    """

    points: Mapping[str, Ints]
    codes: Mapping[str, Ints]
    rows: int
    invalid: Mapping[str, float] = field(default_factory=dict[str, float])

    def take(self, index: Ints) -> Coded:
        """Some of its rows; `invalid` stays that of the whole table."""
        points = {name: values[index] for name, values in self.points.items()}
        codes = {name: values[index] for name, values in self.codes.items()}
        return Coded(points, codes, len(index), self.invalid)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A real table and synthetic ones, in the same codes.

    The codes rest on the schema and the synthetic rows only, so that a private release of a score uses
    the same ones.

    Attributes:
        schema: What the columns are, nothing unknown.
        codings: Column -> its codes, that of values outside the domain not included.
        real: The private rows.
        synthetic: Name -> a synthetic table.
        holdout: Real rows that no synthetic table was made from, if there are any.
    """

    schema: Schema
    codings: Mapping[str, Coding]
    real: Coded
    synthetic: Mapping[str, Coded]
    holdout: Coded | None = None

    @property
    def columns(self) -> dict[str, Modelled]:
        """The compared columns."""
        return {name: self.schema.lattices[name] for name in self.codings}

    @property
    def sizes(self) -> dict[str, int]:
        """Column -> number of codes; one more where a synthetic table holds invalid values."""
        return sizes_of(self.codings, list(self.synthetic.values()))


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """A table's lattice indices.

    Attributes:
        indices: Column -> lattice indices, shape (rows,), that of a missing value where the value is
            outside the domain.
        invalid: Column -> where values are outside the domain, shape (rows,); only for columns that
            hold such values.
    """

    indices: Mapping[str, Ints]
    invalid: Mapping[str, Bools] = field(default_factory=dict[str, Bools])

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.indices.values())))


def read_tables(
    real: Any, synthetic: Mapping[str, Any], schema: Schema, holdout: Any | None = None
) -> Tables:
    """Read tables and code them alike.

    Values of synthetic tables that lie outside the domain are kept as a mismatch, whatever they are:
    other people's synthesizers know nothing of the schema. Real rows have to fit it.

    Args:
        real: The private table, as for `tronie.fit`.
        synthetic: Name -> synthetic table.
        schema: What the columns are; columns without a known domain are passed over.
        holdout: Real rows that no synthetic table was made from.

    Raises:
        SchemaMismatch: If a table lacks a column, or real rows hold values outside their domain.
        InputError: If there is no synthetic table, no column to compare, or a table without rows.
    """
    if not synthetic:
        raise InputError("no synthetic table was given.", "Give at least one.")
    columns = schema.lattices
    if not columns:
        raise InputError(
            "the schema has no column with a known domain.", "Declare values or bounds of columns."
        )
    found = {name: read_synthetic(table, columns) for name, table in synthetic.items()}
    for name, points in found.items():
        if not points.rows:
            raise InputError(f"the synthetic table {name!r} has no rows.", "Give one that has.")
    codings = codings_of(columns, list(found.values()))
    return Tables(
        schema,
        codings,
        _coded_rows("real table", real, codings, columns),
        {name: code(points, codings) for name, points in found.items()},
        None if holdout is None else _coded_rows("holdout", holdout, codings, columns),
    )


def read_points(table: Any, columns: Mapping[str, Modelled]) -> Points:
    """Lattice indices of a real table's columns.

    Raises:
        SchemaMismatch: If the table lacks a column, or holds values outside its domain.
    """
    parts: dict[str, list[Ints]] = {name: [np.empty(0, np.int64)] for name in columns}
    for name, array in _arrays(table, columns):
        parts[name].append(encode(name, columns[name], array).astype(np.int64))
    return Points({name: np.concatenate(found) for name, found in parts.items()})


def read_synthetic(table: Any, columns: Mapping[str, Modelled]) -> Points:
    """Lattice indices of a synthetic table's columns, and where its values are outside the domain.

    Raises:
        SchemaMismatch: If the table lacks a column.
    """
    parts: dict[str, list[Ints]] = {name: [np.empty(0, np.int64)] for name in columns}
    flags: dict[str, list[Bools]] = {name: [np.empty(0, np.bool_)] for name in columns}
    for name, array in _arrays(table, columns):
        points, invalid = _placed(name, columns[name], array)
        parts[name].append(points)
        flags[name].append(invalid)
    marked = {name: np.concatenate(found) for name, found in flags.items()}
    return Points(
        {name: np.concatenate(found) for name, found in parts.items()},
        {name: invalid for name, invalid in marked.items() if invalid.any()},
    )


def codings_of(columns: Mapping[str, Modelled], synthetic: Sequence[Points]) -> dict[str, Coding]:
    """Codes of each column, from the schema and synthetic rows only."""
    return {
        name: coding_of(column, np.concatenate([table.indices[name] for table in synthetic]))
        for name, column in columns.items()
    }


def coding_of(column: Modelled, points: Ints) -> Coding:
    """Codes of a column, such that no code holds much of the synthetic rows unless it is one value.

    So a synthetic table cannot hide a difference in a code of its own making.

    Args:
        column: Its kind and domain.
        points: Lattice indices of all synthetic rows, shape (rows,).

    >>> coding_of(
    ...     Integer(min=0, max=99, nullable=False), np.zeros(10, np.int64)
    ... ).grid.edges.tolist()
    [0, 1, 100]
    """
    if isinstance(column, Listed) and is_nominal(column):
        return _adaptive(column, points)
    present = points[points < column.points]
    other = isinstance(column, Category) and column.other
    grid = Grid(np.array([0, column.points], np.int64), other=other, null=column.nullable)
    if len(present):
        cuts = np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1])
        values, counts = np.unique(present, return_counts=True)
        heavy = values[counts * BINS >= len(present)]
        grid = grid.split_at([*np.ceil(cuts).astype(np.int64).tolist(), *heavy, *(heavy + 1)])
    return Coding.identity(grid)


def code(table: Points, codings: Mapping[str, Coding]) -> Coded:
    """A table in codes; values outside the domain get one code beyond the others."""
    codes = {name: coding.code_of(table.indices[name]) for name, coding in codings.items()}
    for name, invalid in table.invalid.items():
        codes[name] = np.where(invalid, codings[name].size, codes[name])
    shares = {name: float(invalid.mean()) for name, invalid in table.invalid.items()}
    return Coded(table.indices, codes, table.rows, shares)


def sizes_of(codings: Mapping[str, Coding], synthetic: Sequence[Coded]) -> dict[str, int]:
    """Column -> number of codes; one more where a synthetic table holds invalid values."""
    return {
        name: coding.size + any(name in table.invalid for table in synthetic)
        for name, coding in codings.items()
    }


def _coded_rows(
    what: str, table: Any, codings: Mapping[str, Coding], columns: Mapping[str, Modelled]
) -> Coded:
    points = read_points(table, columns)
    if not points.rows:
        raise InputError(f"the {what} has no rows.", "Give one that has.")
    return code(points, codings)


def _arrays(table: Any, columns: Mapping[str, Modelled]) -> Iterator[tuple[str, pa.Array]]:
    """Name and values of each column, batch by batch."""
    source = open_source(table)
    missing = [name for name in columns if name not in source.schema.names]
    if missing:
        raise SchemaMismatch(
            f"a table lacks the column {missing[0]!r}.",
            "Compare tables that have the schema's columns.",
        )
    for batch in source.batches(list(columns)):
        for place, name in enumerate(columns):
            yield name, batch.column(place)


def _placed(name: str, column: Modelled, array: pa.Array) -> tuple[Ints, Bools]:
    """Lattice indices of synthetic values, and where they are outside the domain."""
    try:
        return encode(name, column, array).astype(np.int64), np.zeros(len(array), np.bool_)
    except SchemaMismatch:
        pass
    try:
        return _marked(name, column, array)
    except SchemaMismatch:  # a type that cannot hold the kind
        return _marked(name, column, _as_text(array))


def _marked(name: str, column: Modelled, array: pa.Array) -> tuple[Ints, Bools]:
    """The same, with what the schema forbids marked instead of refused."""
    null = column.points + 1
    if isinstance(column, Listed):
        listed = Category(values=column.values, other=True)
        points = encode(name, listed, array).astype(np.int64)
        invalid = points == column.points
        if isinstance(column, Category) and (column.other or column.outside == "missing"):
            invalid[:] = False
            points = encode(name, column.model_copy(update={"nullable": True}), array)
    else:
        allowed: dict[str, Any] = {"nullable": True}
        if column.outside == "error":
            allowed["outside"] = "missing"
        points = encode(name, column.model_copy(update=allowed), array).astype(np.int64)
        invalid = (points == null) & ~_missing(column, array)
    if not column.nullable:
        invalid = invalid | (points == null)
    return np.where(invalid, null, points).astype(np.int64), invalid


def _missing(column: Integer | Decimal | Date | Datetime, array: pa.Array) -> Bools:
    """Where nothing is said, as the codec sees it."""
    if isinstance(column, Date | Datetime):
        return reading.moments(array).missing
    if isinstance(column, Decimal):
        return reading.numbers(array).missing
    return reading.integers(array).missing


def _as_text(array: pa.Array) -> pa.Array:
    """Values as text, which every kind can be read from; of lists and the like, that they are there."""
    try:
        return pc.cast(array, pa.large_string())
    except pa.ArrowNotImplementedError:
        return pc.if_else(array.is_null(), pa.scalar(None, pa.large_string()), "(not a value)")


def _adaptive(column: Listed, points: Ints) -> Coding:
    """Frequent values on their own; rare ones in groups, each of about the mass that is left for it."""
    grid = Grid.of(column, column.points)
    if grid.size <= MOST_VALUES:
        return Coding.identity(grid)
    found = grid.cell_of(points)
    counts = np.bincount(found[found >= 0], minlength=grid.size)
    cells = grid.size - grid.null
    groups = np.zeros(grid.size, np.int64)
    left, mass, group = int(counts[:cells].sum()), 0, 0
    for cell in np.argsort(-counts[:cells], kind="stable"):
        groups[cell] = group
        mass += int(counts[cell])
        if group < MOST_VALUES - 1 and mass * (MOST_VALUES - group) >= left:
            left, mass, group = left - mass, 0, group + 1
    groups[cells:] = int(groups[:cells].max()) + 1
    return Coding(grid, groups, np.ones(grid.size))
