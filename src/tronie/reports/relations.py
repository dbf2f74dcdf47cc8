"""The sections about relations between columns: associations, and the cloud of rows."""

from __future__ import annotations

from collections.abc import Iterator

from tronie.reports.numbers import (
    MINUS,
    count,
    fixed,
    share,
)
from tronie.reports.outline import Cell, Section, Table, left, right, row, series_heads
from tronie.reports.result import Report
from tronie.reports.shared import WORST, names_of, score_table, table_cell

STRENGTH = (
    f"How strongly two columns go together, from {MINUS}1 to 1: Pearson's correlation of two ordered "
    "columns, Cramér's V of two nominal ones, the correlation ratio of one of each."
)
"""How to read associations."""

LEVELS = (
    "Correlation accuracy: the share of pairs whose association has the same level in both tables, as "
    "DP-2Stage counts it."
)
"""How to read the scores of associations."""


def associations(report: Report) -> Section:
    """How strongly columns go together; on a page, drawn."""
    found = report.evaluations
    names = names_of(report)
    blocks = (
        *score_table(
            "How well associations are kept", names, [e.dependence.scores for e in found], LEVELS
        ),
        _changed(report),
    )
    return Section(
        "associations",
        "Associations",
        (STRENGTH,),
        blocks,
        private=True,
    )


def _changed(report: Report) -> Table:
    first = report.evaluations[0].dependence
    n = len(first.columns)
    pairs = sorted(
        ((i, j) for i in range(n) for j in range(i)),
        key=lambda p: -abs(first.synthetic[p[0]][p[1]] - first.real[p[0]][p[1]]),
    )
    rows = [
        row(
            Cell(names=(first.columns[j], first.columns[i])),
            fixed(first.real[i][j], 2),
            *(fixed(e.dependence.synthetic[i][j], 2) for e in report.evaluations),
        )
        for i, j in pairs[:WORST]
    ]
    heads = (*left("pair"), *right("real"), *series_heads(names_of(report), "synthetic"))
    return Table("Associations that changed most", heads, tuple(rows))


def structure(report: Report) -> Section:
    """Principal components and the classifier two-sample test."""
    found = report.evaluations
    first, second = (share(v) for v in found[0].structure.projection.explained)
    lead = (
        "Where the rows lie, seen from the direction in which the real rows differ most: along two "
        f"principal components, which hold {first} and {second} of their variance."
    )
    scores = score_table("Shape as a whole", names_of(report), [e.structure.scores for e in found])
    blocks = (*scores, *_two_samples(report))
    return Section("structure", "Structure", (lead,), blocks, private=True)


def _two_samples(report: Report) -> Iterator[Table]:
    everyone = enumerate(report.evaluations)
    tests = [(n, e, e.structure.test) for n, e in everyone if e.structure.test is not None]
    if not tests:
        return
    rows = [
        row(
            table_cell(e.name, n),
            fixed(test.auc),
            fixed(test.holdout_auc),
            count(test.rows),
        )
        for n, e, test in tests
    ]
    yield Table(
        "Can a classifier tell synthetic rows from real ones?",
        (*left("table"), *right("AUC", "AUC of real holdout rows", "rows of each")),
        tuple(rows),
        "0.5: it cannot, 1: it always can. Cross-validated gradient-boosted trees. The holdout's is what "
        "other real rows would get.",
    )
    for _, e, test in tests:
        if test.giveaways:
            caption = "Columns that give the rows away"
            yield Table(
                f"{caption}: {e.name}" if len(report.evaluations) > 1 else caption,
                (*left("column"), *right("AUC lost without it")),
                tuple(row(Cell(names=(n,)), fixed(v)) for n, v in test.giveaways[:WORST]),
                folded=True,
            )
