"""Single columns of a network, brought to given shares."""

from __future__ import annotations

import numpy as np
import pytest
from nets_tables import SIZES, joint, parameters_of, shape_of

from tronie.models.nets.drawing import Step
from tronie.models.nets.raking import rake
from tronie.models.nets.shape import BODIES, Body


@pytest.mark.parametrize("body", BODIES)
def test_columns_get_the_wanted_shares_and_keep_their_odds_ratios(body: Body) -> None:
    shape = shape_of(body)
    parameters = parameters_of(shape, seed=2)
    wanted = {0: np.array([0.3, 0.7]), 1: np.array([0.1, 0.1, 0.8]), 2: np.array([0.4, 0.6, 0, 0])}
    steps = [Step(column, (), np.zeros((1, size), np.float32)) for column, size in enumerate(SIZES)]
    raked, rows = rake(shape, parameters, steps, wanted, 20_000, np.random.default_rng(0))
    after = joint(shape, raked)
    for column, shares in wanted.items():
        others = tuple(other for other in range(3) if other != column)
        np.testing.assert_allclose(after.sum(axis=others), shares, atol=0.01)
        found = np.bincount(rows[:, column], minlength=SIZES[column]) / 20_000
        np.testing.assert_allclose(found, shares, atol=0.005)
    before = joint(shape, parameters)

    def odds(table: np.ndarray) -> float:
        pair = table.sum(axis=2)
        return float(np.log(pair[0, 0] * pair[1, 1] / (pair[0, 1] * pair[1, 0])))

    assert odds(after) == pytest.approx(odds(before), abs=1e-3)
