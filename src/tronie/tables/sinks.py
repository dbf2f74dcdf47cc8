"""Where tables are written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from tronie.errors import OutputError
from tronie.files import atomic_path
from tronie.tables.arrays import is_text

Writer: TypeAlias = Callable[[pa.Table, Path], None]


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table to a file, which appears whole or not at all.

    Args:
        table: The rows.
        path: Where to; the suffix says how: ``.parquet``, ``.csv``, ``.arrow`` or ``.feather``.
            A file that is there already is replaced.

    Raises:
        OutputError: If the suffix is none of these, or the file cannot be written.
    """
    writer = _WRITERS.get(Path(path).suffix.lower())
    if writer is None:
        raise OutputError(
            f"{str(path)!r} could not be written: tables are not written to such files.",
            f"Choose a name that ends in {', '.join(_WRITERS)}.",
        )
    with atomic_path(path) as temporary:
        writer(table, temporary)


def _write_parquet(table: pa.Table, path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(table, path)


def _write_csv(table: pa.Table, path: Path) -> None:
    from pyarrow import csv

    plain = [(field.name, _writable(field.type)) for field in table.schema]
    csv.write_csv(table.cast(pa.schema(plain)), path)


def _write_arrow(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


def _writable(kind: pa.DataType) -> pa.DataType:
    """The same text in a layout that pyarrow can write as CSV."""
    value_type = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if is_text(value_type) else kind


_WRITERS: dict[str, Writer] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".arrow": _write_arrow,
    ".feather": _write_arrow,
}
