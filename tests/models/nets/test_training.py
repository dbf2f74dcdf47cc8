"""Training on rows that hurt no one."""

from __future__ import annotations

import numpy as np
import pytest
from nets_tables import joint, shape_of

from tronie.models.nets.network import initial
from tronie.models.nets.shape import BODIES, Body
from tronie.models.nets.training import Course, promoted_orders, train_on_public


@pytest.mark.parametrize("body", BODIES)
def test_a_network_learns_what_its_rows_have_in_every_order(body: Body) -> None:
    shape = shape_of(body, (2, 2), depth=1)
    codes = np.arange(1000) % 2
    rows = np.stack([codes, codes], axis=1)
    start = initial(shape, {}, np.random.default_rng(0))
    course = Course(100, batch=128, rate=0.02)
    one, two = (
        train_on_public(shape, start, rows, course, np.random.default_rng(1)) for _ in range(2)
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    for order in ((0, 1), (1, 0)):
        found = joint(shape, one, order)
        assert np.trace(found) > 0.98
        np.testing.assert_allclose(found, np.eye(2) / 2, atol=0.1)


def test_orders_are_permutations_and_begin_with_any_columns() -> None:
    rng = np.random.default_rng(0)
    orders = promoted_orders(4000, 5, 0.5, rng)
    assert (np.sort(orders, axis=1) == np.arange(5)).all()
    changed = (orders != np.arange(5)).any(axis=1)
    assert 0.3 < changed.mean() < 0.5
    assert set(orders[:, 0]) == set(range(5))
    assert (promoted_orders(100, 5, 0.0, rng) == np.arange(5)).all()


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [Course(100, rate=1.0, warm_up=10).rate_at(step) for step in range(100)]
    assert np.argmax(rates) == 9
    assert rates[-1] < 0.001
