"""Generators as they are trained; the other half of `tronie.models.nets.latent`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.latent import LatentShape, hidden_of
from tronie.schema.grid import Floats

SPREAD = 1.0
"""Spread of the outputs of a layer, for inputs of spread 1, in units of the inputs' number."""

HEADS = 0.3
"""Spread of the log probabilities around the given ones, before training."""

RAREST = 1e-6
"""Least probability of a code before training."""

TYPICAL = 1024
"""Points over which log probabilities have the given means."""


class Generator(nn.Module):
    """Turns points into log probabilities of every column's codes.

    Args:
        shape: Its sizes.
        parameters: Where it starts.
    """

    def __init__(self, shape: LatentShape, parameters: Parameters) -> None:
        super().__init__()
        self.shape = shape
        with torch.device("meta"):
            befores = [shape.latent, *[shape.width] * (shape.depth - 1)]
            self.layers = nn.ModuleList(nn.Linear(before, shape.width) for before in befores)
            self.heads = nn.ModuleList(nn.Linear(shape.width, size) for size in shape.sizes)
        self.load_state_dict({k: torch.tensor(v) for k, v in parameters.items()}, assign=True)
        self.requires_grad_(requires_grad=True)

    def forward(self, points: Tensor) -> list[Tensor]:
        """Log probabilities, column by column.

        Args:
            points: Shape (points, latent).

        Returns:
            One tensor per column, shape (points, codes).
        """
        hidden = torch.relu(self.layers[0](points))
        for layer in self.layers[1:]:
            hidden = hidden + torch.relu(layer(hidden))
        return [head(hidden).log_softmax(-1) for head in self.heads]

    def parameters_now(self) -> dict[str, Singles]:
        """A copy of the parameters, for a `Mixture`."""
        return {
            name: value.detach().numpy().astype(np.float32, copy=True)
            for name, value in self.state_dict().items()
        }


def initial_generator(
    shape: LatentShape, shares: Mapping[int, Floats], rng: np.random.Generator
) -> Parameters:
    """Parameters before training: columns are nearly independent, with given shares of codes.

    Args:
        shape: Sizes of the generator.
        shares: Column's number -> probability of each of its codes; others are even.
        rng: Source of randomness.
    """
    found: dict[str, Singles] = {}
    for name, size in shape.parameters():
        group, number, kind = name.split(".")
        if kind == "weight":
            spread = HEADS if group == "heads" else SPREAD
            values = spread / math.sqrt(size[1]) * rng.standard_normal(size)
        elif group == "heads":
            even = np.full(size, 1 / size[0])
            values = np.log(np.maximum(shares.get(int(number), even), RAREST))
        else:
            values = np.zeros(size)
        found[name] = values.astype(np.float32)
    typical = hidden_of(shape, found, rng.standard_normal((TYPICAL, shape.latent), np.float32))
    for number in range(shape.columns):
        found[f"heads.{number}.bias"] -= found[f"heads.{number}.weight"] @ typical.mean(axis=0)
    return found
