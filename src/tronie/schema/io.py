"""Schemas as text and files."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from tronie.errors import SchemaError

if TYPE_CHECKING:
    from tronie.schema.schema import Schema

Format: TypeAlias = Literal["yaml", "json"]
"""How a schema is written."""

SUFFIXES: dict[str, Format] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
"""Format of a file, by the end of its name."""

DRAFT_NOTE = """\
# A draft. `guessed` says which facts nobody declared, and why they were guessed.
# Correct them where they are wrong, and delete the notes where they are right.
"""


def format_of(path: Path) -> Format:
    """The format that a file's name asks for.

    Raises:
        SchemaError: If it asks for none.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SchemaError(
            f"{str(path)!r} is neither YAML nor JSON by its name.",
            "Let the name of a schema end in .yaml, .yml or .json.",
        )
    return SUFFIXES[path.suffix.lower()]


def read_text(path: Path) -> str:
    """Text of a file.

    Raises:
        SchemaError: If it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SchemaError(
            f"the schema {str(path)!r} cannot be read: {reason}.", "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise SchemaError(f"the schema {str(path)!r} is not UTF-8.", "Save it as UTF-8.") from error


def load(text: str, form: Format) -> object:
    """Plain data from text.

    Raises:
        SchemaError: If the text is not of the format, with the line.
    """
    if form == "json":
        return _load_json(text)
    from tronie.schema import yaml_text

    return yaml_text.load(text)


def dump_yaml(schema: Schema) -> str:
    """A schema as YAML."""
    from tronie.schema import yaml_text

    drafted = any(column.guessed for column in schema.columns.values())
    return (DRAFT_NOTE if drafted else "") + yaml_text.dump(plain(schema))


def dump_json(data: object) -> str:
    """Plain data as JSON; dates become ISO text."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=_as_text) + "\n"


def plain(schema: Schema) -> dict[str, Any]:
    """A schema as plain data, what has its default left out; dates stay dates."""
    data: dict[str, Any] = {"tronie": schema.tronie, "name": schema.name}
    if unit := schema.unit.model_dump(exclude_defaults=True):
        data["unit"] = unit
    data["columns"] = {
        name: {"kind": column.kind} | _fields(column.model_dump(exclude_defaults=True))
        for name, column in schema.columns.items()
    }
    if schema.constraints:
        data["constraints"] = [
            {"kind": rule.kind} | _lists(rule.model_dump(exclude_defaults=True))
            for rule in schema.constraints
        ]
    return data


def _fields(column: dict[str, Any]) -> dict[str, Any]:
    """A column's fields: what is special about its kind first, notes last."""
    shared = ("outside", "nullable", "origin", "guessed")
    own = [field for field in column if field not in shared]
    return {field: _lists(column[field]) for field in (*own, *shared) if field in column}


def _lists(value: Any) -> Any:
    """The same data with lists for tuples."""
    if isinstance(value, dict):
        return {key: _lists(part) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, tuple):
        return [_lists(part) for part in cast("tuple[Any, ...]", value)]
    return value


def _as_text(value: object) -> str:
    assert isinstance(value, dt.date)
    return value.isoformat()


def _load_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise SchemaError(
            f"not valid JSON, line {error.lineno}: {error.msg}.", "Correct the line."
        ) from None
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"not valid JSON: {error}.", "Correct the text.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice!r} is given twice")
    return mapping


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")
