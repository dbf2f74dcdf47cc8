"""Rows follow the network that they are drawn from, and what is given."""

from __future__ import annotations

import numpy as np
import pytest
from nets_tables import SIZES, joint, parameters_of, shape_of

from tronie.models.nets import drawing
from tronie.models.nets.decoding import Decoder
from tronie.models.nets.drawing import Predictor, Step, draw_given, draw_rows
from tronie.models.nets.shape import BODIES, Body


def step(column: int, given: list[float] | None = None) -> Step:
    logs = None if given is None else np.log(np.maximum([given], 1e-30)).astype(np.float32)
    return Step(column, (), np.zeros((1, SIZES[column]), np.float32), logs)


def frequencies(rows: np.ndarray) -> np.ndarray:
    return np.histogramdd(rows, [np.arange(size + 1) for size in SIZES])[0] / len(rows)


STEPS = [step(column) for column in range(3)]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("alone", [0.0, 0.7, 1.0])
def test_rows_follow_the_network(body: Body, alone: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 rows in three blocks; chance alone gives a total variation of 0.01."""
    monkeypatch.setattr(drawing, "ALONE", alone)
    shape = shape_of(body)
    parameters = parameters_of(shape, seed=3)
    ties = {(0, 2): np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)}
    predictor = Predictor(Decoder(shape, parameters), ties)
    rows = draw_rows(predictor, STEPS, 20_000, np.random.default_rng(0))
    assert np.abs(frequencies(rows) - joint(shape, parameters, ties=ties)).sum() / 2 < 0.02


@pytest.mark.parametrize("alone", [0.0, 0.7])
def test_rows_follow_the_network_and_what_is_given_whatever_the_guide(
    alone: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 rows; some are alike, so chance gives a total variation of up to 0.02."""
    monkeypatch.setattr(drawing, "ALONE", alone)
    shape = shape_of()
    parameters = parameters_of(shape, seed=4, spread=0.5)
    ties = {(1, 2): np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)}
    predictor = Predictor(Decoder(shape, parameters), ties)
    guide = Predictor(Decoder(shape, parameters_of(shape, seed=5, spread=0.3)))
    likely = [0.1, 0.0, 1.0, 0.5], [1.0, 0.0, 0.2]
    guided = [step(2, likely[0]), step(1, likely[1]), step(0)]
    rows = draw_given(predictor, STEPS, guide, guided, 20_000, np.random.default_rng(0))
    wanted = joint(shape, parameters, ties=ties)
    wanted = wanted * np.array(likely[0]) * np.array(likely[1])[:, None]
    assert np.abs(frequencies(rows) - wanted / wanted.sum()).sum() / 2 < 0.03
    assert draw_given(predictor, STEPS, guide, guided, 0, np.random.default_rng(0)).shape == (0, 3)


def test_what_is_impossible_is_never_drawn() -> None:
    shape = shape_of()
    never = np.array([[0, 0, -1e30], [-1e30, 0, 0]], np.float32)
    steps = [step(0), Step(1, (0,), never), step(2)]
    predictor = Predictor(Decoder(shape, parameters_of(shape)))
    rows = draw_rows(predictor, steps, 5000, np.random.default_rng(0))
    assert not ((rows[:, 0] == 0) & (rows[:, 1] == 2)).any()
    assert not ((rows[:, 0] == 1) & (rows[:, 1] == 0)).any()
    assert len(np.unique(rows, axis=0)) > 10


def test_equal_seeds_give_equal_rows_and_none_is_none() -> None:
    shape = shape_of()
    predictor = Predictor(Decoder(shape, parameters_of(shape)))
    one, two, other = (
        draw_rows(predictor, STEPS, 100, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert draw_rows(predictor, STEPS, 0, np.random.default_rng(0)).shape == (0, 3)
