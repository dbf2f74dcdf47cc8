"""The page "How good is it?" shows what the committed results say."""

from __future__ import annotations

import copy
import importlib
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-good.md"
IMAGE = re.compile(r"!\[[^\]]+\]\(([^)]+\.svg)\)")


@pytest.fixture(scope="module")
def plots() -> Iterator[ModuleType]:
    """The script, imported as Python imports it when it is run."""
    before = set(sys.modules)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("plots")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        for name in set(sys.modules) - before:
            if name.split(".")[0] in {"plots", "peers"}:
                del sys.modules[name]


@pytest.fixture(scope="module")
def results(plots: ModuleType) -> dict[str, Any]:
    return plots.read()


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    return page.partition(f"<!-- begin: {name} -->")[2].partition(f"<!-- end: {name} -->")[0]


def rows(text: str) -> dict[str, list[str]]:
    """First cell of each line of a table -> the others."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines}


def test_tables_are_written_from_the_results(
    plots: ModuleType, results: dict[str, Any], page: str
) -> None:
    assert plots.filled(page, results) == page, "run `python benchmarks/plots.py --no-images`"


def test_every_section_is_made_by_the_script(plots: ModuleType, page: str) -> None:
    assert set(re.findall(r"<!-- begin: (\w+) -->", page)) == set(plots.SECTIONS)


def test_tables_stand_between_marks_only(plots: ModuleType, page: str) -> None:
    for name in plots.SECTIONS:
        page = page.replace(section(page, name), "")
    assert "|" not in page


@pytest.mark.parametrize("study", ["efficacy_adult", "efficacy_airline"])
def test_our_efficacy_is_the_mean_of_all_runs(
    study: str, plots: ModuleType, results: dict[str, Any], page: str
) -> None:
    runs = results[study]["runs"]
    shown = rows(section(page, study))[f"**{plots.OURS}**"]
    for name, text in zip(("f1", "auc", "hist", "pair"), shown, strict=True):
        assert float(text) == pytest.approx(sum(r[name] for r in runs) / len(runs), abs=0.0501)


@pytest.mark.parametrize("study", ["commercial_adult", "commercial_bank_marketing"])
def test_peers_score_now_what_was_published(study: str, results: dict[str, Any]) -> None:
    for peer in results[study]["peers"]:
        for name in ("overall", "univariate", "bivariate"):
            assert peer[name] == pytest.approx(peer["published"][name], abs=0.0015)


def test_nist_scores_are_between_those_of_the_sub_samples(results: dict[str, Any]) -> None:
    for study in ("nist_ma", "nist_tx"):
        found = results[study]
        assert found["real_rows"] == 1000
        scores = list(found["subsamples"].values())
        assert scores == sorted(scores)
        assert scores[0] < found["means"]["score"] < scores[-1]


def test_results_name_their_command_machine_and_runs(
    plots: ModuleType, results: dict[str, Any]
) -> None:
    for study in [*plots.GOALS, "nist_ma", "nist_tx"]:
        script = study.partition("_")[0]
        assert results[study]["command"].startswith(f"python benchmarks/{script}.py ")
        assert {"cores", "memory_gib", "python"} <= results[study]["machine"].keys()
        runs = results[study]["runs"]
        mean = sum(run["fit_cpu_s"] for run in runs) / len(runs)
        assert results[study]["means"]["fit_cpu_s"] == pytest.approx(mean, abs=1e-3)


def test_a_missed_goal_is_shown_as_missed(plots: ModuleType, results: dict[str, Any]) -> None:
    worse = copy.deepcopy(dict(results))
    worse["efficacy_adult"]["means"]["f1"] = 60.0
    before, after = (plots.goals(r).splitlines() for r in (results, worse))
    changed = [line for line in after if line not in before]
    assert len(changed) == 1
    assert "**missed by 6.0**" in changed[0]


def test_a_better_peer_is_shown_as_a_loss(plots: ModuleType, results: dict[str, Any]) -> None:
    worse = copy.deepcopy(dict(results))
    worse["efficacy_airline"]["means"]["auc"] = 70.0
    assert "AIM (SmartNoise) has AUC 88.9 against 70.0" in plots.losses(worse)
    assert "AIM (SmartNoise) has AUC 88.9" not in plots.losses(results)


def peer_cell(peer: str, error: float, cpu: float, status: str = "ok") -> dict[str, Any]:
    cell = {"peer": peer, "epsilon": 1.0, "run": 0, "cpu_s": cpu, "peak_mib": 1, "status": status}
    errors = {"codes": {"tv1": error, "tv2": error, "tv3": error}}
    return cell | ({"errors": errors} if status == "ok" else {})


def test_peers_are_compared_with_the_most_accurate(plots: ModuleType) -> None:
    cells = [
        peer_cell("tronie-glaze", 0.03, 2.0),
        peer_cell("tronie-gibbs", 0.01, 20.0),
        peer_cell("mbi-aim", 0.02, 200.0),
        peer_cell("mbi-mst", 0.05, 50.0),
        peer_cell("dpmm-aim", 0.0, 900.0, "timeout"),
    ]
    text = plots.peers({"peers": {"t": {"table": "t", "cells": cells}}})
    assert rows(text)["t"] == [
        "1",
        "0.0300",
        "2.0",
        "0.0100",
        "20",
        "mbi-aim",
        "0.0200",
        "200",
        "100",
    ]
    assert "* t at epsilon 1, TV2 in codes: 0.0300 against 0.0200 of mbi-aim" in text
    assert "Peers that finished somewhere: mbi-aim, mbi-mst." in text
    assert "dpmm-aim (timeout): t at 1" in text
    assert plots.peers({"peers": {}}) == "No table was measured yet."


def test_a_page_without_a_section_is_refused(plots: ModuleType, results: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="begin: goals"):
        plots.filled("no marks", results)


def test_images_exist_and_are_small(page: str) -> None:
    images = IMAGE.findall(page)
    assert "images/efficacy.svg" in images
    for name in images:
        path = PAGE.parent / name
        assert ET.parse(path).getroot().tag.endswith("svg")
        assert path.stat().st_size < 200_000
        assert "<dc:date>" not in path.read_text(encoding="utf-8")


def test_images_show_the_present_results(results: dict[str, Any]) -> None:
    """Names of peers and tables, which the plots write as text, are those of the results."""
    path = PAGE.parent / "images" / "error-cpu.svg"
    if not results["peers"]:
        pytest.skip("no peer was measured")
    text = path.read_text(encoding="utf-8")
    for table, file in results["peers"].items():
        at_one = [c for c in file["cells"] if c["epsilon"] == 1.0 and c["status"] == "ok"]
        assert (table in text) == bool(at_one)
        assert all(cell["peer"] in text for cell in at_one)


def test_result_files_are_plain_json(results: dict[str, Any]) -> None:
    for name in ("efficacy_adult", "commercial_adult", "nist_ma"):
        text = (ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8")
        assert json.loads(text) == results[name]
        assert text.endswith("}\n")
