"""Bounds hold as often as they say, by exact enumeration where that is possible."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog
from scipy.stats import binom, norm

from tronie.audit.bounds import (
    LARGEST_EPSILON,
    Bound,
    Errors,
    Guesses,
    chosen,
    epsilon_from_errors,
    fixed_bound,
    gaussian_epsilon_from_errors,
    gaussian_mu_from_errors,
    one_run_epsilon,
    one_run_gaussian_epsilon,
    one_run_gaussian_mu,
    one_run_p_value,
    rate_at_least,
    rate_at_most,
    split_bound,
)
from tronie.errors import InputError
from tronie.privacy.gdp import gdp_epsilon, gdp_mu

DELTA = 1e-5


def failures(bound: Any, truth: float, alarm: float, miss: float, runs: int) -> float:
    """Exact probability that a bound from error counts exceeds the truth."""
    counts = np.arange(runs + 1)
    alarms, misses = binom.pmf(counts, runs, alarm), binom.pmf(counts, runs, miss)
    return sum(
        alarms[a] * misses[m]
        for a, m in itertools.product(range(runs + 1), repeat=2)
        if alarms[a] * misses[m] > 1e-9 and bound(Errors(a, runs, m, runs)) > truth
    )


# --- rates ------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.data(), st.sampled_from([0.5, 0.9, 0.975, 0.999]))
def test_limits_of_rates_are_clopper_pearson(
    trials: int, data: st.DataObject, confidence: float
) -> None:
    hits = data.draw(st.integers(0, trials))
    most = float(rate_at_most(hits, trials, confidence))
    if hits < trials:
        assert binom.cdf(hits, trials, most) == pytest.approx(1 - confidence, rel=1e-6)
    else:
        assert most == 1.0
    assert float(rate_at_least(trials - hits, trials, confidence)) == pytest.approx(1 - most)


def test_limits_of_nothing_say_nothing() -> None:
    assert float(rate_at_most(0, 0, 0.95)) == 1.0
    assert float(rate_at_least(0, 0, 0.95)) == 0.0
    assert rate_at_most(np.array([0, 5, 10]), 10, 0.95).tolist() == sorted(
        rate_at_most(np.array([0, 5, 10]), 10, 0.95)
    )


# --- two-sided bounds -------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
def test_bounds_of_any_mechanism_hold_for_randomised_response(epsilon: float) -> None:
    """It uses up pure epsilon exactly; with delta, it gives the truth away that often as well."""
    for delta in (0.0, 0.05):
        wrong = (1 - delta) / (1 + math.exp(epsilon))
        failed = failures(
            lambda errors, delta=delta: epsilon_from_errors(errors, delta),
            epsilon,
            wrong,
            wrong,
            40,
        )
        assert failed <= 0.05


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("threshold", [-1.0, 0.5])
def test_gaussian_bounds_hold_for_the_gaussian_mechanism(mu: float, threshold: float) -> None:
    alarm, miss = norm.sf(threshold), norm.cdf(threshold - mu)
    assert failures(gaussian_mu_from_errors, mu, alarm, miss, 40) <= 0.05


def test_gaussian_bounds_allow_for_slack() -> None:
    """A Gaussian mechanism that gives the truth away now and then is told from one that never does."""
    slack, mu = 0.1, 1.0
    alarm, miss = (1 - slack) * norm.sf(0.5), (1 - slack) * norm.cdf(0.5 - mu)

    def bound(errors: Errors) -> float:
        return gaussian_mu_from_errors(errors, slack=slack)

    assert failures(bound, mu, alarm, miss, 40) <= 0.05
    assert failures(gaussian_mu_from_errors, mu, alarm, miss, 300) > 0.05


def test_bounds_are_those_of_the_formulas() -> None:
    errors = Errors(30, 1000, 200, 900)
    alarm, miss = errors.rates(0.9)
    assert binom.cdf(30, 1000, alarm) == pytest.approx(0.05)
    assert binom.cdf(200, 900, miss) == pytest.approx(0.05)
    direct = max(math.log((1 - miss - DELTA) / alarm), math.log((1 - alarm - DELTA) / miss))
    assert epsilon_from_errors(errors, DELTA, 0.9) == pytest.approx(direct)
    mu = norm.isf(alarm) - norm.ppf(miss)
    assert gaussian_mu_from_errors(errors, 0.9) == pytest.approx(mu)
    assert gaussian_epsilon_from_errors(errors, DELTA, 0.9) == pytest.approx(gdp_epsilon(mu, DELTA))


@pytest.mark.parametrize("bound", [epsilon_from_errors, gaussian_epsilon_from_errors])
def test_bounds_at_the_ends(bound: Any) -> None:
    assert bound(Errors(0, 0, 0, 0), DELTA) == 0.0
    assert bound(Errors(50, 100, 50, 100), DELTA) == 0.0
    assert bound(Errors(100, 100, 100, 100), DELTA) == 0.0
    assert 3.0 < bound(Errors(0, 100, 0, 100), DELTA) <= LARGEST_EPSILON
    assert bound(Errors(0, 10**9, 0, 10**9), 0.0) <= LARGEST_EPSILON
    more = [bound(Errors(n, 100, 10, 100), DELTA) for n in range(0, 60, 5)]
    assert more == sorted(more, reverse=True)


def test_errors_at_a_threshold() -> None:
    scores = [-math.inf, 0.0, 1.0], [1.0, 2.0, math.inf, -math.inf]
    assert Errors.at(1.0, *scores) == Errors(1, 3, 1, 4)


# --- thresholds -------------------------------------------------------------------------------------


def test_split_bounds_hold() -> None:
    """1,000 audits of 60 runs a side; at most 5 % may fail, but for chance (0.1 %)."""
    rng = np.random.default_rng(3)
    audits, mu = 1000, 1.0
    epsilon = gdp_epsilon(mu, DELTA)
    for claim in ("any", "gaussian"):
        without, included = rng.normal(size=(audits, 60)), rng.normal(mu, size=(audits, 60))
        failed = sum(
            split_bound(a, b, DELTA, claim=claim).epsilon > epsilon
            for a, b in zip(without, included, strict=True)
        )
        assert failed <= binom.ppf(0.999, audits, 0.05)


def test_fixed_bounds_hold_for_many_thresholds() -> None:
    rng = np.random.default_rng(4)
    audits, mu = 500, 1.0
    thresholds = np.linspace(-1, 2, 7).tolist()
    epsilon = gdp_epsilon(mu, DELTA)
    without, included = rng.normal(size=(audits, 60)), rng.normal(mu, size=(audits, 60))
    failed = sum(
        fixed_bound(a, b, thresholds, DELTA, claim="gaussian").epsilon > epsilon
        for a, b in zip(without, included, strict=True)
    )
    assert failed <= binom.ppf(0.999, audits, 0.05)


def test_one_fixed_threshold_is_the_bound_of_its_errors() -> None:
    rng = np.random.default_rng(5)
    without, included = rng.normal(size=300), rng.normal(2, size=300)
    errors = Errors.at(1.0, without, included)
    assert fixed_bound(without, included, [1.0], DELTA) == Bound(
        epsilon_from_errors(errors, DELTA), 1.0, errors
    )
    both = fixed_bound(without, included, [-9.0, 1.0], DELTA)
    assert both.threshold == 1.0
    assert both.epsilon < epsilon_from_errors(errors, DELTA)


def test_the_runs_that_choose_are_not_those_that_are_counted() -> None:
    first, left = chosen(100, 0)
    assert sorted([*first, *left]) == list(range(100))
    assert len(first) == 25
    assert [tuple(part) for part in chosen(100, 0)] == [tuple(first), tuple(left)]
    bound = split_bound([0.0] * 100, [1.0] * 60, DELTA)
    assert (bound.errors.without, bound.errors.included) == (75, 45)
    assert bound.errors.false_alarms == bound.errors.misses == 0


@pytest.mark.parametrize("claim", ["any", "gaussian"])
def test_split_bounds_at_the_ends(claim: Any) -> None:
    assert split_bound([], [], DELTA, claim=claim).epsilon == 0.0
    assert split_bound([1.0], [2.0], DELTA, claim=claim).epsilon == 0.0
    assert split_bound([1.0] * 500, [1.0] * 500, DELTA, claim=claim).epsilon == 0.0
    assert split_bound([5.0] * 500, [1.0] * 500, DELTA, claim=claim).epsilon == 0.0
    infinite = split_bound([-math.inf] * 500, [math.inf] * 500, DELTA, claim=claim)
    assert 3.0 < infinite.epsilon <= LARGEST_EPSILON
    one_sided = split_bound([0.0] * 500, [0.0] * 250 + [math.inf] * 250, DELTA, claim=claim)
    assert one_sided.epsilon > 2.0


def test_a_bound_that_is_near_the_truth() -> None:
    """With 100,000 runs a side the bound is within 6 % of the truth, and below it."""
    rng = np.random.default_rng(6)
    epsilon = 4.0
    mu = gdp_mu(epsilon, DELTA)
    without, included = rng.normal(size=100_000), rng.normal(mu, size=100_000)
    found = split_bound(without, included, DELTA, claim="gaussian").epsilon
    assert 0.94 * epsilon < found < epsilon
    assert found > split_bound(without, included, DELTA).epsilon > 2.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: Errors(2, 1, 0, 1),
        lambda: Errors(0, 1, -1, 1),
        lambda: Guesses(10, 11, 0),
        lambda: Guesses(10, 5, 6),
        lambda: split_bound([math.nan], [0.0], DELTA),
        lambda: fixed_bound([0.0], [0.0], [], DELTA),
        lambda: split_bound([0.0], [0.0], DELTA, confidence=0.2),
        lambda: split_bound([0.0], [0.0], 1.0),
        lambda: one_run_epsilon(Guesses(1, 1, 1), DELTA, 1.0),
        lambda: one_run_gaussian_mu(Guesses(1, 1, 1), 0.95, -0.1),
    ],
)
def test_nonsense_is_refused(call: Any) -> None:
    with pytest.raises(InputError):
        call()


# --- one run ----------------------------------------------------------------------------------------


def slow_p_value(guesses: Guesses, epsilon: float, delta: float) -> float:
    """Theorem 5.2 of Steinke et al., sum by sum."""
    p, k = math.exp(epsilon) / (1 + math.exp(epsilon)), guesses.guessed
    pmf = [math.comb(k, i) * p**i * (1 - p) ** (k - i) for i in range(k + 1)]
    v = guesses.correct
    tail = math.fsum(pmf[v:])
    most = max((math.fsum(pmf[v - i : v]) / i for i in range(1, v + 1)), default=0.0)
    return min(tail + 2 * guesses.canaries * delta * most, 1.0)


@given(st.integers(1, 60), st.data(), st.floats(0, 6), st.sampled_from([0.0, 1e-6, 1e-3]))
def test_p_values_are_those_of_the_theorem(
    guessed: int, data: st.DataObject, epsilon: float, delta: float
) -> None:
    guesses = Guesses(
        guessed + data.draw(st.integers(0, 50)), guessed, data.draw(st.integers(0, guessed))
    )
    slow = slow_p_value(guesses, epsilon, delta)
    assert one_run_p_value(guesses, epsilon, delta) == pytest.approx(slow, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("canaries", [1, 20, 300])
def test_one_run_bounds_hold_for_randomised_response(epsilon: float, canaries: int) -> None:
    """Each canary's coin is told with pure epsilon: exact probability of a wrong bound."""
    p = math.exp(epsilon) / (1 + math.exp(epsilon))
    weights = binom.pmf(np.arange(canaries + 1), canaries, p)
    failed = sum(
        weight
        for correct, weight in enumerate(weights)
        if weight > 1e-9
        and one_run_epsilon(Guesses(canaries, canaries, correct), 0.0) > epsilon * (1 + 1e-9)
    )
    assert failed <= 0.05
    if canaries == 300:
        assert failed > 0.01


def test_one_run_bounds_hold_when_delta_gives_all_away() -> None:
    """With probability delta all coins are told, else none."""
    canaries, delta = 50, 0.04
    bounds = [one_run_epsilon(Guesses(canaries, canaries, v), delta) for v in range(canaries + 1)]
    weights = (1 - delta) * binom.pmf(np.arange(canaries + 1), canaries, 0.5)
    weights[-1] += delta
    assert sum(w for w, bound in zip(weights, bounds, strict=True) if bound > 0) <= 0.05


def most_probable(guesses: Guesses, mu: float) -> float:
    """Largest probability of so many right guesses under mu-GDP: a linear program with tangents."""
    k, m, c = guesses.guessed, guesses.canaries, guesses.correct
    right, wrong = np.arange(k + 1) / m, (k - np.arange(k + 1)) / m
    rows, limits = [], []
    for low in range(1, k + 1):
        r, h = (
            np.where(np.arange(k + 1) >= low, right, 0),
            np.where(np.arange(k + 1) >= low - 1, wrong, 0),
        )
        for x in norm.cdf(np.linspace(-7, 7, 250)):
            slope = math.exp(norm.logpdf(norm.ppf(x) + mu) - norm.logpdf(norm.ppf(x)))
            if slope < 1e8:
                rows.append(r - slope * h)
                limits.append(norm.cdf(norm.ppf(x) + mu) - slope * x)
    found = linprog(
        -(np.arange(k + 1) >= c).astype(float),
        A_ub=np.array(rows),
        b_ub=np.array(limits),
        A_eq=np.ones((1, k + 1)),
        b_eq=[1.0],
    )
    return float(-found.fun)


@pytest.mark.parametrize(
    ("guesses", "mu"),
    [(Guesses(8, 8, 7), 0.5), (Guesses(8, 8, 8), 1.0), (Guesses(20, 10, 9), 0.3)],
)
def test_gaussian_one_run_bounds_solve_the_linear_program(guesses: Guesses, mu: float) -> None:
    """The recursion finds the very probability that the constraints of the paper allow at most."""
    largest = most_probable(guesses, mu)

    def margin(tail: float) -> float:
        return one_run_gaussian_mu(guesses, 1 - tail) - mu

    assert brentq(margin, 1e-9, 0.5, xtol=1e-9) == pytest.approx(largest, rel=4e-3)


def test_gaussian_one_run_bounds_hold() -> None:
    """3,000 runs with ideal canaries; at most 5 % may fail, but for chance."""
    rng = np.random.default_rng(8)
    runs = 3000
    for mu, canaries, guessed in ((0.3, 200, 20), (1.0, 100, 100), (1.0, 200, 12)):
        coins = rng.random((runs, canaries)) < 0.5
        scores = rng.normal(size=coins.shape) + mu * coins
        order = np.argsort(-scores, axis=1)
        sorted_coins = np.take_along_axis(coins, order, axis=1)
        half = guessed // 2
        right = sorted_coins[:, :half].sum(axis=1) + (~sorted_coins[:, -half:]).sum(axis=1)
        values, counts = np.unique(right, return_counts=True)
        failed = sum(
            count
            for value, count in zip(values.tolist(), counts.tolist(), strict=True)
            if one_run_gaussian_mu(Guesses(canaries, 2 * half, value)) > mu
        )
        assert failed <= binom.ppf(0.999, runs, 0.05)


def test_gaussian_one_run_bounds_with_slack_are_smaller() -> None:
    guesses = Guesses(1000, 100, 95)
    bounds = [one_run_gaussian_mu(guesses, slack=slack) for slack in (0.0, 1e-6, 1e-4, 1e-3, 0.5)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == pytest.approx(bounds[1], rel=0.01)
    assert bounds[-1] == 0.0


def test_one_run_bounds_at_the_ends() -> None:
    for bound in (one_run_epsilon, one_run_gaussian_epsilon):
        assert bound(Guesses(0, 0, 0), DELTA) == 0.0
        assert bound(Guesses(100, 0, 0), DELTA) == 0.0
        assert bound(Guesses(100, 100, 0), DELTA) == 0.0
        assert bound(Guesses(100, 100, 50), DELTA) == 0.0
        assert bound(Guesses(1, 1, 1), DELTA) == 0.0
        assert 3.0 < bound(Guesses(100, 100, 100), DELTA) < LARGEST_EPSILON
        assert bound(Guesses(20_000, 20_000, 20_000), 1e-9) > 5.0
        more = [bound(Guesses(300, 200, right), DELTA) for right in range(100, 201, 10)]
        assert more == sorted(more)
    assert one_run_gaussian_mu(Guesses(5, 5, 5), 0.999, 0.9999) == 0.0
