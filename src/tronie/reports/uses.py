"""The sections about what rows and models are good for; and another tool's score."""

from __future__ import annotations

from tronie.models.lm.lessons import BEFORE, FIRST, TRAINED, Lessons
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
    note = (
        "Negative log-likelihood under the model; lower is better. Holdout rows that are much more "
        "surprising than the others are a sign of learning by heart. Impossible rows have probability "
        "0 under the model and are left out of the means."
    )
    for _, name, each in found:
        if each.rows is not None:
            note += f" Only {count(each.rows)} rows of each table were read by {name}."
    heads = (*left("table"), *right("rows", "holdout rows", "impossible rows"))
    blocks = [Table("Mean surprise of a real row, in nats", heads, tuple(rows), note)]
    for _, name, each in found:
        columns = sorted(each.columns.items(), key=lambda item: -item[1])
        heads = (*left("column"), *right("nats"))
        body = tuple(row(Cell(names=(what,)), fixed(v)) for what, v in columns)
        blocks.append(Table(f"Surprise by column: {name}", heads, body, folded=True))
    told = [(n, name, each.perplexity) for n, name, each in found if each.perplexity]
    if told:
        kinds = tuple(dict.fromkeys(kind for _, _, each in told for kind in each))
        body = tuple(
            row(table_cell(name, n), *(fixed(each.get(k), 2) for k in kinds))
            for n, name, each in told
        )
        heads = (*left("table"), *right(*kinds))
        blocks.append(Table("Perplexity of real rows' tokens", heads, body, f"{KINDS} {ALONE}"))
    return Section("likelihood", "Likelihood", (), tuple(blocks), private=True)


KINDS = (
    "The exponential of the mean surprise of a token: as many equally likely ones would be as hard to "
    "foretell. Tokens of values, of columns' names (key) and of what stands between them (other) are "
    "foretold among all tokens that occur in the table's words; a decision is a token at which a row can "
    "go on in more than one way, foretold among those that lead to a value."
)
"""How to read perplexities by kind of token."""

ALONE = (
    "They are the network's own. Forced tokens are never drawn, so only decisions make rows better or "
    "worse."
)

STAGES = {
    BEFORE: "before any row",
    FIRST: "after the first stage, on public rows",
    TRAINED: "after training on private rows",
}
"""What stages of learning are called."""


def lessons(report: Report) -> Section | None:
    """What each stage taught a language model, where one was given: from its file, at no cost."""
    if not report.lessons:
        return None
    blocks = [_lessons(name, found) for name, found in report.lessons.items()]
    lead = (
        "How well a language model foretells rows before and after each stage of its training. The rows "
        "were drawn from released numbers when the model was fitted, so these numbers cost nothing; how "
        "well it foretells private rows is private."
    )
    return Section("lessons", "Stages of learning", (lead,), tuple(blocks), (KINDS,))


def _lessons(table: str, found: Lessons) -> Table:
    rows = [
        row(Cell(STAGES.get(stage, stage)), *(fixed(values.get(k), 2) for k in found.kinds))
        for stage, values in found.stages.items()
    ]
    return Table(
        f"Perplexity by kind of token: {table}",
        (*left("stage"), *right(*found.kinds)),
        tuple(rows),
        f"Measured on {count(found.rows)} rows of {found.origin}, drawn anew. Where they are independent "
        "columns, a model that has learned how columns go together foretells them worse.",
    )
