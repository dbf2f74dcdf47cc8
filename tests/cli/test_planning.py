"""schema and plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import tronie

Run = Callable[..., Any]


def test_schema_prints_a_draft_that_reads_back(run: Run, table: Path) -> None:
    shown = run("schema", table)
    drafted = tronie.Schema.parse(shown.stdout)
    assert drafted.name == "visits"
    assert list(drafted.columns) == ["age", "sex", "cost", "smoker", "seen"]
    assert drafted.columns["age"].guessed


def test_schema_writes_a_draft_and_shows_each_guess(run: Run, table: Path) -> None:
    shown = run("schema", table, "--name", "mine", "-o", "x.yaml").stdout
    drafted = tronie.Schema.read("x.yaml")
    assert drafted.name == "mine"
    for column in drafted.columns.values():
        for reason in column.guessed.values():
            assert reason in shown
    assert "found privately with --discover" in shown
    assert "x.yaml" in shown


def test_schema_explains_without_writing(run: Run, table: Path) -> None:
    shown = run("schema", table, "--explain").stdout
    assert "the type is int64" in shown
    assert not list(Path().iterdir())


def test_schema_as_json(run_json: Run, table: Path) -> None:
    data = run_json("schema", table)
    assert data["schema"]["columns"]["sex"]["kind"] == "open_category"
    assert data["unknown"]["age"] == "bounds"


def test_schema_of_a_csv_takes_types(run: Run, table: Path) -> None:
    pyarrow.csv.write_csv(pq.read_table(table), "t.csv")
    types = "age=integer,cost=decimal,seen=date"
    columns = tronie.Schema.parse(run("schema", "t.csv", "--types", types).stdout).columns
    assert [columns[name].kind for name in ("age", "cost", "seen")] == [
        "integer",
        "decimal",
        "date",
    ]
    assert "CSV" in columns["smoker"].guessed["kind"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_schema_takes_values_from_a_public_file(run: Run, table: Path, suffix: str) -> None:
    public = pa.table({"age": [18, 90, 30], "sex": ["female", "other", None]})
    if suffix == "csv":
        pyarrow.csv.write_csv(public, "public.csv")
    else:
        pq.write_table(public, "public.parquet")
    run("schema", table, "--public", f"public.{suffix}", "-o", "x.yaml")
    columns = tronie.Schema.read("x.yaml").columns
    assert list(columns) == ["age", "sex", "cost", "smoker", "seen"]
    assert columns["sex"].values == ("female", "other")  # type: ignore[union-attr]
    assert (columns["age"].origin, columns["sex"].origin, columns["cost"].origin) == (
        "public",
        "public",
        "declared",
    )


def test_schema_from_public_values_then_synthesize(run: Run, table: Path) -> None:
    run("schema", table, "--public", table, "-o", "x.yaml")
    run("synthesize", table, "x.yaml", "--epsilon", 2, "-o", "out")
    facts = json.loads(Path("out/certificate.json").read_text())["public"]
    assert any("declared public" in fact["how"] for fact in facts)


def test_schema_never_replaces_a_file(run: Run, table: Path) -> None:
    Path("x.yaml").write_text("reviewed")
    run("schema", table, "-o", "x.yaml", code=2)
    assert Path("x.yaml").read_text() == "reviewed"


def test_json_schema_is_shown_or_written(run: Run) -> None:
    shown = json.loads(run("schema", "--json-schema").stdout)
    assert shown["title"] == "Schema"
    run("schema", "--json-schema", "-o", "schema.json")
    assert json.loads(Path("schema.json").read_text()) == shown


def test_schema_needs_a_table(run: Run) -> None:
    assert "no table was named" in run("schema", code=2).stderr


@pytest.mark.parametrize(
    ("types", "what"),
    [
        ("age", "is not COLUMN=KIND"),
        ("=integer", "is not COLUMN=KIND"),
        ("age=number", "unknown kind 'number'"),
        ("height=integer", "which is not a column"),
    ],
)
def test_types_that_make_no_sense(run: Run, table: Path, types: str, what: str) -> None:
    assert what in run("schema", table, "--types", types, code=2).stderr


def test_a_public_file_without_common_columns(run: Run, table: Path) -> None:
    pq.write_table(pa.table({"other": [1]}), "public.parquet")
    shown = run("schema", table, "--public", "public.parquet", code=2)
    assert "none of the private table's columns" in shown.stderr


def test_plan_shows_the_split_and_a_forecast(run: Run, schema: Path) -> None:
    shown = run("plan", schema, "--epsilon", 1, "--rows", 400).stdout
    assert "glaze at epsilon 1, delta 1e-09" in shown
    for step in tronie.plan(schema, epsilon=1).steps:
        assert step.why in shown
    assert "for 400 rows" in shown
    assert "age" in shown


def test_plan_without_rows_says_what_is_left_out(run: Run, schema: Path) -> None:
    assert "Give --rows" in run("plan", schema, "--epsilon", 1).stdout


def test_plan_as_json(run_json: Run, schema: Path) -> None:
    data = run_json(
        "plan", schema, "--epsilon", 1, "--delta", 1e-6, "--method", "independent", "--rows", 9
    )
    assert data["method"] == "independent"
    assert data["budget"] == {"epsilon": 1.0, "delta": 1e-6}
    assert sum(step["share"] for step in data["steps"]) == pytest.approx(1)


def test_plan_spends_nothing(run: Run, schema: Path, ledger: Path) -> None:
    run("plan", schema, "--epsilon", 1)
    assert not ledger.exists()


def test_plan_with_levers_of_training(run: Run, run_json: Run, schema: Path) -> None:
    asked = ("plan", schema, "--epsilon", 1, "--method", "transformer", "--train")
    data = run_json(*asked, "epochs=2", "--train", "max_grad_norm=0.5")
    assert data["settings"]["training"] == {"epochs": 2.0, "max_grad_norm": 0.5}
    assert "'speed=2' is not NAME=VALUE with one of epochs" in run(*asked, "speed=2", code=2).stderr
    assert (
        "epochs=many: Input should be a valid number" in run(*asked, "epochs=many", code=2).stderr
    )
    assert "epochs of the training" in run(*asked, "epochs=-1", code=2).stderr
    assert "Give at least" in run(*asked, "noise_multiplier=0.01", code=2).stderr


def test_plan_with_wishes_for_a_language_model(run: Run, run_json: Run, schema: Path) -> None:
    asked = ("plan", schema, "--epsilon", 1, "--language")
    data = run_json(*asked, "serial=sentence", "--language", "lora_rank=4")
    assert data["settings"]["language"]["serial"] == "sentence"
    assert data["settings"]["language"]["lora_rank"] == 4
    assert "serial=rhyme: Input should be" in run(*asked, "serial=rhyme", code=2).stderr
