"""Single columns of a network, brought to given shares."""

from __future__ import annotations

import numpy as np
import pytest
from nets_tables import SIZES, joint, parameters_of, shape_of

from tronie.models.nets import raking
from tronie.models.nets.drawing import Step
from tronie.models.nets.raking import Pair, rake
from tronie.models.nets.shape import BODIES, Body

STEPS = [Step(column, (), np.zeros((1, size), np.float32)) for column, size in enumerate(SIZES)]


@pytest.mark.parametrize("body", BODIES)
def test_columns_get_the_wanted_shares_and_keep_their_odds_ratios(body: Body) -> None:
    shape = shape_of(body)
    parameters = parameters_of(shape, seed=2)
    wanted = {0: np.array([0.3, 0.7]), 1: np.array([0.1, 0.1, 0.8]), 2: np.array([0.4, 0.6, 0, 0])}
    found = rake(shape, parameters, STEPS, wanted, 20_000, np.random.default_rng(0))
    assert not found.ties
    after, rows = joint(shape, found.parameters), found.rows
    for column, shares in wanted.items():
        others = tuple(other for other in range(3) if other != column)
        np.testing.assert_allclose(after.sum(axis=others), shares, atol=0.01)
        drawn = np.bincount(rows[:, column], minlength=SIZES[column]) / 20_000
        np.testing.assert_allclose(drawn, shares, atol=0.005)
    before = joint(shape, parameters)

    def odds(table: np.ndarray) -> float:
        pair = table.sum(axis=2)
        return float(np.log(pair[0, 0] * pair[1, 1] / (pair[0, 1] * pair[1, 0])))

    assert odds(after) == pytest.approx(odds(before), abs=1e-3)


def raked_pairs(sd: float, trust: float, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, ...]:
    """Two pairs of the last column before and after they were raked to some shares, and those."""
    monkeypatch.setattr(raking, "TRUST", trust)
    shape = shape_of()
    parameters = parameters_of(shape, seed=2, spread=0.3)
    before = joint(shape, parameters)
    wanted = joint(shape, parameters_of(shape, seed=5))
    single = {c: wanted.sum(axis=tuple(o for o in range(3) if o != c)) for c in range(3)}
    pairs = {
        (0, 2): Pair(wanted.sum(axis=1), np.full((2, 4), sd)),
        (1, 2): Pair(wanted.sum(axis=0), np.full((3, 4), sd)),
    }
    rng = np.random.default_rng(0)
    found = rake(shape, parameters, STEPS, single, 30_000, rng, pairs=pairs, total=1000.0)
    assert set(found.ties) == set(pairs)
    after = joint(shape, found.parameters, ties=found.ties)
    return tuple(t.sum(axis=axis) for axis in (0, 1) for t in (before, after, wanted))


def test_pairs_that_were_measured_well_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    found = raked_pairs(1e-3, 0.3, monkeypatch)
    for before, after, wanted in (found[:3], found[3:]):
        assert np.abs(before - wanted).max() > 0.05
        np.testing.assert_allclose(after, wanted, atol=0.01)


def test_pairs_that_were_measured_badly_are_left_to_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With as much noise as the trust in the network allows, pairs move part of the way."""
    none = raked_pairs(1.0, 0.3, monkeypatch)
    some = raked_pairs(0.02, 0.3, monkeypatch)
    apart = sum(np.abs(none[i + 1] - none[i + 2]).sum() for i in (0, 3))
    still = sum(np.abs(some[i + 1] - some[i + 2]).sum() for i in (0, 3))
    assert 0.1 * apart < still < 0.9 * apart
