"""What the names and types of columns suggest."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

Suggestion: TypeAlias = Literal["identifier", "text", "date", "code"]
"""What a name may stand for."""

# fmt: off
_IDENTIFIERS = {
    "address", "email", "fax", "guid", "iban", "id", "ids", "ip", "key", "licence", "license",
    "login", "mail", "mobile", "mrn", "nhs", "nickname", "passport", "phone", "plate", "ssn",
    "street", "tel", "telephone", "tin", "url", "username", "uuid",
    "firstname", "forename", "fullname", "lastname", "middlename", "surname",
}
_PEOPLE = {
    "client", "contact", "customer", "employee", "family", "first", "full", "given", "last",
    "maiden", "member", "middle", "owner", "patient", "person", "student", "sur", "user",
}
_TEXTS = {
    "body", "comment", "comments", "description", "feedback", "message", "note", "notes", "remark",
    "remarks", "review", "text",
}
_DATES = {"birthdate", "birthday", "date", "datetime", "dob", "timestamp"}
_CODES = {
    "category", "class", "code", "flag", "group", "level", "postcode", "status", "type", "zip",
    "zipcode",
}
_FILLERS = {"hash", "no", "nr", "num", "number"}
# fmt: on

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")

_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=.+>")
_DECIMAL = re.compile(r"decimal(?:32|64|128|256)?\(\d+, ?(-?\d+)\)")
_KINDS = {
    r"u?int(8|16|32|64)": "integer",
    r"half_?float|float(16|32|64)?|double": "decimal",
    r"(large_)?(string|utf8)|string_view|str": "open_category",
    r"bool(ean)?": "boolean",
    r"date(32|64)?(\[\w+\])?": "date",
    r"timestamp(\[\w+(, tz=.*)?\])?": "datetime",
    r"extension<arrow\.uuid>": "identifier",
}
"""Type, as Arrow writes it -> kind of column."""


def suggest(name: str) -> Suggestion | None:
    """What a column's name may stand for; its last word decides.

    >>> suggest("customerID"), suggest("Phone number"), suggest("product_name")
    ('identifier', 'identifier', None)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and words[-1] in _FILLERS:
        words.pop()
    last, before = (["", "", *words][-1], ["", "", *words][-2])
    if last in _IDENTIFIERS or (last == "name" and (not before or before in _PEOPLE)):
        return "identifier"
    if last in _TEXTS:
        return "text"
    if last in _DATES or "date" in words or (before and last in {"at", "on"}):
        return "date"
    return "code" if last in _CODES else None


def kind_of_type(arrow_type: str) -> tuple[str, dict[str, Any]]:
    """The kind of column that fits a type, and what else the type says.

    Args:
        arrow_type: A type as Arrow writes it.

    Returns:
        A kind, or nothing if none fits; and fields of the column.

    >>> kind_of_type("decimal128(10, 2)")
    ('decimal', {'resolution': 0.01})
    >>> kind_of_type("dictionary<values=int64, indices=int8, ordered=0>")
    ('open_category', {'value_type': 'integer'})
    """
    if match := _DICTIONARY.fullmatch(arrow_type):
        kind, fields = kind_of_type(match[1])
        return ("open_category", {"value_type": "integer"}) if kind == "integer" else (kind, fields)
    if match := _DECIMAL.fullmatch(arrow_type):
        return "decimal", {"resolution": float(f"1e{-int(match[1])}")}
    kinds = (kind for pattern, kind in _KINDS.items() if re.fullmatch(pattern, arrow_type))
    return next(kinds, ""), {}
