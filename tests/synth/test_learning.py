"""What methods that train a network share: settings that fit the plan, and a start from what is public."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from synth_tables import schema_of

from tronie.errors import InputError
from tronie.privacy.accounting import epsilon_of
from tronie.privacy.budget import Budget
from tronie.privacy.events import Gaussian, Threshold, sigma_for
from tronie.synth.hybrid import Hybrid
from tronie.synth.learning import LARGEST_BATCH, TRAIN, Size, in_order, settings_of
from tronie.synth.plan import KEYS_DELTA
from tronie.synth.settings import Settings, Training
from tronie.synth.transformer import Transformer

KNOWN: dict[str, Any] = {
    "a": {"kind": "category", "values": ["x", "y"]},
    "b": {"kind": "integer", "min": 0, "max": 9},
}
OPEN = {**KNOWN, "c": {"kind": "open_category"}}


@pytest.mark.parametrize("columns", [KNOWN, OPEN], ids=["known", "open"])
@pytest.mark.parametrize("method", [Transformer(), Hybrid()])
def test_training_and_the_plans_other_steps_cost_the_budget(method: Any, columns: Any) -> None:
    schema, budget = schema_of(columns), Budget(1.0, 1e-5)
    plan = method.plan(schema, budget)
    descent = settings_of(plan, schema, 10_000)
    mu = plan.mu * math.sqrt(1 - plan.share(TRAIN))
    events: list[Any] = [descent.event(("a", "b"))]
    if columns is KNOWN:
        events.append(Gaussian(query="all else", sigma=sigma_for(mu), sensitivity=1))
    else:
        sigma = sigma_for(mu)
        delta = budget.delta * KEYS_DELTA
        key = Threshold(query="c", sigma=sigma, sensitivity=1, threshold=99 * sigma, delta=delta)
        events.append(key)
    assert 0.99 < epsilon_of(events, budget.delta) <= 1.0


def test_large_tables_are_sampled_more_thinly_with_the_same_noise() -> None:
    schema = schema_of(KNOWN)
    plan = Transformer().plan(schema, Budget(1.0, 1e-5))
    small, large = (settings_of(plan, schema, rows) for rows in (1_000, 10**7))
    assert small.rate == pytest.approx(1 / 24)
    assert large.rate == LARGEST_BATCH / 10**7
    assert (small.noise_multiplier, small.steps) == (large.noise_multiplier, large.steps)


def test_levers_are_heeded() -> None:
    schema, budget = schema_of(KNOWN), Budget(1.0)
    levers = Training(epochs=2, batch_size=100, rows=1000, learning_rate=0.5, max_grad_norm=3.0)
    plan = Transformer().plan(schema, budget, Settings(training=levers))
    found = settings_of(plan, schema, 10**9)
    assert (found.rate, found.steps, found.learning_rate, found.max_grad_norm) == (0.1, 20, 0.5, 3)


@pytest.mark.parametrize("method", [Transformer(), Hybrid()])
def test_noise_that_is_given_must_fit_the_budget(method: Any) -> None:
    schema, budget = schema_of(KNOWN), Budget(1.0)
    least = settings_of(method.plan(schema, budget), schema, 1000).noise_multiplier
    more = Settings(training=Training(noise_multiplier=1.01 * least))
    plan = method.plan(schema, budget, more)
    assert settings_of(plan, schema, 1000).noise_multiplier == 1.01 * least
    with pytest.raises(InputError, match=r"costs more (.|\n)*Give at least"):
        method.plan(schema, budget, Settings(training=Training(noise_multiplier=0.99 * least)))


def test_noise_means_nothing_where_nothing_is_trained() -> None:
    one = schema_of({"a": KNOWN["a"]})
    wishes = Settings(training=Training(noise_multiplier=1e-3))
    assert all(step.name != TRAIN for step in Transformer().plan(one, Budget(1.0), wishes).steps)


def test_effort_buys_steps() -> None:
    schema = schema_of(KNOWN)
    plans = [
        Transformer().plan(schema, Budget(8.0), Settings(effort=effort))
        for effort in ("fast", "normal", "high")
    ]
    steps = [settings_of(plan, schema, 1_000).steps for plan in plans]
    assert steps == sorted(set(steps))


def test_small_tables_get_small_networks() -> None:
    small, large = Size.of(100), Size.of(1e6)
    assert small.width < large.width
    assert small.depth < large.depth


@pytest.mark.parametrize("method", [Transformer(), Transformer("lstm"), Hybrid()])
def test_without_torch_nothing_is_planned_or_spent(
    method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=method.name) as caught:
        method.plan(schema_of(KNOWN), Budget(1.0))
    assert "tronie[neural]" in caught.value.remedy


def test_torch_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, tronie, tronie.synth.methods, tronie.synth.hybrid, tronie.models.field; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_are_put_in_the_order_of_drawing() -> None:
    codes = {"a": np.array([1, 2], np.uint8), "b": np.array([3, 4], np.uint16)}
    assert in_order(codes, ("b", "a")).tolist() == [[3, 1], [4, 2]]
