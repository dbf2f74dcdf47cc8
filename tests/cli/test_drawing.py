"""sample and marginal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import tronie

Run = Callable[..., Any]


def test_sample_draws_the_released_number_of_rows(run: Run, model: Path) -> None:
    shown = run("sample", model, "-o", "x.parquet").stdout
    rows = pq.read_table("x.parquet")
    assert rows.num_rows == tronie.Model.load(model).rows
    assert f"{rows.num_rows:,} synthetic rows, 5 columns" in shown


def test_the_same_seed_gives_the_same_rows(run: Run, model: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run("sample", model, "-n", 100, "--seed", seed, "-o", f"{name}.csv")
    a, b, c = (Path(f"{name}.csv").read_bytes() for name in "abc")
    assert a == b != c


def test_given_holds_in_every_row(run: Run, model: Path) -> None:
    conditions = ["age=30..39", "sex=female", "smoker=", "seen=2020-03-01..2020-03-31"]
    given = [part for condition in conditions for part in ("--given", condition)]
    run("sample", model, "-n", 50, *given, "-o", "x.parquet")
    rows = pq.read_table("x.parquet")
    assert rows.num_rows == 50
    assert pc.all(pc.and_(pc.less(29, rows["age"]), pc.less(rows["age"], 40))).as_py()
    assert rows["sex"].unique().to_pylist() == ["female"]
    assert rows["smoker"].null_count == 50
    assert {day.month for day in rows["seen"].to_pylist()} == {3}
    assert isinstance(rows["seen"][0].as_py(), dt.date)


def test_given_takes_several_values(run: Run, model: Path) -> None:
    run("sample", model, "-n", 60, "--given", "age=30,40", "-o", "x.parquet")
    assert set(pq.read_table("x.parquet")["age"].to_pylist()) == {30, 40}


def test_sample_as_json(run_json: Run, model: Path) -> None:
    data = run_json("sample", model, "-n", 0, "-o", "x.arrow")
    assert data["rows"] == 0
    assert data["columns"] == ["age", "sex", "cost", "smoker", "seen"]


def test_sample_spends_nothing(run: Run, model: Path, ledger: Path) -> None:
    run("sample", model, "-n", 1, "-o", "x.csv")
    assert not ledger.exists()


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ("age", "is not a condition"),
        ("age=old", "not a whole number"),
        ("height=3", "'height'"),
        ("sex=other", "'other'"),
        ("age=200..300", "no value"),
        ("seen=soon", "'soon'"),
        ("sex=", "missing"),
    ],
)
def test_conditions_that_cannot_be_met(run: Run, model: Path, condition: str, what: str) -> None:
    shown = run("sample", model, "--given", condition, "-o", "x.csv", code=2)
    assert what in shown.stderr
    assert not Path("x.csv").exists()


def test_marginal_shows_expected_counts(run: Run, model: Path) -> None:
    shown = run("marginal", model, "sex", "smoker").stdout.splitlines()
    assert shown[0].split() == ["sex", "smoker", "rows"]
    assert len(shown) == 1 + 2 * 3
    assert any("(missing)" in line for line in shown)


def test_marginal_as_json_adds_up(run_json: Run, model: Path) -> None:
    data = run_json("marginal", model, "sex")
    assert data["columns"] == ["sex"]
    assert {cell["sex"] for cell in data["cells"]} == {"female", "male"}
    total = sum(cell["rows"] for cell in data["cells"])
    assert total == pytest.approx(tronie.Model.load(model).rows, abs=1)


def test_marginal_to_a_file(run: Run, model: Path) -> None:
    shown = run("marginal", model, "age", "-o", "age.csv").stdout
    assert "age.csv" in shown
    assert Path("age.csv").read_text().splitlines()[0].replace('"', "") == "age,rows,standard_error"


def test_marginal_of_no_column_of_the_model(run: Run, model: Path) -> None:
    assert "'height'" in run("marginal", model, "height", code=2).stderr
    run("marginal", model, code=2)
