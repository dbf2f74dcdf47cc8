"""Kinds of columns as the command line writes them."""

from __future__ import annotations

from tronie.errors import InputError


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
