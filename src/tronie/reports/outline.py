"""What a report says, before it is put into any format: sections of sentences and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tronie.reports.numbers import TIMES

Tone: TypeAlias = Literal["", "alarm", "good", "quiet"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What it says.
        bar: Length of the bar that is drawn beside it, from 0 to 1; None for no bar.
        mark: Where a mark stands on the bar, such as what chance alone would give.
        series: Number of the synthetic table whose colour the bar has.
        tone: How much it should stand out.
        names: Names from a table that it consists of; then `text` is not used.
        swatch: Whether the colour of the synthetic table stands before it.
    """

    text: str = ""
    bar: float | None = None
    mark: float | None = None
    series: int = 0
    tone: Tone = ""
    names: tuple[str, ...] = ()
    swatch: bool = False

    @property
    def plain(self) -> str:
        """What it says, as text."""
        return f" {TIMES} ".join(self.names) if self.names else self.text


@dataclass(frozen=True, slots=True)
class Head:
    """The name of a table's column.

    Attributes:
        text: What it says.
        right: Whether the column holds numbers.
        series: Number of the synthetic table that it is about, shown by a swatch.
        table: That table's name, where `text` is not it.
    """

    text: str
    right: bool = True
    series: int | None = None
    table: str = ""

    @property
    def plain(self) -> str:
        """What it says, as text."""
        return f"{self.text}, {self.table}" if self.table else self.text


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is the row's name.

    Attributes:
        caption: What it shows.
        heads: Names of the columns.
        rows: The cells.
        note: How to read it.
        folded: Whether a page may show it on request only.
    """

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact.

    Attributes:
        name: What it is, in a few words.
        value: The fact.
        meaning: What it means, in sentences.
        tone: How much the value should stand out.
    """

    name: str
    value: str
    meaning: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about one thing.

    Attributes:
        caption: What they are about.
        facts: The facts.
        series: Number of the synthetic table that they are about, shown by a swatch.
        folded: Whether a page may show them on request only.
    """

    caption: str
    facts: tuple[Fact, ...]
    series: int | None = None
    folded: bool = False


Block: TypeAlias = Table | Facts


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Attributes:
        key: Its name in links.
        title: Its heading.
        lead: Sentences below the heading.
        blocks: Tables and facts, which follow.
        remarks: Sentences at the end.
        remarks_title: What these are.
        private: Whether it rests on real rows that were read without noise.
    """

    key: str
    title: str
    lead: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    remarks: tuple[str, ...] = ()
    remarks_title: str = ""
    private: bool = False


def row(*cells: str | Cell) -> tuple[Cell, ...]:
    """Cells, of which some are just text."""
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells)


def left(*texts: str) -> tuple[Head, ...]:
    """Names of columns of text."""
    return tuple(Head(text, right=False) for text in texts)


def right(*texts: str) -> tuple[Head, ...]:
    """Names of columns of numbers."""
    return tuple(Head(text) for text in texts)


def series_heads(names: Sequence[str], what: str) -> tuple[Head, ...]:
    """A column of numbers for each synthetic table; a single one needs no name.

    >>> [head.text for head in series_heads(["a", "b"], "off by")]
    ['a', 'b']
    """
    if len(names) == 1:
        return (Head(what, series=0),)
    return tuple(Head(name, series=place) for place, name in enumerate(names))
