from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.lbfgs import Evaluation, dot, minimise
from tronie.schema.grid import Floats


class Quadratic:
    """Half of (x - c)' H (x - c), with a given guess of the diagonal of H."""

    def __init__(self, hessian: Floats, centre: Floats, guess: Floats) -> None:
        self.hessian, self.centre, self.guess = hessian, centre, guess
        self.calls = 0

    def __call__(self, point: Floats) -> Evaluation:
        self.calls += 1
        gradient = self.hessian @ (point - self.centre)
        return Evaluation(point, 0.5 * (point - self.centre) @ gradient, gradient, self.guess)


def softplus(point: Floats) -> Evaluation:
    """Convex with a flat side: sum of log(1 + exp(x)) - 0.3 x."""
    share = 1 / (1 + np.exp(-point))
    value = float(np.sum(np.logaddexp(0, point) - 0.3 * point))
    return Evaluation(point, value, share - 0.3, share * (1 - share) + 1e-3)


@given(seed=st.integers(0, 2**32), size=st.integers(1, 20))
def test_quadratics_are_minimised(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    hessian = root @ root.T + np.eye(size)
    centre = rng.normal(size=size)
    problem = Quadratic(hessian, centre, np.diag(hessian).copy())
    end = minimise(problem, np.zeros(size), np.ones(size), tolerance=1e-8, max_iterations=500)
    assert end.converged
    assert end.rms < 1e-8
    np.testing.assert_allclose(end.point, centre, atol=1e-6)


def test_a_good_diagonal_solves_a_badly_scaled_problem_at_once() -> None:
    diagonal = np.logspace(-6, 6, 50)
    problem = Quadratic(np.diag(diagonal), np.ones(50), diagonal)
    end = minimise(problem, np.zeros(50), np.sqrt(diagonal), tolerance=1e-6, max_iterations=5)
    assert end.converged
    assert end.iterations == 1


def test_flat_sides_are_left_by_shorter_steps() -> None:
    end = minimise(softplus, np.full(3, 30.0), np.ones(3), tolerance=1e-10, max_iterations=200)
    assert end.converged
    np.testing.assert_allclose(end.point, np.log(0.3 / 0.7), atol=1e-8)


def test_running_out_of_iterations_is_said() -> None:
    diagonal = np.logspace(0, 8, 40)
    problem = Quadratic(np.diag(diagonal), np.ones(40), np.ones(40))
    end = minimise(problem, np.zeros(40), np.ones(40), tolerance=1e-9, max_iterations=3)
    assert not end.converged
    assert end.iterations == 3
    assert end.rms >= 1e-9


def test_the_minimum_is_recognised_without_a_step() -> None:
    problem = Quadratic(np.eye(3), np.ones(3), np.ones(3))
    end = minimise(problem, np.ones(3), np.ones(3), tolerance=1e-9, max_iterations=10)
    assert (end.converged, end.iterations, problem.calls) == (True, 0, 1)


def test_a_tolerance_beyond_rounding_ends_with_the_flag_down() -> None:
    problem = Quadratic(np.diag([1.0, 1e3]), np.array([1e8, 1.0]), np.ones(2))
    end = minimise(problem, np.zeros(2), np.ones(2), tolerance=0.0, max_iterations=10_000)
    assert not end.converged
    assert end.iterations < 10_000


def test_a_cliff_ends_with_the_flag_down() -> None:
    def cliff(point: Floats) -> Evaluation:
        value = 0.0 if (point == 1).all() else np.inf
        return Evaluation(point, value, np.ones(2), np.ones(2))

    end = minimise(cliff, np.ones(2), np.ones(2), tolerance=1e-9, max_iterations=10)
    assert (end.converged, end.iterations, end.rms) == (False, 0, 1.0)


def test_units_scale_the_stopping_rule() -> None:
    problem = Quadratic(np.eye(2), np.ones(2), np.full(2, 10.0))
    loose = minimise(problem, np.zeros(2), np.full(2, 100.0), tolerance=0.1, max_iterations=9)
    assert loose.iterations == 0
    assert loose.rms == pytest.approx(0.01)


def test_inner_products_are_those_of_numpy() -> None:
    one, two = np.random.default_rng(0).normal(size=(2, 1000))
    assert dot(one, two) == pytest.approx(float(one @ two))
