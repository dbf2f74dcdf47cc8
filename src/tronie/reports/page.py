"""A report as one HTML page that needs nothing else: no network, no other file, no script to be read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

from tronie.reports.cards import cards, legend
from tronie.reports.contents import contents
from tronie.reports.drawings import bar, shortened, swatch
from tronie.reports.hero import hero
from tronie.reports.maps import association_maps, densities
from tronie.reports.markup import Markup, element, join, name
from tronie.reports.numbers import TIMES
from tronie.reports.outline import Block, Cell, Fact, Facts, Head, Section, Table
from tronie.reports.plain_data import cut, plain_data

if TYPE_CHECKING:
    from tronie.reports.result import Report

MOST_TWIN, CUT_TWIN = 300_000, 100
"""Characters of the JSON in a page, and the pairs and triples that it keeps where it would be longer."""

_JSON_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


MOST_LETTERS = 60
"""Letters of a name in a table."""


def page(report: Report) -> str:
    """The whole page."""
    sections = contents(report)
    body = (
        element("a", "Skip to the report", href="#report", class_="skip"),
        _banner(report),
        element(
            "div",
            _navigation(sections),
            element("main", hero(report), *(_section(report, s) for s in sections), id="report"),
            class_="frame",
        ),
        _footer(report),
        _twin(report),
        element("script", Markup(_asset("script.js"))),
    )
    html = element(
        "html",
        _head(report),
        element("body", *body, class_=report.tier),
        lang="en",
        data_tier=report.tier,
    )
    return f"<!DOCTYPE html>\n{html}\n"


def policy() -> str:
    """The page's Content-Security-Policy: its own style and script, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash('style.css')}'; script-src '{_hash('script.js')}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _head(report: Report) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="tronie-tier", content=report.tier),
        element("meta", name="robots", content="noindex") if report.tier == "internal" else "",
        element("link", rel="icon", href="data:,"),
        element("title", f"{report.title} ({report.tier})"),
        element("style", Markup(_asset("style.css"))),
    )


def _banner(report: Report) -> Markup:
    return element(
        "p",
        element("strong", report.tier.upper()),
        element("span", report.banner),
        class_="banner",
        role="note",
    )


def _navigation(sections: tuple[Section, ...]) -> Markup:
    links = (element("li", element("a", s.title, href=f"#{s.key}")) for s in sections)
    return element("nav", element("ol", *links), aria_label="Contents")


def _section(report: Report, section: Section) -> Markup:
    drawing = _DRAWINGS.get(section.key)
    heading = element("h2", section.title, id=f"{section.key}-title")
    stamp = element("span", "internal", class_="stamp") if section.private else ""
    return element(
        "section",
        element("div", heading, stamp, class_="heading"),
        *(element("p", sentence, class_="lead") for sentence in section.lead),
        drawing(report) if drawing and report.evaluations else "",
        *(_block(block) for block in section.blocks),
        _remarks(section),
        id=section.key,
        aria_labelledby=f"{section.key}-title",
    )


def _remarks(section: Section) -> str:
    if not section.remarks:
        return ""
    title = element("h3", section.remarks_title) if section.remarks_title else ""
    listed = element("ul", *(element("li", text) for text in section.remarks))
    return element("div", title, listed, class_="block remarks")


def _block(block: Block) -> Markup:
    shown = _table(block) if isinstance(block, Table) else _facts(block)
    if not block.folded:
        return shown
    return element("details", element("summary", block.caption), shown, class_="folded")


def _table(table: Table) -> Markup:
    note = element("p", table.note, class_="note") if table.note else ""
    heads = element("tr", *(_head_cell(head) for head in table.heads))
    rows = (
        element(
            "tr",
            *(
                _cell(cell, head, first=place == 0)
                for place, (cell, head) in enumerate(zip(cells, table.heads, strict=True))
            ),
        )
        for cells in table.rows
    )
    inner = element(
        "table", element("caption", table.caption), element("thead", heads), element("tbody", *rows)
    )
    return element("div", element("div", inner, class_="wide", tabindex=0, role="group",
                                  aria_label=table.caption), note, class_="block")  # fmt: skip


def _head_cell(head: Head) -> Markup:
    parts = (
        swatch(head.series) if head.series is not None else "",
        name(head.text),
        element("span", f", {head.table}", class_="unseen") if head.table else "",
    )
    return element("th", *parts, scope="col", class_="right" if head.right else None)


def _cell(cell: Cell, head: Head, *, first: bool) -> Markup:
    shown: str = cell.text
    if cell.names:
        shown = Markup(f" <i>{TIMES}</i> ".join(_brief(each) for each in cell.names))
    if cell.swatch:
        shown = join((swatch(cell.series), shown))
    if cell.tone:
        shown = element("span", shown, class_=f"chip {cell.tone}")
    if cell.bar is not None:
        drawn = bar(cell.bar, cell.mark, cell.series)
        return element(
            "td", element("div", element("span", shown), drawn, class_="barred"), class_="right"
        )
    if first:
        return element("th", shown, scope="row")
    return element("td", shown, class_="right" if head.right else None)


def _brief(raw: str) -> Markup:
    """A name; a long one is cut, and shown in full when pointed at."""
    short = shortened(raw, MOST_LETTERS)
    return name(short, title=raw if short != raw else None)


def _facts(block: Facts) -> Markup:
    swatched = swatch(block.series) if block.series is not None else ""
    return element(
        "div",
        element("h3", swatched, name(block.caption)),
        element("dl", *(_fact(fact) for fact in block.facts)),
        class_="block facts-of",
    )


def _fact(fact: Fact) -> Markup:
    value = element("span", fact.value, class_=f"value {fact.tone}".rstrip()) if fact.value else ""
    meaning = element("span", fact.meaning, class_="meaning") if fact.meaning else ""
    return join((element("dt", fact.name), element("dd", value, meaning)))


def _distributions(report: Report) -> Markup:
    names = [e.name for e in report.evaluations]
    options = (
        ("rank", "farthest off first"), ("name", "name"), ("place", "order of the table"),
    )  # fmt: skip
    chosen = (element("option", text, value=value) for value, text in options)
    tools = element(
        "div",
        element(
            "label", "Search ", element("input", type="search", id="find", placeholder="column")
        ),
        element("label", "Sort by ", element("select", *chosen, id="sort")),
        element("output", "", id="found", class_="quiet", aria_live="polite"),
        class_="tools",
        hidden=True,
    )
    return join((legend(names), tools, element("div", cards(report), class_="cards", id="cards")))


_DRAWINGS: Mapping[str, Callable[[Report], Markup]] = {
    "distributions": _distributions,
    "associations": association_maps,
    "structure": densities,
}
"""Section -> what is drawn above its tables."""


def _footer(report: Report) -> Markup:
    made = f"{report.tier.upper()} report, made by tronie {version('tronie')} on {report.created}."
    return element("footer", f"{made} {report.banner}")


def _twin(report: Report) -> Markup:
    data = plain_data(report)
    raw = _compact(data)
    if len(raw) > MOST_TWIN:
        raw = _compact(cut(data, CUT_TWIN))
    for character, escaped in _JSON_ESCAPES.items():
        raw = raw.replace(character, escaped)
    return element("script", Markup(raw), type="application/json", id="tronie-report")


def _compact(data: dict[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@cache
def _asset(file: str) -> str:
    return (files("tronie.reports") / file).read_text(encoding="utf-8")


@cache
def _hash(file: str) -> str:
    digest = hashlib.sha256(_asset(file).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
