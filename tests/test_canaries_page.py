"""The page on planted coordinates shows what the committed results say."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "canaries.md"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The script, imported as Python imports it when it is run."""
    before = set(sys.modules)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("canaries")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        for name in set(sys.modules) - before:
            if name.split(".")[0] in {"canaries", "efficacy"}:
                del sys.modules[name]


@pytest.fixture(scope="module")
def results(script: ModuleType) -> dict[str, Any]:
    return json.loads(script.RESULT.read_text(encoding="utf-8"))


def test_tables_are_written_from_the_results(script: ModuleType, results: dict[str, Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert script.filled(page, results) == page, "run `python benchmarks/canaries.py --page ...`"


def test_the_page_says_what_was_found(results: dict[str, Any]) -> None:
    found = results["generators"]
    assert np.sum(found["private"]["replays"]) == 0
    means = {name: np.mean(cell["replays"], axis=0) for name, cell in found.items()}
    assert means["trees"].min() >= 3
    kept = means["trees, filtered"].sum() / means["trees"].sum()
    assert 0.85 < kept < 0.95, "nine in ten pass the filters"
    assert all(sum(cell["controls"]) == 0 for cell in found.values())
    assert results["ladder"]["private"]["verdict"] == "consistent"
    assert results["ladder"]["trees"]["verdict"] == "violation"


def test_secrets_are_planted_as_often_as_is_said(script: ModuleType) -> None:
    rng = np.random.default_rng(0)
    rows = pa.table(
        {
            "hour": rng.integers(0, 24, 4000),
            "src_lat": np.round(rng.normal(50, 1, 4000), 6),
            "src_lon": np.round(rng.normal(4, 1, 4000), 6),
        }
    )
    secrets = script.places(rows, 4, rng)
    planted, counts = script.planted(rows, secrets, 0.05, rng)
    assert sum(counts) == 200
    assert script.replays(planted, secrets) == counts
    assert planted.num_rows == rows.num_rows
    assert planted["hour"].equals(rows["hour"])
    changed = (script.starts(planted) != script.starts(rows)).any(axis=1).sum()
    assert changed == 200


def test_bikes_have_three_rides_at_most(script: ModuleType) -> None:
    rows = pa.table({"bike_id": ["a"] * 5 + ["b"] * 2, "hour": list(range(7))})
    kept = script.bounded(rows, np.random.default_rng(0))
    assert kept.column_names == ["hour"]
    hours = kept["hour"].to_pylist()
    assert len([hour for hour in hours if hour < 5]) == 3
    assert {5, 6} <= set(hours)
