"""Markup that is made of values, and pictures in it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.reports.drawings import SHADES, shades, shortened, steps, style, swatch, track
from tronie.reports.markup import Markup, data, element, join, name, number, picture, text


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.words += data


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    return reader


@given(st.text())
def test_text_is_text_whatever_it_is(raw: str) -> None:
    reader = read(element("p", raw, title=raw))
    assert reader.tags == ["p"]
    seen = text(raw)
    assert read(f"<p>{seen}</p>").words == reader.words
    assert "<" not in seen
    assert '"' not in seen


def test_what_no_page_can_hold_is_replaced() -> None:
    assert text("a\x00b\x1bc\x85d\ud800e") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert text("tab\tline\n") == "tab\tline\n"
    text("\ud800\ufffe").encode()


def test_markup_is_not_escaped_twice() -> None:
    inner = element("b", "a & b")
    assert element("p", inner) == "<p><b>a &amp; b</b></p>"
    assert text(inner) is inner
    assert join(("<", Markup("<br>"))) == "&lt;<br>"
    assert isinstance(join(()), Markup)


def test_attributes() -> None:
    made = element("a", class_="x", aria_label='"', hidden=True, title=None, open=False, x=0.5)
    assert made == '<a class="x" aria-label="&quot;" hidden x=".5"></a>'
    assert element("p", **data({"name": "<"})) == '<p data-name="&lt;"></p>'
    assert element("meta", name="x") == '<meta name="x">'
    assert element("path", d="M0 0") == '<path d="M0 0"/>'


def test_a_name_does_not_turn_its_surroundings() -> None:
    assert name("\u202eabc", title="t") == '<bdi title="t">\u202eabc</bdi>'


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (-0.0, "0"), (10.0, "10"), (0.25, ".25"), (-0.25, "-.25"), (1.999, "2")],
)
def test_coordinates_are_short(value: float, shown: str) -> None:
    assert number(value) == shown
    assert float(shown) == pytest.approx(value, abs=0.01)


def test_a_picture_has_a_name_and_a_description() -> None:
    drawn = picture(10, 5, "a < b", "words", element("rect"), class_="x")
    assert drawn.startswith('<svg viewBox="0 0 10 5" role="img" class="x"><title>a &lt; b</title>')
    assert "<desc>words</desc><rect/></svg>" in drawn


def test_steps_go_where_the_heights_say() -> None:
    assert steps([1, 1, 3], 0, 2, 10, closed=True) == "M0 10V9H4V7H6V10Z"
    assert steps([1], 5, 2, 10, closed=False) == "M5 10V9H7V10"


def test_shades_have_a_run_for_each_stretch() -> None:
    drawn = shades([[0.5, 0.5, -1.0], [0.0, 0.04, 9.0]], 2.0, "density")
    assert '<path class="p5" d="M0 0h2"/>' in drawn
    assert '<path class="n10" d="M2 0h1"/>' in drawn
    assert f'<path class="p{SHADES}" d="M2 1h1"/>' in drawn
    assert drawn.count("<path") == 3
    assert 'transform="scale(2) translate(0 .5)"' in drawn


def test_each_table_has_its_colour() -> None:
    assert [style(n) for n in (None, 0, 5, 6)] == ["real", "s0", "s5", "s0"]
    assert swatch(1) == '<i class="swatch s1" aria-hidden="true"></i>'


def test_a_track_is_as_full_as_the_value() -> None:
    assert 'class="fill" width="250"' in track(0.25, "score", 0, (0.5,))
    assert 'class="notch" x="499"' in track(0.25, "score", 0, (0.5,))


@given(st.text(), st.integers(1, 20))
def test_what_is_shortened_is_short(raw: str, length: int) -> None:
    short = shortened(raw, length)
    assert len(short) <= length
    assert short == raw or short.endswith("…")
