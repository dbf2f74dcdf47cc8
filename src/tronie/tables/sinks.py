"""Where tables are written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
from pyarrow import csv, parquet

from tronie.errors import OutputError
from tronie.files import atomic_path, reserve
from tronie.tables.arrays import plain_text

Writer: TypeAlias = Callable[[pa.Table, Path], None]


def write_table(
    table: pa.Table,
    path: str | Path,
    *,
    metadata: Mapping[bytes, bytes] | None = None,
    mode: int | None = None,
) -> None:
    """Write a table to a file, which appears whole or not at all.

    Args:
        table: The rows.
        path: Where to; the suffix says how: ``.parquet``, ``.csv``, ``.arrow`` or ``.feather``.
            A file that is there already is replaced.
        metadata: What the file says of the table, if it can hold that; the table's own is left out.
        mode: Who may read the file; as the process's mask says when not given.

    Raises:
        OutputError: If the suffix is none of these, or the file cannot be written.
    """
    writer = _WRITERS.get(Path(path).suffix.lower())
    if writer is None:
        raise OutputError(
            f"{str(path)!r} could not be written: tables are not written to such files.",
            f"Choose a name that ends in {', '.join(_WRITERS)}.",
        )
    try:
        with atomic_path(path) as temporary:
            if mode is not None:
                reserve(temporary, mode)
            writer(_without_views(table).replace_schema_metadata(metadata), temporary)
    except pa.ArrowException:
        raise OutputError(
            f"{str(path)!r} could not be written: such a file cannot hold one of the table's types.",
            "Write a .parquet or .arrow file.",
        ) from None


def _without_views(table: pa.Table) -> pa.Table:
    """The same text in layouts that pyarrow can write to any file."""
    columns = [
        pa.chunked_array([_without_view(chunk) for chunk in column.chunks], _plain(column.type))
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _without_view(array: pa.Array) -> pa.Array:
    plain = _plain(array.type)
    if plain == array.type:
        return array
    if isinstance(array, pa.DictionaryArray):
        values = plain_text(array.dictionary)
        return pa.DictionaryArray.from_arrays(array.indices, values, ordered=array.type.ordered)
    return plain_text(array)


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain(kind.value_type), ordered=kind.ordered)
    return pa.large_string() if kind == pa.string_view() else kind


def _write_parquet(table: pa.Table, path: Path) -> None:
    parquet.write_table(table, path)


def _write_csv(table: pa.Table, path: Path) -> None:
    csv.write_csv(table, path)


def _write_arrow(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


def holds_metadata(path: Path) -> bool:
    """Whether the kind of a file lets it say anything of its table."""
    return path.suffix.lower() != ".csv"


_WRITERS: dict[str, Writer] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".arrow": _write_arrow,
    ".feather": _write_arrow,
}
