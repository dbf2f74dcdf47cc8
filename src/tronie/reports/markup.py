"""HTML and SVG made of values: what is not markup is escaped, whoever forgot to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What neither HTML nor UTF-8 can hold."""

_VOID = {"br", "input", "link", "meta"}
_EMPTY_IN_SVG = {"circle", "line", "path", "rect"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(raw: str) -> Markup:
    """Any text, so that it shows as it is.

    >>> text("</script> & co")
    '&lt;/script&gt; &amp; co'
    """
    return raw if isinstance(raw, Markup) else Markup(escape(_UNPRINTABLE.sub("\ufffd", raw)))


def element(tag: str, *parts: str, **attributes: object) -> Markup:
    """An element; text among its parts and attributes is escaped.

    Args:
        tag: Name of the element.
        parts: Text and markup inside it.
        attributes: Underscores stand for hyphens, and one at the end is dropped; None and False are
            left out, True has no value.

    >>> element("p", "a < b", class_="note", hidden=True)
    '<p class="note" hidden>a &lt; b</p>'
    """
    head = tag + "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{head}>")
    inside = join(parts)
    return Markup(
        f"<{head}/>" if tag in _EMPTY_IN_SVG and not inside else f"<{head}>{inside}</{tag}>"
    )


def join(parts: Iterable[str]) -> Markup:
    """One after the other; text is escaped."""
    return Markup("".join(text(part) for part in parts))


def name(raw: str, **attributes: object) -> Markup:
    """A name from a table: whatever its direction of writing, it does not turn its surroundings."""
    return element("bdi", raw, **attributes)


def number(value: float) -> str:
    """A coordinate, as short as it can be.

    >>> number(12.0), number(0.04999), number(-0.0)
    ('12', '.05', '0')
    """
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    short = "0" if short in {"-0", ""} else short
    return short.replace("0.", ".", 1) if short.startswith(("0.", "-0.")) else short


def picture(
    width: float, height: float, title: str, description: str, *parts: str, **attributes: object
) -> Markup:
    """An SVG with a name and a description for those who cannot see it."""
    names = (element("title", title), element("desc", description))
    box = f"0 0 {number(width)} {number(height)}"
    return element("svg", *names, *parts, viewBox=box, role="img", **attributes)


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    label = name if name == "viewBox" else name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {label}"
    shown = number(value) if isinstance(value, float) else text(str(value))
    return f' {label}="{shown}"'


def data(attributes: Mapping[str, object]) -> dict[str, object]:
    """Attributes of one's own, as in ``data-name``."""
    return {f"data_{name}": value for name, value in attributes.items()}
