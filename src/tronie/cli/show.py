"""How results look: lines for people, or one JSON object for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import click

WIDTH = 96
"""Longest line of an explanation."""

INDENT = "      "


def emit(as_json: bool, data: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Print a result.

    Args:
        as_json: Whether to print the data rather than the lines.
        data: The result for programs; what is not finite becomes null.
        lines: The result for people.
    """
    if as_json:
        click.echo(json.dumps(_plain(data), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        for line in lines:
            click.echo(line)


def title(text: str) -> str:
    """The first line of a result."""
    return click.style(text, bold=True)


def alarm(text: str) -> str:
    """What must not be overlooked."""
    return click.style(text, fg="red", bold=True)


def aside(text: str) -> str:
    """An explanation, indented below what it explains."""
    wrapped = click.wrap_text(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return click.style(wrapped, dim=True)


def facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names and values, one pair a line, the values below each other."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in pairs]


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> list[str]:
    """A table.

    Args:
        header: A name for each column.
        rows: The cells.
        align: ``l`` or ``r`` for each column.
    """
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(header))]
    lines = [
        "  "
        + "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ).rstrip()
        for row in cells
    ]
    return [title(lines[0]), *lines[1:]]


def _plain(value: Any) -> Any:
    """The same data as JSON can hold it."""
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(key): _plain(part) for key, part in items}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in cast("Sequence[Any]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
