"""The sections about distances: what is farthest off, and every column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tronie.reports.numbers import (
    DASH,
    NONE,
    count,
    fixed,
    many,
    number,
    share,
    signed_share,
)
from tronie.reports.outline import Cell, Head, Section, Table, left, right, row, series_heads
from tronie.reports.result import Report
from tronie.reports.shared import WORST, names_of, within

if TYPE_CHECKING:
    from tronie.evaluate.distances import ColumnDistance, MarginalDistance, RareGroups

UNITS = {"date": " days", "datetime": " s"}
"""Kind of column -> unit in which its values are moved."""

SHUFFLED = (
    "Columns shuffled: the same for the synthetic rows after each column was shuffled on its own. As far "
    "off as that, nothing of the relation is kept."
)
"""How to read what is off when nothing holds columns together."""

DISTANCES = (
    "Off by: the share of rows that would have to change for the two tables to have the same counts (total "
    "variation); the rest is the overlap (histogram intersection). By chance: what two samples of these "
    "sizes from one population would show, marked on the bars."
)
"""How to read distances."""

RARE = (
    "A group is a combination of values of two columns. Missing: groups without a synthetic row. Rows "
    "kept: synthetic rows in these groups, beside the real ones."
)
RARE_ERROR = (
    "Error: mean difference from the real count, as a share of it; too many or few: the same with its "
    "sign."
)
"""How to read what happens to rare groups."""

OFF_BY = "off by"
BY_CHANCE = "by chance"


def worst(report: Report) -> Section:
    """What is farthest off: columns, pairs, triples; then rare groups."""
    found = [e.distributions for e in report.evaluations]
    names = names_of(report)
    blocks = [
        _distances(
            "Columns that are farthest off",
            "column",
            names,
            [_by_name(d.columns) for d in found],
        )
    ]
    for caption, what, each in (
        ("Pairs of columns that are farthest off", "pair", [d.pairs for d in found]),
        ("Triples of columns that are farthest off", "triple", [d.triples for d in found]),
    ):
        if each[0]:
            blocks.append(_distances(caption, what, names, [_by_columns(m) for m in each]))
    blocks.append(_rare(report))
    return Section(
        "worst",
        "Worst first",
        (DISTANCES,),
        tuple(blocks),
        private=True,
    )


@dataclass(frozen=True, slots=True)
class _Distance:
    """Columns, how far off they are, by chance, and after the synthetic columns were shuffled."""

    columns: tuple[str, ...]
    distance: float
    expected: float
    shuffled: float | None = None


def _by_name(found: Sequence[ColumnDistance]) -> dict[tuple[str, ...], _Distance]:
    return {(c.name,): _Distance((c.name,), c.distance, c.expected) for c in found}


def _by_columns(found: Sequence[MarginalDistance]) -> dict[tuple[str, ...], _Distance]:
    return {m.columns: _Distance(m.columns, m.distance, m.expected, m.independent) for m in found}


def _distances(
    caption: str, what: str, names: Sequence[str], found: Sequence[dict[tuple[str, ...], _Distance]]
) -> Table:
    shown = list(islice(found[0].values(), WORST))
    scale = max(each[d.columns].distance for each in found for d in shown) or 1.0
    alone = len(names) == 1 and any(d.shuffled is not None for d in shown)
    rows = [
        row(
            Cell(names=first.columns),
            *(_bar(each[first.columns], n, scale) for n, each in enumerate(found)),
            share(first.expected),
            *((share(first.shuffled),) if alone else ()),
            share(1.0 - first.distance),
        )
        for first in shown
    ]
    heads = (
        *left(what),
        *series_heads(names, OFF_BY),
        *right(BY_CHANCE, *(("columns shuffled",) if alone else ()), "overlap"),
    )
    more = len(found[0]) - len(rows)
    notes = [SHUFFLED] if alone else []
    notes += [f"In the order of {names[0]}, whose overlap is shown."] if len(names) > 1 else []
    notes += [f"{more:,} more are not shown; all are in the JSON."] if more > 0 else []
    return Table(
        f"{caption} ({OFF_BY})" if len(names) > 1 else caption, heads, tuple(rows), " ".join(notes)
    )


def _bar(found: _Distance, series: int, scale: float) -> Cell:
    distance, expected = found.distance / scale, found.expected / scale
    return Cell(share(found.distance), within(distance), within(expected), series)


def _rare(report: Report) -> Table:
    found = [e.distributions.rare for e in report.evaluations]
    rows = [
        row(
            _span(group),
            count(group.cells),
            *(
                Cell(share(g[place].missing), within(g[place].missing), series=n)
                for n, g in enumerate(found)
            ),
            *(share(g[place].kept) for g in found),
            *((share(group.error), signed_share(group.bias)) if len(found) == 1 else ()),
        )
        for place, group in enumerate(found[0])
    ]
    names = names_of(report) if len(found) > 1 else [""]
    note = RARE if len(found) > 1 else f"{RARE} {RARE_ERROR}"
    heads = (
        Head("rows in the real table", right=False),
        Head("groups"),
        *(
            Head(text, series=n, table=name)
            for text in ("missing", "rows kept")
            for n, name in enumerate(names)
        ),
        *(right("error", "too many or few") if len(found) == 1 else ()),
    )
    return Table("What happens to rare groups", heads, tuple(rows), note)


def _span(group: RareGroups) -> str:
    if group.high is None:
        return f"{group.low:,} or more"
    return f"{group.low:,}" if group.low == group.high else f"{group.low:,}{DASH}{group.high:,}"


def distributions(report: Report) -> Section:
    """Every column; on a page, drawn."""
    found = report.evaluations
    subject = found[0].distributions.columns
    each = [_by_name(e.distributions.columns) for e in found]
    scale = max(d.distance for columns in each for d in columns.values()) or 1.0
    rows = [
        row(
            Cell(names=(c.name,)),
            c.kind.replace("_", " "),
            *(_bar(columns[c.name,], n, scale) for n, columns in enumerate(each)),
            share(c.expected),
            share(1.0 - c.distance),
            fixed(c.ks),
            moved(c),
        )
        for c in subject
    ]
    heads = (
        *left("column", "kind"),
        *series_heads(names_of(report), OFF_BY),
        *right(BY_CHANCE, "overlap", "KS", "Wasserstein"),
    )
    note = (
        "Overlap is the histogram intersection, 100% minus the total variation. KS: largest difference "
        "of the cumulative shares. Wasserstein: how far the average row's value would have to be moved."
    )
    if len(found) > 1:
        note += f" Overlap, KS and Wasserstein are those of {found[0].name}."
    table = Table("All columns", heads, tuple(rows), note, folded=True)
    lead = f"{many(len(subject), 'column')}, real rows beside synthetic ones."
    blocks = (table, *_invalid(report))
    return Section("distributions", "Distributions", (lead,), blocks, private=True)


def _invalid(report: Report) -> Iterator[Table]:
    """Columns whose synthetic values are not in their domain."""
    found = [e.invalid for e in report.evaluations]
    columns = list(dict.fromkeys(column for each in found for column in each))
    if columns:
        rows = (
            row(Cell(names=(column,)), *(share(each.get(column, 0.0)) for each in found))
            for column in columns
        )
        heads = (*left("column"), *series_heads(names_of(report), "rows"))
        note = "Such values count as wrong, whatever they are."
        yield Table("Synthetic values outside the column's domain", heads, tuple(rows), note)


def moved(column: ColumnDistance) -> str:
    """The Wasserstein distance with its unit."""
    if column.wasserstein is None:
        return NONE
    return f"{number(column.wasserstein)}{UNITS.get(column.kind, '')}"
