"""Results of audits as they lie in files, and the tables among their details."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast, get_args

from tronie.audit.result import Audit, Verdict
from tronie.errors import InputError
from tronie.reports.numbers import number
from tronie.reports.outline import Cell, Head, Table

SHORT = 12
"""Rows of a table among the details that a page shows without being asked."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "int": (int,),
    "Verdict": (str,),
    "Mapping[str, Any]": (dict,),
}
"""Annotation of an audit's field -> types of it in a file."""


def read_audits(path: str | Path, *, publishable: bool = False) -> tuple[Audit, ...]:
    """Read what `tronie audit` wrote.

    Args:
        path: A JSON file.
        publishable: Whether the audits are for a report that may be published.

    Raises:
        InputError: If it is no such file, or is internal where that is not wanted.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        internal = bool(data["internal"])
        found = tuple(_audit(entry) for entry in data["audits"])
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(
            f"{str(path)!r} does not hold results of audits.",
            "Name a file that `tronie audit` wrote.",
        ) from None
    if internal and publishable:
        raise InputError(
            f"the audits in {str(path)!r} were made from real rows: they are internal.",
            "Leave them out of a report for release.",
        )
    return found


def _audit(entry: Mapping[str, Any]) -> Audit:
    """One audit; unknown fields are passed over, so that newer files can be read."""
    values: dict[str, Any] = {}
    for field in fields(Audit):
        if field.name not in entry and field.default_factory is not MISSING:
            continue
        value = entry[field.name]
        if not isinstance(value, _TYPES[str(field.type)]) or isinstance(value, bool):
            raise TypeError
        values[field.name] = value
    if values["verdict"] not in get_args(Verdict):
        raise ValueError
    return Audit(**values)


def detail_tables(audit: Audit) -> Iterator[Table]:
    """Details that are lists of like things, such as the rungs of a ladder."""
    for name, value in audit.details.items():
        records = _records(value)
        if not records:
            continue
        keys = list(records[0])
        numeric = [all(_is_number(record.get(key)) for record in records) for key in keys]
        heads = tuple(
            Head(key.replace("_", " "), right=right)
            for key, right in zip(keys, numeric, strict=True)
        )
        rows = tuple(tuple(Cell(_shown(record.get(key))) for key in keys) for record in records)
        caption = f"{audit.name}: {name.replace('_', ' ')}"
        yield Table(caption, heads, rows, folded=len(rows) > SHORT)


def _records(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list | tuple):
        return []
    items = cast("Sequence[Any]", value)
    if not all(isinstance(item, Mapping) for item in items):
        return []
    return [cast("Mapping[str, Any]", item) for item in items]


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(value: Any) -> str:
    return number(value) if _is_number(value) else str(value)
