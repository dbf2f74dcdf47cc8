"""Rows follow the network that they are drawn from, and what is given."""

from __future__ import annotations

import numpy as np
import pytest
from nets_tables import SIZES, joint, parameters_of, shape_of

from tronie.models.nets import drawing
from tronie.models.nets.decoding import Decoder
from tronie.models.nets.drawing import Step, draw_rows
from tronie.models.nets.shape import BODIES, Body


def step(column: int, given: list[float] | None = None) -> Step:
    logs = None if given is None else np.log(np.maximum([given], 1e-30)).astype(np.float32)
    return Step(column, (), np.zeros((1, SIZES[column]), np.float32), logs)


def frequencies(rows: np.ndarray) -> np.ndarray:
    return np.histogramdd(rows, [np.arange(size + 1) for size in SIZES])[0] / len(rows)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("alone", [0.0, 0.7, 1.0])
def test_rows_follow_the_network(body: Body, alone: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 rows in three blocks; chance alone gives a total variation of 0.01."""
    monkeypatch.setattr(drawing, "ALONE", alone)
    shape = shape_of(body)
    parameters = parameters_of(shape, seed=3)
    steps = [step(column) for column in range(3)]
    rows = draw_rows(Decoder(shape, parameters), steps, 20_000, np.random.default_rng(0))
    assert np.abs(frequencies(rows) - joint(shape, parameters)).sum() / 2 < 0.02


@pytest.mark.parametrize("alone", [0.0, 0.7])
def test_rows_follow_what_is_given(alone: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "ALONE", alone)
    shape = shape_of()
    parameters = parameters_of(shape, seed=4)
    likely = [0.1, 0.0, 1.0, 0.5], [1.0, 0.0, 0.2]
    steps = [step(2, likely[0]), step(1, likely[1]), step(0)]
    rows = draw_rows(Decoder(shape, parameters), steps, 20_000, np.random.default_rng(0))
    wanted = joint(shape, parameters, (2, 1, 0))
    wanted = wanted * np.array(likely[0]) * np.array(likely[1])[:, None]
    assert np.abs(frequencies(rows) - wanted / wanted.sum()).sum() / 2 < 0.02


def test_what_is_impossible_is_never_drawn() -> None:
    shape = shape_of()
    never = np.array([[0, 0, -1e30], [-1e30, 0, 0]], np.float32)
    steps = [step(0), Step(1, (0,), never), step(2)]
    decoder = Decoder(shape, parameters_of(shape))
    rows = draw_rows(decoder, steps, 5000, np.random.default_rng(0))
    assert not ((rows[:, 0] == 0) & (rows[:, 1] == 2)).any()
    assert not ((rows[:, 0] == 1) & (rows[:, 1] == 0)).any()
    assert len(np.unique(rows, axis=0)) > 10


def test_equal_seeds_give_equal_rows_and_none_is_none() -> None:
    shape = shape_of()
    decoder = Decoder(shape, parameters_of(shape))
    steps = [step(column) for column in range(3)]
    one, two, other = (
        draw_rows(decoder, steps, 100, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert draw_rows(decoder, steps, 0, np.random.default_rng(0)).shape == (0, 3)
