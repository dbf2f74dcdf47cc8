"""JSON, Markdown and plain text of one report."""

from __future__ import annotations

import json
import math
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_examples import example, hostile_report

from tronie.errors import InputError, OutputError
from tronie.reports.markdown import escaped
from tronie.reports.outline import Cell, Head, Table, row
from tronie.reports.plain_data import plain
from tronie.reports.plain_text import MOST_LETTERS, WIDTH, printable, table_cells
from tronie.reports.result import BANNERS, SUFFIXES, Report


@pytest.fixture(scope="module")
def one() -> Report:
    return example(5)


@pytest.fixture(scope="module")
def two() -> Report:
    return example(5, ("first", "second"))


def test_every_format_says_the_tier_first(one: Report) -> None:
    assert list(one.to_dict())[:4] == ["tronie_report", "tier", "publishable", "banner"]
    assert one.text().startswith("INTERNAL: Computed from real rows")
    assert "> **INTERNAL** Computed from real rows" in one.markdown()[:200]
    assert "INTERNAL" in one.html()[: one.html().index("<main")]


def test_the_banner_is_the_tier_s(one: Report) -> None:
    assert one.banner == BANNERS["internal"]
    assert "not differentially private" in BANNERS["internal"]
    assert "may be published" in BANNERS["release"]


def test_json_names_what_results_name(one: Report) -> None:
    data = json.loads(one.to_json())
    (evaluation,) = data["evaluations"]
    source = one.evaluations[0]
    assert evaluation["headline"]["score"]["value"] == source.headline.score.value
    pairs = evaluation["distributions"]["pairs"]
    assert pairs["fields"] == ["columns", "distance", "expected", "independent"]
    assert pairs["left_out"] == 0
    assert len(pairs["rows"]) == len(source.distributions.pairs)
    assert pairs["rows"][0][1] == pytest.approx(source.distributions.pairs[0].distance, rel=1e-3)
    assert evaluation["use"]["tasks"][0]["metric"] == "AUC"
    assert data["audits"][0]["verdict"] == "violation"
    assert "profiles" not in data


def test_json_has_what_rests_on_real_rows_once(two: Report) -> None:
    first, second = two.to_dict()["evaluations"]
    assert "real" in first["dependence"]
    assert "real" not in second["dependence"]
    assert "synthetic" in second["dependence"]
    assert "x_edges" not in second["structure"]["projection"]
    for column in second["distributions"]["columns"]:
        assert "synthetic" in column
        assert not {"real", "labels"} & set(column)


def test_json_keeps_what_differs(two: Report) -> None:
    first, second = two.evaluations
    other = replace(
        second.dependence, real=tuple(tuple(-v for v in line) for line in second.dependence.real)
    )
    changed = replace(two, evaluations=(first, replace(second, dependence=other)))
    assert "real" in changed.to_dict()["evaluations"][1]["dependence"]


def test_plain_values() -> None:
    assert plain(math.inf) is None
    assert plain(np.float64(0.25)) == 0.25
    assert plain(np.arange(3)) == [0, 1, 2]
    assert plain({1: True, "b": None}) == {"1": True, "b": None}
    assert plain(Path("a")) == "a"
    assert plain(1e300) == 1e300
    assert plain(3.0) == 3
    assert plain(0.123456789) == 0.123457


def test_markdown_has_every_section_and_table(one: Report) -> None:
    found = one.markdown()
    for title in ("What is claimed", "Score", "Worst first", "Use", "Audits", "Methods"):
        assert f"\n## {title}\n" in found
    assert "| column | off by | by chance | overlap |" in found
    assert "### What was left out" in found
    assert "* Something was left out." in found


def test_tables_in_markdown_are_well_formed() -> None:
    for report in (example(3, ("a", "b")), hostile_report()):
        width = None
        for line in report.markdown().splitlines():
            if not line.startswith("|"):
                width = None
                continue
            cells = len(re.findall(r"(?<!\\)\|", line))
            assert width in {None, cells}
            width = cells


def test_markdown_of_hostile_names_is_text() -> None:
    found = hostile_report().markdown()
    assert not re.search(r"(?<!\\)<(script|b|img|/)", found)
    assert "\x1b" not in found
    assert escaped("*a* [b](c) `d`") == r"\*a\* \[b\](c) \`d\`"


def test_text_is_narrow_and_steers_no_terminal() -> None:
    found = hostile_report().text()
    assert all(c.isprintable() or c == "\n" for c in found)
    assert "\u202e" not in found
    prose = [line for line in example(3).text().splitlines() if "  " not in line.strip()]
    assert max(map(len, prose)) <= WIDTH


def test_printable_is_one_line() -> None:
    assert printable("a\n b\x1b[31m\u202ec") == "a b?[31m?c"


def test_tables_as_text_leave_meanings_out_of_the_rows() -> None:
    heads = (Head("part", right=False), Head("points", series=0, table="t"), Head("meaning"))
    table = Table("c", heads, (row("x" * 100, Cell("9"), "long words"),))
    header, rows, align, meanings = table_cells(table)
    assert header == ["part", "points, t"]
    assert rows == [["x" * (MOST_LETTERS - 1) + "…", "9"]]
    assert align == "lr"
    assert meanings == ["x" * 100 + ": long words"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_internal_report_is_for_its_owner_only(one: Report, tmp_path: Path, suffix: str) -> None:
    place = tmp_path / f"report{suffix}"
    assert one.write(place) == place
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    first = place.read_text(encoding="utf-8")
    place.chmod(0o644)
    one.write(place)  # a second one replaces it, with its own mode
    assert place.read_text(encoding="utf-8") == first
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [place]


def test_a_release_report_is_for_everyone(one: Report, tmp_path: Path) -> None:
    place = replace(one, tier="release").write(tmp_path / "r.md")
    assert stat.S_IMODE(place.stat().st_mode) == 0o644


def test_where_a_report_cannot_be_written(one: Report, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written to .*report\.pdf"):
        one.write(tmp_path / "report.pdf")
    with pytest.raises(OutputError, match="no such folder"):
        one.write(tmp_path / "none" / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_report_without_learning_has_no_classifier() -> None:
    found = example(4, learn=False)
    text = found.text()
    assert "Can a classifier" not in text
    assert "Random range counts" in text
    names: list[Any] = [method.name for method in found.methods]
    assert "Classifier two-sample test" not in names
    assert "Classifier two-sample test" in [method.name for method in example(4).methods]
