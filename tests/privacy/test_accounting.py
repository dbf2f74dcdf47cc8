from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tronie.errors import BudgetError
from tronie.privacy.accounting import (
    Spent,
    advantage,
    calibrate,
    delta_of,
    epsilon_of,
    fits,
    gdp_delta,
    gdp_epsilon,
    gdp_mu,
    spent,
    total_delta,
    total_mu,
    tpr_at_fpr,
)
from tronie.privacy.budget import SAMPLER_DELTA, Budget
from tronie.privacy.events import (
    MIN_SIGMA,
    Event,
    Exponential,
    Gaussian,
    Threshold,
    exponential_mu,
    sigma_for,
)
from tronie.privacy.normal import log_upper_tail, normal_quantile
from tronie.privacy.pld import ROUNDING_DELTA, SMALLEST_DELTA, pld_delta, pld_epsilon

Floats = NDArray[np.float64]

few = settings(deadline=None, max_examples=40)

mus = st.floats(-5.0, 1.5).map(lambda power: 10.0**power)
deltas = st.floats(-300.0, -0.5).map(lambda power: 10.0**power)
gaussians = st.builds(
    Gaussian, query=st.just("q"), sigma=st.floats(1.0, 1e4), sensitivity=st.floats(0.1, 10.0)
)


def gaussian(sigma: float = 30.0, sensitivity: float = 1.0) -> Gaussian:
    return Gaussian(query="q", sigma=sigma, sensitivity=sensitivity)


def exponential(epsilon: float) -> Exponential:
    return Exponential(query="q", epsilon=epsilon, candidates=9)


def exact_delta(mu: float, epsilon: float) -> mpmath.mpf:
    with mpmath.workdps(80):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)

        def tail(x: mpmath.mpf) -> mpmath.mpf:
            return mpmath.erfc(x / mpmath.sqrt(2)) / 2

        return tail(e / m - m / 2) - mpmath.exp(e) * tail(e / m + m / 2)


# --- Gaussian differential privacy --------------------------------------------------------------


@pytest.mark.parametrize(
    ("epsilon", "delta", "sigma"),
    [
        (1.0, 1e-9, 5.4953),
        (0.1, 1e-9, 50.210),
        (3.0, 1e-9, 1.9437),
        (10.0, 1e-9, 0.6502),
        (1.0, 1e-5, 3.7306),
        (1.0, 1e-6, 4.2247),
    ],
)
def test_known_noise_multipliers(epsilon: float, delta: float, sigma: float) -> None:
    assert 1 / gdp_mu(epsilon, delta) == pytest.approx(sigma, abs=6e-4 if sigma > 9 else 6e-5)


@settings(max_examples=150, deadline=None)
@given(mus, st.floats(-10.0, 37.0))
def test_delta_agrees_with_80_digits(mu: float, low: float) -> None:
    epsilon = max(mu * (low + mu / 2), 0.0)
    exact = exact_delta(mu, epsilon)
    if exact > 1e-300:
        assert abs(gdp_delta(mu, epsilon) / exact - 1) < 1e-12


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(500.0, 1e-9), (1.0, 1e-300), (500.0, 1e-300), (1e-6, 1e-12), (0, 0.1)]
)
def test_extremes_neither_overflow_nor_underflow(epsilon: float, delta: float) -> None:
    mu = gdp_mu(epsilon, delta)
    assert exact_delta(mu, epsilon) <= delta
    assert exact_delta(mu * (1 + 1e-9), epsilon) > delta
    assert gdp_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-9, abs=1e-15)


@few
@given(mus, deltas)
def test_epsilon_keeps_its_delta_and_is_the_smallest(mu: float, delta: float) -> None:
    epsilon = gdp_epsilon(mu, delta)
    assert gdp_delta(mu, epsilon) <= delta
    if epsilon > 0:
        assert gdp_delta(mu, epsilon * (1 - 1e-9)) > delta * (1 - 1e-9)


@few
@given(st.floats(1e-4, 500.0), deltas)
def test_mu_and_epsilon_are_inverses(epsilon: float, delta: float) -> None:
    mu = gdp_mu(epsilon, delta)
    assert gdp_delta(mu, epsilon) <= delta
    assert gdp_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-9)


@few
@given(mus, mus, deltas)
def test_epsilon_grows_with_mu(one: float, other: float, delta: float) -> None:
    low, high = sorted([one, other])
    assert gdp_epsilon(low, delta) <= gdp_epsilon(high, delta)


def test_edges_of_gaussian_privacy() -> None:
    assert gdp_delta(0.0, 1.0) == gdp_epsilon(0.0, 0.0) == gdp_mu(1.0, 0.0) == 0.0
    assert gdp_delta(math.inf, 1.0) == gdp_delta(100.0, 1.0) == 1.0
    assert gdp_epsilon(1.0, 0.0) == gdp_epsilon(math.inf, 0.5) == math.inf
    assert gdp_epsilon(1.0, 1.0) == gdp_epsilon(0.5, 0.9) == 0.0
    assert gdp_mu(1.0, 1.0) == gdp_mu(math.inf, 0.5) == math.inf
    assert gdp_delta(1e-300, 1.0) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: gdp_delta(-1.0, 1.0),
        lambda: gdp_delta(math.nan, 1.0),
        lambda: gdp_delta(1.0, -1.0),
        lambda: gdp_epsilon(-1.0, 0.1),
        lambda: gdp_epsilon(1.0, 1.1),
        lambda: gdp_mu(-1.0, 0.1),
        lambda: gdp_mu(1.0, math.nan),
        lambda: tpr_at_fpr(1.0, 2.0),
        lambda: epsilon_of([gaussian()], -0.1),
        lambda: epsilon_of([gaussian()], math.nan),
        lambda: delta_of([gaussian()], -1.0),
    ],
)
def test_nonsense_is_refused(wrong: Callable[[], float]) -> None:
    with pytest.raises(BudgetError):
        wrong()


@few
@given(st.floats(-36.0, 36.0))
def test_normal_tail_and_quantile_are_inverses(x: float) -> None:
    tail = math.exp(log_upper_tail(x))
    if 0.0 < tail < 0.999:
        assert normal_quantile(tail) == pytest.approx(x, rel=1e-9, abs=1e-9)


def test_attack_numbers_of_the_usual_release() -> None:
    mu = 1 / 5.4953
    assert advantage(mu) == pytest.approx(0.0725, abs=5e-5)
    assert tpr_at_fpr(mu, 0.01) == pytest.approx(0.0160, abs=5e-5)
    assert tpr_at_fpr(0.0, 0.01) == pytest.approx(0.01)
    assert tpr_at_fpr(mu, 0.0) == 0.0
    assert tpr_at_fpr(mu, 1.0) == 1.0


# --- the discrete Gaussian ----------------------------------------------------------------------


def discrete_gaussian(sigma: float) -> tuple[NDArray[np.int64], Floats]:
    """Support and probabilities, out to 39 standard deviations."""
    reach = math.ceil(39 * sigma) + 1
    x = np.arange(-reach, reach + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return x, weights / math.fsum(weights.tolist())


@pytest.mark.parametrize("sigma", [0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 6.0, 12.0, 25.0, 60.0])
@pytest.mark.parametrize("shift", [1, 2, 3, 5, 10, 50])
def test_discrete_gaussian_is_dominated_by_its_mu(sigma: float, shift: int) -> None:
    """Exact hockey-stick divergences on the integers against the continuous curve."""
    x, p = discrete_gaussian(sigma)
    loss = (2 * x * shift - shift**2) / (2 * sigma**2)
    mu = gaussian(sigma, float(shift)).mu
    for epsilon in np.linspace(0.0, mu * mu / 2 + 8 * mu, 60):
        above = loss > epsilon
        # At x the shifted distribution has the probability p(x - shift) = p(x) e^loss.
        upper = p[: len(p) - shift][above[shift:]]
        exact = math.fsum((-upper * np.expm1(epsilon - loss[shift:][above[shift:]])).tolist())
        if exact >= 1e-14:
            assert exact <= gdp_delta(mu, float(epsilon)) * (1 + 1e-9)


@pytest.mark.parametrize(
    "sigma", [MIN_SIGMA, 0.6, 0.7, 0.85, 1.0, 1.5, 2.0, 5.0, 17.0, 60.0, 300.0]
)
def test_one_step_of_the_lattice_costs_at_most_its_mu_at_any_delta(sigma: float) -> None:
    """The reason behind the factor, without a limit on delta.

    With z(j) = Phi^-1(P[X < j]), a shift by k is mu-GDP if and only if z(j + k) - z(j) <= mu for
    all j, since the trade-off curve of the integers is the polygon through those points. So one
    bound on single steps serves all shifts. By symmetry j >= 1 is enough, besides the central step.
    """
    reach = math.ceil(38 * sigma)
    far = np.arange(0, reach + math.ceil(40 * sigma) + 60)
    log_weights = -(far**2) / (2 * sigma**2)
    log_tails = np.logaddexp.accumulate(log_weights[::-1])[::-1]
    log_tails -= np.log1p(2 * np.exp(log_tails[1]))
    z = np.array(
        [score(float(log_tail)) for log_tail in log_tails[1 : reach : max(1, reach // 400)]]
    )
    at = np.arange(1, reach, max(1, reach // 400))
    steps = np.diff(z) / np.diff(at)
    assert 2 * z[0] * sigma <= 1 + 1 / (8 * sigma**2)
    assert steps.max() * sigma <= 1 + 1 / (8 * sigma**2)


def score(log_tail: float) -> float:
    low, high = 0.0, 60.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if log_upper_tail(middle) > log_tail else (low, middle)
    return high


def test_vectors_cost_their_l2_norm() -> None:
    sigma, shift = 2.0, (3, 1, 2)
    parts = [gaussian(sigma, float(k)) for k in shift]
    assert total_mu(parts) == pytest.approx(gaussian(sigma, math.hypot(*shift)).mu)


# --- exponential mechanisms ---------------------------------------------------------------------


def choice(scores: Sequence[int], epsilon: float, sensitivity: int) -> Floats:
    weights = np.exp(epsilon * (np.array(scores) - max(scores)) / (2 * sensitivity))
    return weights / weights.sum()


def hockey_stick(p: Floats, q: Floats, epsilon: float) -> float:
    return math.fsum(np.maximum(p - math.exp(epsilon) * q, 0.0).tolist())


@st.composite
def neighbouring_choices(draw: st.DrawFn, epsilon: float) -> tuple[Floats, Floats]:
    """Exponential mechanism on neighbouring tables: each score moves by at most the sensitivity."""
    size, sensitivity = draw(st.integers(2, 6)), draw(st.integers(1, 3))
    scores = draw(st.lists(st.integers(-20, 20), min_size=size, max_size=size))
    moves = draw(
        st.lists(st.integers(-sensitivity, sensitivity), min_size=size, max_size=size)
        | st.lists(st.sampled_from([-sensitivity, sensitivity]), min_size=size, max_size=size)
    )
    moved = [score + move for score, move in zip(scores, moves, strict=True)]
    return choice(scores, epsilon, sensitivity), choice(moved, epsilon, sensitivity)


def envelope(epsilon: float, x: float) -> float:
    a = math.exp(epsilon)
    return (math.sqrt(a) - math.exp(x / 2)) ** 2 / (a - 1) if x < epsilon else 0.0


@settings(deadline=None)
@given(st.data(), st.sampled_from([0.05, 0.5, 1.0, 3.0]))
def test_envelope_dominates_concrete_mechanisms(data: st.DataObject, epsilon: float) -> None:
    p, q = data.draw(neighbouring_choices(epsilon))
    for x in np.linspace(0.0, epsilon, 9):
        assert hockey_stick(p, q, float(x)) <= envelope(epsilon, float(x)) + 1e-15
        assert hockey_stick(p, q, float(x)) <= gdp_delta(exponential_mu(epsilon), float(x)) + 1e-15


def test_envelope_is_reached() -> None:
    """Two candidates and a suitable gap are a worst case at x = 0: nothing smaller would do."""
    epsilon = 1.0
    p, q = choice([1, 0], epsilon, 1), choice([0, 1], epsilon, 1)
    assert hockey_stick(p, q, 0.0) == pytest.approx(envelope(epsilon, 0.0), rel=1e-12)
    assert envelope(epsilon, 0.0) == pytest.approx(math.tanh(epsilon / 4), rel=1e-12)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 1.0, 4.0, 12.0, 50.0])
def test_envelope_is_dominated_by_its_mu(epsilon: float) -> None:
    with mpmath.workdps(60):
        e = mpmath.mpf(epsilon)
        a, mu = mpmath.exp(e), mpmath.mpf(exponential_mu(epsilon))
        for part in range(101):
            x = e * part / 100
            worst = (mpmath.sqrt(a) - mpmath.exp(x / 2)) ** 2 / (a - 1)
            low, high = x / mu - mu / 2, x / mu + mu / 2
            root = mpmath.sqrt(2)
            curve = mpmath.erfc(low / root) / 2 - mpmath.exp(x) * mpmath.erfc(high / root) / 2
            assert worst <= curve


@pytest.mark.parametrize("epsilon", [0.02, 0.3, 5.0])
def test_pld_of_one_choice_is_the_envelope(epsilon: float) -> None:
    assert pld_delta(0.0, [epsilon], 0.0) == pytest.approx(math.tanh(epsilon / 4), rel=1e-4)
    for x in np.linspace(0.0, 0.9 * epsilon, 7):
        found = pld_delta(0.0, [epsilon], float(x))
        assert envelope(epsilon, float(x)) <= found <= envelope(epsilon, float(x)) * 1.02 + 2e-11


@settings(deadline=None, max_examples=12)
@given(st.data())
def test_pld_dominates_adaptive_choices(data: st.DataObject) -> None:
    """The second choice's scores may depend on what the first one chose."""
    first, second = 0.8, 0.4
    p, q = data.draw(neighbouring_choices(first))
    later = [data.draw(neighbouring_choices(second)) for _ in p]
    joint = [
        np.concatenate([mass * pair[side] for mass, pair in zip(one, later, strict=True)])
        for side, one in enumerate((p, q))
    ]
    for x in (0.0, 0.2, 0.6, 1.0):
        assert hockey_stick(joint[0], joint[1], x) <= pld_delta(0.0, [first, second], x)


@pytest.mark.parametrize(("sigma", "epsilon"), [(3.0, 0.5), (1.0, 2.0), (8.0, 0.1)])
def test_pld_dominates_a_choice_and_a_discrete_gaussian(sigma: float, epsilon: float) -> None:
    _, noise = discrete_gaussian(sigma)
    p, q = choice([1, 0, 0], epsilon, 1), choice([0, 1, 1], epsilon, 1)
    one, other = np.outer(p, noise[1:]).ravel(), np.outer(q, noise[:-1]).ravel()
    events = [gaussian(sigma), exponential(epsilon)]
    for x in np.linspace(0.0, 6 / sigma + epsilon, 6):
        for pair in ((one, other), (other, one)):
            assert hockey_stick(*pair, float(x)) <= delta_of(events, float(x))


def test_pld_composition_agrees_with_sums_by_hand() -> None:
    """Fourier transforms against plain convolution on a finer grid, the Gaussian part exact."""
    epsilon, count, mu, cells = 0.25, 4, 0.3, 256
    grid = np.arange(-cells, cells + 1) * (epsilon / cells)
    curve = np.array([envelope(epsilon, float(x)) for x in grid])
    curve[0] = -math.expm1(-epsilon)
    slopes = np.concatenate([[1.0], -np.diff(curve) / np.diff(np.exp(grid)), [0.0]])
    total = np.array([1.0])
    for _ in range(count):
        total = np.convolve(total, np.exp(grid) * -np.diff(slopes))
    losses = (np.arange(len(total)) - cells * count) * (epsilon / cells)
    for x in (0.0, 0.5, 1.0, 1.5, 2.0):
        by_hand = math.fsum(
            mass * hockey_stick_of_gaussian(mu, x - loss)
            for mass, loss in zip(total.tolist(), losses.tolist(), strict=True)
        )
        assert by_hand <= pld_delta(mu, [epsilon] * count, x) <= by_hand * 1.003


def hockey_stick_of_gaussian(mu: float, epsilon: float) -> float:
    if epsilon >= 0:
        return gdp_delta(mu, epsilon)
    return -math.expm1(epsilon) + math.exp(epsilon) * gdp_delta(mu, -epsilon)


@pytest.mark.parametrize(("mu", "delta"), [(0.05, 1e-9), (0.3, 1e-5), (2.0, 1e-9)])
def test_pld_of_a_gaussian_alone_agrees_with_gdp(mu: float, delta: float) -> None:
    nearly_alone = pld_epsilon(mu, [1e-4 * mu], delta)
    assert nearly_alone == pytest.approx(gdp_epsilon(mu, delta), rel=1e-3)
    assert nearly_alone >= gdp_epsilon(mu, delta)


def test_pld_declines_deltas_that_it_cannot_resolve() -> None:
    assert pld_epsilon(1.0, [0.1], SMALLEST_DELTA / 2) == math.inf
    assert pld_delta(0.1, [0.1], 50.0) == SMALLEST_DELTA > ROUNDING_DELTA


# --- many events --------------------------------------------------------------------------------


def test_gaussian_events_compose_exactly() -> None:
    events = [gaussian(20.0), gaussian(30.0), gaussian(40.0, 2.0)]
    mu = math.sqrt(sum(event.mu**2 for event in events))
    assert total_mu(events) == pytest.approx(mu)
    assert spent(events, 1e-9) == Spent(
        epsilon=gdp_epsilon(total_mu(events), 1e-9 - SAMPLER_DELTA),
        delta=1e-9,
        mu=total_mu(events),
        accountant="GDP",
    )
    assert delta_of(events, 0.5) == pytest.approx(gdp_delta(mu, 0.5))


def test_nothing_costs_nothing() -> None:
    assert spent([], 1e-9) == Spent(0.0, 1e-9, 0.0, "GDP")
    assert delta_of([], 0.0) == total_delta([]) == epsilon_of([], 0.0) == 0.0
    assert fits([], Budget(0.1))


def test_deltas_of_thresholds_are_set_aside() -> None:
    key = Threshold(query="q", sigma=30.0, sensitivity=1.0, threshold=300.0, delta=2e-10)
    assert total_delta([key, key]) == pytest.approx(4e-10)
    expected = gdp_epsilon(total_mu([key, key]), 1e-9 - total_delta([key, key]))
    assert epsilon_of([key, key], 1e-9) == expected
    assert delta_of([key, key], 100.0) == pytest.approx(4e-10)
    assert epsilon_of([key] * 5, 1e-9) == math.inf
    assert not fits([key] * 5, Budget(1000.0, 1e-9))


def test_samplers_share_is_set_aside_once() -> None:
    assert total_delta([gaussian()] * 9) == SAMPLER_DELTA
    assert epsilon_of([gaussian()], SAMPLER_DELTA) == math.inf
    assert delta_of([gaussian()], 1e6) == SAMPLER_DELTA


def test_mixed_runs_take_the_smaller_total() -> None:
    many = [gaussian(8.0)] + [exponential(0.05)] * 10
    mixed = spent(many, 1e-9)
    assert mixed.accountant == "PLD"
    assert mixed.epsilon < gdp_epsilon(total_mu(many), 1e-9 - SAMPLER_DELTA)
    assert mixed.epsilon > epsilon_of(many[:1], 1e-9)
    tiny = [gaussian(8.0), exponential(1e-7)]
    assert spent(tiny, 1e-9).accountant == "GDP"
    assert spent(many, 1e-15).accountant == "GDP"


def test_delta_of_mixed_runs_takes_the_smaller_total() -> None:
    many = [gaussian(8.0)] + [exponential(0.1)] * 10
    assert delta_of(many, 0.5) < gdp_delta(total_mu(many), 0.5)
    assert delta_of(many, epsilon_of(many, 1e-9)) == pytest.approx(1e-9, rel=5e-3)


@few
@given(st.lists(gaussians, min_size=1, max_size=10), gaussians, deltas)
def test_more_events_cost_more(events: list[Gaussian], more: Gaussian, delta: float) -> None:
    assert epsilon_of([*events, more], delta) >= epsilon_of(events, delta)
    assert delta_of([*events, more], 1.0) >= delta_of(events, 1.0)


@few
@given(st.lists(gaussians, min_size=1, max_size=10), st.floats(1.0, 10.0), deltas)
def test_more_noise_costs_less(events: list[Gaussian], factor: float, delta: float) -> None:
    noisier = [event.model_copy(update={"sigma": event.sigma * factor}) for event in events]
    assert epsilon_of(noisier, delta) <= epsilon_of(events, delta)


@settings(deadline=None, max_examples=12)
@given(st.permutations([gaussian(9.0), gaussian(7.0), exponential(0.2), exponential(0.1)]))
def test_order_does_not_matter(events: list[Event]) -> None:
    in_order = [gaussian(9.0), gaussian(7.0), exponential(0.2), exponential(0.1)]
    assert spent(events, 1e-9) == spent(in_order, 1e-9)


@settings(deadline=None, max_examples=5)
@given(st.floats(0.05, 0.5), st.floats(1.01, 2.0), st.integers(1, 6))
def test_mixed_runs_are_monotone(epsilon: float, factor: float, count: int) -> None:
    base = [gaussian(6.0)] + [exponential(epsilon)] * count
    dearer = [gaussian(6.0)] + [exponential(epsilon * factor)] * count
    more = [*base, exponential(epsilon)]
    quieter = [gaussian(6.0 * factor), *base[1:]]
    assert epsilon_of(base, 1e-9) <= epsilon_of(dearer, 1e-9)
    assert epsilon_of(base, 1e-9) <= epsilon_of(more, 1e-9)
    assert epsilon_of(base, 1e-9) >= epsilon_of(quieter, 1e-9)


@pytest.mark.parametrize(
    ("mu", "epsilons"),
    [(1e-4, [50.0]), (30.0, [1e-3]), (0.2, [1e-6, 5.0]), (0.0, [0.1] * 200)],
)
def test_lopsided_mixtures_end_in_time_and_within_basic_composition(
    mu: float, epsilons: list[float]
) -> None:
    found = pld_epsilon(mu, epsilons, 1e-9)
    assert found <= (gdp_epsilon(mu, 0.9e-9) + math.fsum(epsilons)) * 1.01


# --- fitting a budget ---------------------------------------------------------------------------


def schedule(choices: int) -> Callable[[float], list[Event]]:
    def events_at(scale: float) -> list[Event]:
        noise: list[Event] = [gaussian(sigma_for(scale)), gaussian(sigma_for(scale / 2))]
        return noise + [exponential(scale / 4)] * choices

    return events_at


@settings(deadline=None, max_examples=12)
@given(st.floats(0.01, 20.0), st.floats(-20.0, -3.0).map(lambda power: 10.0**power))
def test_calibration_uses_the_whole_budget_and_no_more(epsilon: float, delta: float) -> None:
    budget = Budget(epsilon, delta)
    scale = calibrate(schedule(0), budget)
    assert fits(schedule(0)(scale), budget)
    assert epsilon * (1 - 1e-6) <= epsilon_of(schedule(0)(scale), delta) <= epsilon


def test_calibration_of_mixed_schedules() -> None:
    budget = Budget(1.0, 1e-9)
    scale = calibrate(schedule(6), budget)
    found = spent(schedule(6)(scale), budget.delta)
    assert 0.99999 <= found.epsilon <= 1.0
    assert found.accountant == "PLD"
    assert found.mu > budget.mu, "PLD allows more than GDP"
    assert not fits(schedule(6)(scale * 1.001), budget)


def test_calibration_stops_where_noise_would_be_too_small() -> None:
    def events_at(scale: float) -> list[Event]:
        return [gaussian(1.0 / scale)]

    scale = calibrate(events_at, Budget(1000.0))
    assert 1.0 / scale == pytest.approx(MIN_SIGMA, rel=1e-8)


def test_schedules_that_cannot_be_calibrated_are_refused() -> None:
    key = Threshold(query="q", sigma=9.0, sensitivity=1.0, threshold=99.0, delta=1e-6)
    with pytest.raises(BudgetError, match="no noise is large enough"):
        calibrate(lambda scale: [key, gaussian(sigma_for(scale))], Budget(1.0, 1e-9))
    with pytest.raises(BudgetError, match="does not grow"):
        calibrate(lambda _: [gaussian(1000.0)], Budget(1.0, 1e-9))


def test_gaussian_runs_load_neither_scipy_nor_dp_accounting() -> None:
    program = """
import sys
from tronie.privacy.accounting import epsilon_of
from tronie.privacy.events import Gaussian
epsilon_of([Gaussian(query="q", sigma=9.0, sensitivity=1.0)], 1e-9)
sys.exit(bool({"scipy", "dp_accounting"} & set(sys.modules)))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
