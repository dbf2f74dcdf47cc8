"""Tables that break methods: many categories, few rows, zeros, copies, constants, and all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema

ROWS = 1000


def awkward() -> tuple[pa.Table, Schema]:
    """A thousand rows of six columns, each awkward in its own way."""
    rng = np.random.default_rng(0)
    code = rng.zipf(1.3, ROWS) % 10_000
    near = np.where(rng.random(ROWS) < 0.99, code, rng.integers(0, 10_000, ROWS))
    gain = np.where(rng.random(ROWS) < 0.9, 0, rng.integers(1, 100_000, ROWS))
    listed = {"kind": "category", "values": list(range(10_000)), "nullable": False}
    columns: dict[str, tuple[Any, dict[str, Any]]] = {
        "code": (code, listed),
        "near": (near, listed),
        "gain": (gain, {"kind": "integer", "min": 0, "max": 100_000, "nullable": False}),
        "fixed": (np.zeros(ROWS, np.int64), {"kind": "category", "values": [0]}),
        "band": (code // 100, {"kind": "integer", "min": 0, "max": 99, "nullable": False}),
        "sex": (rng.integers(0, 2, ROWS).astype(bool), {"kind": "boolean", "nullable": False}),
    }
    table = pa.table({name: values for name, (values, _) in columns.items()})
    kinds = {name: kind for name, (_, kind) in columns.items()}
    return table, Schema.model_validate({"name": "awkward", "columns": kinds})


@pytest.mark.parametrize("method", ["glaze", "aim", "privbayes", "mst", "independent"])
@pytest.mark.parametrize("epsilon", [0.1, 5.0])
def test_an_awkward_table_is_fitted_within_its_memory(method: str, epsilon: float) -> None:
    table, schema = awkward()
    model = tronie.fit(
        table, schema, epsilon=epsilon, method=method, max_memory=64, noise=InsecureNoise(0)
    )
    assert sum(array.nbytes for array in model.field.to_arrays().values()) < 64 * 2**20
    rows = model.sample(500, seed=0).table
    assert rows.num_rows == 500
    assert set(rows["fixed"].to_pylist()) <= {0, None}
    zeros = rows["gain"].to_pylist().count(0) / 500
    assert epsilon < 1 or zeros == pytest.approx(0.9, abs=0.1)


def test_a_copy_of_a_column_stays_near_it() -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(0, 20, 5000)
    table = pa.table({"one": one, "copy": one, "other": rng.integers(0, 20, 5000)})
    kind = {"kind": "category", "values": list(range(20)), "nullable": False}
    schema = Schema.model_validate(
        {"name": "copies", "columns": dict.fromkeys(table.column_names, kind)}
    )
    model = tronie.fit(table, schema, epsilon=2.0, noise=InsecureNoise(0))
    rows = model.sample(5000, seed=0).table
    same = np.mean(rows["one"].to_numpy() == rows["copy"].to_numpy())
    assert same > 0.9
