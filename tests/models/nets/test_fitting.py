"""Generators fitted to marginals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from latent_tables import latent_joint, latent_shape, points_for

from tronie.models.nets.fitting import Wanted, fit_to_marginals
from tronie.models.nets.generator import initial_generator


def test_a_generator_begins_with_the_given_shares() -> None:
    shape = latent_shape()
    shares = {0: np.array([0.1, 0.9]), 1: np.array([0.5, 0.5, 0.0])}
    start = initial_generator(shape, shares, np.random.default_rng(0))
    joint = latent_joint(shape, start, points_for(shape, 200))
    np.testing.assert_allclose(joint.sum((1, 2)), shares[0], atol=0.05)
    np.testing.assert_allclose(joint.sum((0, 2)), shares[1], atol=0.05)
    np.testing.assert_allclose(joint.sum((0, 1)), 0.25, atol=0.05)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_marginals_of_any_width_are_met(width: int) -> None:
    shape = latent_shape((2, 3, 2))
    points = points_for(shape, 40)
    true = np.random.default_rng(1).dirichlet(np.full(12, 0.7)).reshape(shape.sizes)
    wanted = []
    for columns in itertools.combinations(range(3), width):
        others = tuple(axis for axis in range(3) if axis not in columns)
        wanted.append(Wanted(columns, true.sum(others), np.array(0.01)))
    start = initial_generator(shape, {}, np.random.default_rng(0))
    one, two = (fit_to_marginals(shape, start, points, wanted, 100) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    joint = latent_joint(shape, one, points)
    for aim in wanted:
        others = tuple(axis for axis in range(3) if axis not in aim.columns)
        np.testing.assert_allclose(joint.sum(others), aim.shares, atol=0.01)


def test_what_is_known_better_is_met_better() -> None:
    """Two measurements of one column disagree; the fit is their mean by 1 / variance."""
    shape = latent_shape((2, 2))
    points = points_for(shape, 20)
    wanted = [
        Wanted((0,), np.array([0.2, 0.8]), np.array(0.01)),
        Wanted((0,), np.array([0.6, 0.4]), np.array([0.02, 0.02])),
    ]
    start = initial_generator(shape, {}, np.random.default_rng(0))
    joint = latent_joint(shape, fit_to_marginals(shape, start, points, wanted, 100), points)
    assert joint.sum(1)[0] == pytest.approx(0.28, abs=0.003)
