"""The noise: sources, discrete Gaussian, thresholds, exponential mechanism.

Statistical tests draw from a fixed seed, so their outcome never changes. The error rate beside each
bound is that of a correct sampler with a fresh seed.
"""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tronie.errors import BudgetError, DomainTooLarge
from tronie.measure.noise import (
    InsecureNoise,
    Noise,
    OperatingSystemNoise,
    discrete_gaussian,
    exponential_choice,
    exponential_weights,
    gaussian_threshold,
)
from tronie.measure.tables import gaussian_table

CONTEXT = Context(prec=60)
SIGMAS = [0.7, 1.0, 6.0, 50.0, 1000.0]
FIXED_DRAWS = [4, 5, 7, 0, 6, 7]


@dataclass
class ScriptedNoise:
    """Hands out prepared bytes."""

    script: list[bytes]
    label: str = "scripted"
    lengths: list[int] = field(default_factory=list)

    def bytes(self, n: int) -> bytes:
        self.lengths.append(n)
        return self.script.pop(0)


def probabilities(sigma: float, largest: int) -> NDArray[np.float64]:
    """Of the values -largest..largest of the discrete Gaussian."""
    x = np.arange(-largest, largest + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def chi_square(draws: NDArray[np.int64], sigma: float, groups: int = 200) -> tuple[float, int]:
    """Pearson's statistic over groups of values of about equal mass, and its degrees of freedom."""
    largest = math.ceil(12 * sigma)
    p = probabilities(sigma, largest)
    group = np.minimum((np.cumsum(p) * groups).astype(int), groups - 1)
    group = np.unique(group, return_inverse=True)[1]
    expected = np.bincount(group, p) * len(draws)
    rare = expected < 20
    group = np.unique(
        np.where(rare, rare.argmin(), np.arange(len(rare)))[group], return_inverse=True
    )[1]
    expected = np.bincount(group, p) * len(draws)
    observed = np.bincount(group[draws + largest], minlength=len(expected))
    return float(((observed - expected) ** 2 / expected).sum()), len(expected) - 1


def chi_square_bound(freedom: int, log_odds: float = 14.0) -> float:
    """Exceeded with probability at most exp(-log_odds) (Laurent, Massart 2000)."""
    return freedom + 2 * math.sqrt(freedom * log_odds) + 2 * log_odds


@cache
def draws_of(sigma: float, size: int = 500_000) -> NDArray[np.int64]:
    return discrete_gaussian(sigma, size, InsecureNoise(20261122))


# Sources


def test_labels_are_those_of_a_certificate() -> None:
    assert OperatingSystemNoise().label == "operating system entropy, discrete"
    assert InsecureNoise(0).label == "INSECURE"


@pytest.mark.entropy
@pytest.mark.parametrize("noise", [OperatingSystemNoise(), InsecureNoise(0)])
def test_sources_give_as_many_bytes_as_asked(noise: Noise) -> None:
    assert [len(noise.bytes(n)) for n in (0, 1, 7, 4096)] == [0, 1, 7, 4096]


def test_insecure_noise_repeats_for_a_seed_and_moves_on_within_it() -> None:
    first, again, other = InsecureNoise(5), InsecureNoise(5), InsecureNoise(6)
    stream = [first.bytes(16) for _ in range(3)]
    assert stream == [again.bytes(16) for _ in range(3)]
    assert len({*stream, other.bytes(16)}) == 4


def test_insecure_noise_is_fixed_over_versions() -> None:
    assert discrete_gaussian(6.0, 6, InsecureNoise(1)).tolist() == FIXED_DRAWS


@pytest.mark.entropy
def test_operating_system_noise_never_repeats() -> None:
    noise = OperatingSystemNoise()
    assert len({noise.bytes(16) for _ in range(100)}) == 100


@pytest.mark.entropy
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_draw_different_noise() -> None:
    noise = OperatingSystemNoise()
    discrete_gaussian(1000.0, 10, noise)
    drawn = {_draws_of_child(noise) for _ in range(3)}
    drawn.add(discrete_gaussian(1000.0, 32, noise).tobytes())
    assert len(drawn) == 4


def _draws_of_child(noise: Noise) -> bytes:
    out, into = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a child that only draws cannot hang
        child = os.fork()
    if child == 0:
        os.write(into, discrete_gaussian(1000.0, 32, noise).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        return pipe.read()


# Discrete Gaussian


@pytest.mark.parametrize("sigma", SIGMAS)
def test_draws_fit_the_discrete_gaussian(sigma: float) -> None:
    statistic, freedom = chi_square(draws_of(sigma), sigma)
    assert statistic < chi_square_bound(freedom)  # wrongly fails for one seed in 1.2 million


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_fit_would_notice_one_per_cent_of_sigma(sigma: float) -> None:
    statistic, freedom = chi_square(
        discrete_gaussian(sigma, 500_000, InsecureNoise(3)), 1.01 * sigma, groups=40
    )
    assert statistic > chi_square_bound(freedom)


def test_the_fit_would_notice_a_rounded_continuous_gaussian() -> None:
    rounded = np.rint(np.random.default_rng(0).normal(0, 0.7, 500_000)).astype(np.int64)
    statistic, freedom = chi_square(rounded, 0.7)
    assert statistic > chi_square_bound(freedom)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_moments(sigma: float) -> None:
    draws = draws_of(sigma).astype(np.float64)
    p = probabilities(sigma, math.ceil(12 * sigma))
    x = np.arange(len(p)) - len(p) // 2
    for power in (1, 2, 3, 4):
        expected = (p * x**power).sum()
        deviation = math.sqrt((p * x ** (2.0 * power)).sum() - expected**2)
        error = (draws**power).mean() - expected
        # Five standard errors: wrongly fails for one seed in 1.7 million.
        assert abs(error) < 5 * deviation / math.sqrt(len(draws))


@pytest.mark.parametrize("sigma", SIGMAS)
def test_signs_are_even_at_every_magnitude(sigma: float) -> None:
    draws = draws_of(sigma)
    half = np.quantile(np.abs(draws), 0.5)
    for part in (draws[np.abs(draws) <= half], draws[np.abs(draws) > half]):
        positive, negative = (part > 0).sum(), (part < 0).sum()
        assert abs(positive - negative) <= 5 * math.sqrt(max(positive + negative, 1))


@pytest.mark.parametrize("sigma", [1.0, 6.0, 50.0, 1000.0])
@pytest.mark.parametrize("deviations", [3.0, 4.0])
def test_tails_have_their_mass(sigma: float, deviations: float) -> None:
    draws = draws_of(sigma)
    least = math.ceil(deviations * sigma)
    mass = 2 * float(gaussian_table(sigma).survival(least))
    found = int((np.abs(draws) >= least).sum())
    # Six standard errors of a binomial: below 1e-6 by Bernstein's inequality at these counts.
    assert abs(found - mass * len(draws)) < 6 * math.sqrt(mass * len(draws)) + 6


def test_entries_are_independent_of_their_neighbours() -> None:
    draws = draws_of(6.0).astype(np.float64)
    for lag in (1, 2, 7, 8):
        correlation = (draws[lag:] * draws[:-lag]).mean() / 36
        assert abs(correlation) < 5 / math.sqrt(len(draws))  # one seed in 1.7 million


def test_draws_are_integers_of_the_right_shape() -> None:
    draws = discrete_gaussian(2.5, 17, OperatingSystemNoise())
    assert draws.shape == (17,)
    assert draws.dtype == np.int64


@pytest.mark.parametrize("sigma", [0.01, 6.0])
def test_no_draws(sigma: float) -> None:
    assert discrete_gaussian(sigma, 0, InsecureNoise(0)).shape == (0,)


def test_a_tiny_sigma_gives_zeros() -> None:
    assert not discrete_gaussian(0.01, 100, InsecureNoise(0)).any()


def test_a_draw_takes_eight_bytes_and_a_bit() -> None:
    noise = ScriptedNoise([bytes(80), bytes(2)])
    assert not discrete_gaussian(6.0, 10, noise).any()
    assert noise.lengths == [80, 2]


@given(st.integers(0, 94), st.sampled_from([-1, 0, 1]), st.booleans())
def test_ties_in_the_top_word_are_settled_exactly(index: int, step: int, negative: bool) -> None:
    table = gaussian_table(6.0)
    threshold = 2**192 - int(2 * table.survival(index + 1) * 2**192)
    high, rest = divmod(min(threshold + step, 2**192 - 1), 2**128)
    script = [high.to_bytes(8, "little"), rest.to_bytes(16, "little")]
    if high not in table.high:
        script.pop()
    noise = ScriptedNoise([*script, bytes([128 * negative])])
    (draw,) = discrete_gaussian(6.0, 1, noise)
    at_most = sum(1 for m in range(1, table.largest + 1) if _reaches(table.survival(m), high, rest))
    assert draw == (-at_most if negative else at_most)
    assert not noise.script


def _reaches(survival: Fraction, high: int, rest: int) -> bool:
    return 2**192 - 2 * survival * 2**192 <= high * 2**128 + rest


def test_opendp_draws_the_same_distribution() -> None:
    dp = pytest.importorskip("opendp.prelude")
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i32"))
    gaussian = dp.m.make_gaussian(domain, dp.l2_distance(T="i32"), scale=6.0)
    theirs = np.array(gaussian([0] * 100_000), np.int64)
    statistic, freedom = chi_square(theirs, 6.0)
    assert statistic < chi_square_bound(freedom, log_odds=23.0)  # fails one time in 1e10
    statistic, freedom = chi_square(draws_of(6.0), 6.0)
    assert statistic < chi_square_bound(freedom)


# Thresholds


@cache
def tails(sigma: float) -> list[Fraction]:
    """P[X >= t] for t = 0, 1, ... by direct summation."""
    twice = 2 * Fraction(sigma) ** 2
    weights = [
        Fraction(CONTEXT.exp(-Decimal(x * x) * twice.denominator / twice.numerator))
        for x in range(math.ceil(18 * sigma) + 2)
    ]
    total = 2 * sum(weights) - 1
    beyond, found = Fraction(0), []
    for weight in reversed(weights):
        beyond += weight / total
        found.append(beyond)
    return found[::-1]


@given(
    sigma=st.sampled_from([0.3, 0.7, 1.0, 4.5, 13.25, 40.0]),
    exponent=st.floats(-30.0, -0.7),
    rows=st.integers(1, 50),
)
@example(sigma=40.0, exponent=-30.0, rows=1)
def test_threshold_is_the_least_safe_one(sigma: float, exponent: float, rows: int) -> None:
    delta = 10.0**exponent
    margin = gaussian_threshold(sigma, delta, rows) - rows
    tail = [*tails(sigma), Fraction(0)]
    tolerance = 1 + Fraction(1, 10**20)
    assert margin >= 1
    assert rows * tail[margin] <= Fraction(delta) * tolerance
    if margin > 1:
        assert rows * tail[margin - 1] * tolerance > Fraction(delta)


@given(st.floats(0.1, 500.0), st.floats(1e-12, 0.4), st.integers(1, 20))
def test_threshold_grows_with_noise_and_rows_and_as_delta_falls(
    sigma: float, delta: float, rows: int
) -> None:
    base = gaussian_threshold(sigma, delta, rows)
    assert gaussian_threshold(sigma * 1.5, delta, rows) >= base
    assert gaussian_threshold(sigma, delta / 3, rows) >= base
    assert gaussian_threshold(sigma, delta, rows + 1) > base


def test_a_lone_key_is_named_as_rarely_as_promised() -> None:
    threshold = gaussian_threshold(6.0, 1e-3, 1)
    named = (1 + draws_of(6.0) >= threshold).sum()
    assert named <= 500 + 5 * math.sqrt(500)  # 500 expected at most; one seed in 1e6


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-9, 1e-60, float("nan")])
def test_a_delta_that_makes_no_sense_is_refused(delta: float) -> None:
    with pytest.raises(BudgetError):
        gaussian_threshold(6.0, delta, 1)


def test_a_unit_without_rows_is_refused() -> None:
    with pytest.raises(BudgetError):
        gaussian_threshold(6.0, 1e-9, 0)


def test_a_threshold_needs_a_sigma_that_can_be_drawn() -> None:
    with pytest.raises(DomainTooLarge):
        gaussian_threshold(1e9, 1e-9, 1)


# Exponential mechanism

EXTREME = 2**63 - 1
score = st.integers(-50, 50) | st.integers(-(10**9), 10**9) | st.sampled_from([EXTREME, -EXTREME])


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Score vectors no entry of which differs by more than the sensitivity."""
    sensitivity = draw(st.integers(1, 100))
    scores = draw(st.lists(score, min_size=2, max_size=8))
    step = st.integers(-sensitivity, sensitivity) | st.sampled_from([-sensitivity, sensitivity])
    moved = [min(max(s + draw(step), -EXTREME), EXTREME) for s in scores]
    return np.array(scores, np.int64), np.array(moved, np.int64), sensitivity


@given(neighbours(), st.floats(1e-6, 1e3))
def test_log_ratios_move_by_at_most_epsilon(
    case: tuple[NDArray[np.int64], NDArray[np.int64], int], epsilon: float
) -> None:
    scores, moved, sensitivity = case
    one = exponential_weights(scores, epsilon, sensitivity)
    other = exponential_weights(moved, epsilon, sensitivity)
    ratios = [Fraction(a, b) for a, b in zip(one, other, strict=True)]
    limit = Fraction(CONTEXT.exp(Decimal(epsilon)))
    assert max(ratios) / min(ratios) <= limit  # bounded range, exactly: no tolerance
    shares = [ratio * sum(other) / sum(one) for ratio in ratios]
    assert max(shares) <= limit
    assert min(shares) * limit >= 1


@given(st.lists(score, min_size=1, max_size=20), st.floats(1e-6, 1e4), st.integers(1, 1000))
def test_weights_are_positive_and_in_the_order_of_scores(
    scores: list[int], epsilon: float, sensitivity: int
) -> None:
    weights = exponential_weights(np.array(scores, np.int64), epsilon, sensitivity)
    assert min(weights) > 0
    ranked = [weight for _, weight in sorted(zip(scores, weights, strict=True))]
    assert ranked == sorted(ranked)


@given(st.integers(0, 200), st.floats(0.01, 0.4), st.integers(1, 5))
def test_weights_are_exponential_in_scores(gap: int, epsilon: float, sensitivity: int) -> None:
    best, other = exponential_weights(np.array([gap, 0]), epsilon, sensitivity)
    assert math.log(best / other) == pytest.approx(gap * epsilon / (2 * sensitivity), rel=1e-12)


def test_equal_scores_have_equal_weights() -> None:
    weights = exponential_weights(np.array([5, 3, 5, 3]), 0.7, 2)
    assert weights[0] == weights[2] > weights[1] == weights[3]


def test_choices_have_their_probabilities() -> None:
    noise = InsecureNoise(11)
    scores = np.array([0, 4, 9, 9, -3, 7])
    weights = exponential_weights(scores, 0.5, 1)
    chosen = [exponential_choice(scores, 0.5, 1, noise) for _ in range(8000)]
    expected = 8000 * np.array(weights, np.float64) / float(sum(weights))
    found = np.bincount(chosen, minlength=6)
    statistic = ((found - expected) ** 2 / expected).sum()
    assert statistic < chi_square_bound(5)  # wrongly fails for one seed in 1.2 million


def test_every_candidate_is_reached_at_its_exact_share() -> None:
    scores = np.array([1, 0, 3, 2])
    weights = exponential_weights(scores, 1.0, 1)
    total = sum(weights)
    length = -(-(total.bit_length() + 128) // 8)
    edge = 0
    for index, weight in enumerate(weights):
        first = -(-edge * 256**length // total)
        edge += weight
        last = -(-edge * 256**length // total) - 1
        for word in (first, last):
            noise = ScriptedNoise([word.to_bytes(length, "little")])
            assert exponential_choice(scores, 1.0, 1, noise) == index
            assert noise.lengths == [length]


def test_a_single_candidate_is_chosen() -> None:
    assert exponential_choice(np.array([-7]), 0.1, 1, OperatingSystemNoise()) == 0


def test_a_large_epsilon_chooses_the_best() -> None:
    scores = np.arange(1000)
    noise = InsecureNoise(4)
    assert {exponential_choice(scores, 1e6, 1, noise) for _ in range(20)} == {999}


def test_many_candidates_of_distinct_scores() -> None:
    scores = np.arange(50_000) * 7
    assert exponential_choice(scores, 0.01, 1, InsecureNoise(4)) > 49_000


@pytest.mark.parametrize(
    ("epsilon", "sensitivity"),
    [(0.0, 1), (-1.0, 1), (float("nan"), 1), (float("inf"), 1), (1e-18, 1), (1.0, 0)],
)
def test_a_selection_that_makes_no_sense_is_refused(epsilon: float, sensitivity: int) -> None:
    with pytest.raises(BudgetError):
        exponential_choice(np.array([1, 2]), epsilon, sensitivity, InsecureNoise(0))


def test_no_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="zero-size"):
        exponential_choice(np.array([], np.int64), 1.0, 1, InsecureNoise(0))
