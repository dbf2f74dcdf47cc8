"""Codes whose counts stay near what probabilities sum to."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.models.nets import balance as balance_module
from tronie.models.nets.balance import Balance, choose


def test_codes_without_probability_are_never_chosen() -> None:
    shares = np.array([[0.0, 1e-30, 0.0], [0.3, 0.0, 0.7]], np.float32)
    largest = np.nextafter(np.float32(1), np.float32(0))
    for chance in (np.float32(0), np.float32(0.5), largest):
        codes = choose(shares, np.full(2, chance))
        assert (shares[np.arange(2), codes] > 0).all()


def drawn_pairs(seed: int, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of rows in two blocks: the first even, the second by the given probabilities."""
    rng = np.random.default_rng(seed)
    balance = Balance([4, 5])
    firsts, seconds = [], []
    for start in (0, 1000):
        balance.begin(1000)
        first = balance.draw(0, np.full((1000, 4), 0.25, np.float32), rng)
        seconds.append(balance.draw(1, shares[start : start + 1000], rng))
        firsts.append(first)
    return np.concatenate(firsts), np.concatenate(seconds)


@pytest.mark.parametrize("paired", [True, False])
def test_counts_are_nearer_to_their_expectation_than_by_chance(
    paired: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chance alone gives a mean error of 13 in singles, 6.5 in pairs."""
    if not paired:
        monkeypatch.setattr(balance_module, "PAIRED", 0)
    shares = np.random.default_rng(0).dirichlet(np.ones(5), 2000).astype(np.float32)
    singles, pairs = [], []
    for seed in range(10):
        first, second = drawn_pairs(seed, shares)
        expected = np.zeros((4, 5))
        np.add.at(expected, first, shares)
        counts = np.histogram2d(first, second, [range(5), range(6)])[0]
        assert abs(np.bincount(first) - 500).max() < 15
        singles.append(np.abs(counts.sum(axis=0) - shares.sum(axis=0)).mean())
        pairs.append(np.abs(counts - expected).mean())
    assert np.mean(singles) < 6
    assert (np.mean(pairs) < 4.5) == paired


def test_probabilities_stay_as_they_are_on_average() -> None:
    """Frequencies over 300 draws are within 5 standard errors of what was asked for."""
    shares = np.random.default_rng(0).dirichlet(np.ones(5), 2000).astype(np.float32)
    counts = np.zeros((20, 5))
    for seed in range(300):
        second = drawn_pairs(seed, shares)[1][:20]
        counts[np.arange(20), second] += 1
    error = np.sqrt(shares[:20] * (1 - shares[:20]) / 300) + 1e-3
    assert (np.abs(counts / 300 - shares[:20]) < 5 * error).all()
