"""The top of a page: what it is about, and the score, to be read in two seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tronie.reports.drawings import style, swatch, track
from tronie.reports.markup import Markup, element, name
from tronie.reports.numbers import NORMAL_95, count, many, points, share

if TYPE_CHECKING:
    from tronie.evaluate.evaluation import Evaluation
    from tronie.evaluate.headline import Headline
    from tronie.evaluate.released import ReleasedEvaluation
    from tronie.reports.result import Claim, Report

LEAST, MIDDLE, MOST = "0: random values", "good columns, no relations", "100: other real rows"
"""What stands where on the track."""


def hero(report: Report) -> Markup:
    """Title and score."""
    return element(
        "header",
        element("h1", name(report.title)),
        element("p", _about(report), class_="about"),
        element("ul", *(_claim(c, report.tables) for c in report.claims), class_="claimed"),
        _gauges(report),
        class_="hero",
    )


def _about(report: Report) -> str:
    if not report.evaluations:
        return report.created
    first = report.evaluations[0]
    columns = len(first.distributions.columns)
    return " · ".join(
        (
            many(len(report.evaluations), "synthetic table"),
            f"{count(first.real_rows)} real rows",
            many(columns, "column"),
            report.created,
        )
    )


def _claim(claim: Claim, tables: Sequence[str]) -> Markup:
    colour = swatch(tables.index(claim.table)) if claim.table in tables else ""
    words = claim.guarantee
    if claim.epsilon is not None:
        words += f", for adding or removing {claim.unit}"
    broken = element("strong", " The certificate DOES NOT HOLD.", class_="alarm")
    return element(
        "li",
        colour,
        name(claim.table),
        ": ",
        words,
        "" if claim.verified is not False else broken,
    )


def _gauges(report: Report) -> Markup:
    """A track for each table's score, and what stands where on it."""
    released = report.released
    drawn = [] if released is None else [_released(released)]
    drawn += [_evaluated(e, n) for n, e in enumerate(report.evaluations)]
    if not drawn:
        return Markup("")
    first = report.evaluations[0] if released is None else released
    parts = len(first.headline.parts)
    middle = f"{100 / parts:.0f}: {MIDDLE}" if parts > 1 else ""
    ends = (element("span", end) for end in (LEAST, middle, MOST))
    return element("div", *drawn, element("div", *ends, class_=f"ends of{parts}"), class_="gauges")


def _evaluated(found: Evaluation, series: int) -> Markup:
    near = share(found.kmarginal.subsample)
    aside = f"{count(found.rows)} rows, as close as a random {near} of the real ones"
    return _gauge(found.name, found.headline, series, aside)


def _released(found: ReleasedEvaluation) -> Markup:
    score = found.headline.score
    error = f" ± {NORMAL_95 * score.error:.1f}"
    return _gauge(found.name, found.headline, 0, f"{count(found.rows)} rows", error)


def _gauge(table: str, headline: Headline, series: int, aside: str, error: str = "") -> Markup:
    """A score on its track. Good columns alone earn the first of its equal parts."""
    value, parts = headline.score.value, len(headline.parts)
    shown = points(value) + error
    filled = min(max(value, 0.0), 100.0) / 100.0
    marks = (1 / parts,) if parts > 1 else ()
    return element(
        "div",
        element("div", swatch(series), name(table), class_="who"),
        element("div", element("b", shown), " of 100", class_="figure"),
        track(filled, f"Score of {table}: {shown} of 100", series, marks),
        element("p", aside, class_="quiet"),
        class_=f"gauge {style(series)}",
    )
