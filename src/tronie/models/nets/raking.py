"""A network's single columns, brought to given shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tronie.models.nets.decoding import Decoder, Parameters, Singles
from tronie.models.nets.drawing import Step, draw_rows
from tronie.models.nets.shape import Shape
from tronie.schema.grid import Floats, Ints

ROUNDS = 100
"""Rounds of raking one column, at most."""

CLOSE = 1e-5
"""Total variation from the given shares at which to stop."""

RAREST = 1e-9
"""Smaller shares are taken to be this large."""


def rake(
    shape: Shape,
    parameters: Parameters,
    steps: Sequence[Step],
    shares: Mapping[int, Floats],
    rows: int,
    rng: np.random.Generator,
) -> tuple[Parameters, Ints]:
    """Shift the biases of a network's heads until its columns have given shares.

    Columns are shifted in the order of drawing, each for rows that are drawn from the columns before.

    Args:
        shape: Sizes of the network.
        parameters: Its parameters.
        steps: How its columns are drawn.
        shares: Column's number -> wanted probability of each code.
        rows: Number of rows that are drawn.
        rng: Source of randomness.

    Returns:
        The parameters, and the rows that were drawn on the way; they have the wanted shares.

    Source: iterative proportional fitting, Deming and Stephan 1940, of conditional probabilities.
    """
    shifts: dict[int, Singles] = {}

    def tilt(column: int, logs: Singles, counts: Floats) -> Singles:
        # Later blocks are drawn by what the first one found.
        if column not in shifts:
            shifts[column] = _shift(logs, counts, shares[column])
        return logs + shifts[column]

    drawn = draw_rows(Decoder(shape, parameters), steps, rows, rng, tilt)
    biases = {f"heads.{column}.bias": shift for column, shift in shifts.items()}
    raked = {name: value + biases.get(name, 0) for name, value in parameters.items()}
    return raked, drawn


def _shift(logs: Singles, counts: Floats, shares: Floats) -> Singles:
    """What to add to each code's log probability, for the mean over rows to be as wanted."""
    weights = (counts / counts.sum()).astype(np.float32)
    wanted = np.maximum(shares, RAREST)
    wanted = wanted / wanted.sum()
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    shift = np.zeros(len(wanted))
    for _ in range(ROUNDS):
        tilted = odds * np.exp(shift - shift.max()).astype(np.float32)
        mean = weights @ (tilted / tilted.sum(axis=1, keepdims=True))
        if np.abs(mean - wanted).sum() < 2 * CLOSE:
            break
        shift += np.log(wanted / np.maximum(mean, RAREST))
    return (shift - shift.mean()).astype(np.float32)
