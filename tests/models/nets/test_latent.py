"""Generators and the rows of their mixtures, against sums over all rows."""

from __future__ import annotations

import numpy as np
import pytest
from latent_tables import latent_joint, latent_parameters, latent_shape, points_for

from tronie.models.nets.decoding import Singles
from tronie.models.nets.drawing import Step
from tronie.models.nets.latent import LatentShape, Mixture, even_paces
from tronie.models.nets.mixing import mix_given, mix_rows, rake_mixture
from tronie.models.propagation import IMPOSSIBLE


def free(size: int) -> Singles:
    return np.zeros((1, size), np.float32)


def steps_of(shape: LatentShape, given: dict[int, list[float]] | None = None) -> list[Step]:
    """Every column, free of rules; those of which something is given first."""
    known = {
        column: np.where(np.array(v) > 0, np.log(np.maximum(v, 1e-30)), IMPOSSIBLE)
        for column, v in (given or {}).items()
    }
    order = sorted(range(shape.columns), key=lambda column: (column not in known, column))
    return [
        Step(c, (), free(shape.sizes[c]), known[c][None].astype(np.float32) if c in known else None)
        for c in order
    ]


def shares_of(rows: np.ndarray, shape: LatentShape) -> np.ndarray:
    places = np.ravel_multi_index(tuple(rows.T), shape.sizes)
    return np.bincount(places, minlength=int(np.prod(shape.sizes))).reshape(shape.sizes) / len(rows)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_generator_is_the_same_with_and_without_torch(depth: int) -> None:
    torch = pytest.importorskip("torch")
    from tronie.models.nets.generator import Generator

    shape = latent_shape(depth=depth)
    parameters, points = latent_parameters(shape), points_for(shape)
    mixture = Mixture(shape, parameters, points)
    network = Generator(shape, parameters)
    for column, logs in enumerate(network(torch.tensor(points))):
        own = mixture.logs(column, np.arange(len(points)))
        own = own - np.log(np.exp(own).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(own, logs.detach().numpy(), atol=1e-5)
    assert shape.count == sum(p.numel() for p in network.parameters())
    assert all(np.array_equal(parameters[k], v) for k, v in network.parameters_now().items())


def test_rows_have_the_probabilities_of_the_mixture() -> None:
    """TV below 0.01 from 40,000 rows; 24 cells of independent rows would have 0.01 on average."""
    shape = latent_shape()
    parameters, points = latent_parameters(shape), points_for(shape)
    true = latent_joint(shape, parameters, points)
    alone = true.sum((1, 2), keepdims=True) * true.sum(0, keepdims=True)
    assert np.abs(true - alone).sum() / 2 > 0.03
    rng = np.random.default_rng(0)
    rows = mix_rows(Mixture(shape, parameters, points), steps_of(shape), 40_000, rng)
    assert np.abs(shares_of(rows, shape) - true).sum() / 2 < 0.01
    assert mix_rows(Mixture(shape, parameters, points), steps_of(shape), 0, rng).shape == (0, 3)


def test_rows_given_something_are_those_of_the_mixture() -> None:
    shape = latent_shape()
    parameters, points = latent_parameters(shape), points_for(shape)
    given = {2: [0.0, 1.0, 0.0, 0.5], 0: [1.0, 0.0]}
    true = latent_joint(shape, parameters, points)
    true = true * np.array(given[2]) * np.array(given[0])[:, None, None]
    true /= true.sum()
    mixture = Mixture(shape, parameters, points)
    steps, guided = steps_of(shape), steps_of(shape, given)
    rows = mix_given(mixture, steps, guided, 40_000, np.random.default_rng(0))
    assert np.abs(shares_of(rows, shape) - true).sum() / 2 < 0.01


def test_raking_gives_the_wanted_shares() -> None:
    shape = latent_shape()
    parameters, points = latent_parameters(shape), points_for(shape)
    shares = {0: np.array([0.3, 0.7]), 1: np.array([0.5, 0.49, 0.01]), 2: np.full(4, 0.25)}
    steps = steps_of(shape)
    raked = rake_mixture(shape, parameters, points, steps, shares, 6000, np.random.default_rng(0))
    joint = latent_joint(shape, raked.parameters, points)
    for column, wanted in shares.items():
        others = tuple(axis for axis in range(3) if axis != column)
        np.testing.assert_allclose(joint.sum(others), wanted, atol=1e-4)
        drawn = np.bincount(raked.rows[:, column], minlength=len(wanted)) / 6000
        np.testing.assert_allclose(drawn, wanted, atol=0.01)


def test_multiples_of_paces_spread_evenly() -> None:
    """No box of 4 by 4 is far from its share, as random numbers' would be."""
    multiples = np.arange(1600)[:, None] * even_paces(2).astype(np.float64) % 1.0
    counts = np.histogram2d(*multiples.T, bins=4, range=[[0, 1], [0, 1]])[0]
    assert np.abs(counts - 100).max() <= 5
