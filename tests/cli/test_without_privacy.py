"""--no-privacy: what the commands write and say, and how they end."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tronie
from tronie.files import NOT_PRIVATE

Run = Callable[..., Any]
FILES = {NOT_PRIVATE, "synthetic.parquet", "model.tronie", "plan.json", "report.txt"}
BANNER = "NOT PRIVATE: Made without differential privacy, for comparison only: do not publish."


@pytest.fixture
def exact(run: Run, table: Path, schema: Path) -> Path:
    """A folder without privacy, in the present folder."""
    run("synthesize", table, schema, "--no-privacy", "--method", "independent", "-o", "exact")
    return Path("exact")


def test_synthesize(run: Run, table: Path, schema: Path, ledger: Path) -> None:
    shown = run("synthesize", table, schema, "--no-privacy", "-o", "out").stdout
    assert shown.startswith(BANNER)
    assert {path.name for path in Path("out").iterdir()} == FILES
    for name in FILES:
        assert str(Path("out") / name) in shown
    for word in ("epsilon", "certificate.json", "budget"):
        assert word not in shown
    assert stat.S_IMODE(Path("out").stat().st_mode) == 0o700
    assert not ledger.exists()


def test_synthesize_as_json(run_json: Run, table: Path, schema: Path) -> None:
    data = run_json("synthesize", table, schema, "--no-privacy", "--compare", "-o", "out")
    assert data["dp"] is False
    assert not {"epsilon", "delta", "mu", "noise"} & set(data)
    assert set(data["files"]) == FILES
    assert data["report"]["banner"]
    assert 0 < data["internal"]["score"] <= 100


def test_fit(run: Run, run_json: Run, table: Path, schema: Path) -> None:
    assert run("fit", table, schema, "--no-privacy", "-o", "x.tronie").stdout.startswith(BANNER)
    assert not tronie.Model.load("x.tronie").dp
    assert run_json("fit", table, schema, "--no-privacy", "-o", "y.tronie")["dp"] is False
    assert run_json("fit", table, schema, "--epsilon", 1, "-o", "z.tronie")["dp"] is True


@pytest.mark.parametrize(
    "option",
    [
        ["--epsilon", 1],
        ["--max-epsilon", 1],
        ["--delta", 1e-5],
        ["--ledger", "l.sqlite"],
        ["--train", "noise_multiplier=1"],
    ],
)
@pytest.mark.parametrize("command", ["fit", "synthesize"])
def test_a_budget_means_nothing_with_it(
    run: Run, table: Path, schema: Path, command: str, option: list[object]
) -> None:
    shown = run(command, table, schema, "--no-privacy", *option, "-o", "out", code=2)
    assert "means nothing in a run without privacy" in shown.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["", NOT_PRIVATE, "model.tronie"])
def test_verify_says_so_and_fails(run: Run, run_json: Run, exact: Path, name: str) -> None:
    shown = run("verify", exact / name, code=1).stdout
    assert "NOTHING IS CLAIMED" in shown
    assert "holds" not in shown
    data = run_json("verify", exact / name, code=1)
    assert (data["ok"], data["dp"], data["epsilon_claimed"]) == (False, False, None)
    assert "noise" not in data


def test_verify_is_not_taken_in_by_a_certificate_beside(
    run: Run, exact: Path, release: Path
) -> None:
    genuine = (release / "certificate.json").read_text()
    (exact / "certificate.json").write_text(genuine)
    assert "NOTHING IS CLAIMED" in run("verify", exact, code=1).stdout
    (exact / NOT_PRIVATE).unlink()
    shown = run("verify", exact, code=1).stdout
    assert "holds another certificate" in shown
    assert "says that it was made without privacy" in shown
    (exact / "model.tronie").unlink()
    assert "says that it was made without privacy" in run("verify", exact, code=1).stdout


def test_certificate_shows_that_there_is_none(run: Run, run_json: Run, exact: Path) -> None:
    shown = run("certificate", exact).stdout
    assert shown.startswith("NOT PRIVATE: 'visits'")
    assert "Accesses" not in shown
    assert run_json("certificate", exact / "model.tronie")["dp"] is False
    run("certificate", exact, "-o", "x.json")
    assert json.loads(Path("x.json").read_text())["dp"] is False
    run("verify", "x.json", code=1)


def test_sample_and_marginal_warn(run: Run, run_json: Run, exact: Path, release: Path) -> None:
    model = exact / "model.tronie"
    assert run("sample", model, "-n", 5, "-o", "x.parquet").stdout.startswith(BANNER)
    assert pq.read_schema("x.parquet").metadata[b"tronie.dp"] == b"false"
    assert run("marginal", model, "sex").stdout.startswith(BANNER)
    assert run_json("sample", model, "-n", 5, "-o", "y.csv")["dp"] is False
    assert json.loads(Path("y.csv.dp.json").read_text())["dp"] is False
    assert run_json("marginal", model, "sex")["dp"] is False
    assert "NOT PRIVATE" not in run("marginal", release / "model.tronie", "sex").stdout


def test_report_shows_it_beside_a_private_one(
    run: Run, run_json: Run, exact: Path, release: Path, table: Path
) -> None:
    both = ("report", release, exact, "--real", table, "--no-learning")
    shown = run(*both).stdout
    assert "NOT PRIVATE" in shown
    assert "epsilon 10" in shown
    claims = run_json(*both)["claims"]
    assert [claim["dp"] for claim in claims] == [True, False]
    assert claims[1]["epsilon"] is None


def test_a_report_for_release_is_refused(
    run: Run, exact: Path, table: Path, schema: Path, ledger: Path
) -> None:
    for given in (exact, exact / "model.tronie", exact / "synthetic.parquet"):
        facts = ("--schema", schema, "--release", "--epsilon", 1)
        shown = run("report", given, "--real", table, *facts, code=2)
        assert "the synthetic table was made without differential privacy" in shown.stderr
    assert not ledger.exists()


def test_a_model_is_no_prior(run: Run, exact: Path, table: Path, schema: Path) -> None:
    for prior in (exact / "model.tronie", exact / "synthetic.parquet"):
        arguments = ("fit", table, schema, "--epsilon", 1, "--prior", prior, "-o", "x.tronie")
        assert "the prior was made without" in run(*arguments, code=2).stderr


def test_filtered_rows_stay_what_they_are(run: Run, run_json: Run, exact: Path) -> None:
    rows = exact / "synthetic.parquet"
    data = run_json("filter", rows, "--repeated", 5, "-o", "left.parquet")
    assert data["dp"] is False
    assert pq.read_schema("left.parquet").metadata[b"tronie.dp"] == b"false"
    assert run_json("filter", "left.parquet", "--repeated", 5, "-o", "again.csv")["dp"] is False


def test_audits_take_its_model(run_json: Run, exact: Path, table: Path) -> None:
    data = run_json(
        *("audit", "membership", exact / "synthetic.parquet", "--model", exact / "model.tronie"),
        *("--members", table, "--control", exact / "synthetic.parquet"),
    )
    assert len(data["audits"]) == 2
