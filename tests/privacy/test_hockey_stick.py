"""Hockey-stick divergences of one sampled Gaussian, and what composing them loses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.fft
from dp_accounting.pld.privacy_loss_mechanism import AdjacencyType, GaussianPrivacyLoss
from hypothesis import given
from hypothesis import strategies as st

from tronie.privacy.gdp import gdp_delta
from tronie.privacy.hockey_stick import addition_deltas, removal_deltas
from tronie.privacy.pld import _sampled, rounding_delta

SETTINGS = [
    (0.001, 0.8),
    (0.5, 3.0),
    (1e-4, 0.48),
    (1.0, 1.0),
    (0.04, 20.0),
    (0.3, 0.2),
    (0.9, 50.0),
]


@pytest.mark.parametrize(("rate", "noise"), [(0.3, 0.7), (0.01, 2.0), (0.9, 5.0), (1.0, 1.5)])
@pytest.mark.parametrize("loss", [-0.4, -1e-3, 0.0, 1e-3, 0.2, 1.0])
def test_they_are_integrals_over_what_is_more_likely(
    rate: float, noise: float, loss: float
) -> None:
    x = np.linspace(-14 * noise, 1 + 14 * noise, 1_000_001)
    without = np.exp(-(x**2) / (2 * noise**2)) / (noise * math.sqrt(2 * math.pi))
    there = without * (1 - rate + rate * np.exp((2 * x - 1) / (2 * noise**2)))
    for found, first, second in (
        (removal_deltas, there, without),
        (addition_deltas, without, there),
    ):
        exact = np.trapezoid(np.maximum(first - math.exp(loss) * second, 0.0), x)
        (delta,) = found(rate, noise, np.array([loss]))
        assert delta == pytest.approx(exact, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("rate", "noise"), SETTINGS)
def test_they_agree_with_dp_accounting(rate: float, noise: float) -> None:
    kinds = ((AdjacencyType.REMOVE, removal_deltas), (AdjacencyType.ADD, addition_deltas))
    for kind, found in kinds:
        theirs = GaussianPrivacyLoss(noise, sensitivity=1, sampling_prob=rate, adjacency_type=kind)
        bounds = theirs.connect_dots_bounds()
        losses = np.linspace(bounds.epsilon_lower, bounds.epsilon_upper, 997)
        ours = found(rate, noise, losses)
        assert np.abs(ours - theirs.get_delta_for_epsilon(losses)).max() < 1e-15
        assert np.all(np.diff(ours) <= 1e-15)


@given(noise=st.floats(0.05, 200.0), loss=st.floats(0.0, 60.0))
def test_without_sampling_they_keep_their_digits(noise: float, loss: float) -> None:
    """Beside the scalar function, which is accurate to a relative 1e-12."""
    exact = gdp_delta(1 / noise, loss)
    for found in (removal_deltas, addition_deltas):
        (delta,) = found(1.0, noise, np.array([loss]))
        assert delta == pytest.approx(exact, rel=1e-10, abs=1e-280)


@given(
    rate=st.floats(1e-6, 1.0),
    noise=st.floats(1e-3, 1e3),
    losses=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20),
)
def test_they_are_chances_of_any_losses(rate: float, noise: float, losses: list[float]) -> None:
    for found in (removal_deltas, addition_deltas):
        deltas = found(rate, noise, np.array(losses))
        assert np.all((deltas >= 0.0) & (deltas <= 1.0))


@pytest.mark.parametrize(
    ("rate", "noise", "steps", "step"),
    [
        (1e-4, 0.48, 10_000, 2e-3),
        (1e-4, 0.56, 100_000, 1e-3),
        (1e-5, 0.5, 1_000_000, 4e-3),
        (0.01, 2.0, 100_000, 5e-4),
        (0.5, 60.0, 10_000, 1e-4),
    ],
)
def test_what_is_set_aside_covers_the_rounding_of_transforms(
    rate: float, noise: float, steps: int, step: float
) -> None:
    """Beside the same composition with mantissas of 64 bits."""
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no longer floats on this machine")
    one, total = (_sampled(rate, noise, times, step)._pmf_remove for times in (1, steps))
    cells = 2**20
    chances = np.zeros(cells, np.longdouble)
    places = np.arange(one._lower_loss, one._lower_loss + len(one._probs))
    chances[places % cells] = one._probs
    composed = scipy.fft.irfft(scipy.fft.rfft(chances) ** steps, cells)
    losses = np.where(np.arange(cells) < 3 * cells // 4, np.arange(cells), np.arange(cells) - cells)
    rounding = rounding_delta([], [(rate, noise, steps)])
    for delta in (1e-3, 1e-5, 1e-7, 1e-9):
        epsilon = float(total.get_epsilon_for_delta(delta))
        above = losses * np.longdouble(step) > epsilon
        gaps = -np.expm1(epsilon - losses[above] * np.longdouble(step))
        exact = float(np.sum(composed[above] * gaps))  # infinite losses are far below 1e-15
        assert exact - float(total.get_delta_for_epsilon(epsilon)) < 0.5 * rounding
