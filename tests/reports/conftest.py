"""A small private table and a release of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.release.synthesize import Release

SCHEMA = """\
tronie: 1
name: visits
columns:
  age: {kind: integer, min: 0, max: 99, nullable: false}
  sex: {kind: category, values: [female, male], nullable: false}
  cost: {kind: decimal, min: 0, max: 500, resolution: 0.25}
  seen: {kind: date, min: 2020-01-01, max: 2020-12-31, nullable: false}
"""
ROWS = 4000


def visits(seed: int, rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 100, rows)
    cost = np.minimum(np.round(rng.gamma(2, 30, rows) * 4) / 4, 500).tolist()
    days = rng.integers(0, 366, rows).tolist()
    return pa.table(
        {
            "age": pa.array(age, pa.int64()),
            "sex": np.array(["female", "male"])[(age > 40).astype(int)].tolist(),
            "cost": pa.array([None if n % 10 == 0 else v for n, v in enumerate(cost)]),
            "seen": [dt.date(2020, 1, 1) + dt.timedelta(days=d) for d in days],
        }
    )


@pytest.fixture(scope="session")
def real() -> pa.Table:
    return visits(1)


@pytest.fixture(scope="session")
def schema() -> tronie.Schema:
    return tronie.Schema.parse(SCHEMA, "yaml")


@pytest.fixture(scope="session")
def release(
    real: pa.Table, schema: tronie.Schema, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    folder = tmp_path_factory.mktemp("reports")
    return tronie.synthesize(
        real,
        schema,
        output=folder / "release",
        epsilon=10,
        seed=1,
        ledger=folder / "ledger.sqlite",
    )


@pytest.fixture(scope="session")
def folder(release: Release) -> Path:
    return release.folder


@pytest.fixture(scope="session")
def holdout() -> pa.Table:
    """Other rows of the same population."""
    return visits(2)
