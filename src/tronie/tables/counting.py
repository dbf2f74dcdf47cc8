"""Exact contingency tables in one pass over coded rows.

Counting d(d-1)/2 pairs of columns one by one reads each column d-1 times. Here columns are packed into
blocks whose joint domain stays small; each block is counted once per buffer of rows, and the tables that
were asked for are projections of the blocks' tables.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tronie.errors import DomainTooLarge, SchemaMismatch
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.tables.arrays import chunks_of, is_text, missing_of, plain_text, values_of
from tronie.tables.packing import BLOCK_CELLS, cover

Codes: TypeAlias = NDArray[np.integer[Any]]
Ints: TypeAlias = NDArray[np.int64]

MAX_CELLS = 2**26
"""Most cells of all tables together: 512 MiB of counts."""

BUFFER_ROWS = 2**18
"""Rows that are counted at a time, if they take up at most `BUFFER_BYTES`."""

BUFFER_BYTES = 2**25
"""Most memory of the rows that are counted at a time."""

_SPARSE = 4
"""A table with so many times more cells than there are rows is not gone through as a whole."""


def require_countable(sizes: Mapping[str, int], cliques: Iterable[Clique]) -> None:
    """Check that contingency tables fit in memory, before anything is counted.

    Args:
        sizes: Number of codes of each column.
        cliques: Columns of each table.

    Raises:
        DomainTooLarge: If the distinct tables have more than `MAX_CELLS` cells together.
    """
    cells = {clique: math.prod(sizes[column] for column in clique) for clique in cliques}
    if sum(cells.values()) > MAX_CELLS:
        largest = max(cells, key=lambda clique: cells[clique])
        raise DomainTooLarge(
            f"counting would take {sum(cells.values()):,} cells, {cells[largest]:,} of them for "
            f"the columns {', '.join(map(repr, largest))}; at most {MAX_CELLS:,} fit.",
            "Count fewer or smaller tables, or make the columns coarser.",
        )


def count_marginals(
    chunks: Iterable[Mapping[str, Codes]], sizes: Mapping[str, int], cliques: Sequence[Clique]
) -> dict[Clique, Ints]:
    """Count rows by the codes of some columns, for several sets of columns at once.

    Memory does not grow with the number of rows, and chunks are read once.

    Args:
        chunks: Parts of the table: column -> codes from 0 to its size - 1, of any integer type.
        sizes: Number of codes of each column.
        cliques: Columns of each table. That of ``()`` is the number of rows, shape ().

    Returns:
        Clique -> counts, the axes in the clique's order.

    Raises:
        DomainTooLarge: If the tables would not fit in memory; no chunk was read.
        SchemaMismatch: If a code is not below its column's size.

    >>> chunk = {"sex": np.array([0, 1, 1]), "age": np.array([2, 0, 0])}
    >>> count_marginals([chunk], {"sex": 2, "age": 3}, [("sex", "age")])["sex", "age"].tolist()
    [[0, 0, 1], [2, 0, 0]]
    """
    wanted = list(dict.fromkeys(cliques))
    require_countable(sizes, wanted)
    blocks = [_Block.of(columns, sizes) for columns in cover(sizes, wanted)]
    rows = 0
    for buffer in _buffers(chunks, sizes, {column for block in blocks for column in block.columns}):
        rows += buffer.rows
        for block in blocks:
            block.add(buffer)
    rows_table = np.array(rows, np.int64)
    holders = _holders(blocks)
    return {
        clique: _project(blocks, holders, clique) if clique else rows_table for clique in wanted
    }


def count_keys(arrays: Iterable[pa.Array | pa.ChunkedArray]) -> Mapping[Value, int]:
    """Count each distinct value of a column; missing values and NaN are left out.

    Args:
        arrays: Parts of the column: text, numbers or booleans, or dictionaries of such.

    >>> count_keys([pa.array(["b", "a", None]), pa.array(["b"])])
    Counter({'b': 2, 'a': 1})
    """
    total: Counter[Value] = Counter()
    for array in arrays:
        for chunk in chunks_of(array):
            total.update(_key_counts(chunk))
    return total


@dataclass(slots=True, eq=False)
class _Buffer:
    """Codes of some rows, at most `capacity` of them; those of small columns in 16 bits."""

    sizes: Mapping[str, int]
    columns: dict[str, Codes]
    capacity: int
    rows: int = 0
    _scratch: dict[np.dtype[Any], Codes] = field(default_factory=dict[np.dtype[Any], Codes])

    @classmethod
    def of(cls, sizes: Mapping[str, int]) -> _Buffer:
        dtypes = {column: _code_type(size) for column, size in sizes.items()}
        row_bytes = sum(dtype.itemsize for dtype in dtypes.values()) + 1
        capacity = min(BUFFER_ROWS, max(1024, BUFFER_BYTES // row_bytes))
        columns = {column: np.empty(capacity, dtype) for column, dtype in dtypes.items()}
        return cls(sizes, columns, capacity)

    def fill(self, chunk: Mapping[str, Codes], start: int) -> int:
        """Take in rows of a chunk from `start` on, as many as there is room for."""
        stop = min(start + self.capacity - self.rows, _rows(chunk))
        for column, codes in self.columns.items():
            codes[self.rows : self.rows + stop - start] = chunk[column][start:stop]
        self.rows += stop - start
        return stop

    def joint(self, columns: Clique, cells: int) -> Codes:
        """Row-major codes of several columns together, shape (rows,)."""
        dtype = _code_type(cells)
        if len(columns) == 1:
            return self.columns[columns[0]][: self.rows]
        out = self._scratch.setdefault(dtype, np.empty(self.capacity, dtype))[: self.rows]
        out[:] = self.columns[columns[0]][: self.rows]
        for column in columns[1:]:
            np.multiply(out, self.sizes[column], out=out)
            np.add(out, self.columns[column][: self.rows], out=out)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """The contingency table of columns that are counted together."""

    columns: Clique
    shape: tuple[int, ...]
    counts: Ints

    @classmethod
    def of(cls, columns: Clique, sizes: Mapping[str, int]) -> _Block:
        shape = tuple(sizes[column] for column in columns)
        return cls(columns, shape, np.zeros(math.prod(shape), np.int64))

    def add(self, buffer: _Buffer) -> None:
        """Count a buffer's rows."""
        cells = len(self.counts)
        codes = buffer.joint(self.columns, cells)
        if cells > _SPARSE * buffer.rows:
            np.add.at(self.counts, codes, 1)
        else:
            self.counts.__iadd__(np.bincount(codes, minlength=cells))

    def project(self, clique: Clique) -> Ints:
        """The table of some of the columns, in the given order."""
        summed = tuple(i for i, column in enumerate(self.columns) if column not in clique)
        kept = [column for column in self.columns if column in clique]
        table = self.counts.reshape(self.shape).sum(axis=summed)
        return np.ascontiguousarray(table.transpose([kept.index(column) for column in clique]))


def _holders(blocks: Sequence[_Block]) -> dict[str, set[int]]:
    """Column -> the blocks that hold it."""
    holders: dict[str, set[int]] = {}
    for i, block in enumerate(blocks):
        for column in block.columns:
            holders.setdefault(column, set()).add(i)
    return holders


def _project(blocks: Sequence[_Block], holders: Mapping[str, set[int]], clique: Clique) -> Ints:
    """A table from the smallest block that holds it."""
    first, *others = (holders[column] for column in clique)
    holding = sorted(first.intersection(*others))
    return min((blocks[i] for i in holding), key=lambda b: len(b.counts)).project(clique)


def _buffers(
    chunks: Iterable[Mapping[str, Codes]], sizes: Mapping[str, int], columns: Iterable[str]
) -> Iterator[_Buffer]:
    """The table's rows, one full buffer at a time; each is overwritten by the next."""
    buffer = _Buffer.of({column: sizes[column] for column in columns})
    for chunk in chunks:
        for column in buffer.columns:
            _require_codes(column, chunk[column], sizes[column])
        done = 0
        while done < _rows(chunk):
            done = buffer.fill(chunk, done)
            if buffer.rows == buffer.capacity:
                yield buffer
                buffer.rows = 0
    if buffer.rows:
        yield buffer


def _rows(chunk: Mapping[str, Codes]) -> int:
    return len(next(iter(chunk.values()))) if chunk else 0


def _code_type(size: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if size <= BLOCK_CELLS else np.int64)


def _require_codes(column: str, codes: Codes, size: int) -> None:
    """Refuse codes that would be counted in a wrong cell; a negative one is a huge unsigned one."""
    unsigned = codes.view(f"u{codes.itemsize}")
    if len(codes) and int(unsigned.max()) >= size:
        raise SchemaMismatch(
            f"column {column!r} was coded beyond its {size} cells.",
            "This is a fault in tronie; please report it.",
        )


def _key_counts(array: pa.Array) -> dict[Value, int]:
    if is_text(array.type):
        array = plain_text(array)
    if not isinstance(array, pa.DictionaryArray):
        array = array.dictionary_encode()
    distinct = array.dictionary
    distinct = plain_text(distinct) if is_text(distinct.type) else distinct
    present = values_of(array.indices)[~missing_of(array.indices)]
    counts = np.bincount(present.astype(np.int64), minlength=len(distinct)).tolist()
    keys = zip(map(_value, distinct.to_pylist()), counts, strict=True)
    found: Counter[Value] = Counter()
    for key, count in keys:
        if count and key is not None and not (isinstance(key, float) and math.isnan(key)):
            found[key] += count
    return found


def _value(key: Any) -> Value | None:
    """A key as a category lists it."""
    if isinstance(key, Decimal):
        return int(key) if key == key.to_integral_value() else float(key)
    return key
