"""tronie audit: attacks on methods and outputs."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tronie.cli.ending import BAD_INPUT, FAILED

Run = Callable[..., Any]


@pytest.fixture
def halves(run: Run, table: Path) -> tuple[str, str]:
    """Members and control group of the private table, in the empty folder."""
    run("audit", "split", table, "--members", "in.parquet", "--control", "out.parquet")
    return "in.parquet", "out.parquet"


def groups(halves: tuple[str, str]) -> list[str]:
    return ["--members", halves[0], "--control", halves[1]]


def test_the_game_of_a_method(run_json: Run) -> None:
    data = run_json("audit", "method", "independent", "--epsilon", 8, "--runs", 60)
    (found,) = data["audits"]
    assert data["internal"] is False
    assert found["epsilon"] == 8
    assert found["verdict"] in {"consistent", "inconclusive"}
    assert 0 < found["power"] <= 8


def test_too_few_runs_are_refused(run: Run) -> None:
    assert (
        "show nothing"
        in run("audit", "method", "mst", "--epsilon", 1, "--runs", 1, code=BAD_INPUT).stderr
    )


def test_split_divides_all_rows(run: Run, halves: tuple[str, str], table: Path) -> None:
    parts = [pq.read_table(half) for half in halves]
    assert sum(part.num_rows for part in parts) == pq.read_table(table).num_rows
    assert all(stat.S_IMODE(Path(half).stat().st_mode) == 0o600 for half in halves)


def test_split_replaces_nothing(run: Run, table: Path, halves: tuple[str, str]) -> None:
    ends = ["--members", halves[0], "--control", "new.parquet"]
    assert "exists already" in run("audit", "split", table, *ends, code=BAD_INPUT).stderr
    assert not Path("new.parquet").exists()


def test_a_copy_is_a_violation_and_the_result_is_kept(run: Run, halves: tuple[str, str]) -> None:
    result = run(
        "audit", "replay", halves[0], *groups(halves), "--epsilon", 1, "-o", "a.json", code=FAILED
    )
    assert "INTERNAL" in result.stdout
    assert "violation" in result.stdout
    assert stat.S_IMODE(Path("a.json").stat().st_mode) == 0o600
    assert json.loads(Path("a.json").read_text())["audits"][0]["lower"] > 1


def test_other_rows_are_not(run_json: Run, halves: tuple[str, str], schema: Path) -> None:
    given = ["--schema", schema, "--column", "age", "--column", "cost"]
    data = run_json("audit", "replay", halves[1], *groups(halves), *given)
    assert data["audits"][0]["lower"] == 0
    assert data["internal"] is True


def test_membership_takes_a_model(run_json: Run, halves: tuple[str, str], release: Path) -> None:
    model = ["--model", release / "model.tronie", "--epsilon", 10]
    data = run_json("audit", "membership", release / "synthetic.parquet", *groups(halves), *model)
    assert [found["name"] for found in data["audits"]] == [
        "membership by density",
        "membership by focal points",
    ]
    assert all(found["verdict"] != "violation" for found in data["audits"])


def test_membership_of_a_copy(run: Run, halves: tuple[str, str]) -> None:
    run("audit", "membership", halves[0], *groups(halves), code=FAILED)


def test_a_refused_row_shows_nothing(
    run_json: Run, table: Path, schema: Path, ledger: Path
) -> None:
    data = run_json("audit", "canary", table, schema, "--epsilon", 5)
    (found,) = data["audits"]
    assert found["details"]["hits"] == []
    assert (found["details"]["error"], found["verdict"]) == ("refusal", "inconclusive")
    assert not ledger.exists()
    assert list(Path().iterdir()) == []


def test_canary_through_discovery(run_json: Run, table: Path) -> None:
    data = run_json("audit", "canary", table, "--discover", "--epsilon", 5, "--seed", 1)
    (found,) = data["audits"]
    assert found["details"]["error"] == ""
    assert found["verdict"] == "consistent"
    assert any(name.endswith("certificate.json") for name in found["details"]["artefacts"])


def test_ladder(run_json: Run, table: Path, schema: Path, ledger: Path) -> None:
    columns = [part for name in ("age", "cost", "seen") for part in ("--column", name)]
    data = run_json("audit", "ladder", table, schema, "--epsilon", 1, *columns, "--seed", 1)
    (found,) = data["audits"]
    assert [rung["copies"] for rung in found["details"]["rungs"]] == [2**k for k in range(8)]
    assert found["verdict"] != "violation"
    assert not ledger.exists()


def test_results_replace_nothing(run: Run, halves: tuple[str, str]) -> None:
    Path("a.json").write_text("mine")
    run("audit", "replay", halves[0], *groups(halves), "-o", "a.json", code=BAD_INPUT)
    assert Path("a.json").read_text() == "mine"
