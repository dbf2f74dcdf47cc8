"""Autoencoders whose losses nothing random enters."""

from __future__ import annotations

import numpy as np
import pytest
from latent_tables import latent_joint, latent_shape

torch = pytest.importorskip("torch")

from tronie.measure.gradients import require_row_losses  # noqa: E402
from tronie.models.nets import autoencoder as module  # noqa: E402
from tronie.models.nets.autoencoder import Autoencoder  # noqa: E402
from tronie.models.nets.generator import initial_generator  # noqa: E402

SIZES = (2, 3, 4)


def autoencoder(seed: int = 0) -> Autoencoder:
    shape = latent_shape(SIZES)
    rng = np.random.default_rng(seed)
    return Autoencoder(shape, initial_generator(shape, {}, rng), rng)


def codes(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(size, size=rows) for size in SIZES], axis=1)


def test_a_loss_is_a_function_of_its_row_and_the_step() -> None:
    network = autoencoder()
    require_row_losses(network, SIZES)
    rows = torch.tensor(codes(50))
    first, again = network(rows), network(rows)
    assert torch.equal(first, again)
    network.begin(1)
    assert not torch.allclose(network(rows), first, atol=1e-3)
    network.begin(0)
    assert torch.equal(network(rows), first)


def test_over_steps_the_loss_is_the_expectation_over_random_points() -> None:
    """The mean over 500 steps is that over 50,000 random points, within a hundredth of a nat."""
    network = autoencoder()
    row = torch.tensor([[1, 2, 0]])
    with torch.no_grad():
        losses = []
        for step in range(500):
            network.begin(step)
            losses.append(float(network(row)))
        hidden = torch.relu(network.values(row + network.offsets).sum(1) / 3**0.5)
        mean, spread = network.mean(hidden), network.spread(hidden)
        noise = torch.tensor(np.random.default_rng(0).standard_normal((50_000, 3), np.float32))
        logs = network.generator(mean + spread.exp() * noise)
        told = -sum(float(log[:, code].mean()) for log, code in zip(logs, (1, 2, 0), strict=True))
        distance = float(((mean.square() + (2 * spread).exp() - 1) / 2 - spread).sum())
    assert np.std(losses) > 0.02
    assert np.mean(losses) == pytest.approx(told + module.WEIGHT * distance, abs=0.01)


def test_a_bound_is_below_the_log_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the whole distance, the mean loss of a row is at least its negative log probability."""
    monkeypatch.setattr(module, "WEIGHT", 1.0)
    network = autoencoder()
    points = np.random.default_rng(0).standard_normal((20_000, 3), np.float32)
    joint = latent_joint(network.generator.shape, network.generator.parameters_now(), points)
    rows = codes(30)
    with torch.no_grad():
        losses = []
        for step in range(200):
            network.begin(step)
            losses.append(network(torch.tensor(rows)).numpy())
    assert (np.mean(losses, axis=0) > -np.log(joint[tuple(rows.T)]) - 0.02).all()
