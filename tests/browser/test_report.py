"""The report in a real browser: no error, no request, nothing too wide, all of it legible."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from report_examples import example, hostile_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (380, 900, 1440)
SCHEMES = ("light", "dark")
LEAST_CONTRAST = 4.5
CONTRAST = """
() => {
  const rgb = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const found = rgb(getComputedStyle(e).backgroundColor);
      if (found[3] === 1) return found;
    }
    return [255, 255, 255, 1];
  };
  const worst = {};
  for (const element of document.body.querySelectorAll("*")) {
    const words = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!words || element.closest("script, style, title, desc, option")) continue;
    const style = getComputedStyle(element);
    const ink = rgb(element.namespaceURI.includes("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
    const key = `${element.tagName.toLowerCase()}.${element.getAttribute("class") || ""}`;
    worst[key] = Math.min(worst[key] ?? 99, (a + 0.05) / (b + 0.05));
  }
  return worst;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser was found: none of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    reports = {
        "one": example(12),
        "several": example(12, ("epsilon 0.5", "epsilon 5", "not private")),
        "hostile": hostile_report(),
    }
    return {name: report.write(folder / f"{name}.html") for name, report in reports.items()}


class Visit:
    """A page, and what went wrong on it."""

    def __init__(self, browser: Any, path: Path, width: int = 1440, scheme: str = "light") -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append("a dialog opened"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.own = path.as_uri()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()
        assert self.problems == []


@pytest.mark.parametrize("name", ["one", "several", "hostile"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_renders_without_error_request_or_sideways_scroll(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    with Visit(browser, pages[name], width) as visit:
        assert [url for url in visit.requests if url not in {visit.own, "data:,"}] == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.page.locator("main > section").count() == 12


@pytest.mark.parametrize("name", ["one", "several"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_words_are_legible(
    browser: Any, pages: dict[str, Path], name: str, scheme: str
) -> None:
    with Visit(browser, pages[name], scheme=scheme) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        found = visit.page.evaluate(CONTRAST)
        assert len(found) > 20
        assert {key: ratio for key, ratio in found.items() if ratio < LEAST_CONTRAST} == {}


def test_the_two_schemes_differ(browser: Any, pages: dict[str, Path]) -> None:
    grounds = set()
    for scheme in SCHEMES:
        with Visit(browser, pages["one"], scheme=scheme) as visit:
            grounds.add(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def names_of(visit: Visit) -> list[str]:
    return visit.page.locator("#cards > article:visible h3 bdi").all_inner_texts()


def test_columns_are_searched(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["one"]) as visit:
        assert len(names_of(visit)) == 12
        visit.page.get_by_label("Search").fill("COLUMN 1")
        assert sorted(names_of(visit)) == ["column 1", "column 10", "column 11"]
        assert visit.page.locator("#found").inner_text() == "3 of 12 columns"
        visit.page.get_by_label("Search").fill("")
        assert len(names_of(visit)) == 12


def test_columns_are_sorted(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["one"]) as visit:
        ranked = names_of(visit)
        visit.page.get_by_label("Sort by").select_option("name")
        assert names_of(visit) == sorted(ranked)
        visit.page.get_by_label("Sort by").select_option("place")
        assert names_of(visit) == [f"column {n}" for n in range(12)]
        visit.page.get_by_label("Sort by").select_option("rank")
        assert names_of(visit) == ranked


def test_a_cell_of_a_map_can_be_read(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["several"]) as visit:
        drawing = visit.page.locator("svg[data-map='1 difference']")
        drawing.scroll_into_view_if_needed()
        box = drawing.bounding_box()
        assert box is not None
        cell = box["height"] / 12
        drawing.hover(position={"x": 0.5 * cell, "y": 2.5 * cell})
        said = visit.page.locator(".readout").inner_text()
        assert said.startswith("column 0 \N{MULTIPLICATION SIGN} column 2, epsilon 5 minus real: ")
        drawing.hover(position={"x": 5.5 * cell, "y": 2.5 * cell})  # above the diagonal
        assert visit.page.locator(".readout").inner_text() == said


def test_everything_can_be_read_without_script(browser: Any, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["one"].as_uri())
    assert page.locator("#cards > article").count() == 12
    assert not page.locator(".tools").is_visible()
    assert not page.locator(".readout").is_visible()
    context.close()


def test_the_keyboard_reaches_everything(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["one"]) as visit:
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the report"
        assert visit.page.locator(".skip").bounding_box()["x"] >= 0
        for _ in range(40):
            visit.page.keyboard.press("Tab")
            if visit.page.evaluate("document.activeElement.id") == "find":
                break
        else:
            pytest.fail("the search field was not reached")
        outline = visit.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px"


def test_it_prints_in_black_on_white_without_its_tools(
    browser: Any, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["one"], scheme="dark") as visit:
        visit.page.emulate_media(media="print")
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        for hidden in ("nav", ".tools", ".readout"):
            assert not visit.page.locator(hidden).first.is_visible()
        assert visit.page.locator(".banner").is_visible()
        found = visit.page.evaluate(CONTRAST)
        assert min(found.values()) >= LEAST_CONTRAST
        assert visit.page.pdf(format="A4")[:5] == b"%PDF-"
