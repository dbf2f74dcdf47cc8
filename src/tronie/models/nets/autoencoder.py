"""A variational autoencoder of coded rows, each with a loss of its own that nothing random enters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tronie.models.nets.decoding import Parameters
from tronie.models.nets.generator import Generator
from tronie.models.nets.latent import LatentShape, even_paces

WEIGHT = 0.3
"""Weight of a point's distance from the prior, in the loss. With noisy steps 1 leaves points unused: on
coded Adult at epsilon 1 pairs were nearest to the truth at 0.3 (of 0.1, 0.3, 1)."""

TAIL = 1e-4
"""Probability that is cut off each end of the normal distribution that draws come from."""


class Autoencoder(nn.Module):
    """An encoder that turns a row into a normal distribution of points, and a generator that turns back.

    A row's loss is the negative evidence lower bound (ELBO) of its log probability, the distance from the
    prior weighted by `WEIGHT`. The expectation over points in it is estimated by one point for each row
    and step. That point is *not* drawn at random, since private training needs losses that are functions
    of a row alone. It is quasi-random: a public table of random numbers gives each code of each column a
    number for each dimension; their sum over the row's own codes, moved by a multiple of the step's
    number, has a fractional part, and that is the quantile. So a row's loss depends on nothing but its
    codes, the step's number and public numbers. Over the public numbers the quantile is even, so the
    estimate has the expectation that it should have, but for tails (`TAIL`). Over steps the quantiles of
    one row are spread evenly (Weyl 1916), in all dimensions together. Rows with equal codes get equal
    points.

    Args:
        shape: Sizes of the generator.
        parameters: Where the generator starts.
        rng: Source of the encoder's first parameters and of the public numbers.

    Source: Kingma and Welling 2014, arXiv 1312.6114; a weight of the distance, Higgins et al. 2017.
    """

    offsets: Tensor
    starts: Tensor
    paces: Tensor
    step: Tensor

    def __init__(
        self, shape: LatentShape, parameters: Parameters, rng: np.random.Generator
    ) -> None:
        super().__init__()
        width, latent, tokens = shape.width, shape.latent, sum(shape.sizes)

        def normal(spread: float, *size: int) -> Tensor:
            return torch.tensor((spread * rng.standard_normal(size)).astype(np.float32))

        self.values = nn.Embedding(tokens, width, _weight=normal(1.0, tokens, width))
        with torch.device("meta"):
            self.mean = nn.Linear(width, latent)
            self.spread = nn.Linear(width, latent)
        firsts = {
            "mean": (normal(math.sqrt(2 / width), latent, width), torch.zeros(latent)),
            "spread": (torch.zeros(latent, width), torch.full((latent,), -1.0)),
        }
        for layer, name in ((self.mean, "mean"), (self.spread, "spread")):
            weight, bias = firsts[name]
            layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
            layer.requires_grad_(requires_grad=True)
        self.generator = Generator(shape, parameters)
        offsets = np.cumsum([0, *shape.sizes[:-1]])
        paces = even_paces(latent)
        self.register_buffer("offsets", torch.tensor(offsets))
        self.register_buffer("starts", torch.tensor(rng.random((tokens, latent), np.float32)))
        self.register_buffer("paces", torch.tensor(paces.astype(np.float32)))
        self.register_buffer("step", torch.zeros(()))

    def begin(self, step: int) -> None:
        """Use the points of a step from now on."""
        self.step.fill_(float(step))

    def beside(self) -> dict[str, NDArray[Any]]:
        """What changes between steps and is not trained; see `tronie.measure.training_state.Changing`."""
        return {"step": self.step.numpy().copy()}

    def put_beside(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Become as when `beside` was called."""
        self.begin(int(arrays["step"]))

    def forward(self, codes: Tensor) -> Tensor:
        """Each row's loss, in nats.

        Args:
            codes: Shape (rows, columns).

        Returns:
            Shape (rows,).
        """
        tokens = codes + self.offsets
        hidden = torch.relu(self.values(tokens).sum(1) / math.sqrt(codes.shape[1]))
        mean, spread = self.mean(hidden), self.spread(hidden).clamp(-6.0, 2.0)
        quantile = (self.starts[tokens].sum(1) + self.step * self.paces) % 1.0
        point = mean + spread.exp() * _normal_of(quantile.clamp(TAIL, 1.0 - TAIL))
        losses = [
            functional.nll_loss(logs, codes[:, number], reduction="none")
            for number, logs in enumerate(self.generator(point))
        ]
        distance = (mean.square() + (2 * spread).exp() - 1) / 2 - spread
        return torch.stack(losses).sum(0) + WEIGHT * distance.sum(1)


def _normal_of(quantile: Tensor) -> Tensor:
    """What the standard normal distribution has at a quantile."""
    return torch.erfinv(2.0 * quantile - 1.0) * math.sqrt(2.0)
