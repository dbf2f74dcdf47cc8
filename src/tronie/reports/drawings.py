"""Small pictures that several sections share: bars, steps, and cells in shades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tronie.reports.markup import Markup, element, join, number, picture

SERIES = 6
"""Colours of synthetic tables."""

SHADES = 10
"""Steps of a shade."""


def swatch(series: int | None) -> Markup:
    """The colour of a synthetic table, or of the real one."""
    return element("i", class_=f"swatch {style(series)}", aria_hidden="true")


def style(series: int | None) -> str:
    """The class of a synthetic table's colour, or of the real one's."""
    return "real" if series is None else f"s{series % SERIES}"


def bar(length: float, mark: float | None, series: int) -> Markup:
    """A bar in a table's cell; the number beside it says the same."""
    parts = [element("rect", class_="fill", width=100.0 * length, height=6)]
    if mark is not None:
        parts.append(element("rect", class_="mark", x=min(100.0 * mark, 98.5), width=1.5, height=6))
    return element(
        "svg",
        *parts,
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        class_=f"bar {style(series)}",
        aria_hidden="true",
    )


def track(value: float, title: str, series: int, marks: Iterable[float] = ()) -> Markup:
    """A wide bar on a track with marks, all of them from 0 to 1."""
    return picture(
        1000,
        10,
        title,
        "",
        element("rect", class_="rail", width=1000, height=10),
        element("rect", class_="fill", width=1000.0 * value, height=10),
        *(element("rect", class_="notch", x=1000.0 * m - 1, width=2, height=10) for m in marks),
        preserveAspectRatio="none",
        class_=f"track {style(series)}",
    )


def steps(heights: Sequence[float], left: float, width: float, floor: float, closed: bool) -> str:
    """Path of a histogram.

    Args:
        heights: Height of each bin.
        left: Where the first bin begins.
        width: Width of a bin.
        floor: The y coordinate of height 0.
        closed: Whether the path runs along the floor too, to be filled.
    """
    path = [f"M{number(left)} {number(floor)}"]
    for place, height in enumerate(heights):
        top = number(round(floor - height, 1))
        if place == 0 or height != heights[place - 1]:
            path.append(f"V{top}")
        if place + 1 == len(heights) or height != heights[place + 1]:
            path.append(f"H{number(round(left + (place + 1) * width, 1))}")
    path.append(f"V{number(floor)}" + ("Z" if closed else ""))
    return "".join(path)


def shades(cells: Iterable[Sequence[float]], size: float, kind: str = "") -> Markup:
    """A picture of rows of numbers from -1 to 1, each in one of a few shades.

    Args:
        cells: Rows of numbers; rows may differ in length.
        size: Side of a cell.
        kind: Class of the shades.
    """
    paths: dict[str, list[str]] = {}
    for y, line in enumerate(cells):
        levels = [_level(value) for value in line]
        start = 0
        for x in range(1, len(levels) + 1):
            if x == len(levels) or levels[x] != levels[start]:
                if levels[start]:
                    run = f"M{start} {y}h{x - start}"
                    paths.setdefault(levels[start], []).append(run)
                start = x
    drawn = [element("path", class_=level, d="".join(paths[level])) for level in sorted(paths)]
    return element(
        "g",
        join(drawn),
        class_=f"shades {kind}".rstrip(),
        transform=f"scale({number(size)}) translate(0 .5)",
    )


def _level(value: float) -> str:
    level = min(round(abs(value) * SHADES), SHADES)
    return f"{'p' if value > 0 else 'n'}{level}" if level else ""


def shortened(raw: str, length: int) -> str:
    """A text that is not longer than so many characters.

    >>> shortened("workclass", 6)
    'workc…'
    """
    return raw if len(raw) <= length else raw[: length - 1] + "…"
