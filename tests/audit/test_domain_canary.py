"""The domain canary."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import tronie
from tronie.audit.domain_canary import domain_canary, plant
from tronie.cli.main import cli
from tronie.errors import InputError

ROWS = 400


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "age": pa.array(rng.integers(0, 100, ROWS), pa.int8()),
            "town": rng.choice(["Delft", "Gouda"], ROWS),
            "cost": pa.array(rng.uniform(0, 50, ROWS), pa.float32()),
            "seen": [
                dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 99, ROWS)
            ],
            "when": [dt.datetime(2020, 1, 1, int(h)) for h in rng.integers(0, 24, ROWS)],
            "paid": rng.random(ROWS) < 0.5,
            "kind": pa.array(rng.choice(["a", "b"], ROWS).tolist()).dictionary_encode(),
        }
    )


SCHEMA = tronie.Schema.model_validate(
    {
        "name": "visits",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 99},
            "town": {"kind": "category", "values": ["Delft", "Gouda"], "outside": "missing"},
            "cost": {"kind": "decimal", "min": 0, "max": 50},
            "seen": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
            "when": {"kind": "datetime", "min": "2020-01-01", "max": "2020-12-31"},
            "paid": {"kind": "boolean"},
            "kind": {"kind": "category", "values": ["a", "b"], "other": True},
        },
    }
)


def ours(schema: tronie.Schema | None) -> Any:
    def run(rows: pa.Table, folder: Path) -> object:
        release = tronie.synthesize(
            rows,
            schema,
            output=folder / "release",
            epsilon=1.0,
            discover=schema is None,
            name="visits",
            ledger=folder / "ledger.sqlite",
        )
        return release.report.text(), release.rows

    return run


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["declared", "found"])
def test_our_pipeline_leaves_nothing_of_it(table: pa.Table, schema: tronie.Schema | None) -> None:
    found = domain_canary(ours(schema), table, epsilon=1.0, seed=1)
    assert found.verdict == "consistent"
    assert found.power > 10
    assert found.details["hits"] == []
    names = found.details["artefacts"]
    assert {"ledger.sqlite", "release/model.tronie", "release/certificate.json"} <= set(names)
    assert "what was returned, part 1" in names


def test_nor_does_the_command_line(table: pa.Table, tmp_path: Path) -> None:
    def run(rows: pa.Table, folder: Path) -> str:
        pa.parquet.write_table(rows, tmp_path / "visits.parquet")
        arguments = ["synthesize", str(tmp_path / "visits.parquet"), "--discover", "--epsilon", "1"]
        shown = CliRunner().invoke(cli, [*arguments, "-o", str(folder / "out")])
        assert shown.exit_code == 0
        return shown.output

    assert domain_canary(run, table, epsilon=1.0, seed=2).verdict == "consistent"


LEAKS: list[tuple[str, Any, set[str]]] = [
    (
        "categories of the rows",
        lambda rows, folder: (folder / "domain.json").write_text(
            json.dumps(rows["town"].unique().to_pylist())
        ),
        {"town"},
    ),
    (
        "the largest value as a bin edge",
        lambda rows, folder: np.save(
            folder / "bins.npy", np.linspace(0, max(rows["age"].to_pylist()), 5)
        ),
        {"age"},
    ),
    (
        "metadata",
        lambda rows, folder: (
            f"last visit {max(rows['seen'].to_pylist())}; first {min(rows['seen'].to_pylist())}"
        ),
        {"seen"},
    ),
    ("the output", lambda rows, folder: rows.select(["when", "kind"]), {"when", "kind"}),
    ("named tables", lambda rows, folder: {"costs": rows.select(["cost"])}, {"cost"}),
    (
        "a range",
        lambda rows, folder: pa.table({"cost": [1.0, max(rows["cost"].to_pylist()) * 0.7]}),
        {"cost"},
    ),
    ("bytes", lambda rows, folder: str(rows["town"].unique()).encode(), {"town"}),
]


@pytest.mark.parametrize(("where", "run", "columns"), LEAKS, ids=[leak[0] for leak in LEAKS])
def test_leaks_are_found(table: pa.Table, where: str, run: Any, columns: set[str]) -> None:
    found = domain_canary(run, table, epsilon=1.0, seed=3)
    assert found.verdict == "violation", where
    assert {hit["column"] for hit in found.details["hits"]} == columns
    only_range = all(hit["form"] == "range of the values" for hit in found.details["hits"])
    assert only_range == (where == "a range")
    assert found.runs == (3 if only_range else 1)
    assert 2 < found.lower < 3 if only_range else found.lower == found.power > 10
    assert "was found in what the run left behind" in found.finding


def test_a_range_that_is_wide_by_chance_is_none(table: pa.Table) -> None:
    runs: list[int] = []

    def noisy(rows: pa.Table, folder: Path) -> pa.Table:
        runs.append(len(rows))
        return pa.table({"cost": [5e7 if len(runs) == 1 else 1e4]})

    found = domain_canary(noisy, table, epsilon=1.0, seed=0)
    assert found.verdict == "consistent"
    assert found.runs == len(runs) == 2
    assert found.lower == 0.0


def test_messages_are_searched_too(table: pa.Table) -> None:
    def careless(rows: pa.Table, folder: Path) -> None:
        raise ValueError(f"unknown values {rows['town'].unique().to_pylist()}")

    found = domain_canary(careless, table, seed=1)
    assert found.verdict == "violation"
    assert found.details["error"] == "ValueError"

    strict = SCHEMA.model_dump()
    strict["columns"]["town"]["outside"] = "error"
    refused = domain_canary(ours(tronie.Schema.model_validate(strict)), table, epsilon=1.0, seed=1)
    assert refused.verdict == "inconclusive"
    assert refused.details["error"] == "refusal"
    assert "shows nothing of it" in refused.finding


def test_what_is_planted_often_may_be_found(table: pa.Table) -> None:
    found = domain_canary(ours(None), table, epsilon=2.0, copies=600, columns=["town"], seed=1)
    assert found.details["hits"], "600 rows are nine deviations above the threshold of 246"
    assert found.verdict == "consistent"
    assert found.lower == found.power == 0.0
    assert "may be found" in found.finding
    unclaimed = domain_canary(lambda rows, folder: rows, table, copies=2, seed=1)
    assert unclaimed.lower == 0.0
    few = domain_canary(lambda rows, folder: rows, table, epsilon=1.0, copies=2, seed=1)
    assert few.verdict == "violation"


def test_the_odd_row(table: pa.Table) -> None:
    planted, tokens = plant(table, np.random.default_rng(0), copies=2)
    assert planted.num_rows == ROWS + 2
    assert [token.column for token in tokens] == ["age", "town", "cost", "seen", "when", "kind"]
    for token in tokens:
        values = planted[token.column].to_pylist()
        assert values.count(token.value) == 2
        assert token.value not in table[token.column].to_pylist()
    assert planted.schema.field("age").type == pa.int64()
    other, again = (plant(table, np.random.default_rng(seed))[1] for seed in (1, 0))
    assert again == tokens
    assert other != tokens


def test_extremes_are_larger_than_all_else() -> None:
    for largest in (0, 5, 10**6, 10**15, 2**60, 2**63 - 1):
        rows = pa.table({"n": pa.array([largest, 0])})
        _, (token,) = plant(rows, np.random.default_rng(largest % 7), scale=largest % 4)
        assert isinstance(token.value, int)
        assert len(str(token.value)) >= 9
        assert token.value < 2**63
        if largest < 10**16:
            assert token.value > 10 * largest
            assert f"{token.value:.6e}".startswith(f"{str(token.value)[0]}.{str(token.value)[1:7]}")


def test_what_cannot_be_planted_is_refused(table: pa.Table) -> None:
    with pytest.raises(InputError, match="no column can hold"):
        domain_canary(lambda rows, folder: rows, table, columns=["paid"])
    with pytest.raises(InputError, match="no row to plant beside"):
        domain_canary(lambda rows, folder: rows, table.slice(0, 0))


def test_a_large_delta_leaves_nothing_to_show(table: pa.Table) -> None:
    found = domain_canary(lambda rows, folder: None, table, epsilon=1.0, delta=0.1)
    assert found.power == 0.0
    assert found.verdict == "consistent"
