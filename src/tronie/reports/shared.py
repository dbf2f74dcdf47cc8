"""What several sections of a report share."""

from __future__ import annotations

from collections.abc import Sequence

from tronie.evaluate.score import Score
from tronie.reports.numbers import NONE, fixed, number, points
from tronie.reports.outline import Cell, Table, left, right, row, series_heads
from tronie.reports.result import Report

WORST = 10
"""Columns, pairs and triples that are named as the worst."""


def score_table(
    caption: str, names: Sequence[str], found: Sequence[Sequence[Score]], note: str = ""
) -> tuple[Table, ...]:
    """Scores between floor and ceiling; of several tables without their sentences."""
    single = len(names) == 1
    rows = [
        row(
            first.name,
            *(
                Cell(_value(each[place].value), each[place].points / 100.0, series=n)
                if place < len(each)
                else Cell(NONE)
                for n, each in enumerate(found)
            ),
            _value(first.floor),
            _value(first.ceiling),
            *((first.meaning,) if single else ()),
        )
        for place, first in enumerate(found[0])
    ]
    meaning = left("meaning") if single else ()
    heads = (*left("what"), *series_heads(names, "value"), *right("floor", "ceiling"), *meaning)
    return (Table(caption, heads, tuple(rows), note),) if rows else ()


def _value(value: float) -> str:
    return fixed(value) if abs(value) < 10 else number(value)


def table_cell(name: str, series: int) -> Cell:
    """The name of a synthetic table, with its colour."""
    return Cell(names=(name,), series=series, swatch=True)


def names_of(report: Report) -> list[str]:
    """Names of the evaluated tables, in order."""
    return [e.name for e in report.evaluations]


def within(value: float) -> float:
    """A number, or the nearest one from 0 to 1."""
    return min(max(value, 0.0), 1.0)


def points_cell(value: float, series: int) -> Cell:
    """Points out of 100, with a bar."""
    return Cell(points(value), value / 100.0, series=series)
