"""The sections about what rows and models are good for; and another tool's score."""

from __future__ import annotations

from tronie.reports.numbers import (
    DASH,
    count,
    fixed,
    share,
)
from tronie.reports.outline import Cell, Head, Section, Table, left, right, row
from tronie.reports.result import Report
from tronie.reports.shared import names_of, score_table, table_cell


def use(report: Report) -> Section:
    """What people do with a table: train on it, count in it."""
    found = report.evaluations
    scores = [e.use.scores if e.use else (e.queries.score,) for e in found]
    lead = (
        "What a model is worth on real rows when it was trained on synthetic ones, and how far counts "
        "are off."
    )
    blocks = (
        *score_table("What the rows are good for", names_of(report), scores, _trained(report)),
        _queries(report),
    )
    return Section("use", "Use", (lead,), blocks, private=True)


def _trained(report: Report) -> str:
    """What was trained, and on what it was tested."""
    uses = [e.use for e in report.evaluations]
    if uses[0] is None or not uses[0].tasks:
        return ""
    target = uses[0].tasks[0].target
    words = (
        f"Models predict {target} from the other columns; they are tested on "
        f"{uses[0].tested_on or 'real rows'}. Floor: a constant guess. Ceiling: the same model, trained "
        "on real rows."
    )
    agreements = [u.importance_agreement if u else None for u in uses]
    if any(value is not None for value in agreements):
        shown = ", ".join(
            f"{fixed(value, 2)} ({name})" if len(uses) > 1 else fixed(value, 2)
            for name, value in zip(names_of(report), agreements, strict=True)
        )
        words += f" Agreement of the columns' importances (Spearman, at most 1): {shown}."
    return words


def _queries(report: Report) -> Table:
    rows = [
        row(
            table_cell(e.name, n),
            count(e.queries.queries),
            share(e.queries.mean_error),
            share(e.queries.relative_error),
            share(e.queries.worst),
        )
        for n, e in enumerate(report.evaluations)
    ]
    return Table(
        "Random range counts",
        (
            *left("table"),
            *right("queries", "mean error", "median relative error", "largest error"),
        ),
        tuple(rows),
        "How many rows have, say, an age of 30 to 39 and a certain job? Errors are shares of all rows; "
        "the relative one is a share of the true count.",
    )


def gretel(report: Report) -> Section:
    """Another tool's score, for those who know it."""
    rows = [
        row(
            table_cell(e.name, n),
            f"{e.gretel.overall:.1f}",
            e.gretel.grade,
            *(
                fixed(v, 1)
                for v in (e.gretel.distribution, e.gretel.correlation, e.gretel.structure)
            ),
        )
        for n, e in enumerate(report.evaluations)
    ]
    heads = (
        *left("table"),
        Head(f"overall, 0{DASH}10"),
        Head("grade", right=False),
        *right("distribution", "correlation", "deep structure"),
    )
    table = Table("Gretel-compatible quality score", heads, tuple(rows))
    lead = (
        "Gretel's (now NeMo's) synthetic quality score by its published formulas, for comparison with "
        "older reports. It is not the score of this report: it calls a table of independently shuffled "
        "columns excellent."
    )
    return Section("gretel", "Gretel-compatible scores", (lead,), (table,), private=True)


def likelihood(report: Report) -> Section | None:
    """How likely real rows are under each model, where one was given."""
    everyone = enumerate(report.evaluations)
    found = [(n, e.name, e.likelihood) for n, e in everyone if e.likelihood is not None]
    if not found:
        return None
    rows = [
        row(
            table_cell(name, n),
            fixed(each.row, 2),
            fixed(each.holdout_row, 2),
            share(each.impossible),
        )
        for n, name, each in found
    ]
    blocks = [
        Table(
            "Mean surprise of a real row, in nats",
            (*left("table"), *right("rows", "holdout rows", "impossible rows")),
            tuple(rows),
            "Negative log-likelihood under the model; lower is better. Holdout rows that are much more "
            "surprising than the others are a sign of learning by heart. Impossible rows have probability "
            "0 under the model and are left out of the means.",
        )
    ]
    for _, name, each in found:
        columns = sorted(each.columns.items(), key=lambda item: -item[1])
        parts = [*columns, *((f"perplexity of {k}", v) for k, v in each.perplexity.items())]
        heads = (*left("column"), *right("nats"))
        body = tuple(row(Cell(names=(what,)), fixed(v)) for what, v in parts)
        blocks.append(Table(f"Surprise by column: {name}", heads, body, folded=True))
    return Section("likelihood", "Likelihood", (), tuple(blocks), private=True)
