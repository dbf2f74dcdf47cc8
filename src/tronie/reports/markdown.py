"""A report as Markdown: its sentences and tables, without drawings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tronie.reports.contents import contents
from tronie.reports.outline import Block, Facts, Section
from tronie.reports.plain_text import printable

if TYPE_CHECKING:
    from tronie.reports.result import Report

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$^])")


def markdown(report: Report) -> str:
    """The whole report."""
    lines = [
        f"# {escaped(report.title)}",
        "",
        f"> **{report.tier.upper()}** {escaped(report.banner)}",
        "",
        f"Made on {escaped(report.created)}.",
    ]
    for section in contents(report):
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def escaped(raw: str) -> str:
    r"""A text that means nothing to Markdown or HTML.

    >>> escaped("a|b <i>")
    'a\\|b \\<i\\>'
    """
    return _SPECIAL.sub(r"\\\1", printable(raw))


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    for sentence in section.lead:
        yield ""
        yield escaped(sentence)
    for block in section.blocks:
        yield ""
        yield from _block(block)
    if section.remarks:
        if section.remarks_title:
            yield ""
            yield f"### {section.remarks_title}"
        yield ""
        yield from (f"* {escaped(sentence)}" for sentence in section.remarks)


def _block(block: Block) -> Iterator[str]:
    yield f"### {escaped(block.caption)}"
    yield ""
    if isinstance(block, Facts):
        for fact in block.facts:
            parts = (f"**{escaped(fact.name)}**", escaped(fact.value), escaped(fact.meaning))
            yield f"* {': '.join(part for part in parts if part)}"
        return
    yield _row([head.plain for head in block.heads])
    yield _row_of(["--:" if head.right else "---" for head in block.heads])
    yield from (_row([cell.plain for cell in cells]) for cells in block.rows)
    if block.note:
        yield ""
        yield escaped(block.note)


def _row(cells: Sequence[str]) -> str:
    return _row_of([escaped(cell) for cell in cells])


def _row_of(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
