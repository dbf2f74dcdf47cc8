"""The stamp of rows that are not private: in a table's metadata, and beside files that hold none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyarrow import parquet

from tronie.errors import OutputError
from tronie.files import NOT_PRIVATE, PRIVATE_MODE, atomic_write

KEY = b"tronie.dp"
"""Key of a table's metadata that says whether it is differentially private."""

NO = b"false"
"""What it says of rows that are not."""

SUFFIX = ".dp.json"
"""What is added to the name of a file that cannot hold metadata to make that of its stamp."""


def stamped(table: pa.Table) -> pa.Table:
    """The same rows, with the stamp in their metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: NO})


def is_stamped(schema: pa.Schema) -> bool:
    """Whether a table's metadata say that it is not private."""
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    return metadata.get(KEY) == NO


def write_stamp(path: Path, reason: str) -> None:
    """Write the stamp of a table's file beside it.

    Raises:
        OutputError: If it cannot be written.
    """
    data = {"tronie": 1, "dp": False, "reason": reason}
    atomic_write(beside(path), (json.dumps(data, indent=1) + "\n").encode(), mode=PRIVATE_MODE)


def remove_stamp(path: Path) -> None:
    """Remove the stamp beside a table's file, if there is one: it was about rows that are gone.

    Raises:
        OutputError: If it cannot be removed; the rows then still pass for not private.
    """
    place = beside(path)
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{str(place)!r} could not be removed: {error.strerror or 'the disk refused it'}.",
            "Remove it: it says of rows that were replaced that they are not private.",
        ) from None


def beside(path: Path) -> Path:
    """Where the stamp of a table's file is."""
    return path.with_name(path.name + SUFFIX)


def says_not_private(source: Any) -> bool:
    """Whether a table, a file, a folder, or anything with an attribute `dp` says that it is not private.

    Args:
        source: As for `tronie.tables.sources.open_source`; a model or a release.

    Edge cases:
        What says nothing is not taken for private: it is only not known to be otherwise. Unreadable files
        say nothing; whoever opens them says what is wrong.
    """
    if isinstance(source, str | Path):
        return _file_says_so(Path(source))
    if getattr(source, "dp", None) is False:
        return True
    if isinstance(source, Mapping):
        return False
    table = getattr(source, "table", source)
    schema = getattr(table, "schema", None)
    return isinstance(schema, pa.Schema) and is_stamped(schema)


def _file_says_so(path: Path) -> bool:
    if any(
        place.is_file() for place in (beside(path), path / NOT_PRIVATE, path.parent / NOT_PRIVATE)
    ):
        return True
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return any(is_stamped(schema) for file in files if (schema := _schema(file)) is not None)


def _schema(path: Path) -> pa.Schema | None:
    """Names, types and metadata of a Parquet or Arrow file; None for others."""
    try:
        match _kind(path):
            case "parquet":
                return parquet.read_schema(path)
            case "arrow":
                with pa.memory_map(str(path)) as file:
                    return pa.ipc.open_file(file).schema
            case "stream":
                with pa.memory_map(str(path)) as file:
                    return pa.ipc.open_stream(file).schema
            case None:
                return None
    except (OSError, pa.ArrowException):
        return None


def _kind(path: Path) -> Literal["parquet", "arrow", "stream"] | None:
    """What a file is, by its first bytes."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        first = file.read(6)
    if first[:4] == b"PAR1":
        return "parquet"
    return "arrow" if first == b"ARROW1" else "stream" if first[:4] == b"\xff\xff\xff\xff" else None
