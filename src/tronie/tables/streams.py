"""What all sources of rows share."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from tronie.errors import SourceError

BATCH_ROWS = 65_536
"""Most rows of a batch."""

_ROW_LABELS = re.compile(r"__index_level_\d+__")


def pieces(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The batches' columns in the given order, cut to at most `BATCH_ROWS` rows each."""
    for batch in batches:
        chosen = batch.select(list(columns))
        for start in range(0, chosen.num_rows, BATCH_ROWS):
            yield chosen.slice(start, BATCH_ROWS)


@contextmanager
def reading(label: str, remedy: str) -> Generator[None, None, None]:
    """Turn what goes wrong while reading into a `SourceError` that quotes nothing.

    pyarrow's own messages may hold contents of cells, so neither they nor their traceback is passed
    on.

    Args:
        label: What is read, such as ``'people.csv' as CSV``.
        remedy: What to do if the cause is not known.
    """
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
        raise _explained(label, remedy, error) from None


def _explained(label: str, remedy: str, error: Exception) -> SourceError:
    if isinstance(error, PermissionError):
        return SourceError(f"{label} may not be read.", "Check the file's permissions.")
    if isinstance(error, UnicodeError) or "UTF8" in str(error):
        return SourceError(f"{label} is not valid UTF-8.", "Save the file with UTF-8 encoding.")
    return SourceError(f"{label} cannot be read.", remedy)


def require_distinct(label: str, names: Sequence[str]) -> None:
    """Refuse a table of which two columns have one name; names are not shown.

    Raises:
        SourceError: Saying the columns' positions.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = [str(place) for place, name in enumerate(names, 1) if name == repeated[0]]
        raise SourceError(
            f"columns {' and '.join(places)} of {label} have the same name.", "Rename one of them."
        )


def bare(schema: pa.Schema) -> pa.Schema:
    """Names and types alone: metadata may hold values or counts, and pandas' row labels say nothing."""
    return pa.schema(
        [
            pa.field(field.name, field.type, field.nullable)
            for field in schema
            if not _ROW_LABELS.fullmatch(field.name)
        ]
    )
