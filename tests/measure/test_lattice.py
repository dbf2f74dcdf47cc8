"""Noise for vectors of floats: exact draws, exact coins, and a lattice whose cost is accounted."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import BudgetError
from tronie.measure import lattice as lattice_module
from tronie.measure.lattice import (
    FINENESS,
    LEAST_FACTOR,
    MOST_FACTOR,
    SLACK,
    Lattice,
    coins,
    wide_gaussian,
)
from tronie.measure.noise import InsecureNoise
from tronie.measure.tables import gaussian_table
from tronie.privacy.events import Gaussian


def test_the_sum_of_two_scales_is_a_discrete_gaussian() -> None:
    """Exact probabilities of ``factor * X + Y`` in 60 digits, at points near and far."""
    import mpmath

    with mpmath.workdps(60):
        factor, s = LEAST_FACTOR, mpmath.mpf(4 * LEAST_FACTOR)
        t = s / mpmath.sqrt(factor**2 + 1)
        assert t > 3.99
        scale = s**2 * (factor**2 + 1)
        ratios = []
        for z in (0, 1, 17, 500, 4096, 12345, 40000):
            near = z * factor // (factor**2 + 1)
            total = mpmath.fsum(
                mpmath.exp(-(mpmath.mpf(x) ** 2) / (2 * s**2) - (z - factor * x) ** 2 / (2 * s**2))
                for x in range(near - 160, near + 161)
            )
            ratios.append(total / mpmath.exp(-(mpmath.mpf(z) ** 2) / (2 * scale)))
        spread = max(ratios) / min(ratios) - 1
        # The window cuts off tails of 40 sds; beyond these 60 digits the formula says 2^-450.
        assert spread < mpmath.mpf(10) ** -55


def test_draws_have_the_stated_moments_and_signs() -> None:
    # 400,000 draws: mean within 5 sds, variance within 5 sds of a chi-square, kurtosis likewise.
    n, factor = 400_000, 64
    draws = wide_gaussian(factor, n, InsecureNoise(1))
    sigma = 4.0 * factor * math.sqrt(factor**2 + 1)
    z = draws / sigma
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / n)
    assert abs((draws > 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(n)
    assert len(np.unique(draws % factor)) == factor


def test_draws_follow_the_normal_curve_in_the_tails() -> None:
    """Counts beyond each bound, within 5 binomial sds: 1,000,000 draws."""
    draws = wide_gaussian(32, 1_000_000, InsecureNoise(2))
    sigma = 128.0 * math.sqrt(32**2 + 1)
    for bound in (0.5, 1.0, 2.0, 3.0, 4.0):
        p = math.erfc(bound / math.sqrt(2))
        found = int((np.abs(draws) >= bound * sigma).sum())
        assert abs(found - 1e6 * p) < 5 * math.sqrt(1e6 * p) + 2


class Words:
    """Noise that is written down: bytes of given numbers, then zeros."""

    label = "INSECURE"

    def __init__(self, *parts: builtins.bytes) -> None:
        self.parts = list(parts)

    def bytes(self, n: int) -> builtins.bytes:
        part = self.parts.pop(0) if self.parts else b""
        return part[:n] + bytes(n - len(part[:n]))


@pytest.mark.parametrize("word", ["least", "threshold", "below", "above", "largest", "middle"])
def test_the_guide_finds_what_the_table_says(word: str) -> None:
    """All 192 bits decide, also where the first 16 or the first 64 do not."""
    factor = 64
    table = gaussian_table(4.0 * factor)
    high = int(table.high[100])
    words = {
        "least": 0,
        "threshold": high,
        "below": high - 1,
        "above": high + 1,
        "largest": 2**64 - 1,
        "middle": 2**63,
    }
    value = words[word]
    cell, rest = value >> 48, value % 2**48
    for last in (0, 2**128 - 1):
        given = Words(
            cell.to_bytes(2, "little"),
            (rest << 16).to_bytes(8, "little"),
            last.to_bytes(16, "little"),
        )
        guide = lattice_module._guide(factor)
        if not guide.crowded[cell]:
            given.parts[1:] = []
        exact = (
            table.resolve(value, last)
            if value in table.high.tolist()
            else int(np.searchsorted(table.high, np.uint64(value), side="right"))
        )
        assert abs(int(guide.draw(1, given)[0])) == exact  # type: ignore[arg-type]


def test_no_draws_and_many() -> None:
    assert wide_gaussian(32, 0, InsecureNoise(0)).shape == (0,)
    assert wide_gaussian(32, 2**16 + 3, InsecureNoise(0)).shape == (2**16 + 3,)


@pytest.mark.parametrize("factor", [0, 16, 33, 2 * MOST_FACTOR])
def test_factors_out_of_range_are_refused(factor: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        wide_gaussian(factor, 1, InsecureNoise(0))


# --- coins --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.001, 1 / 24, 0.5, 0.97])
def test_coins_fall_at_their_rate(rate: float) -> None:
    heads = coins(rate, 400_000, InsecureNoise(3))
    assert abs(heads.mean() - rate) < 5 * math.sqrt(rate * (1 - rate) / 400_000)


def test_coins_at_the_ends() -> None:
    assert coins(1.0, 5, InsecureNoise(0)).all()
    assert not coins(0.0, 5, InsecureNoise(0)).any()
    assert not coins(2.0**-65, 5, Words()).any()  # type: ignore[arg-type]
    for rate in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="probability"):
            coins(rate, 1, InsecureNoise(0))


@given(st.floats(0.0, 1.0))
def test_a_coin_never_falls_too_often(rate: float) -> None:
    """The largest word that is heads: the number of such words over 2^64 is at most the rate."""
    limit = int(math.ldexp(rate, 64)) if rate < 1 else 2**64
    if 0 < limit < 2**64:
        head = coins(rate, 1, Words((limit - 1).to_bytes(8, "little")))  # type: ignore[arg-type]
        tail = coins(rate, 1, Words(limit.to_bytes(8, "little")))  # type: ignore[arg-type]
        assert (head.tolist(), tail.tolist()) == ([True], [False])


# --- the lattice --------------------------------------------------------------------------------


@given(
    st.integers(1, 10**8),
    st.floats(1e-3, 1e3),
    st.floats(0.05, 50.0),
)
def test_the_lattice_costs_at_most_the_charge(size: int, clip: float, noise: float) -> None:
    lattice = Lattice.of(size, clip, noise)
    reach = clip * (1 + SLACK) / lattice.step + math.sqrt(size)
    event = Gaussian(query="q", sigma=lattice.sigma, sensitivity=reach)
    assert event.mu <= 1 / noise
    # What is lost to rounding and to the room for floats is small.
    assert lattice.sigma * lattice.step <= noise * clip * (1 + 2 * SLACK + 2 / FINENESS)


@pytest.mark.parametrize("noise", [1e9, math.inf, math.nan])
def test_noise_that_no_lattice_holds_is_refused(noise: float) -> None:
    with pytest.raises(BudgetError, match="cannot be answered"):
        Lattice.of(10**6, 1.0, noise)


def test_answers_lie_on_the_lattice_around_the_vector() -> None:
    lattice = Lattice.of(50_000, 2.0, 3.0)
    vector = np.linspace(-9.0, 9.0, 50_000)
    answer = lattice.blur(vector, InsecureNoise(0))
    steps = answer / lattice.step
    assert np.abs(steps - np.rint(steps)).max() < 1e-6
    assert np.std(answer - vector) == pytest.approx(6.0, rel=5 / math.sqrt(2 * 50_000))
    assert abs(np.corrcoef(answer - vector, vector)[0, 1]) < 5 / math.sqrt(50_000)


@given(st.integers(0, 2**32 - 1))
def test_rounding_moves_neighbours_by_no_more_than_is_charged(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattice = Lattice.of(400, 1.0, 1.0)
    vector = rng.normal(size=400) * 100
    unit = rng.normal(size=400)
    unit /= np.linalg.norm(unit)
    moved = np.rint((vector + unit) / lattice.step) - np.rint(vector / lattice.step)
    assert np.linalg.norm(moved) <= 1 / lattice.step + math.sqrt(400)
