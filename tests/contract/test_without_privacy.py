"""Every method runs without privacy, is nearly exact where it measures, and says that it is not private."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synth_tables import chain

import tronie
from tronie.measure.noise import InsecureNoise
from tronie.privacy.disclaimer import Disclaimer
from tronie.schema.schema import Schema
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.methods import METHODS

ROWS = 400

SCHEMA = Schema.model_validate(
    {
        "name": "visits",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 99, "nullable": False},
            "town": {"kind": "category", "values": ["Delft", "Gouda", "Lisse"]},
            "paid": {"kind": "boolean", "nullable": False},
            "word": {"kind": "open_category"},
        },
        "constraints": [{"kind": "impossible", "when": {"age": {"max": 9}, "paid": [True]}}],
    }
)


def visits(rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(3)
    age = rng.integers(0, 100, rows)
    town = np.array(["Delft", "Gouda", "Lisse"])[(age // 34)]
    return pa.table(
        {
            "age": age,
            "town": pa.array(town.tolist(), mask=rng.random(rows) < 0.05),
            "paid": (age > 9) & (rng.random(rows) < 0.5),
            "word": np.where(age > 50, "late", "early").tolist(),
        }
    )


@pytest.fixture(scope="module", params=METHODS)
def model(request: pytest.FixtureRequest) -> tronie.Model:
    """A model by every method."""
    method = request.param
    more: dict[str, Any] = {"workload": chain(list(SCHEMA.columns))} if method == "direct" else {}
    return tronie.fit(
        visits(),
        SCHEMA,
        dp=False,
        method=method,
        discover=True,
        effort="fast",
        training=tronie.Training(epochs=2),
        language=LanguageSettings(stage1_rows=64, population=64),
        noise=InsecureNoise(1),
        **more,
    )


def test_it_claims_nothing_and_says_so_everywhere(model: tronie.Model, tmp_path: Path) -> None:
    again = tronie.Model.load(model.save(tmp_path / "x.tronie"))
    for one in (model, again):
        assert not one.dp
        assert isinstance(one.certificate, Disclaimer)
        assert one.plan["dp"] is False
        assert one.plan["budget"] is None
        assert not one.sample(20, seed=1).dp
        assert not one.marginal(["town"]).dp
    assert again.sample(20, seed=2).table.equals(model.sample(20, seed=2).table)


def test_single_columns_and_rules_are_kept(model: tronie.Model) -> None:
    """Mean total variation of single columns; 0.014 by chance for 400 rows and 4,000 drawn ones."""
    assert model.rows == ROWS
    table = model.sample(4000, seed=1).table
    rows = zip(table["age"].to_pylist(), table["paid"].to_pylist(), strict=True)
    assert not any(age <= 9 and paid for age, paid in rows)
    errors: list[float] = []
    for name in ("town", "paid", "word"):
        real, made = visits()[name].to_pylist(), table[name].to_pylist()
        values = {*real, *made}
        errors.append(sum(abs(real.count(v) / ROWS - made.count(v) / 4000) for v in values) / 2)
    assert np.mean(errors) < 0.03


@pytest.mark.parametrize("rows", [0, 1])
def test_tiny_tables_are_tables_too(rows: int) -> None:
    model = tronie.fit(visits(rows), SCHEMA, dp=False, method="glaze", discover=True)
    assert model.sample(10, seed=1).table.num_rows == 10
