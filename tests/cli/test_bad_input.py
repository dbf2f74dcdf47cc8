"""Bad input: one paragraph, exit code 2, nothing spent, nothing written."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.privacy.ledger_entries import Entry
from tronie.schema.schema import Schema

Run = Callable[..., Any]

DAY = dt.date(2020, 1, 1)
COLUMNS: dict[str, list[Any]] = {
    "age": [30, 40, 50],
    "sex": ["female", "male", "male"],
    "cost": [1.5, None, 2.25],
    "smoker": [True, None, False],
    "seen": [DAY, DAY, DAY],
}
"""A table that fits the schema."""


def written(path: str, **changes: list[Any] | None) -> str:
    """A Parquet file of COLUMNS with some changed, added, or taken away."""
    columns = {name: values for name, values in (COLUMNS | changes).items() if values is not None}
    pq.write_table(pa.table(columns), path)
    return path


def listing() -> Mapping[Path, bytes]:
    """All files below the working folder."""
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def counted(ledger: Path) -> list[Entry]:
    """All releases that cost something."""
    return [entry for entry in tronie.Ledger(ledger).entries() if entry.state != "cancelled"]


@pytest.fixture
def refused(run: Run, ledger: Path) -> Callable[..., str]:
    """Run a command that must be refused; what it says."""

    def invoke(*arguments: object) -> str:
        before, spent = listing(), counted(ledger)
        shown = run(*arguments, code=2)
        assert shown.stdout == ""
        first, *rest = shown.stderr.splitlines()
        assert first.startswith("Error: ")
        assert len(rest) == 1
        assert rest[0].startswith("  ")
        assert rest[0].strip()
        assert listing() == before
        assert counted(ledger) == spent
        return shown.stderr

    return invoke


@pytest.fixture(params=["fit", "synthesize"])
def command(request: pytest.FixtureRequest) -> str:
    """Both commands that spend."""
    return request.param


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"extra": [1, 2, 3]}, "the schema lacks 'extra'"),
        ({"cost": None}, "the table lacks 'cost'"),
        ({"age": ["30", "forty", "50"]}, "'age'"),
        ({"age": [True, False, True]}, "'age'"),
        ({"seen": [1.5, 2.5, 3.5]}, "'seen'"),
        ({"age": [[1], [2], [3]]}, "'age'"),
        ({"age": [30, None, 50]}, "'age'"),
        ({"age": [None, None, None]}, "'age'"),
        ({"sex": ["female", "other", "male"]}, "'sex'"),
    ],
    ids=[
        "column not in the schema",
        "column not in the table",
        "text for numbers",
        "truth values for numbers",
        "numbers for dates",
        "lists",
        "missing where none may be",
        "all missing where none may be",
        "unlisted value",
    ],
)
def test_a_table_that_does_not_fit(
    refused: Callable[..., str], schema: Path, command: str, changes: dict[str, Any], what: str
) -> None:
    table = written("t.parquet", **changes)
    assert what in refused(command, table, schema, "--epsilon", 1, "-o", "out")


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("--epsilon", "0", "epsilon is 0"),
        ("--epsilon", "-1", "epsilon is -1"),
        ("--epsilon", "nan", "epsilon is nan"),
        ("--epsilon", "inf", "epsilon is inf"),
        ("--delta", "0", "delta is 0"),
        ("--delta", "1", "delta is 1"),
        ("--delta", "-0.1", "delta is -0.1"),
        ("--delta", "1e-30", "delta is 1e-30"),
        ("--max-epsilon", "0", "the cap on epsilon is 0"),
    ],
)
def test_a_budget_that_makes_no_sense(
    refused: Callable[..., str],
    table: Path,
    schema: Path,
    command: str,
    option: str,
    value: str,
    what: str,
) -> None:
    arguments = ["-o", "out", "--epsilon", "1", option, value]
    assert what in refused(command, table, schema, *arguments)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nowhere.parquet", None),
        ("nowhere.csv", None),
        ("t.xlsx", b"x"),
        ("t.parquet", b""),
        ("t.parquet", b"PAR1 this is not a table PAR1"),
        ("t.arrow", b"ARROW1 no"),
        ("t.csv", b""),
        ("t.csv", b"age,sex\n1,female,3\n"),
        ("t.csv", b"age,sex\n1,\xff\xfe\n"),
        ("t.duckdb", b"not a database"),
    ],
)
def test_a_file_that_is_no_table(
    refused: Callable[..., str], schema: Path, command: str, name: str, content: bytes | None
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    refused(command, name, schema, "--epsilon", 1, "-o", "out")
    refused("schema", name, "-o", "x.yaml", "--public", name)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("nowhere.yaml", None, "cannot be read"),
        ("x.txt", "name: x", "neither YAML nor JSON"),
        ("x.yaml", "", "empty"),
        ("x.yaml", "a: [1", "not valid YAML"),
        ("x.yaml", "name: x\ncolumns: {a: {kind: whole}}", "unknown kind 'whole'"),
        ("x.yaml", "name: x\ncolumns: {a: {kind: integer, min: 9, max: 1}}", "min is above max"),
        ("x.yaml", "name: x\ncolumns: {a: {kind: text}}", "no column"),
        ("x.yaml", "tronie: 2\nname: x\ncolumns: {a: {kind: text}}", "format"),
        (
            "x.yaml",
            "{name: x, unit: {kind: id, id_column: p}, columns: {p: {kind: identifier}}}",
            "the unit",
        ),
        ("x.json", "{", "not valid JSON"),
    ],
)
def test_a_schema_that_is_none(
    refused: Callable[..., str],
    table: Path,
    command: str,
    name: str,
    content: str | None,
    what: str,
) -> None:
    if content is not None:
        Path(name).write_text(content)
    assert what in refused(command, table, name, "--epsilon", 1, "-o", "out")
    assert what in refused("plan", name, "--epsilon", 1)


def test_no_schema_at_all(refused: Callable[..., str], table: Path, command: str) -> None:
    assert "--discover" in refused(command, table, "--epsilon", 1, "-o", "out")


def test_a_schema_with_unknowns(
    refused: Callable[..., str], table: Path, schema: Path, command: str
) -> None:
    text = schema.read_text().replace("min: 0, max: 99, ", "")
    Path("x.yaml").write_text(text)
    assert "'age'" in refused(command, table, "x.yaml", "--epsilon", 1, "-o", "out")


@pytest.mark.parametrize("folder", ["nowhere", "file", "/proc"])
def test_an_output_that_cannot_be_written(
    refused: Callable[..., str], table: Path, schema: Path, model: Path, folder: str
) -> None:
    Path("file").write_text("in the way")
    refused("fit", table, schema, "--epsilon", 1, "-o", f"{folder}/x.tronie")
    if folder != "nowhere":  # folders above a release are made
        refused("synthesize", table, schema, "--epsilon", 1, "-o", f"{folder}/out")
    refused("sample", model, "-n", 1, "-o", f"{folder}/x.csv")
    refused("schema", table, "-o", f"{folder}/x.yaml")
    refused("schema", "--json-schema", "-o", f"{folder}/x.json")
    refused("certificate", model, "-o", f"{folder}/x.json")
    refused("marginal", model, "sex", "-o", f"{folder}/x.csv")


@pytest.mark.parametrize("command", ["fit"])
def test_a_full_disk(table: Path, schema: Path, ledger: Path, tmp_path: Path, command: str) -> None:
    """Files may not grow beyond a size that holds a ledger, but not what is asked for."""
    arguments = [command, table, schema, "--epsilon", "1", "-o", "out"]
    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 128; exec "$@"', "sh", sys.executable, "-m", "tronie", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("Error: 'out' could not be written")
    assert not tronie.Ledger(ledger).entries()
    assert not list(tmp_path.iterdir())


def test_a_format_that_no_file_has(refused: Callable[..., str], model: Path) -> None:
    refused("sample", model, "-n", 1, "-o", "rows.xlsx")


def test_a_number_of_rows_below_zero(
    refused: Callable[..., str], table: Path, schema: Path, model: Path
) -> None:
    refused("synthesize", table, schema, "--epsilon", 1, "--rows", -1, "-o", "out")
    refused("sample", model, "-n", -1, "-o", "x.csv")


@pytest.mark.parametrize("damage", ["cut", "text", "missing", "zip"])
def test_a_model_that_is_none(refused: Callable[..., str], model: Path, damage: str) -> None:
    content = model.read_bytes()
    contents = {
        "cut": content[: len(content) // 2],
        "text": b"hello",
        "zip": b"PK\x05\x06" + bytes(18),
    }
    if damage != "missing":
        Path("x.tronie").write_bytes(contents[damage])
    refused("sample", "x.tronie", "-o", "x.csv")
    refused("marginal", "x.tronie", "sex")
    refused("verify", "x.tronie")
    refused("certificate", "x.tronie")


def test_a_ledger_that_is_none(refused: Callable[..., str], table: Path, schema: Path) -> None:
    Path("x.sqlite").write_bytes(b"not a ledger " * 100)
    arguments = ["--epsilon", 1, "--ledger", "x.sqlite", "-o", "out"]
    for command in ("fit", "synthesize"):
        assert "ledger" in refused(command, table, schema, *arguments)


def test_domains_too_large(refused: Callable[..., str], command: str) -> None:
    """A rule over many columns asks for a table that would not fit in memory."""
    values = [f"v{n}" for n in range(99)]
    names = [f"c{n}" for n in range(9)]
    columns = {name: {"kind": "category", "values": values, "nullable": False} for name in names}
    rule = {"kind": "impossible", "when": dict.fromkeys(names, values[1::2])}
    schema = {"name": "wide", "columns": columns, "constraints": [rule]}
    Schema.model_validate(schema).write("wide.yaml")
    pq.write_table(pa.table(dict.fromkeys(names, values)), "wide.parquet")
    shown = refused(command, "wide.parquet", "wide.yaml", "--epsilon", 1, "-o", "out")
    assert "memory" in shown or "cells" in shown


# What is unusual, but no mistake.


def works(run: Run, table: str, schema: Path | str, columns: int) -> pa.Table:
    for method in ("independent", "mst"):
        run("synthesize", table, schema, "--epsilon", 1, "--method", method, "-o", f"out-{method}")
        run("verify", f"out-{method}")
        rows = pq.read_table(f"out-{method}/synthetic.parquet")
        assert rows.num_columns == columns
    run("sample", "out-mst/model.tronie", "-n", 7, "-o", "x.parquet")
    return pq.read_table("x.parquet")


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_of_hardly_any_rows_works(run: Run, schema: Path, table: Path, rows: int) -> None:
    pq.write_table(pq.read_table(table).slice(0, rows), "t.parquet")
    assert works(run, "t.parquet", schema, columns=5).num_rows == 7


@pytest.mark.parametrize("rows", [0, 1])
def test_a_csv_of_hardly_any_rows_works(run: Run, schema: Path, rows: int) -> None:
    lines = ["age,sex,cost,smoker,seen", "30,female,1.5,true,2020-01-01"][: rows + 1]
    Path("t.csv").write_text("\n".join(lines) + "\n")
    assert works(run, "t.csv", schema, columns=5).num_rows == 7


def test_a_single_column_works(run: Run) -> None:
    Path("x.yaml").write_text("name: x\ncolumns: {a: {kind: integer, min: 0, max: 9}}\n")
    pq.write_table(pa.table({"a": [1, 2, 3] * 50}), "t.parquet")
    assert works(run, "t.parquet", "x.yaml", columns=1).num_rows == 7


def test_a_column_without_a_value_works(run: Run, schema: Path) -> None:
    table = written("t.parquet", cost=[None, None, None])
    works(run, table, schema, columns=5)


def test_infinities_are_outside_the_bounds(
    run: Run, refused: Callable[..., str], schema: Path
) -> None:
    """They are clipped like any other value outside; where that is an error, it is one."""
    table = written("t.parquet", cost=[float("inf"), float("-inf"), float("nan")])
    works(run, table, schema, columns=5)
    strict = schema.read_text().replace("resolution: 0.25", "resolution: 0.25, outside: error")
    Path("strict.yaml").write_text(strict.replace("name: visits", "name: strict"))
    (Path("out-mst")).rename("done")
    shown = refused("fit", table, "strict.yaml", "--epsilon", 1, "-o", "x.tronie")
    assert "'cost'" in shown
    assert "inf" not in shown


def test_ten_thousand_categories_work(run: Run) -> None:
    values = [f"v{n:05d}" for n in range(10_000)]
    columns = {
        "a": {"kind": "category", "values": values, "nullable": False},
        "b": {"kind": "integer", "min": 0, "max": 9, "nullable": False},
    }
    Schema.model_validate({"name": "many", "columns": columns}).write("many.yaml")
    pq.write_table(pa.table({"a": values[::5], "b": [n % 10 for n in range(2000)]}), "t.parquet")
    assert set(works(run, "t.parquet", "many.yaml", columns=2)["a"].to_pylist()) <= set(values)
