"""tronie filter: fewer synthetic rows, and what that does to the guarantee."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tronie.cli.ending import BAD_INPUT

Run = Callable[..., Any]


@pytest.fixture
def synthetic(release: Path) -> Path:
    """Synthetic rows of a release."""
    return release / "synthetic.parquet"


def test_filters_that_cost_nothing(
    run_json: Run, synthetic: Path, model: Path, schema: Path
) -> None:
    free = ["--repeated", 1, "--rare-combinations", 2, "--unlikely", 0.05, "--rare-cells", 3]
    data = run_json(
        "filter",
        synthetic,
        "--model",
        model,
        *free,
        "--rules",
        "--schema",
        schema,
        "-o",
        "f.parquet",
    )
    assert data["dp"] is True
    assert data["rows_after"] == pq.read_table("f.parquet").num_rows < data["rows_before"]
    assert len(data["filters"]) == 5
    assert json.loads(Path("f.parquet.filters.json").read_text())["dp"] is True


def test_rules_of_the_model(run: Run, synthetic: Path, model: Path) -> None:
    shown = run("filter", synthetic, "--model", model, "--rules", "-o", "f.csv").stdout
    assert "as before" in shown


def test_comparing_with_real_rows_is_refused_for_a_release(
    run: Run, synthetic: Path, table: Path
) -> None:
    against = ["--similar-to", table, "--voids-guarantee", "-o", "f.parquet"]
    assert "release" in run("filter", synthetic, *against, code=BAD_INPUT).stderr
    assert not Path("f.parquet").exists()


def test_comparing_with_real_rows_stamps_the_result(run: Run, synthetic: Path, table: Path) -> None:
    pq.write_table(
        pa.concat_tables([pq.read_table(synthetic), pq.read_table(table)]), "mix.parquet"
    )
    against = ["--similar-to", table, "--outlying", table, "-o", "f.parquet"]
    assert "voids" in run("filter", "mix.parquet", *against, code=BAD_INPUT).stderr
    shown = run("filter", "mix.parquet", *against, "--voids-guarantee").stdout
    assert "NOT differentially private" in shown
    assert json.loads(Path("f.parquet.filters.json").read_text())["dp"] is False


@pytest.mark.parametrize("options", [["--unlikely", "0.1"], ["--rare-cells", "3"], ["--rules"], []])
def test_what_a_filter_rests_on_must_be_given(
    run: Run, synthetic: Path, options: list[str]
) -> None:
    message = run("filter", synthetic, *options, "-o", "f.parquet", code=BAD_INPUT).stderr
    assert "Give" in message
    assert not Path("f.parquet").exists()
