"""What plans and trainings become without a budget."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tronie.measure.descent import ordinary_descent
from tronie.privacy.budget import Budget, NoPrivacy
from tronie.privacy.calibration import LEAST_NOISE
from tronie.privacy.events import MIN_SIGMA
from tronie.schema.schema import Schema
from tronie.synth.glaze import Glaze
from tronie.synth.learning import settings_of
from tronie.synth.settings import Settings, Training
from tronie.synth.transformer import Transformer

SCHEMA = Schema.model_validate(
    {
        "name": "x",
        "unit": {"max_rows": 3},
        "columns": {
            "a": {"kind": "integer", "min": 0, "max": 9},
            "b": {"kind": "open_category"},
        },
    }
)


def test_every_access_has_the_least_error() -> None:
    plan = Glaze().plan(SCHEMA, NoPrivacy())
    assert plan.sigma("columns") == plan.sigma("select", 1e-6, 1e3) == MIN_SIGMA
    private = Glaze().plan(SCHEMA, Budget(1.0))
    assert private.sigma("select", 1e-6, 1e3) > MIN_SIGMA


def test_only_a_private_plan_has_a_price() -> None:
    plain = Glaze().plan(SCHEMA, NoPrivacy()).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False))["dp"] is False
    assert plain["budget"] is plain["mu"] is None
    assert {step["share"] for step in plain["steps"]} == {0.0}
    private = Glaze().plan(SCHEMA, Budget(1.0)).to_dict()
    assert "dp" not in private
    assert sum(step["share"] for step in private["steps"]) == pytest.approx(1.0)


def test_a_network_is_trained_as_usual() -> None:
    plan = Transformer().plan(SCHEMA, NoPrivacy())
    assert settings_of(plan, SCHEMA, 50_000) == ordinary_descent(50_000)
    assert settings_of(plan, SCHEMA, 50_000).noise_multiplier == LEAST_NOISE


def test_effort_and_wishes_are_heeded() -> None:
    def steps(**wishes: object) -> int:
        settings = replace(Settings(), **wishes)  # type: ignore[arg-type]
        return settings_of(Transformer().plan(SCHEMA, NoPrivacy(), settings), SCHEMA, 50_000).steps

    assert steps(effort="fast") < steps() < steps(effort="high")
    assert steps(training=Training(epochs=1, batch_size=5_000, rows=50_000)) == 10
