"""The sections of a report for release: noised numbers, each with what it may be off by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tronie.evaluate.score import Score
from tronie.reports.numbers import NORMAL_95, count, points, share, with_error
from tronie.reports.outline import Cell, Fact, Facts, Section, Table, left, right, row
from tronie.reports.scoring import PART_HEADS, PARTS, part_row
from tronie.reports.shared import WORST

if TYPE_CHECKING:
    from tronie.evaluate.released import ReleasedEvaluation

EXACTNESS = "± is half of a 95% interval, of the noise that privacy needs."


def released_sections(found: ReleasedEvaluation) -> tuple[Section, ...]:
    """The score, what is farthest off, whole rows, and what the model says about itself."""
    sections = [_score(found), _worst(found)]
    if found.whole:
        sections.append(_whole(found))
    if found.release is not None:
        sections.append(_model(found))
    return tuple(sections)


def _score(found: ReleasedEvaluation) -> Section:
    score = found.headline.score
    shown = with_error(points(score.value), f"{NORMAL_95 * score.error:.1f}")
    rows = tuple(part_row(part, 0, NORMAL_95) for part in found.headline.parts)
    size = count(found.size.rows)
    if found.size.sd:
        size = with_error(f"about {size}", count(NORMAL_95 * found.size.sd))
    return Section(
        "score",
        "Score",
        (f"The score is {shown} of 100.", score.meaning, EXACTNESS),
        (Table("What the score is made of", PART_HEADS, rows, PARTS),),
        (f"The private table has {size} rows ({found.size.origin}).",),
    )


def _worst(found: ReleasedEvaluation) -> Section:
    blocks = [
        _overlaps(caption, what, scores)
        for caption, what, scores in (
            ("Columns that are farthest off", "column", found.columns),
            ("Pairs of columns that are farthest off", "pair", found.pairs),
        )
        if scores
    ]
    lead = (
        "Off by: the share of rows that would have to change for the two tables to have the same counts "
        "(total variation); the rest is the overlap (histogram intersection). "
    )
    return Section("worst", "Worst first", (lead + EXACTNESS,), tuple(blocks))


def _overlaps(caption: str, what: str, scores: Sequence[Score]) -> Table:
    shown = scores[:WORST]
    scale = max((1.0 - score.value for score in shown), default=0.0)
    scale = scale if scale > 0 else 1.0
    shuffled = what == "pair"
    rows = tuple(
        row(
            Cell(names=(score.name,)),
            Cell(
                with_error(share(max(1.0 - score.value, 0.0)), share(NORMAL_95 * score.error)),
                min(max((1.0 - score.value) / scale, 0.0), 1.0),
            ),
            share(max(1.0 - score.ceiling, 0.0)),
            *((share(1.0 - score.floor),) if shuffled else ()),
            share(score.value),
        )
        for score in shown
    )
    more = len(scores) - len(shown)
    note = f"{more:,} more are not shown; all are in the JSON." if more else ""
    between = right("columns shuffled") if shuffled else ()
    heads = (*left(what), *right("off by", "by chance"), *between, *right("overlap"))
    return Table(caption, heads, rows, note)


def _whole(found: ReleasedEvaluation) -> Section:
    facts = tuple(
        Fact(
            score.name,
            with_error(share(score.value), share(NORMAL_95 * score.error)),
            score.meaning,
        )
        for score in found.whole
    )
    return Section("whole", "Whole rows", (EXACTNESS,), (Facts("Of whole rows", facts),))


def _model(found: ReleasedEvaluation) -> Section:
    assert found.release is not None
    facts = tuple(Fact(line.name, line.value, line.meaning) for line in found.release.worth)
    lead = "From released numbers only: this cost nothing."
    return Section("model", "What the model says of itself", (lead,), (Facts("The model", facts),))
