from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BudgetError
from tronie.privacy.accounting import epsilon_of, total_mu
from tronie.privacy.budget import DEFAULT_DELTA, SAMPLER_DELTA, Budget
from tronie.privacy.events import Gaussian, sigma_for


def test_delta_has_a_default() -> None:
    assert Budget(1.0).delta == DEFAULT_DELTA == 1e-9


def test_mu_is_that_of_the_known_noise_multiplier() -> None:
    assert 1 / Budget(1.0, 1e-9).mu == pytest.approx(5.4953, abs=1e-4)
    assert 1 / Budget(1.0, 1e-5).mu == pytest.approx(3.7306, abs=1e-4)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan])
def test_epsilon_out_of_range_is_refused(epsilon: float) -> None:
    with pytest.raises(BudgetError, match="epsilon"):
        Budget(epsilon)


@pytest.mark.parametrize("delta", [-1e-9, 1.0, 2.0, math.nan, math.inf])
def test_delta_out_of_range_is_refused(delta: float) -> None:
    with pytest.raises(BudgetError, match="delta"):
        Budget(1.0, delta)


def test_delta_zero_is_refused_with_its_reason() -> None:
    with pytest.raises(BudgetError, match="Gaussian noise never gives pure"):
        Budget(1.0, 0.0)


def test_delta_below_what_samplers_need_is_refused() -> None:
    with pytest.raises(BudgetError, match="samplers"):
        Budget(1.0, SAMPLER_DELTA)


def test_a_budget_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Budget(1.0).epsilon = 2.0  # type: ignore[misc]


@settings(deadline=None, max_examples=40)
@given(
    st.floats(0.01, 50.0),
    st.floats(-25.0, -2.0).map(lambda power: 10.0**power),
    st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20),
)
def test_spending_all_of_mu_in_parts_stays_within_epsilon(
    epsilon: float, delta: float, weights: list[float]
) -> None:
    budget = Budget(epsilon, delta)
    parts = [budget.mu * math.sqrt(weight / math.fsum(weights)) for weight in weights]
    events = [Gaussian(query="q", sigma=sigma_for(part), sensitivity=1.0) for part in parts]
    assert total_mu(events) <= budget.mu * (1 + 1e-12)
    assert epsilon_of(events, delta) <= epsilon
