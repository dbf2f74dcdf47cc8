"""Pictures of a whole table: associations of all pairs of columns, and the density of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tronie.reports.drawings import SHADES, shades, shortened, style, swatch
from tronie.reports.markup import Markup, element, join, name, picture
from tronie.reports.numbers import MINUS, fixed, share

if TYPE_CHECKING:
    from tronie.evaluate.structure import Projection
    from tronie.reports.result import Report

Matrix = Sequence[Sequence[float]]

SIDE = 230.0
"""Side of a map's triangle, in its own unit; few columns have a smaller one."""

CELL = 26.0
"""Side of a cell, at most."""

NAMED = 20
"""A map of more columns than this does not name them."""

NAME = 96.0
"""Room for the last column's name."""

LEAST_SCALE = 0.05
"""Differences below this never fill the scale."""

PANEL = 240.0
"""Side of a density."""


def association_maps(report: Report) -> Markup:
    """The real associations, then each synthetic table's and their difference."""
    found = [e.dependence for e in report.evaluations]
    names = [e.name for e in report.evaluations]
    columns = found[0].columns
    scale = max(
        LEAST_SCALE,
        *(abs(s - r) for d in found for a, b in zip(d.synthetic, d.real, strict=True)
          for s, r in zip(a, b, strict=True)),
    )  # fmt: skip
    panels = [_map("real", None, columns, found[0].real, "real", 1.0)]
    for n, dependence in enumerate(found):
        gaps = [
            [s - r for s, r in zip(a, b, strict=True)]
            for a, b in zip(dependence.synthetic, dependence.real, strict=True)
        ]
        panels += [
            _map(names[n], n, columns, dependence.synthetic, f"{n} synthetic", 1.0),
            _map(f"{names[n]} minus real", n, columns, gaps, f"{n} difference", scale),
        ]
    readout = element("output", "Point at a cell to read it.", class_="readout quiet", hidden=True)
    return join((element("div", *panels, class_="panels maps"), _scales(scale), readout))


def _map(
    caption: str, series: int | None, columns: Sequence[str], matrix: Matrix, key: str, scale: float
) -> Markup:
    n = len(columns)
    cell = min(CELL, SIDE / max(n - 1, 1))
    lower = [[v / scale for v in matrix[i][:i]] for i in range(n)]
    parts = [shades(lower, cell)]
    if n <= NAMED:
        parts += [
            element(
                "text",
                shortened(column, 16),
                element("title", column),
                x=i * cell + 4,
                y=i * cell + cell / 2 + 4,
            )
            for i, column in enumerate(columns)
        ]
    title = f"Associations of {n} columns: {caption}"
    words = "Lower triangle: a cell for each pair of columns, the stronger the darker."
    size = n * cell
    drawing = picture(
        size + (NAME if n <= NAMED else 4.0),
        size,
        title,
        words,
        *parts,
        data_map=key,
        data_cell=cell,
    )
    return _panel(caption, series, drawing)


def _scales(scale: float) -> Markup:
    unlabelled = [v / SHADES for v in range(-SHADES, SHADES + 1)]
    strip = picture(
        210, 10, "Shades", "From negative, over none, to positive.", shades([unlabelled], 10)
    )
    return element(
        "p",
        element("span", f"{MINUS}1"),
        strip,
        element("span", "+1"),
        element("span", f"differences: ±{fixed(scale, 2)} at the ends", class_="quiet"),
        class_="scale",
    )


def densities(report: Report) -> Markup:
    """Where the rows lie on the plane of the first two principal components."""
    panels: list[Markup] = []
    for n, evaluation in enumerate(report.evaluations):
        projection = evaluation.structure.projection
        if n == 0:
            panels.append(_density("real", None, projection, projection.real))
        panels.append(_density(evaluation.name, n, projection, projection.synthetic))
    return element("div", *panels, class_="panels")


def _density(caption: str, series: int | None, projection: Projection, cells: Matrix) -> Markup:
    peak = max(max(max(line) for line in m) for m in (projection.real, projection.synthetic)) or 1.0
    turned = [
        [(column[y] / peak) ** 0.5 for column in cells] for y in reversed(range(len(cells[0])))
    ]
    size = PANEL / len(turned)
    parts = (
        shades(turned, size, f"density {style(series)}"),
        element("path", class_="axis", d=f"M0 0V{PANEL}H{PANEL}"),
    )
    first, second = projection.explained
    drawing = picture(
        PANEL,
        PANEL,
        f"Density of the rows: {caption}",
        f"Across: first component ({share(first)} of the variance). Up: second ({share(second)}).",
        *parts,
    )
    return _panel(caption, series, drawing)


def _panel(caption: str, series: int | None, drawing: Markup) -> Markup:
    return element(
        "figure", element("figcaption", swatch(series), name(caption)), drawing, class_="panel"
    )
