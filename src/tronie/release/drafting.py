"""A draft of a schema, from a table's names and types and from what is public of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tronie.errors import InputError
from tronie.release.without_privacy import require_private
from tronie.schema.draft import Field, draft_public
from tronie.schema.draft import draft as draft_fields
from tronie.schema.hints import kind_of_type
from tronie.schema.schema import Schema
from tronie.tables.csv_source import CsvSource
from tronie.tables.public import public_facts
from tronie.tables.sources import open_source


def draft(
    source: Any,
    *,
    kinds: Mapping[str, str] | None = None,
    name: str | None = None,
    public: Any = None,
    table: str | None = None,
) -> Schema:
    """Draft a schema from names and types; no value and no bound of the private table is read.

    Args:
        source: The private table, as for `fit`.
        kinds: Column -> kind, where it is known; a CSV file says nothing about types.
        name: Name of the data set; the file's when not given.
        public: A table that is public, for values and bounds of the columns that it has.
        table: Name of the table in a DuckDB file.

    Raises:
        InputError: If a table cannot be read, or a kind does not fit.
    """
    known = dict(kinds or {})
    rows = open_source(source, table=table)
    named = name or (Path(source).stem if isinstance(source, str | Path) else "table")
    fields = [Field(field.name, str(field.type), field.nullable) for field in rows.schema]
    found = draft_fields(fields, named, kinds=known, typed=not isinstance(rows, CsvSource))
    if public is None:
        return found
    require_private(public, "the public table")
    readable = {field.name: kind_of_type(field.type)[0] for field in fields} | known
    facts = public_facts(open_source(public), readable)
    shared = [field for field in fields if field.name in facts]
    if not shared:
        raise InputError(
            "the public table has none of the private table's columns.",
            "Give a public table with the same names.",
        )
    given = {column: kind for column, kind in known.items() if column in facts}
    read = draft_public(shared, facts, named, kinds=given)
    return Schema(name=named, columns={**found.columns, **read.columns})
