"""A small private table, its schema, a model and a release folder; and a way to run commands."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import tronie
from tronie.cli.main import cli

ROWS = 400
SCHEMA = """\
tronie: 1
name: visits
columns:
  age: {kind: integer, min: 0, max: 99, nullable: false}
  sex: {kind: category, values: [female, male], nullable: false}
  cost: {kind: decimal, min: 0, max: 500, resolution: 0.25}
  smoker: {kind: boolean}
  seen: {kind: date, min: 2020-01-01, max: 2020-12-31, nullable: false}
"""

Run = Callable[..., Result]


def small_table(rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(7)
    age = rng.integers(0, 100, rows)
    smoker = [None if v < 0.1 else bool(v < 0.4) for v in rng.random(rows)]
    days = rng.integers(0, 366, rows).tolist()
    return pa.table(
        {
            "age": pa.array(age, pa.int64()),
            "sex": pa.array(np.array(["female", "male"])[(age > 40).astype(int)].tolist()),
            "cost": pa.array(np.round(rng.gamma(2, 30, rows) * 4) / 4).cast(pa.float64()),
            "smoker": pa.array(smoker, pa.bool_()),
            "seen": pa.array([dt.date(2020, 1, 1) + dt.timedelta(days=d) for d in days]),
        }
    )


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test's own ledger; no test touches the user's."""
    path = tmp_path / "ledger.sqlite"
    monkeypatch.setenv("TRONIE_LEDGER", str(path))
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder; a fault inside tronie fails the test."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def invoke(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def run_json(run: Run) -> Callable[..., dict[str, Any]]:
    """Run a command with --json: one object on standard output, and nothing else anywhere."""

    def invoke(*arguments: object, code: int = 0) -> dict[str, Any]:
        result = run(*arguments, "--json", code=code)
        assert result.stderr == ""
        data = json.loads(result.stdout, parse_constant=pytest.fail)
        assert isinstance(data, dict)
        return data

    return invoke


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def table(shared: Path) -> Path:
    path = shared / "visits.parquet"
    pq.write_table(small_table(), path)
    return path


@pytest.fixture(scope="session")
def schema(shared: Path) -> Path:
    path = shared / "visits.yaml"
    path.write_text(SCHEMA, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def release(shared: Path, table: Path, schema: Path) -> Path:
    """A release folder."""
    book = shared / "ledger.sqlite"
    return tronie.synthesize(
        table, schema, output=shared / "release", epsilon=10, seed=1, ledger=book
    ).folder


@pytest.fixture(scope="session")
def model(release: Path) -> Path:
    """A model's file."""
    return release / "model.tronie"
