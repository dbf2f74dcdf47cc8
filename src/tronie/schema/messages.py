"""What pydantic found wrong with a schema, as one error that a person can act on."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tronie.errors import SchemaError
from tronie.schema.columns import Column
from tronie.schema.constraints import Constraint, Range

VERSION = 1
"""The schema format that this code reads and writes."""

Models: TypeAlias = Mapping[str, type[BaseModel]]
"""Kinds and parts of a schema -> what names their fields."""

_KINDS: Models = {
    model.model_fields["kind"].default: model
    for union in (Column, Constraint)
    for model in get_args(get_args(union)[0])
}

_PHRASES = {
    "missing": ("the field {name!r} is missing", "Add it."),
    "union_tag_not_found": (
        "it has no kind",
        "Add one, such as `kind: integer` for a column or `kind: order` for a constraint.",
    ),
    "literal_error": ("{found} is not possible here", "Write {expected}."),
    "value_error": ("{error}", "Correct the schema."),
    "model_type": ("{found} is not a mapping", "Write `field: value` pairs."),
    "model_attributes_type": ("{found} is not a mapping", "Write `field: value` pairs."),
    "dict_type": ("{found} is not a mapping", "Write `field: value` pairs."),
    "tuple_type": ("{found} is not a list", "Write a list, such as `[first, second]`."),
}
"""Type of finding -> what is wrong, and what to do."""

_SCALARS = {"bool", "int", "float", "str"}


def explain(error: ValidationError, schema: type[BaseModel], unit: type[BaseModel]) -> SchemaError:
    """The first finding, where it is and what to do; and how many more there are.

    Args:
        error: What pydantic found.
        schema: The model of a schema.
        unit: The model of its unit.
    """
    findings = error.errors(include_url=False)
    for finding in findings:
        version = finding["input"]
        if finding["loc"] == ("tronie",) and isinstance(version, int) and version > VERSION:
            return SchemaError(
                f"the schema is written in format {version}; this tronie reads format {VERSION}.",
                "Upgrade tronie.",
            )
    start = _place(findings[0])
    here = [finding for finding in findings if _same_place(_place(finding), start)]
    finding = max(here, key=lambda each: (len(each["loc"]), each["type"] == "extra_forbidden"))
    place = _place(finding)
    what, remedy = _say(finding, {**_KINDS, "Range": Range, "": schema, "unit": unit})
    more = len({_place(finding) for finding in findings if finding not in here})
    also = f" {more} more {'place needs' if more == 1 else 'places need'} correction." * (more > 0)
    return SchemaError(f"{place}: {what}.{also}", remedy)


def _same_place(one: str, two: str) -> bool:
    """Whether one place lies within the other."""
    return one.startswith(two) or two.startswith(one)


def _place(finding: ErrorDetails) -> str:
    """Where a finding is, in the words of the schema's text."""
    loc = list(finding["loc"])
    if finding["type"] in {"extra_forbidden", "missing"}:
        loc.pop()
    match loc:
        case ["columns", name, *rest]:
            return ", ".join([f"column {name!r}", *_fields(rest[1:])])
        case ["constraints", int(number), *rest]:
            kind = f" ({rest[0]})" if rest else ""
            return ", ".join([f"constraint {number + 1}{kind}", *_fields(rest[1:])])
        case [str(part), *rest]:
            return ", ".join([f"field {part!r}", *_fields(rest)])
        case _:
            return "the schema"


def _fields(loc: list[str | int]) -> Iterable[str]:
    match loc:
        case ["when", name, *rest]:
            yield f"column {name!r}"
            yield from _fields(rest[1:])
        case [str(field), int(entry), *_]:
            yield f"field {field!r}, entry {entry + 1}"
        case [str(field), *_]:
            yield f"field {field!r}"
        case [int(entry), *_]:
            yield f"entry {entry + 1}"
        case _:
            return


def _say(finding: ErrorDetails, models: Models) -> tuple[str, str]:
    """What is wrong, and what to do."""
    problem, context = finding["type"], finding.get("ctx", {})
    name = str(finding["loc"][-1]) if finding["loc"] else ""
    if problem == "extra_forbidden":
        return f"unknown field {name!r}", _suggest(name, _known(finding, models))
    if problem == "union_tag_invalid":
        kinds = [word.strip("' ") for word in context["expected_tags"].split(",")]
        return f"unknown kind {context['tag']!r}", _suggest(str(context["tag"]), kinds)
    found = reprlib.repr(finding["input"])
    if problem not in _PHRASES and name in _SCALARS:
        return f"{found} is not text, a number, true or false", _about_value(finding["input"])
    what, remedy = _PHRASES.get(problem, ("{message}, not {found}", "Correct it."))
    message = finding["msg"][0].lower() + finding["msg"][1:]
    words = {**context, "name": name, "found": found, "message": message}
    return what.format(**words), remedy.format(**words)


def _about_value(value: object) -> str:
    if value is None:
        return "Missing values are not listed: set `nullable: true`, or quote the word 'null'."
    return "Write one of these; put dates in quotes."


def _known(finding: ErrorDetails, models: Models) -> list[str]:
    """Fields that could stand where an unknown one was found."""
    labels = [part for part in finding["loc"][:-1] if isinstance(part, str)]
    label = labels[-1] if labels else ""
    return list(models[label].model_fields)


def _suggest(word: str, known: Iterable[str]) -> str:
    known = list(known)
    close = get_close_matches(word, known, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Possible are {', '.join(known)}."
