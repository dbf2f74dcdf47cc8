"""synthesize, fit and demo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.cli.options import METHODS
from tronie.cli.spending import FORMATS
from tronie.release import synthesize as release_synthesize
from tronie.synth import methods

RELEASE = {"synthetic.parquet", "certificate.json", "model.tronie", "plan.json", "report.txt"}
Run = Callable[..., Any]


def test_choices_are_those_of_the_library() -> None:
    assert set(METHODS) == {methods.AUTO, *methods.METHODS}
    assert FORMATS == release_synthesize.FORMATS


def test_synthesize_writes_a_folder_and_says_what_it_is_worth(
    run: Run, table: Path, schema: Path
) -> None:
    shown = run("synthesize", table, schema, "--epsilon", 1, "-o", "out")
    assert {path.name for path in Path("out").iterdir()} == RELEASE
    for word in ("visits: synthetic rows by glaze", "epsilon, delta: 1, 1e-09", "best attack"):
        assert word in shown.stdout
    for name in RELEASE:
        assert str(Path("out") / name) in shown.stdout
    assert shown.stderr == ""
    assert "INTERNAL" not in shown.stdout
    assert pq.read_schema("out/synthetic.parquet").equals(pq.read_schema(table))
    run("verify", "out")


def test_synthesize_as_json(run_json: Run, table: Path, schema: Path) -> None:
    data = run_json(
        "synthesize", table, schema, "--epsilon", 2, "--rows", 50, "--compare", "-o", "out"
    )
    assert set(data["files"]) == RELEASE
    assert (data["dataset"], data["epsilon"], data["rows"]) == ("visits", 2.0, 50)
    assert 0 < data["internal"]["score"] <= 100
    assert set(data["internal"]["overlap"]) == {"columns", "pairs", "triples"}
    assert "not publish" in data["internal"]["warning"]
    assert data["report"]["budget"]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("csv", pyarrow.csv.read_csv),
        ("arrow", pyarrow.feather.read_table),
        ("parquet", pq.read_table),
    ],
)
def test_formats_and_number_of_rows(
    run: Run, table: Path, schema: Path, name: str, read: Callable[[str], pa.Table]
) -> None:
    common = ["--epsilon", 1, "--method", "independent", "--rows", 20, "--seed", 3]
    run("synthesize", table, schema, *common, "--format", name, "-o", "out")
    assert read(f"out/synthetic.{name}").num_rows == 20


def test_compare_is_shown_and_not_written(run: Run, table: Path, schema: Path) -> None:
    shown = run("synthesize", table, schema, "--epsilon", 1, "--compare", "-o", "out").stdout
    assert "INTERNAL: reads real rows, not differentially private, do not publish." in shown
    assert "of 100" in shown
    assert "farthest off" in shown
    assert not [f for f in Path("out").iterdir() if b"farthest off" in f.read_bytes()]


def test_discover_needs_no_schema(run: Run, table: Path) -> None:
    run("synthesize", table, "--discover", "--epsilon", 5, "-o", "out")
    certificate = tronie.Certificate.read("out/certificate.json")
    assert {event.kind for event in certificate.events} >= {"gaussian", "threshold"}
    run("verify", "out")


def test_fit_writes_a_model_that_holds_its_claim(
    run: Run, table: Path, schema: Path, ledger: Path
) -> None:
    shown = run("fit", table, schema, "--epsilon", 0.5, "--delta", 1e-6, "-o", "x.tronie").stdout
    assert "x.tronie" in shown
    assert "epsilon, delta: 0.5, 1e-06" in shown
    model = tronie.Model.load("x.tronie")
    assert model.certificate.verify().ok
    assert 0 < tronie.Ledger(ledger).spent("visits", 1e-6).epsilon <= 0.5 * (1 + 1e-9)


def test_fit_as_json(run_json: Run, table: Path, schema: Path) -> None:
    data = run_json(
        "fit", table, schema, "--epsilon", 1, "--method", "independent", "-o", "x.tronie"
    )
    assert (data["method"], data["model"]) == ("independent", "x.tronie")
    assert data["columns"] == ["age", "sex", "cost", "smoker", "seen"]


def test_a_named_ledger_is_used(run: Run, table: Path, schema: Path, ledger: Path) -> None:
    options = ["--epsilon", 1, "--ledger", "own.sqlite"]
    run("fit", table, schema, *options, "-o", "a.tronie")
    assert not ledger.exists()
    refused = run("fit", table, schema, *options, "--max-epsilon", 1.2, "-o", "b.tronie", code=3)
    assert refused.stdout == ""
    assert refused.stderr.startswith("Error: the data set 'visits' may spend epsilon 1.2 in all")
    assert not Path("b.tronie").exists()
    assert len(tronie.Ledger("own.sqlite").entries()) == 1


def test_a_stored_cap_refuses(run: Run, table: Path, schema: Path) -> None:
    run("budget", "visits", "--set-cap", 0.7)
    run("fit", table, schema, "--epsilon", 1, "-o", "x.tronie", code=3)
    run("fit", table, schema, "--epsilon", 0.6, "-o", "x.tronie")


def test_a_model_or_release_is_never_replaced(run: Run, table: Path, schema: Path) -> None:
    Path("x.tronie").write_text("mine")
    Path("out").mkdir()
    Path("out/note").write_text("mine")
    for command, output in (("fit", "x.tronie"), ("synthesize", "out")):
        shown = run(command, table, schema, "--epsilon", 1, "-o", output, code=2)
        assert "exists already" in shown.stderr
    assert Path("x.tronie").read_text() == "mine"
    assert [path.name for path in Path("out").iterdir()] == ["note"]


def test_epsilon_is_required(run: Run, table: Path, schema: Path) -> None:
    for command in ("fit", "synthesize"):
        shown = run(command, table, schema, "-o", "x", code=2)
        assert "no epsilon was given" in shown.stderr


def test_a_table_in_a_duckdb_file(run: Run, table: Path, schema: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect("d.duckdb") as connection:
        connection.execute(f"CREATE TABLE visits AS SELECT * FROM '{table}'")
        connection.execute("CREATE TABLE other AS SELECT 1 AS x")
    run(
        *("synthesize", "d.duckdb", schema, "--table", "visits", "--epsilon", 1, "--compare"),
        *("-o", "out"),
    )
    run("schema", "d.duckdb", "--table", "visits", "-o", "y.yaml")
    assert "smoker" in tronie.Schema.read("y.yaml").columns


def test_demo(run: Run) -> None:
    shown = run("demo", "-o", "out", "--seed", 1).stdout
    assert {path.name for path in Path("out").iterdir()} == RELEASE
    assert "the certificate holds" in shown
    assert "of 100" in shown
    assert "Adult is public" in shown
    listed = run("budget", "adult", "--json").stdout
    assert json.loads(listed)["datasets"][0]["releases"] == 1
    columns = tronie.Model.load("out/model.tronie").codings
    refused = run("marginal", "out/model.tronie", *columns, code=2).stderr
    assert "Ask for fewer columns" in refused


def test_demo_as_json(run_json: Run) -> None:
    data = run_json("demo")
    assert data["folder"] == "demo-release"
    assert data["verification"]["ok"]
    assert 0.8 < data["internal"]["overlap"]["pairs"] < 1
