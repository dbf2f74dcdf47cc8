"""The section about the one score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tronie.evaluate.score import Score
from tronie.reports.numbers import (
    NONE,
    count,
    points,
    share,
    with_error,
)
from tronie.reports.outline import Cell, Section, Table, left, right, row, series_heads
from tronie.reports.result import Report
from tronie.reports.shared import names_of, points_cell, table_cell

if TYPE_CHECKING:
    from tronie.evaluate.evaluation import Evaluation

PARTS = (
    "Overlap: the share of rows that the two tables have in common when each value, or combination of "
    "values, is counted. Points: where it lies between floor (0) and ceiling (100); the ceiling is what "
    "other rows of the same population would get, for these numbers of rows."
)
"""How to read the parts of a score."""

PART_HEADS = (*left("part"), *right("overlap", "floor", "ceiling", "points"), *left("meaning"))


def score(report: Report) -> Section:
    """The one score, its parts, and the equivalent sub-sample."""
    found = report.evaluations
    subject = found[0]
    return Section(
        "score",
        "Score",
        (subject.headline.score.meaning, _equivalent(subject)),
        (*_parts(report), _against_nist(report)),
        private=True,
    )


def _parts(report: Report) -> list[Table]:
    found = report.evaluations
    first = found[0].headline.parts
    caption = "What the score is made of"
    details = [
        Table(
            f"{caption}: {e.name}" if len(found) > 1 else caption,
            PART_HEADS,
            tuple(part_row(part, n) for part in e.headline.parts),
            PARTS,
            folded=len(found) > 1,
        )
        for n, e in enumerate(found)
    ]
    if len(details) == 1:
        return details
    rows = [
        row(
            part.name,
            *(points_cell(e.headline.parts[place].points, n) for n, e in enumerate(found)),
        )
        for place, part in enumerate(first)
    ]
    heads = (*left("part"), *series_heads(names_of(report), "points"))
    return [Table(f"{caption}, in points", heads, tuple(rows)), *details]


def part_row(part: Score, series: int, sds: float = 0.0) -> tuple[Cell, ...]:
    """A part of the score: its overlap, between what and what it is read, and its points.

    Args:
        part: The part.
        series: Number of the synthetic table.
        sds: Standard deviations of its noise that are shown beside it.
    """
    return row(
        part.name,
        with_error(share(part.value), share(sds * part.error) if sds else None),
        share(part.floor),
        share(part.ceiling),
        points_cell(part.points, series),
        part.meaning,
    )


def _equivalent(found: Evaluation) -> str:
    return (
        "Its pairs of columns are as close to the real rows as those of a random sample of "
        f"{share(found.kmarginal.subsample)} of the real rows would be."
    )


def _against_nist(report: Report) -> Table:
    rows = [
        row(
            table_cell(e.name, n),
            points(e.headline.score.value),
            f"{e.kmarginal.score:.0f}",
            share(e.kmarginal.subsample),
            count(e.rows),
        )
        for n, e in enumerate(report.evaluations)
    ]
    if (held := report.evaluations[0].holdout) is not None:
        rows.append(row("holdout (real rows)", points(held.score.value), NONE, NONE, NONE))
    heads = (*left("table"), *right("score", "k-marginal (NIST)", "like a sub-sample of", "rows"))
    return Table(
        "Each table's score",
        heads,
        tuple(rows),
        "Score: 0 to 100. NIST's k-marginal score: 0 to 1000, over pairs of columns; beside it the "
        "random sub-sample of the real rows that scores the same.",
    )
