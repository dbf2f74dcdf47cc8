"""Training on rows that hurt no one: rows of a model, or public ones. Nothing here is private."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from tronie.models.nets.decoding import Parameters
from tronie.models.nets.network import ColumnNetwork
from tronie.models.nets.shape import Shape
from tronie.schema.grid import Ints


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how fast to train.

    Attributes:
        steps: Number of steps.
        batch: Rows of each step, drawn evenly.
        rate: Largest learning rate; it rises over the first steps and falls as a cosine.
        promoted: Part of the rows whose order begins with random columns, for rows that will be drawn
            given those columns.
        warm_up: Steps over which the learning rate rises.
    """

    steps: int
    batch: int = 512
    rate: float = 3e-3
    promoted: float = 0.5
    warm_up: int = 10

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        >>> course = Course(steps=100, rate=1.0, warm_up=10)
        >>> [round(course.rate_at(step), 2) for step in (0, 9, 50)]
        [0.1, 0.98, 0.5]
        """
        rising = min((step + 1) / max(self.warm_up, 1), 1.0)
        return self.rate * rising * (1 + math.cos(math.pi * step / self.steps)) / 2


def train_on_public(
    shape: Shape,
    parameters: Parameters,
    rows: Ints,
    course: Course,
    rng: np.random.Generator,
) -> Parameters:
    """Fit a network to rows that may be looked at.

    Args:
        shape: Sizes of the network.
        parameters: Where to start.
        rows: Codes in the network's order of columns, shape (rows, columns).
        course: How long and how fast.
        rng: Source of randomness; equal states give equal parameters on the same machine.

    Source: Adam, Kingma and Ba 2015, arXiv 1412.6980; one network for all orders of its columns, Yang et
    al. 2019, arXiv 1906.08237.
    """
    network = ColumnNetwork(shape, parameters)
    optimiser = torch.optim.Adam(network.parameters(), lr=course.rate)
    with one_thread():
        for step in range(course.steps):
            for group in optimiser.param_groups:
                group["lr"] = course.rate_at(step)
            batch = torch.tensor(rows[rng.integers(len(rows), size=course.batch)])
            orders = promoted_orders(course.batch, shape.columns, course.promoted, rng)
            optimiser.zero_grad()
            network(batch, torch.tensor(orders)).mean().backward()
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]
    return network.parameters_now()


@contextmanager
def one_thread() -> Generator[None]:
    """Compute with one thread: networks this small are faster so, and results do not depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def promoted_orders(rows: int, columns: int, part: float, rng: np.random.Generator) -> Ints:
    """Orders of columns for training: some begin with a random set of columns, in random order.

    Columns outside the set keep their order. Small sets are more frequent than large ones.

    Args:
        rows: Number of orders.
        columns: Number of columns.
        part: Probability of an order with such a set.
        rng: Source of randomness.

    Returns:
        Numbers of columns, shape (rows, columns).
    """
    chance = rng.random((rows, 1)) * rng.random((rows, 1))
    chosen = rng.random((rows, columns)) < np.maximum(chance, 1 / columns)
    chosen &= rng.random((rows, 1)) < part
    place = np.where(chosen, rng.random((rows, columns)) - 1, np.arange(columns))
    return np.argsort(place, axis=1)
