"""Generators fitted to marginals that may be looked at. Nothing here is private."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.generator import Generator
from tronie.models.nets.latent import LatentShape
from tronie.models.nets.training import one_thread
from tronie.schema.grid import Floats

MEMORY = 20
"""Steps that L-BFGS remembers."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """A marginal as it is known.

    Attributes:
        columns: Numbers of its columns.
        shares: Shares of all rows, one axis per column.
        sd: Standard deviation of their errors, of the same shape, or one for all.
    """

    columns: tuple[int, ...]
    shares: Floats
    sd: Floats


def fit_to_marginals(
    shape: LatentShape,
    parameters: Parameters,
    points: Singles,
    wanted: Sequence[Wanted],
    steps: int,
) -> Parameters:
    """Fit a generator to marginals: least squares, in standard deviations.

    Its marginals are sums over its points of products of columns' probabilities. So no row is drawn, the
    loss has no randomness, and a method of the second order can be used, which is far faster here: on
    coded Adult 300 steps of Adam left 40 times the squared distance.

    Args:
        shape: Sizes of the generator.
        parameters: Where to start.
        points: Its points, shape (points, latent).
        wanted: What it should be brought to.
        steps: How often the loss is computed, at most.

    Source: generators fitted to noisy marginals: GEM, Liu, Vietri, Wu 2021, arXiv 2106.07153, and MargNet,
    arXiv 2511.13893; L-BFGS, Liu and Nocedal 1989.
    """
    network = Generator(shape, parameters)
    aims = [_Aim.of(one) for one in wanted]
    cells = sum(one.shares.size for one in wanted)
    inputs = torch.tensor(points)
    optimiser = torch.optim.LBFGS(
        network.parameters(),
        max_iter=steps,
        max_eval=steps,
        history_size=MEMORY,
        line_search_fn="strong_wolfe",
    )

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        shares = [logs.exp() for logs in network(inputs)]
        loss = torch.stack([aim.loss(shares) for aim in aims]).sum() / cells
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        return loss.detach()

    with one_thread():
        optimiser.step(evaluate)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]
    return network.parameters_now()


@dataclass(frozen=True, slots=True, eq=False)
class _Aim:
    columns: tuple[int, ...]
    shares: Tensor
    weights: Tensor

    @classmethod
    def of(cls, wanted: Wanted) -> _Aim:
        weights = np.broadcast_to(1 / np.square(wanted.sd), wanted.shares.shape)
        shares, weights = (np.asarray(v, np.float32).ravel() for v in (wanted.shares, weights))
        return cls(wanted.columns, torch.tensor(shares), torch.tensor(weights))

    def loss(self, shares: Sequence[Tensor]) -> Tensor:
        """Half the squared distance in standard deviations."""
        return (self.weights * (_marginal(shares, self.columns) - self.shares).square()).sum() / 2


def _marginal(shares: Sequence[Tensor], columns: tuple[int, ...]) -> Tensor:
    """Shares of a marginal's cells, in a line, from those of each column at each point."""
    *before, last = columns
    count = len(shares[last])
    left = torch.ones(count, 1)
    for column in before:
        left = (left[:, :, None] * shares[column][:, None]).reshape(count, -1)
    return (left.T @ shares[last]).reshape(-1) / count
