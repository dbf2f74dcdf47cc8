"""The page "What the score says" shows what the committed results say, and they are what was asked for."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tronie.evaluate.headline import METHOD
from tronie.schema.schema import Schema

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scores.md"
TOOLS = {"mostlyai_qa", "sdmetrics", "syntheval"}


@pytest.fixture(scope="module")
def study() -> Iterator[ModuleType]:
    """The script, imported as Python imports it when it is run."""
    before = set(sys.modules)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("reference_tables")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        for name in set(sys.modules) - before:
            if name.split(".")[0] in {"reference_tables", "commercial", "efficacy"}:
                del sys.modules[name]


@pytest.fixture(scope="module")
def results(study: ModuleType) -> dict[str, Any]:
    return json.loads(study.RESULTS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_tables_are_written_from_the_results(
    study: ModuleType, results: dict[str, Any], page: str
) -> None:
    told = "run `python benchmarks/reference_tables.py --page`"
    assert study.filled(page, results) == page, told


def test_tables_stand_between_marks_only(study: ModuleType, page: str) -> None:
    assert set(re.findall(r"<!-- begin: (\w+) -->", page)) == set(study.SECTIONS)
    outside = re.sub(r"<!-- begin.*?<!-- end: \w+ -->", "", page, flags=re.DOTALL)
    assert not [line for line in outside.splitlines() if line.startswith("|")]


def test_a_page_without_a_section_is_refused(study: ModuleType, results: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="begin: references"):
        study.filled("no marks", results)


def test_the_page_says_how_the_score_is_made(page: str) -> None:
    words = " ".join(page.replace("*", "").split())
    for sentence in METHOD.split(". ")[:3]:
        assert sentence in words


def test_the_reference_tables_score_what_they_are_worth(results: dict[str, Any]) -> None:
    assert len(results["splits"]) >= 5
    for split in results["splits"]:
        score = {name: found["score"] for name, found in split["tables"].items()}
        assert score["holdout"] >= 99
        assert score["copy"] >= 99
        assert score["independent"] < 40
        assert score["uniform"] < 10
        assert score["independent"] + 20 < score["mix"] < score["holdout"] - 20


def test_each_rung_of_the_ladder_scores_less(study: ModuleType, results: dict[str, Any]) -> None:
    scores = [results["published"]["ladder"][name]["score"] for name in study.LADDER]
    assert len(scores) == 9
    assert all(one > other for one, other in itertools.pairwise(scores))


def test_other_tools_scored_the_same_tables(study: ModuleType, results: dict[str, Any]) -> None:
    first, ladder = results["splits"][0]["tables"], results["published"]["ladder"]
    for found in (*first.values(), *ladder.values()):
        assert set(found["others"]) == TOOLS
    others = first["independent"]["others"]
    assert others["sdmetrics"]["quality"] > 0.85, "the page says that it is high"
    assert others["mostlyai_qa"]["overall_with_triples"] > 0.85


def test_distances_take_at_most_five_cpu_seconds(results: dict[str, Any]) -> None:
    for split in results["splits"]:
        assert all(found["cpu_s"] <= 5 for found in split["tables"].values())


def test_results_name_their_command_and_machine(results: dict[str, Any]) -> None:
    assert results["command"].startswith("python benchmarks/reference_tables.py adult.parquet ")
    assert {"cores", "memory_gib", "python"} <= results["machine"].keys()


def test_the_script_makes_the_tables_that_it_describes(study: ModuleType) -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, 4000)
    table = pa.table({"a": a, "b": (a + (rng.random(4000) < 0.2)) % 6})
    train, made = study.reference_tables(table, 1)
    assert tuple(made) == study.REFERENCES
    assert {len(rows) for rows in made.values()} == {len(train)} == {2000}
    everyone = sorted(zip(*(table[c].to_pylist() for c in "ab"), strict=True))
    halves = pa.concat_tables([train, made["holdout"]])
    assert sorted(zip(*(halves[c].to_pylist() for c in "ab"), strict=True)) == everyone
    assert made["copy"].sort_by([("a", "ascending"), ("b", "ascending")]) == train.sort_by(
        [("a", "ascending"), ("b", "ascending")]
    )
    assert sorted(made["independent"]["a"].to_pylist()) == sorted(train["a"].to_pylist())
    number = {"kind": "integer", "min": 0, "max": 5}
    schema = Schema.model_validate({"name": "t", "columns": {"a": number, "b": number}})
    scores = {name: study.ours(train, rows, schema)["score"] for name, rows in made.items()}
    assert scores["copy"] == 100 > scores["mix"] > scores["independent"]
    assert scores["holdout"] > 95
