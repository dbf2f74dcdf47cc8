"""Each column's distribution as a card: the real one as a grey body, synthetic ones as lines on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tronie.reports.distances import moved
from tronie.reports.drawings import shortened, steps, style, swatch
from tronie.reports.markup import Markup, data, element, join, name, picture, text
from tronie.reports.numbers import fixed, share
from tronie.reports.profiles import Profile

if TYPE_CHECKING:
    from tronie.evaluate.distances import ColumnDistance
    from tronie.reports.result import Report

WIDTH, HEIGHT = 300.0, 104.0
"""Size of a curve's picture, in its own unit."""

FLOOR = 86.0
"""Where its curves stand."""

CUT = 3.0
"""A bin that is higher than this many times the second highest is cut off."""

LISTED = 6
"""Values that a picture of a list shows; the others are one line."""

LINE = 15.0
"""Height of a line of a list."""

LABEL = 116.0
"""Width of a label, in a list."""

BODY = (LABEL + 6.0, 254.0)
"""Where a list's bars begin and end."""


def cards(report: Report) -> Markup:
    """A card for each column, worst first."""
    found = [e.distributions.columns for e in report.evaluations]
    rest = [{column.name: column for column in each} for each in found]
    names = [e.name for e in report.evaluations]
    order = {c: n for n, c in enumerate(report.evaluations[0].dependence.columns)}
    return join(
        _card(
            [each[column.name] for each in rest],
            names,
            report.profiles.get(column.name),
            rank,
            order[column.name],
        )
        for rank, column in enumerate(found[0])
    )


def legend(names: Sequence[str]) -> Markup:
    """Which colour is which table."""
    entries = [(None, "real"), *enumerate(names)]
    items = (element("li", swatch(n), name(label)) for n, label in entries)
    return element("ul", *items, class_="legend")


def _card(
    columns: Sequence[ColumnDistance],
    names: Sequence[str],
    profile: Profile | None,
    rank: int,
    place: int,
) -> Markup:
    first = columns[0]
    drawing = _curve(first.name, names, profile) if profile else _list(columns, names)
    off = (
        element("li", swatch(n), "off by ", element("b", share(column.distance)), class_="off")
        for n, column in enumerate(columns)
    )
    chance = element("li", f"by chance {share(first.expected)}", class_="quiet")
    return element(
        "article",
        element(
            "h3", name(first.name, title=first.name), element("small", first.kind.replace("_", " "))
        ),
        element("ul", *off, chance, class_="facts"),
        drawing,
        _details(columns, names, profile),
        class_="card",
        **data({"name": first.name.lower(), "rank": rank, "place": place}),
    )


def _curve(column: str, names: Sequence[str], profile: Profile) -> Markup:
    every = [profile.real, *profile.synthetic]
    limit = _limit([max(shares) for shares in zip(*every, strict=True)])
    width = WIDTH / len(profile.real)
    heights = [[min(v / limit, 1.0) * (FLOOR - 10) for v in shares] for shares in every]
    parts = [element("path", class_="body", d=steps(heights[0], 0, width, FLOOR, closed=True))]
    parts += [
        element("path", class_=f"line {style(n)}", d=steps(h, 0, width, FLOOR, closed=False))
        for n, h in enumerate(heights[1:])
    ]
    parts += _cut_off(profile.real, limit, width)
    parts.append(element("path", class_="axis", d=f"M0 {FLOOR}H{WIDTH}"))
    low, middle, high = profile.ticks
    parts += [
        element("text", shortened(tick, 16), x=x, y=HEIGHT - 4, text_anchor=anchor)
        for tick, x, anchor in (
            (low, 0.0, "start"), (middle, WIDTH / 2, "middle"), (high, WIDTH, "end")
        )
    ]  # fmt: skip
    title = f"Distribution of {column}: real and {', '.join(names)}"
    words = f"Histograms from {low} to {high}."
    return picture(WIDTH, HEIGHT, title, words, *parts, class_="curve")


def _limit(highest: Sequence[float]) -> float:
    """The share at a picture's top; one bin may stick out of it."""
    *rest, top = sorted(highest)
    second = rest[-1] if rest else top
    return second * 1.5 if top > CUT * second > 0 else top or 1.0


def _cut_off(real: Sequence[float], limit: float, width: float) -> Iterator[Markup]:
    place = max(range(len(real)), key=lambda n: real[n])
    if real[place] > limit:
        after = place < len(real) / 2
        x = (place + 1) * width + 4 if after else place * width - 4
        label = f"↑ {share(real[place])}"
        yield element("text", label, x=x, y=18.0, text_anchor="start" if after else "end")


def _list(columns: Sequence[ColumnDistance], names: Sequence[str]) -> Markup:
    first = columns[0]
    lines = list(_lines(columns))
    limit = max(max(shares) for _, shares in lines) or 1.0
    parts = [_line(n, label, shares, limit) for n, (label, shares) in enumerate(lines)]
    title = f"Distribution of {first.name}: real and {', '.join(names)}"
    words = f"The {len(lines)} most frequent values, as shares of the rows."
    return picture(WIDTH, LINE * len(lines) + 2, title, words, *parts, class_="list")


def _lines(columns: Sequence[ColumnDistance]) -> Iterator[tuple[str, list[float]]]:
    """The most frequent values: label, then the real share and the synthetic ones.

    Values that have an order keep it; others stand in the order of their frequency.
    """
    first = columns[0]
    shares = [list(v) for v in zip(first.real, *(c.synthetic for c in columns), strict=True)]
    ranked = sorted(range(len(shares)), key=lambda n: -max(shares[n]))
    shown = ranked if len(ranked) <= LISTED + 1 else ranked[:LISTED]
    for n in sorted(shown) if first.ks is not None else shown:
        yield first.labels[n], shares[n]
    if rest := ranked[len(shown) :]:
        yield (
            f"({len(rest)} more)",
            [sum(shares[n][k] for n in rest) for k in range(len(shares[0]))],
        )


def _line(place: int, label: str, shares: Sequence[float], limit: float) -> Markup:
    y, start, span = place * LINE, BODY[0], BODY[1] - BODY[0]
    real, *synthetic = (v / limit * span for v in shares)
    lane, thickness = 10.0 / len(synthetic), 2.5 if len(synthetic) == 1 else 4.0
    marks = (
        element(
            "rect",
            class_=f"tick {style(n)}",
            x=start + length - thickness / 2,
            y=y + 2 + n * lane,
            width=thickness,
            height=lane,
        )
        for n, length in enumerate(synthetic)
    )
    clipped = element(
        "svg",
        element("text", shortened(label, 18), x=0, y=11),
        x=0,
        y=y,
        width=LABEL,
        height=LINE,
    )
    return element(
        "g",
        element("title", f"{label}: real {share(shares[0])}"),
        clipped,
        element("rect", class_="body", x=start, y=y + 2, width=max(real, 0.5), height=10.0),
        *marks,
        element("text", share(shares[0]), x=WIDTH, y=y + 11, text_anchor="end", class_="quiet"),
    )


def _details(
    columns: Sequence[ColumnDistance], names: Sequence[str], profile: Profile | None
) -> Markup:
    first = columns[0]
    heads = join(element("th", head, scope="col") for head in ("value", "real", *names))
    rows = (
        f"<tr><th>{text(shortened(label, 60))}" + "".join(f"<td>{share(v)}" for v in shares)
        for label, *shares in zip(
            first.labels, first.real, *(c.synthetic for c in columns), strict=True
        )
    )
    facts: list[str] = []
    if first.ks is not None:
        facts.append(f"KS {' / '.join(fixed(c.ks) for c in columns)}")
    if first.wasserstein is not None:
        facts.append(f"Wasserstein {' / '.join(moved(c) for c in columns)}")
    if profile is not None and max(profile.missing) > 0:
        facts.append(f"missing {' / '.join(share(v) for v in profile.missing)} (real first)")
    if profile is not None and max(profile.outside) > 0:
        facts.append(f"outside the picture {' / '.join(share(v) for v in profile.outside)}")
    table = Markup(
        f"<table><caption>Shares of the rows</caption><thead><tr>{heads}</thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    note = element("p", "; ".join(facts) + ".", class_="quiet") if facts else ""
    return element(
        "details", element("summary", "Numbers"), note, element("div", table, class_="wide")
    )
