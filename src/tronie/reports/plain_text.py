"""A report as plain text: its sentences and tables, without drawings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tronie.reports.contents import contents
from tronie.reports.outline import Block, Facts, Section, Table

if TYPE_CHECKING:
    from tronie.reports.result import Report

WIDTH = 96
"""Longest line of prose."""

MOST_LETTERS = 40
"""Longest name or value in a table."""


def plain_text(report: Report) -> str:
    """The whole report."""
    title = printable(report.title)
    lines = [*_wrapped(f"{report.tier.upper()}: {report.banner}"), "", title, "=" * len(title)]
    for section in contents(report):
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def printable(raw: str) -> str:
    """A text in one line, without what would steer a terminal or turn the line's direction."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(raw.split()))


def table_cells(table: Table) -> tuple[list[str], list[list[str]], str, list[str]]:
    """A table's header, rows and alignment; and its explanations, taken out of the rows.

    The last column of text, if it is called "meaning", would make the rows too long.
    """
    shown = [n for n, head in enumerate(table.heads) if head.text != "meaning"]
    header = [_short(table.heads[n].plain) for n in shown]
    rows = [[_short(cells[n].plain) for n in shown] for cells in table.rows]
    align = "".join("r" if table.heads[n].right else "l" for n in shown)
    meanings = [
        f"{cells[0].plain}: {cells[n].plain}"
        for n, head in enumerate(table.heads)
        if head.text == "meaning"
        for cells in table.rows
    ]
    return header, rows, align, meanings


def _short(raw: str) -> str:
    shown = printable(raw)
    return shown if len(shown) <= MOST_LETTERS else shown[: MOST_LETTERS - 1] + "…"


def _section(section: Section) -> Iterator[str]:
    yield section.title
    yield "-" * len(section.title)
    for sentence in section.lead:
        yield from _wrapped(sentence)
    for block in section.blocks:
        yield ""
        yield from _block(block)
    if section.remarks_title:
        yield ""
        yield section.remarks_title
    for sentence in section.remarks:
        yield from _wrapped(sentence, "  - ", "    ")


def _block(block: Block) -> Iterator[str]:
    yield printable(block.caption)
    if isinstance(block, Facts):
        for fact in block.facts:
            yield from _wrapped(f"{fact.name}: {fact.value}" if fact.value else fact.name, "  ")
            yield from _wrapped(fact.meaning, "      ")
        return
    header, rows, align, meanings = table_cells(block)
    yield from _aligned([header, *rows], align)
    for sentence in meanings:
        yield from _wrapped(sentence, "      ")
    yield from _wrapped(block.note, "      ")


def _aligned(rows: Sequence[Sequence[str]], align: str) -> Iterator[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(align))]
    for row in rows:
        cells = (
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        )
        yield ("  " + "  ".join(cells)).rstrip()


def _wrapped(text: str, indent: str = "", further: str | None = None) -> list[str]:
    later = indent if further is None else further
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=later,
        break_on_hyphens=False,
    )
