"""Settings of private gradient descent, without torch."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import BudgetError, InputError
from tronie.measure.descent import RATE, STEPS, Descent, default_descent
from tronie.privacy.accounting import fits
from tronie.privacy.budget import Budget
from tronie.privacy.events import SampledGaussian
from tronie.privacy.gdp import gdp_delta

BUDGET = Budget(1.0, 1e-6)


def descent(**changes: Any) -> Descent:
    return Descent(**{"rate": 0.1, "steps": 50, "noise_multiplier": 2.0, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 0.0},
        {"rate": 1.5},
        {"steps": 0},
        {"noise_multiplier": 0.0},
        {"max_grad_norm": 0.0},
        {"max_grad_norm": math.inf},
        {"learning_rate": -1.0},
        {"warm_up": -1},
        {"weight_decay": -1.0},
        {"momentum": 1.0},
        {"divisor": 0.0},
        {"physical_batch": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError):
        descent(**change)


def test_the_event_is_what_will_be_done() -> None:
    assert descent().event(["a", "b"]) == SampledGaussian(
        query="train", columns=("a", "b"), rate=0.1, noise_multiplier=2.0, steps=50
    )


@given(st.integers(1, 400), st.integers(0, 500))
def test_the_learning_rate_rises_then_falls_to_nothing(steps: int, warm_up: int) -> None:
    found = descent(steps=steps, warm_up=warm_up, learning_rate=1.0)
    rates = [found.learning_rate_at(step) for step in range(steps)]
    assert all(0 <= rate <= 1 for rate in rates)
    top = min(warm_up, steps)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if warm_up < steps:
        assert rates[-1] < 0.51


def test_one_row_per_unit_needs_no_change() -> None:
    assert descent().for_rows(1) == descent()


@given(st.floats(1e-4, 1.0), st.integers(2, 50))
def test_rows_of_unknown_owners_cost_no_more_than_units(rate: float, k: int) -> None:
    """All k rows together: sampled at most as often, moved at most as far, the same noise."""
    whole = descent(rate=rate)
    each = whole.for_rows(k)
    assert 1 - (1 - each.rate) ** k <= rate * (1 + 1e-12)
    assert 1 - (1 - each.rate) ** k >= rate * (1 - 1e-9)
    assert each.max_grad_norm * k == pytest.approx(whole.max_grad_norm)
    assert each.noise_multiplier * each.max_grad_norm == pytest.approx(2.0)
    assert each.steps == whole.steps


@pytest.mark.parametrize(("k", "rate", "noise"), [(2, 0.3, 1.0), (5, 0.5, 0.7), (3, 0.05, 2.0)])
def test_binomial_mixtures_are_dominated_by_the_charged_pair(
    k: int, rate: float, noise: float
) -> None:
    """Exact hockey-stick divergences, both directions, by integration."""
    import numpy as np

    q = descent(rate=rate).for_rows(k).rate
    x = np.linspace(-12 * noise, 1 + 12 * noise, 400_001)

    def normal(mean: float) -> Any:
        return np.exp(-((x - mean) ** 2) / (2 * noise**2)) / (noise * math.sqrt(2 * math.pi))

    rows = sum(math.comb(k, j) * q**j * (1 - q) ** (k - j) * normal(j / k) for j in range(k + 1))
    pair = (1 - rate) * normal(0) + rate * normal(1)
    for epsilon in (0.0, 0.05, 0.2, 0.5, 1.0, 2.0):
        a = math.exp(epsilon)
        for one, other, top, base in (
            (rows, normal(0), pair, normal(0)),
            (normal(0), rows, normal(0), pair),
        ):
            found = np.trapezoid(np.maximum(one - a * other, 0), x)
            charged = np.trapezoid(np.maximum(top - a * base, 0), x)
            assert found <= charged + 1e-9
    assert gdp_delta(1 / noise, 0.0) > 0


# --- defaults -----------------------------------------------------------------------------------


def test_defaults_fill_the_budget() -> None:
    found = default_descent(BUDGET, mu=0.05)
    assert (found.rate, found.steps) == (RATE, STEPS)
    rest = SampledGaussian(query="rest", rate=1.0, noise_multiplier=20.0, steps=1)
    assert fits([rest, found.event(())], BUDGET)
    noisier = default_descent(BUDGET, mu=0.1)
    assert noisier.noise_multiplier > found.noise_multiplier


def test_epochs_and_batches_are_turned_into_steps() -> None:
    found = default_descent(BUDGET, rows=10_000, batch_size=500, epochs=3, learning_rate=0.1)
    assert (found.rate, found.steps, found.divisor) == (0.05, 60, 500.0)
    assert found.learning_rate == 0.1
    assert default_descent(BUDGET, rows=100, batch_size=500, epochs=2).rate == 1.0


def test_levers_are_taken_as_given() -> None:
    found = default_descent(BUDGET, noise_multiplier=7.0, max_grad_norm=3.0)
    assert (found.noise_multiplier, found.max_grad_norm) == (7.0, 3.0)


def test_a_batch_size_needs_a_public_number_of_rows() -> None:
    with pytest.raises(InputError, match="number of rows"):
        default_descent(BUDGET, batch_size=500)


def test_a_spent_budget_leaves_no_training() -> None:
    with pytest.raises(BudgetError, match="left for training"):
        default_descent(BUDGET, mu=BUDGET.mu * 1.1)


def test_settings_and_states_load_no_torch() -> None:
    program = """
import sys
import tronie, tronie.measure.curator, tronie.measure.descent, tronie.synth.methods
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
