"""Expected total variation of two samples, against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.evaluate.expected import SMALL, TwoSamples, _poisson_mean, _table

CASES = [
    # rows, other rows, cells, concentration of their chances, error allowed (relative)
    (1000, 1000, 500, 0.3, 0.01),
    (1000, 2000, 500, 0.3, 0.01),
    (2000, 500, 3000, 1.0, 0.01),
    (300, 3000, 300, 0.2, 0.03),
    (3000, 30, 300, 0.2, 0.01),
    (100_000, 30, 2000, 0.3, 0.01),
    (5000, 5000, 20_000, 0.05, 0.01),
    (20, 20, 2, 1.0, 0.05),
]


@pytest.mark.parametrize(("rows", "others", "cells", "spread", "allowed"), CASES)
def test_it_is_the_mean_of_simulated_distances(
    rows: int, others: int, cells: int, spread: float, allowed: float
) -> None:
    """Means over 200 pairs of samples; their standard errors are below a fifth of what is allowed."""
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.full(cells, spread))
    one, two = (rng.multinomial(n, chances, 200) for n in (rows, others))
    distances = np.abs(one / rows - two / others).sum(axis=1) / 2
    estimate = TwoSamples(rows, others)
    estimates = [estimate.expected(counts) for counts in one]
    error = np.hypot(np.std(estimates), np.std(distances)) / np.sqrt(200)
    assert np.mean(estimates) == pytest.approx(np.mean(distances), rel=allowed, abs=4 * error)


def test_cells_that_a_sample_missed_are_accounted_for() -> None:
    """Putting observed shares into the normal formula is 10 % off here; the estimate is not."""
    rng = np.random.default_rng(1)
    chances = np.full(20_000, 1 / 20_000)
    one, two = (rng.multinomial(4000, chances, 50) for _ in range(2))
    true = np.abs(one - two).sum(axis=1).mean() / 8000
    plugged_in = np.mean([np.sqrt(4 / np.pi * c[c > 0]).sum() / 8000 for c in one])
    found = np.mean([TwoSamples(4000, 4000).expected(counts) for counts in one])
    assert found == pytest.approx(true, rel=0.01)
    assert abs(plugged_in / true - 1) > 0.1


@pytest.mark.parametrize("times", [0.01, 0.1, 0.5, 1.0, 2.0, 10.0])
def test_estimates_are_nearly_unbiased_for_each_chance(times: float) -> None:
    rng = np.random.default_rng(2)
    small = _table(times)[0]
    for mean in (0.05, 0.5, 1.0, 3.0, 10.0):
        counts = rng.poisson(mean, 400_000)
        assert counts.max() <= SMALL
        error = small[counts].std() / np.sqrt(400_000)
        allowed = 0.01 if times <= 2 else 0.03
        wanted = _poisson_mean(mean, times)
        assert small[counts].mean() == pytest.approx(wanted, rel=allowed, abs=4 * error)


def test_poisson_means_are_those_of_simulated_counts() -> None:
    rng = np.random.default_rng(3)
    for mean, times in ((0.3, 1.0), (4.0, 0.25), (4.0, 3.0), (50.0, 1.0)):
        a, b = rng.poisson(mean, 400_000), rng.poisson(mean * times, 400_000)
        differences = np.abs(a - b / times)
        error = differences.std() / np.sqrt(400_000)
        assert _poisson_mean(mean, times) == pytest.approx(differences.mean(), abs=4 * error)


def test_larger_samples_are_nearer() -> None:
    counts = np.array([500, 300, 200])
    expected = [
        TwoSamples(1000, others).expected(counts) for others in (10, 100, 1000, 10**5, 10**8)
    ]
    assert expected == sorted(expected, reverse=True)
    assert expected[-1] > 0.5 * expected[2]


def test_a_constant_column_is_never_off() -> None:
    assert TwoSamples(50, 70).expected(np.array([50])) == 0.0


def test_it_is_at_most_one_and_empty_cells_do_not_matter() -> None:
    everything_differs = np.ones(5, np.int64)
    assert TwoSamples(5, 5).expected(everything_differs) <= 1.0
    counts = np.array([[3, 0], [0, 2]])
    both = TwoSamples(5, 9)
    assert both.expected(counts) == both.expected(np.array([3, 2]))
