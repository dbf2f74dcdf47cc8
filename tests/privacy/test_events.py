from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tronie.errors import BudgetError
from tronie.privacy.events import (
    MAX_EXPONENTIAL_EPSILON,
    MIN_SIGMA,
    Event,
    Exponential,
    Gaussian,
    Threshold,
    exponential_mu,
    sigma_for,
)

EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])

columns = st.lists(st.text(max_size=4), max_size=3).map(tuple)
sigmas = st.floats(MIN_SIGMA, 1e12)
sensitivities = st.floats(1e-6, 1e9)
gaussians = st.builds(
    Gaussian, query=st.just("marginal"), columns=columns, sigma=sigmas, sensitivity=sensitivities
)
thresholds = st.builds(
    Threshold,
    query=st.just("keys"),
    columns=columns,
    sigma=sigmas,
    sensitivity=sensitivities,
    threshold=st.floats(1e-3, 1e9),
    delta=st.floats(1e-300, 0.5),
)
exponentials = st.builds(
    Exponential,
    query=st.just("select"),
    columns=columns,
    epsilon=st.floats(1e-6, MAX_EXPONENTIAL_EPSILON),
    candidates=st.integers(1, 10**6),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(gaussians, thresholds, exponentials), max_size=8))
def test_json_round_trip_is_exact(events: list[Event]) -> None:
    assert EVENTS.validate_json(EVENTS.dump_json(events), strict=True) == events


def test_kind_tells_events_apart() -> None:
    text = '[{"kind": "exponential", "query": "q", "columns": [], "epsilon": 1, "candidates": 3}]'
    assert EVENTS.validate_json(text) == [Exponential(query="q", epsilon=1.0, candidates=3)]


def test_gaussian_costs_sensitivity_over_sigma_and_a_little() -> None:
    event = Gaussian(query="q", sigma=2.0, sensitivity=3.0)
    assert event.mu == pytest.approx(1.5 * (1 + 1 / 32))
    assert event.delta == 0.0


def test_threshold_costs_what_its_noise_costs_and_its_delta() -> None:
    event = Threshold(query="q", sigma=2.0, sensitivity=3.0, threshold=20.0, delta=1e-10)
    assert event.mu == Gaussian(query="q", sigma=2.0, sensitivity=3.0).mu
    assert event.delta == 1e-10


@pytest.mark.parametrize("epsilon", [1e-6, 0.01, 0.1, 0.5, 1.0, 3.9, 4.0, 4.1, 10.0, 30.0, 50.0])
def test_exponential_costs_the_closed_form(epsilon: float) -> None:
    import mpmath

    with mpmath.workdps(60):
        exact = 2 * mpmath.sqrt(2) * mpmath.erfinv(mpmath.tanh(mpmath.mpf(epsilon) / 4))
    event = Exponential(query="q", epsilon=epsilon, candidates=5)
    assert float(exact) <= event.mu <= float(exact) * (1 + 1e-10)
    assert event.delta == 0.0


def test_exponential_cost_has_no_step_between_its_two_formulas() -> None:
    assert exponential_mu(math.nextafter(4.0, 0.0)) == pytest.approx(exponential_mu(4.0), rel=1e-11)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Gaussian, {"sigma": math.nextafter(MIN_SIGMA, 0.0)}),
        (Gaussian, {"sigma": 0.0}),
        (Gaussian, {"sigma": math.nan}),
        (Gaussian, {"sigma": math.inf}),
        (Gaussian, {"sensitivity": 0.0}),
        (Gaussian, {"sensitivity": -1.0}),
        (Gaussian, {"sensitivity": math.inf}),
        (Threshold, {"delta": 0.0}),
        (Threshold, {"delta": 1.0}),
        (Threshold, {"delta": math.nan}),
        (Threshold, {"threshold": 0.0}),
        (Threshold, {"threshold": math.inf}),
        (Threshold, {"sigma": 0.1}),
        (Exponential, {"epsilon": 0.0}),
        (Exponential, {"epsilon": math.nan}),
        (Exponential, {"epsilon": MAX_EXPONENTIAL_EPSILON + 1}),
    ],
)
def test_parameters_out_of_range_are_refused(kind: type[Any], change: dict[str, float]) -> None:
    good: dict[type[Any], dict[str, Any]] = {
        Gaussian: {"sigma": 1.0, "sensitivity": 1.0},
        Threshold: {"sigma": 1.0, "sensitivity": 1.0, "threshold": 9.0, "delta": 1e-9},
        Exponential: {"epsilon": 1.0, "candidates": 2},
    }
    kind(query="q", **good[kind])
    with pytest.raises(BudgetError):
        kind(query="q", **{**good[kind], **change})


def test_an_event_names_its_question_and_nothing_unknown() -> None:
    with pytest.raises(ValidationError):
        Gaussian(query="", sigma=1.0, sensitivity=1.0)
    with pytest.raises(ValidationError):
        Gaussian(query="q", sigma=1.0, sensitivity=1.0, colour="red")  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Exponential(query="q", epsilon=1.0, candidates=0)


def test_events_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Gaussian(query="q", sigma=1.0, sensitivity=1.0).sigma = 9.0  # type: ignore[misc]


@settings(deadline=None, max_examples=100)
@given(st.floats(1e-6, 100.0), st.floats(1e-3, 1e6))
def test_sigma_for_is_enough_and_not_more(mu: float, sensitivity: float) -> None:
    sigma = sigma_for(mu, sensitivity)
    assert Gaussian(query="q", sigma=sigma, sensitivity=sensitivity).mu <= mu
    less = sigma * (1 - 1e-9)
    if less >= MIN_SIGMA:
        assert Gaussian(query="q", sigma=less, sensitivity=sensitivity).mu > mu


@pytest.mark.parametrize(
    ("mu", "sensitivity"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, math.inf)]
)
def test_sigma_for_refuses_nonsense(mu: float, sensitivity: float) -> None:
    with pytest.raises(BudgetError):
        sigma_for(mu, sensitivity)


@settings(deadline=None, max_examples=50)
@given(st.floats(MIN_SIGMA, 40.0), st.integers(1, 6), st.integers(2, 120))
def test_least_delta_is_below_what_the_discrete_tail_needs(
    sigma: float, rows: int, threshold: int
) -> None:
    def tail(least: int) -> float:
        weights = [math.exp(-(x**2) / (2 * sigma**2)) for x in range(-400, 401)]
        return math.fsum(weights[max(least + 400, 0) :]) / math.fsum(weights)

    one_key, many_keys = tail(threshold - rows), 1 - (1 - tail(threshold - 1)) ** rows
    event = Threshold(
        query="q", sigma=sigma, sensitivity=float(rows), threshold=float(threshold), delta=0.5
    )
    assert event.least_delta <= max(one_key, many_keys) * (1 + 1e-9) + 1e-300
