"""A draft of a schema, from a table's names and types and from what is public of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tronie.errors import InputError

if TYPE_CHECKING:
    from tronie.schema.schema import Schema


def read_kinds(text: str) -> dict[str, str]:
    """Column -> kind, from ``age=integer,born=date``.

    Raises:
        InputError: If a part is not of this form.
    """
    kinds: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        column, equals, kind = part.rpartition("=")
        if not equals or not column:
            raise InputError(
                f"--types: {part!r} is not COLUMN=KIND.", "Write --types age=integer,born=date."
            )
        kinds[column.strip()] = kind.strip()
    return kinds


def draft_table(
    table: str,
    *,
    kinds: Mapping[str, str],
    name: str | None = None,
    public: str | None = None,
    database_table: str | None = None,
) -> Schema:
    """Draft a schema.

    Args:
        table: The private table; only names and types of its columns are read.
        kinds: Column -> kind, where it is known.
        name: Name of the data set; the file's when not given.
        public: A table that is public, for values and bounds of the columns that it has.
        database_table: Name of the table in a DuckDB file.

    Raises:
        InputError: If a table cannot be read, or a kind does not fit.
    """
    from tronie.schema.draft import Field, draft, draft_public
    from tronie.schema.hints import kind_of_type
    from tronie.schema.schema import Schema
    from tronie.tables.csv_source import CsvSource
    from tronie.tables.public import public_facts
    from tronie.tables.sources import open_source

    source = open_source(table, table=database_table)
    fields = [Field(field.name, str(field.type), field.nullable) for field in source.schema]
    named = name or Path(table).stem
    found = draft(fields, named, kinds=kinds, typed=not isinstance(source, CsvSource))
    if public is None:
        return found
    known = {field.name: kind_of_type(field.type)[0] for field in fields} | dict(kinds)
    facts = public_facts(open_source(public), known)
    shared = [field for field in fields if field.name in facts]
    if not shared:
        raise InputError(
            f"{public!r} has none of the table's columns.",
            "Give a public table with the same names.",
        )
    given = {column: kind for column, kind in kinds.items() if column in facts}
    read = draft_public(shared, facts, named, kinds=given)
    return Schema(name=named, columns={**found.columns, **read.columns})
