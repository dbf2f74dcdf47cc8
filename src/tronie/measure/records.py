"""The private rows, as the curator reads them: streamed again at each pass, or kept when small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.measure.queries import Counts, Ints
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.schema.grid import TABLE_POINTS, Coding
from tronie.schema.schema import Schema
from tronie.tables.codec import encode
from tronie.tables.counting import count_keys, count_marginals
from tronie.tables.free_text import read_lines

if TYPE_CHECKING:
    from tronie.measure.comparisons import Overlaps
    from tronie.measure.discovery import RawQuery
    from tronie.tables.sources import Source

Codes: TypeAlias = NDArray[np.integer[Any]]

KEPT_BYTES = 2**28
"""Lattice indices up to this size are kept in memory between passes."""


class TextCoder(Protocol):
    """Writes texts as whole numbers, by public rules.

    It gets one text at a time and knows nothing of others, so the numbers of a row follow from that row.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of free text."""
        ...

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """For each column, how many different numbers can stand at each of its places."""
        ...

    def encode(self, column: str, text: str | None) -> Sequence[int]:
        """The numbers of a text, at most as many as the column has places; None is a missing text."""
        ...


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

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the columns of free text whose length is limited."""
        return tuple(self._schema.texts)

    def codes(
        self,
        columns: Sequence[str],
        codings: Mapping[str, Coding],
        texts: TextCoder | None = None,
    ) -> Codes:
        """All rows as codes, in one pass.

        Args:
            columns: The columns, in the order of the result.
            codings: Their codes.
            texts: Columns of free text that follow, and how they become numbers; a text that takes fewer
                numbers than there is room for is filled up with zeros.

        Returns:
            Codes of the smallest type that holds them, shape (rows, columns), each column of free text
            as many columns as it has places.

        Raises:
            SchemaMismatch: If a row of any modelled column does not fit the schema.
        """
        coders = [(column, _coder(codings[column])) for column in columns]
        sizes = [codings[column].size for column in columns]
        if texts is not None:
            sizes += [size for part in texts.sizes for size in part]
        kind = np.min_scalar_type(max(sizes))

        def coded(chunk: Mapping[str, Codes], *more: Codes) -> Codes:
            known = np.stack([coder(chunk[name]).astype(kind) for name, coder in coders], axis=1)
            return np.concatenate([known, *(part.astype(kind) for part in more)], axis=1)

        if texts is None:
            parts = [coded(chunk) for _, chunk in self._chunks()]
        else:
            parts = [coded(chunk, numbers) for _, chunk, numbers in self._read(texts)]
        return np.concatenate(parts) if parts else np.empty((0, len(sizes)), kind)

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
        for length, chunk, _ in self._read():
            room -= sum(codes.nbytes for codes in chunk.values())
            if chunks is not None and room >= 0:
                chunks.append((length, chunk))
            else:
                chunks = None
            yield length, chunk
        self._kept = chunks

    def _read(
        self, texts: TextCoder | None = None
    ) -> Iterator[tuple[int, dict[str, Codes], Codes]]:
        """Number of rows, lattice indices, and numbers of texts, all of the same rows."""
        columns = self._schema.modelled
        names = () if texts is None else texts.columns
        for batch in self._source.batches([*columns, *names]):
            points: dict[str, Codes] = {
                name: encode(name, column, batch.column(position))
                for position, (name, column) in enumerate(columns.items())
            }
            lines = [
                read_lines(self._schema.texts[name], batch.column(len(columns) + number))
                for number, name in enumerate(names)
            ]
            yield batch.num_rows, points, _numbers(texts, lines, batch.num_rows)


def _numbers(texts: TextCoder | None, lines: Sequence[Sequence[str | None]], rows: int) -> Codes:
    """Numbers of some rows' texts, shape (rows, places)."""
    if texts is None:
        return np.zeros((rows, 0), np.int64)
    numbers = np.zeros((rows, sum(map(len, texts.sizes))), np.int64)
    start = 0
    for name, sizes, column in zip(texts.columns, texts.sizes, lines, strict=True):
        for row, text in enumerate(column):
            found = texts.encode(name, text)[: len(sizes)]
            numbers[row, start : start + len(found)] = found
        start += len(sizes)
    return numbers


def _coder(coding: Coding) -> Callable[[Codes], Codes]:
    """A function from lattice indices to codes of the smallest type."""
    kind = np.min_scalar_type(coding.size - 1)
    if coding.grid.points > TABLE_POINTS:
        return lambda points: coding.code_of(points).astype(kind)
    table = coding.code_table().astype(kind)
    return lambda points: table[points]
