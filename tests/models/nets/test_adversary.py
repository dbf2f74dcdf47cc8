"""A discriminator on rows, and a generator on the discriminator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from latent_tables import latent_joint

torch = pytest.importorskip("torch")

from tronie.measure.clipping import ClippedGradients  # noqa: E402
from tronie.measure.gradients import require_row_losses  # noqa: E402
from tronie.models.nets.adversary import CONDITION, Adversary, Duel  # noqa: E402
from tronie.models.nets.generator import initial_generator  # noqa: E402
from tronie.models.nets.latent import LatentShape  # noqa: E402

SHAPE = LatentShape((2, 3), latent=CONDITION + 2, width=16, depth=2)
SHARES = {0: np.array([0.5, 0.5]), 1: np.array([0.2, 0.3, 0.5])}
DUEL = Duel(every=2, steps=10, made=512, batch=128)


def adversary(steps: int = 40) -> Adversary:
    rng = np.random.default_rng(0)
    parameters = initial_generator(SHAPE, SHARES, rng)
    return Adversary(SHAPE, parameters, SHARES, steps, 8, DUEL, rng)


def test_only_the_discriminator_is_trained_on_rows() -> None:
    network = adversary()
    trained = ClippedGradients(network).parameters
    own = list(network.discriminator.parameters())
    assert [id(p) for p in trained] == [id(p) for p in own]
    require_row_losses(network, SHAPE.sizes)


def test_made_up_rows_agree_with_the_row_in_a_column() -> None:
    """The loss of a row is that of one of the pool's rows under a condition that the row meets."""
    network = adversary()
    codes = torch.tensor([[a, b] for a in range(2) for b in range(3)])
    tokens = codes + network.offsets
    for wish in range(5):
        column = 0 if wish < 2 else 1
        assert (network.pool[wish, :, column] == wish).all()
    with torch.no_grad():
        for parameter in network.discriminator.parameters():
            parameter.add_(0.1)
        odds = network.discriminator(tokens) - network.taught(tokens)
        losses = network(codes) - torch.nn.functional.softplus(-odds)
        for row, loss in zip(tokens, losses, strict=True):
            pool = network.pool[row].reshape(-1, 2)
            made = network.discriminator(pool) - network.taught(pool)
            assert (torch.nn.functional.softplus(made) - loss).abs().min() < 1e-5


def test_conditions_are_drawn_by_released_shares() -> None:
    wishes = adversary()._wishes(60_000, np.random.default_rng(0))
    expected = np.concatenate([SHARES[0], SHARES[1]]) / 2
    np.testing.assert_allclose(np.bincount(wishes) / 60_000, expected, atol=0.01)


def test_lessons_come_every_few_steps_and_after_the_last() -> None:
    network = adversary(steps=5)
    lessons: list[int] = []
    network._teach = lambda: lessons.append(int(network.step))  # type: ignore[method-assign]
    for step in range(5):
        network.after_step(step)
    assert lessons == [2, 4, 5]


def test_after_a_lesson_the_odds_begin_anew() -> None:
    network = adversary()
    with torch.no_grad():
        for parameter in network.discriminator.parameters():
            parameter.add_(0.1 * torch.ones_like(parameter))
    for _ in range(60):  # until the moving mean is there
        network.average.load_state_dict(network.discriminator.state_dict())
    network._teach()
    tokens = torch.tensor([[0, 2], [1, 4]])
    assert torch.equal(network.average(tokens), network.taught(tokens))
    assert all(p.requires_grad for p in network.discriminator.parameters())
    assert not any(p.requires_grad for p in network.generator.parameters())


def test_a_generator_learns_what_ties_columns_together() -> None:
    """Without noise: the second column is 2 where the first is 1, else 0 or 1."""
    rng = np.random.default_rng(0)
    first = rng.integers(2, size=2000)
    rows = np.stack([first, np.where(first == 1, 2, rng.choice(2, 2000, p=[0.4, 0.6]))], axis=1)
    network: Any = adversary()
    optimiser = torch.optim.Adam(network.discriminator.parameters(), lr=0.02)
    for step in range(40):
        batch = torch.tensor(rows[rng.integers(2000, size=256)])
        optimiser.zero_grad()
        network(batch).mean().backward()
        optimiser.step()
        network.after_step(step)
    points = network.points(500, np.random.default_rng(1))
    joint = latent_joint(SHAPE, network.generator.parameters_now(), points)
    assert joint[1, 2] + joint[0, :2].sum() > 0.85


@pytest.mark.parametrize("steps", [1, 5])
def test_it_goes_on_as_if_it_had_never_stopped(steps: int) -> None:
    """Lessons, their optimiser, the pool and the generator of random numbers, all taken up again."""
    one, other = adversary(), adversary()
    for network in (one, other):
        with torch.no_grad():
            for parameter in network.discriminator.parameters():
                parameter.add_(0.1)
    for step in range(steps):
        one.after_step(step)
    other.put_beside(one.beside())
    for step in range(steps, steps + 4):
        one.after_step(step)
        other.after_step(step)
    assert one.beside().keys() == other.beside().keys()
    for name, array in one.beside().items():
        assert np.array_equal(array, other.beside()[name]), name
