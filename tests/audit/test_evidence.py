"""Evidence is the exact log likelihood ratio of what the curator draws."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.audit.evidence import (
    Evidence,
    Part,
    choice_evidence,
    gaussian_evidence,
    keys_evidence,
    weights_of,
)
from tronie.measure.noise import exponential_weights
from tronie.measure.tables import gaussian_table

counts = st.lists(st.integers(-20, 20), min_size=1, max_size=4)


def log_pmf(x: int, sigma: float) -> float:
    """Log probability that the curator's sampler draws x."""
    table, size = gaussian_table(sigma), abs(x)
    one_side = table.survival(max(size, 1)) - table.survival(size + 1)
    return math.log(one_side if size else 1 - 2 * table.survival(1))


@given(st.data(), st.floats(1.0, 9.0))
def test_gaussian_answers(data: st.DataObject, sigma: float) -> None:
    size = data.draw(st.integers(1, 4))
    answer, without, included = (
        np.array(data.draw(st.lists(st.integers(-5, 5), min_size=size, max_size=size)))
        for _ in range(3)
    )
    exact = sum(
        log_pmf(int(a - there), sigma) - log_pmf(int(a - out), sigma)
        for a, out, there in zip(answer, without, included, strict=True)
    )
    assert gaussian_evidence(answer, without, included, sigma) == pytest.approx(exact, abs=1e-9)


@given(st.data(), st.floats(0.01, 20.0), st.integers(1, 3))
def test_choices(data: st.DataObject, epsilon: float, sensitivity: int) -> None:
    size = data.draw(st.integers(1, 5))
    numbers = st.lists(st.integers(-60, 60), min_size=size, max_size=size)
    without, included = (np.array(data.draw(numbers)) for _ in range(2))
    chosen = data.draw(st.integers(0, size - 1))

    def log_share(scores: np.ndarray) -> float:
        weights = exponential_weights(scores, epsilon, sensitivity)
        return math.log(weights[chosen]) - math.log(sum(weights))

    exact = log_share(included) - log_share(without)
    found = choice_evidence(chosen, without, included, epsilon, sensitivity)
    assert found == pytest.approx(exact, abs=1e-9)


def test_choices_add_up_to_probabilities() -> None:
    """The mean of the likelihood ratio under the table without the unit is 1."""
    without, included = np.array([5, 4, 1]), np.array([4, 5, 1])
    weights = exponential_weights(without, 2.0, 1)
    shares = [weight / sum(weights) for weight in weights]
    ratios = [math.exp(choice_evidence(i, without, included, 2.0, 1)) for i in range(3)]
    assert sum(s * r for s, r in zip(shares, ratios, strict=True)) == pytest.approx(1.0)


def test_keys_add_up_to_probabilities() -> None:
    """Likewise for naming: all noisy counts of one common value, named or hidden."""
    sigma, threshold, out, there = 2.0, 7, 5, 7
    mean = sum(
        math.exp(log_pmf(x, sigma))
        * math.exp(keys_evidence({"k": out + x}, {"k": out}, {"k": there}, sigma, threshold))
        for x in range(threshold - out, 25)
    )
    hidden = sum(math.exp(log_pmf(x, sigma)) for x in range(-25, threshold - out))
    mean += hidden * math.exp(keys_evidence({}, {"k": out}, {"k": there}, sigma, threshold))
    assert mean == pytest.approx(1.0)


def test_hidden_keys() -> None:
    """What stays hidden speaks against the unit, by exactly its chance of being named."""
    sigma = 3.0
    for threshold, there in ((10, 1), (2, 4), (1, 1), (5, 5)):
        named = sum(math.exp(log_pmf(x, sigma)) for x in range(threshold - there, 40))
        evidence = keys_evidence({}, {}, {"secret": there}, sigma, threshold)
        assert evidence == pytest.approx(math.log1p(-named), rel=1e-6)
    assert keys_evidence({}, {}, {"secret": 1000}, sigma, 5) == -math.inf


def test_keys_of_one_table_alone_prove_it() -> None:
    named = {"secret": 99, "here": 50}
    both = {"here": 40}
    assert keys_evidence(named, both, {**both, "secret": 1}, 3.0, 20) == math.inf
    assert keys_evidence(named, {**both, "secret": 1}, both, 3.0, 20) == -math.inf
    assert keys_evidence({"here": 50}, both, both, 3.0, 20) == 0.0


def test_parts_of_evidence() -> None:
    evidence = Evidence.of(
        [{"a": (1.0, 0.5)}, {"b": (2.0, 0.0)}, {"a": (3.0, 0.5), "b": (math.inf, 0.0)}]
    )
    assert evidence.total().tolist() == [1.0, 2.0, math.inf]
    assert evidence.total({"a": 10.0}).tolist() == [10.0, 2.0, math.inf]
    assert evidence.parts["a"].information.tolist() == [0.5, 0.0, 0.5]
    taken = evidence.take(slice(1, 3))
    assert (taken.runs, taken.total().tolist()) == (2, [2.0, math.inf])
    assert evidence.take(np.array([0, 0])).total().tolist() == [1.0, 1.0]
    assert Evidence.of([]).total().tolist() == []


def drawn(rng: np.random.Generator, mu: float, noise: float, runs: int) -> list[Part]:
    """A Gaussian answer whose noise is a part of what was declared, without the unit and with it."""
    information = np.full(runs, mu**2)
    return [
        Part(mu * (noise * rng.normal(size=runs) + sign * mu / 2), information) for sign in (-1, 1)
    ]


def test_parts_with_less_noise_than_declared_weigh_more() -> None:
    rng = np.random.default_rng(2)
    parts = {
        name: drawn(rng, mu, noise, 200)
        for name, mu, noise in (("right", 0.5, 1.0), ("half", 0.1, 0.5), ("none", 0.01, 0.0))
    }
    without, included = (
        Evidence(200, {key: found[side] for key, found in parts.items()}) for side in (0, 1)
    )
    weights = weights_of(without, included)
    assert weights.keys() == {"half", "none"}
    assert weights["half"] == pytest.approx(4.0, rel=0.2)
    assert weights["none"] == pytest.approx(1e9)


def test_parts_that_cannot_be_judged_weigh_one() -> None:
    """Too few runs, no declared variance, or asked on one side alone."""
    rng = np.random.default_rng(2)
    seldom, mine = drawn(rng, 0.1, 0.0, 5), drawn(rng, 0.1, 0.0, 5)
    far = [Part(np.full(5, end), np.zeros(5)) for end in (-math.inf, math.inf)]
    without = Evidence(5, {"seldom": seldom[0], "leak": far[0], "mine": mine[0]})
    included = Evidence(5, {"seldom": seldom[1], "leak": far[1]})
    assert weights_of(without, included) == {}


@pytest.mark.parametrize("mu", [0.03, 1.0])
def test_declared_noise_is_believed(mu: float) -> None:
    """With it hardly any weight is other than 1, at any number of runs."""
    rng = np.random.default_rng(3)
    wrong = 0
    for runs in (10, 40, 200):
        for _ in range(200):
            out, there = drawn(rng, mu, 1.0, runs)
            wrong += bool(weights_of(Evidence(runs, {"a": out}), Evidence(runs, {"a": there})))
    assert wrong <= 6


def test_evidence_grows_with_the_answer() -> None:
    found = [gaussian_evidence(np.array(a), np.array(0), np.array(1), 2.0) for a in range(-3, 4)]
    assert all(later > earlier for earlier, later in pairwise(found))
