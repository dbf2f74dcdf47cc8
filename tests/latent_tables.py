"""Small generators for tests."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.nets.decoding import Parameters
from tronie.models.nets.frame import as_codes, drawing_order
from tronie.models.nets.latent import LatentShape, Mixture
from tronie.models.nets.latent_field import LatentField
from tronie.schema.domain import Domain


def latent_shape(sizes: tuple[int, ...] = (2, 3, 4), depth: int = 2) -> LatentShape:
    """A generator of 8 units."""
    return LatentShape(sizes, latent=3, width=8, depth=depth)


def latent_parameters(shape: LatentShape, seed: int = 0, spread: float = 0.7) -> Parameters:
    """Any parameters, far from where fitting starts."""
    rng = np.random.default_rng(seed)
    return {
        name: (spread * rng.standard_normal(size)).astype(np.float32)
        for name, size in shape.parameters()
    }


def points_for(shape: LatentShape, count: int = 6, seed: int = 0) -> np.ndarray:
    """Any points."""
    return np.random.default_rng(seed).standard_normal((count, shape.latent), np.float32)


def latent_joint(shape: LatentShape, parameters: Parameters, points: np.ndarray) -> np.ndarray:
    """Probability of every row, without rules."""
    mixture = Mixture(shape, parameters, points)
    everything = np.arange(len(points))
    rows = np.array(list(itertools.product(*map(range, shape.sizes))))
    chances = np.ones((len(points), len(rows)))
    for column in range(shape.columns):
        logs = mixture.logs(column, everything).astype(np.float64)
        shares = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
        chances *= shares[:, rows[:, column]]
    return chances.mean(axis=0).reshape(shape.sizes)


def latent_field(
    domain: Domain, zeros: tuple[Factor, ...] = (), *, seed: int = 0, total: float = 100.0
) -> LatentField:
    """A model with any parameters, and a population of 50 rows."""
    tree = estimate(domain, [], total, zeros=zeros)
    order = drawing_order(tree)
    shape = latent_shape(tuple(domain[column] for column in order))
    parameters = latent_parameters(shape, seed)
    empty = as_codes(order, shape, np.zeros((0, len(order)), np.int64))
    field = LatentField(tree, order, shape, parameters, points_for(shape), empty)
    return replace(field, population=field.sample(50, np.random.default_rng(seed)))
