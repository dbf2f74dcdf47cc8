"""A small private table and a model of it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema

ROWS = 600


@pytest.fixture(scope="session")
def schema() -> Schema:
    """Columns of every kind, with rules."""
    return Schema.model_validate(
        {
            "name": "visits",
            "columns": {
                "id": {"kind": "identifier", "pattern": "V-{n:03d}"},
                "secret": {"kind": "identifier"},
                "age": {"kind": "integer", "min": 0, "max": 99},
                "town": {"kind": "category", "values": ["Delft", "Gouda", "Lisse"]},
                "zip": {"kind": "category", "values": ["26", "28", "21"]},
                "cost": {"kind": "decimal", "min": 0, "max": 50, "resolution": 0.25},
                "paid": {"kind": "boolean", "nullable": False},
                "seen": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31"},
                "note": {"kind": "text"},
            },
            "constraints": [
                {
                    "kind": "function",
                    "of": "town",
                    "gives": "zip",
                    "table": [["Delft", "26"], ["Gouda", "28"], ["Lisse", "21"]],
                },
                {"kind": "impossible", "when": {"age": {"max": 9}, "paid": [True]}},
            ],
        }
    )


@pytest.fixture(scope="session")
def table() -> pa.Table:
    """Private rows, with metadata that counts them."""
    rng = np.random.default_rng(5)
    town = rng.choice(3, ROWS, p=[0.5, 0.3, 0.2])
    age = rng.integers(0, 100, ROWS)
    days = rng.integers(0, 366, ROWS)
    rows = pa.table(
        {
            "id": [f"private-{i}" for i in range(ROWS)],
            "secret": [f"private-{i}" for i in range(ROWS)],
            "age": pa.array(age, pa.int16(), mask=rng.random(ROWS) < 0.05),
            "town": pa.array(np.array(["Delft", "Gouda", "Lisse"])[town].tolist()),
            "zip": pa.array(np.array(["26", "28", "21"])[town].tolist()),
            "cost": pa.array(rng.integers(0, 200, ROWS) / 4, pa.float32()),
            "paid": pa.array((age > 9) & (rng.random(ROWS) < 0.5)),
            "seen": pa.array([dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in days]),
            "note": ["private words"] * ROWS,
        }
    )
    pandas = {"index_columns": [{"kind": "range", "start": 0, "stop": ROWS, "step": 1}]}
    return rows.replace_schema_metadata({"pandas": json.dumps(pandas)})


@pytest.fixture(scope="session")
def model(table: pa.Table, schema: Schema, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A fitted model; its noise is a test's."""
    book = tmp_path_factory.mktemp("model") / "ledger.sqlite"
    return tronie.fit(table, schema, epsilon=5.0, noise=InsecureNoise(1), ledger=book)


@pytest.fixture(scope="session")
def bundle(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's file."""
    return model.save(tmp_path_factory.mktemp("bundle") / "visits.tronie")
