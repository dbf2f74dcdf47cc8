"""Any synthesizer that can be called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import tronie
from tronie.audit.third_party import audit_synthesizer

ROWS = 4000
RUNGS = {1: 160, 2: 60, 8: 16}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    wealth = rng.lognormal(3, 1, ROWS)
    return pa.table(
        {
            "age": rng.integers(0, 90, ROWS),
            "wealth": np.round(wealth, 2),
            "town": np.where(wealth > 20, rng.choice(["Delft", "Gouda"], ROWS), "Lisse"),
        }
    )


SCHEMA = tronie.Schema.model_validate(
    {
        "name": "people",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 99},
            "wealth": {"kind": "decimal", "min": 0, "max": 5000, "resolution": 0.01},
            "town": {
                "kind": "category",
                "values": ["Delft", "Gouda", "Lisse"],
                "outside": "missing",
            },
        },
    }
)


def verdicts(synthesize: Any, table: pa.Table, **options: Any) -> list[str]:
    found = audit_synthesizer(synthesize, table, rungs=RUNGS, seed=1, **options)
    assert [audit.name for audit in found] == [
        "replay with a control group",
        "domain canary",
        "memorisation ladder",
    ]
    return [audit.verdict for audit in found]


def test_a_copy_fails_all_three(table: pa.Table) -> None:
    assert verdicts(lambda rows: rows, table, epsilon=1.0) == ["violation"] * 3
    assert verdicts(lambda rows: rows, table) == ["violation"] * 3


def test_shuffled_columns_fail_the_second(table: pa.Table) -> None:
    def shuffled(rows: pa.Table) -> pa.Table:
        rng = np.random.default_rng(1)
        order = [pa.array(rng.permutation(rows.num_rows)) for _ in rows.column_names]
        return pa.table(
            {n: rows[n].take(at) for n, at in zip(rows.column_names, order, strict=True)}
        )

    assert verdicts(shuffled, table) == ["consistent", "violation", "consistent"]


def test_ours_passes(table: pa.Table) -> None:
    def ours(rows: pa.Table) -> Any:
        return tronie.fit(rows, SCHEMA, epsilon=1.0).sample(seed=1)

    options: dict[str, Any] = {"schema": SCHEMA, "epsilon": 1.0, "claim": "gaussian"}
    found = verdicts(ours, table, columns=["age", "wealth"], **options)
    assert "violation" not in found
    assert found[:2] == ["consistent", "consistent"]


def test_outputs_may_be_files_and_runs_may_leave_files(table: pa.Table, tmp_path: Path) -> None:
    def written(rows: pa.Table) -> Path:
        pa.parquet.write_table(rows, tmp_path / "out.parquet")
        return tmp_path / "out.parquet"

    assert verdicts(written, table) == ["violation"] * 3

    def careless(rows: pa.Table, folder: Path) -> None:
        (folder / "state.txt").write_text(" ".join(rows["town"].unique().to_pylist()))

    found = audit_synthesizer(
        lambda rows: table.slice(0, 100), table, run=careless, rungs=RUNGS, seed=1
    )
    assert [hit["artefact"] for hit in found[1].details["hits"]] == ["state.txt"]
