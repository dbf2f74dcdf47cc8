"""report."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tronie
from tronie.cli import reporting
from tronie.reports.contents import contents

from .conftest import small_table

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def large(shared: Path) -> Path:
    """Enough rows for a score that noise leaves exact."""
    path = shared / "large.parquet"
    pq.write_table(small_table(8000), path)
    return path


@pytest.fixture(scope="session")
def large_release(shared: Path, large: Path, schema: Path) -> Path:
    book = shared / "large.sqlite"
    return tronie.synthesize(
        large, schema, output=shared / "large", epsilon=10, seed=1, ledger=book
    ).folder


def test_an_internal_report_is_shown_and_written(run: Run, release: Path, table: Path) -> None:
    outputs = ["r.html", "r.json", "r.md", "r.txt"]
    options = [part for output in outputs for part in ("-o", output)]
    shown = run("report", release, "--real", table, "--no-learning", *options)
    assert shown.stderr == ""
    assert shown.stdout.startswith("INTERNAL: Computed from real rows: not differentially private")
    for words in (
        "visits: what the synthetic rows are worth",
        "epsilon 10 at delta 1e-09, for adding or removing one row",
        "of 100",
        "Columns that are farthest off",
        "Random range counts",
        "Nothing was trained, as was asked for",
        "r.html  the report, for a browser; INTERNAL",
    ):
        assert words in shown.stdout
    for output in outputs:
        assert stat.S_IMODE(Path(output).stat().st_mode) == 0o600
    assert "█" in shown.stdout


def test_nothing_is_spent(run: Run, release: Path, table: Path, ledger: Path) -> None:
    run("report", release, "--real", table, "--no-learning")
    assert not ledger.exists()


def test_json_is_the_report(run_json: Run, release: Path, table: Path, schema: Path) -> None:
    data = run_json(
        *("report", release, "--real", table, "--schema", schema, "--no-learning"),
        *("-o", "r.json", "--name", "mine"),
    )
    assert (data["tier"], data["publishable"]) == ("internal", False)
    assert [e["name"] for e in data["evaluations"]] == ["mine"]
    assert json.loads(Path("r.json").read_text()) == data


def test_several_tables_stand_beside_each_other(
    run: Run, release: Path, model: Path, table: Path
) -> None:
    names = ["--name", "one", "--name", "two", "--name", "copy"]
    shown = run("report", release, model, table, "--real", table, "--no-learning", *names).stdout
    lines = shown.splitlines()
    gauges = [line for line in lines if line.endswith("of 100")]
    assert [line.split()[0] for line in gauges] == ["one", "two", "copy"]
    assert "nothing is claimed about this table" in shown
    assert "missing, one" in shown


def test_the_terminal_shows_the_worst_few(run: Run, release: Path, table: Path) -> None:
    shown = run("report", release, "--real", table, "--no-learning").stdout
    first = shown.index("Pairs of columns that are farthest off")
    block = shown[first:].split("\n\n")[0].splitlines()
    assert len(block) == 2 + reporting.MOST_LINES


def test_with_learning_and_a_holdout(run: Run, release: Path, table: Path) -> None:
    pytest.importorskip("sklearn")
    shown = run("report", release, "--real", table, "--holdout", table, "--target", "sex").stdout
    assert "boosted trees" in shown
    assert "holdout (real rows)" in shown


def test_a_report_for_release(run: Run, large_release: Path, large: Path, ledger: Path) -> None:
    options = ["--release", "--epsilon", 20, "--max-epsilon", 30]
    written = ["-o", "r.html", "--certificate", "c.json"]
    shown = run("report", large_release, "--real", large, *options, *written).stdout
    run("verify", "c.json")
    assert shown.startswith("RELEASE: Every number about the real rows was released with noise")
    for words in ("this report", "table and report together", " ± ", "Whole rows"):
        assert words in shown
    assert "INTERNAL" not in shown
    assert stat.S_IMODE(Path("r.html").stat().st_mode) == 0o644
    assert tronie.Ledger(ledger).spent("visits").epsilon == pytest.approx(20)
    # What has a price is not replaced, and the cap holds.
    again = run("report", large_release, "--real", large, *options, "-o", "r.html", code=2)
    assert "exists already" in again.stderr
    capped = run("report", large_release, "--real", large, *options, "-o", "s.html", code=3)
    assert "may spend epsilon 30" in capped.stderr
    assert not Path("s.html").exists()


def test_a_table_of_its_own_with_a_schema_for_release(
    run_json: Run, large: Path, schema: Path
) -> None:
    data = run_json(
        *("report", large, "--real", large, "--schema", schema, "--release", "--epsilon", 20),
        *("--delta", "1e-6", "--rows", 8000, "--name", "copy"),
    )
    assert data["released"]["name"] == "copy"
    assert data["released"]["certificate"]["claim"]["delta"] == 1e-6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epsilon", "1"], "--epsilon is for reports with --release"),
        (["--max-epsilon", "1"], "--max-epsilon is for reports with --release"),
        (["--certificate", "c.json"], "--certificate is for reports with --release"),
        (["--audit", "none.json"], "does not hold results of audits"),
        (["--rows", "10"], "--rows is for reports with --release"),
        (["--release"], "a report for release has a price"),
        (["--release", "--epsilon", "1", "--no-learning"], "--no-learning is not for reports"),
        (["--release", "--epsilon", "1", "--target", "sex"], "--target is not for reports"),
        (["--release", "--epsilon", "1", "--name", "a", "--name", "b"], "one synthetic table"),
        (["--name", "a", "--name", "b"], "2 names were given for 1"),
        (["-o", "report.pdf"], "cannot be written to 'report.pdf'"),
        (["-o", "none/report.html"], "no such folder"),
    ],
)
def test_options_that_do_not_go_together(
    run: Run, release: Path, table: Path, options: list[str], words: str
) -> None:
    shown = run("report", release, "--real", table, *options, code=2)
    assert words in shown.stderr
    assert shown.stdout == ""
    assert list(Path.cwd().iterdir()) == []


def test_a_broken_certificate_is_an_alarm(
    run: Run, release: Path, table: Path, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(release, copy)
    text = (copy / "certificate.json").read_text()
    (copy / "certificate.json").write_text(text.replace('"epsilon": 10.0', '"epsilon": 1.0'))
    shown = run("report", copy, "--real", table, "--no-learning").stdout
    assert "epsilon 1 at delta 1e-09, for adding or removing one row; DOES NOT HOLD" in shown


def test_shown_sections_exist() -> None:
    from report_examples import example

    keys = {section.key for section in contents(example(3))} | {"whole"}
    assert set(reporting.SHOWN) <= keys


def test_names_do_not_steer_the_terminal() -> None:
    from report_examples import hostile_report

    text = "\n".join(reporting.shown(hostile_report()))
    assert "\x1b[31m" not in text.replace("\x1b[31m\x1b[1m", "")
    assert "\u202e" not in text


def test_audits_stand_in_the_report(run: Run, release: Path, table: Path) -> None:
    from report_examples import audit

    for internal in (True, False):
        data = {"internal": internal, "audits": [audit("violation").to_dict()]}
        Path("a.json").write_text(json.dumps(data))
        shown = run("report", release, "--real", table, "--no-learning", "--audit", "a.json")
        assert "replay, violation" in shown.stdout
        assert "The finding is violation." in shown.stdout
    Path("a.json").write_text(json.dumps({"internal": True, "audits": []}))
    options = ["--release", "--epsilon", 1, "--audit", "a.json"]
    refused = run("report", release, "--real", table, *options, code=2)
    assert "they are internal" in refused.stderr
