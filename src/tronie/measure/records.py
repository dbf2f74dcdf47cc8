"""The private rows, as the curator reads them: streamed again at each pass, or kept when small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.measure.queries import Counts, Ints
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.schema.grid import TABLE_POINTS, Coding
from tronie.schema.schema import Schema
from tronie.tables.codec import encode
from tronie.tables.counting import count_keys, count_marginals

if TYPE_CHECKING:
    from tronie.measure.comparisons import Overlaps
    from tronie.measure.discovery import RawQuery
    from tronie.tables.sources import Source

Codes: TypeAlias = NDArray[np.integer[Any]]

KEPT_BYTES = 2**28
"""Lattice indices up to this size are kept in memory between passes."""


class Records:
    """Private rows of a table, read through a schema.

    Args:
        source: Where the rows are.
        schema: What is known about the columns.
    """

    def __init__(self, source: Source, schema: Schema) -> None:
        self._source = source
        self._schema = schema
        self._kept: list[tuple[int, dict[str, Codes]]] | None = None

    def under(self, schema: Schema) -> Records:
        """The same rows, read through another schema."""
        return Records(self._source, schema)

    def count(self, cliques: Sequence[Clique], codings: Mapping[str, Coding]) -> Counts:
        """Exact contingency tables, in one pass; that of ``()`` is the number of rows.

        Raises:
            SchemaMismatch: If a row of any modelled column does not fit the schema.
        """
        columns = dict.fromkeys(column for clique in cliques for column in clique)
        coders = {column: _coder(codings[column]) for column in columns}
        sizes = {column: codings[column].size for column in columns}
        rows = 0

        def chunks() -> Iterator[dict[str, Codes]]:
            nonlocal rows
            for length, chunk in self._chunks():
                rows += length
                yield {column: coder(chunk[column]) for column, coder in coders.items()}

        tables = count_marginals(chunks(), sizes, [clique for clique in cliques if clique])
        return {**tables, (): np.array(rows, np.int64)}

    def validate(self) -> None:
        """Read all columns whose domain is known.

        Raises:
            SchemaMismatch: If a row does not fit the schema.
        """
        for _ in self._chunks():
            pass

    def key_counts(self, column: str) -> Mapping[Value, int]:
        """Exact count of each value of a column without a declared domain."""
        return count_keys(batch.column(0) for batch in self._source.batches([column]))

    def tally(self, queries: Sequence[RawQuery]) -> list[Ints]:
        """Exact answers of queries on raw values, in one pass."""
        columns = list(dict.fromkeys(query.column for query in queries))
        totals = [np.zeros(query.size, np.int64) for query in queries]
        for batch in self._source.batches(columns):
            for total, query in zip(totals, queries, strict=True):
                total += query.exact(batch.column(columns.index(query.column)))
        return totals

    def codes(self, columns: Sequence[str], codings: Mapping[str, Coding]) -> Codes:
        """All rows as codes, in one pass.

        Returns:
            Codes of the smallest type that holds them, shape (rows, columns).

        Raises:
            SchemaMismatch: If a row of any modelled column does not fit the schema.
        """
        coders = [(column, _coder(codings[column])) for column in columns]
        kind = np.min_scalar_type(max(codings[column].size for column in columns))
        parts = [
            np.stack([coder(chunk[column]).astype(kind) for column, coder in coders], axis=1)
            for _, chunk in self._chunks()
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(coders)), kind)

    def overlap(self, query: Overlaps) -> Ints:
        """Exact answer of a query that goes through rows one by one, in one pass.

        Raises:
            SchemaMismatch: If a row does not fit the schema.
        """
        return query.exact(chunk for _, chunk in self._chunks())

    def _chunks(self) -> Iterator[tuple[int, dict[str, Codes]]]:
        """Number of rows and lattice indices of each chunk."""
        if self._kept is not None:
            yield from self._kept
            return
        chunks: list[tuple[int, dict[str, Codes]]] | None = []
        room = KEPT_BYTES
        for length, chunk in self._read():
            room -= sum(codes.nbytes for codes in chunk.values())
            if chunks is not None and room >= 0:
                chunks.append((length, chunk))
            else:
                chunks = None
            yield length, chunk
        self._kept = chunks

    def _read(self) -> Iterator[tuple[int, dict[str, Codes]]]:
        columns = self._schema.modelled
        for batch in self._source.batches(list(columns)):
            yield (
                batch.num_rows,
                {
                    name: encode(name, column, batch.column(position))
                    for position, (name, column) in enumerate(columns.items())
                },
            )


def _coder(coding: Coding) -> Callable[[Codes], Codes]:
    """A function from lattice indices to codes of the smallest type."""
    kind = np.min_scalar_type(coding.size - 1)
    if coding.grid.points > TABLE_POINTS:
        return lambda points: coding.code_of(points).astype(kind)
    table = coding.code_table().astype(kind)
    return lambda points: table[points]
