"""Column networks as they are trained: each row's own loss, over all columns at once.

This module and `tronie.models.nets.training` are the only ones here that import torch; they are
imported only where a network is trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tronie.models.nets.decoding import EPSILON, Parameters, Singles
from tronie.models.nets.shape import EXPANSION, START, Shape
from tronie.schema.grid import Floats


class RowLoss(Protocol):
    """A network that gives each row a loss of its own."""

    def __call__(self, codes: Tensor) -> Tensor:
        """Losses, in nats, shape (rows,), of codes, shape (rows, columns).

        A row's loss is a function of that row alone: no other row of the batch enters it.
        """
        ...


class ColumnNetwork(nn.Module):
    """Predicts every column of a row from the columns before it.

    The vector of the latest column's code and that of the column to predict are added, and carried by the
    body; each column has a head of its own. The order of columns may differ from row to row.

    Args:
        shape: Its sizes.
        parameters: Where it starts.
    """

    def __init__(self, shape: Shape, parameters: Parameters) -> None:
        super().__init__()
        self.shape = shape
        with torch.device("meta"):
            self.values = _embedding(shape.tokens, shape.width)
            self.targets = _embedding(shape.columns, shape.width)
            self.body = nn.ModuleList(_LAYERS[shape.body](shape) for _ in range(shape.depth))
            self.norm = nn.LayerNorm(shape.width, eps=EPSILON)
            self.heads = nn.ModuleList(nn.Linear(shape.width, size) for size in shape.sizes)
        self.load_state_dict({k: torch.tensor(v) for k, v in parameters.items()}, assign=True)
        self.requires_grad_(requires_grad=True)
        self._offsets = torch.tensor(shape.offsets)

    def forward(self, codes: Tensor, orders: Tensor | None = None) -> Tensor:
        """Each row's negative log likelihood, in nats.

        Args:
            codes: Shape (rows, columns).
            orders: Numbers of the columns in the order in which they become known, shape (rows,
                columns); the network's own order when not given.

        Returns:
            Shape (rows,).
        """
        tokens = codes + self._offsets
        targets = torch.arange(self.shape.columns).expand_as(codes)
        if orders is not None:
            tokens, targets = tokens.gather(1, orders), orders
        before = functional.pad(tokens[:, :-1], (1, 0), value=START)
        vectors = self.values(before) + self.targets(targets)
        for layer in self.body:
            vectors = layer(vectors)
        vectors = self.norm(vectors)
        if orders is not None:
            back = orders.argsort(1)[:, :, None].expand_as(vectors)
            vectors = vectors.gather(1, back)
        losses = [
            functional.cross_entropy(head(vectors[:, number]), codes[:, number], reduction="none")
            for number, head in enumerate(self.heads)
        ]
        return torch.stack(losses).sum(0)

    def parameters_now(self) -> dict[str, Singles]:
        """A copy of the parameters, for a `Decoder`."""
        return {
            name: value.detach().numpy().astype(np.float32)
            for name, value in self.state_dict().items()
        }


def _embedding(rows: int, width: int) -> nn.Embedding:
    """Vectors that are not drawn: drawing on no device loads a compiler, which takes seconds."""
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))


class _TransformerLayer(nn.Module):
    """Attention to the columns so far, then a hidden layer; each adds to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self._heads = shape.heads
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.hidden_norm = nn.LayerNorm(width, eps=EPSILON)
        self.up = nn.Linear(width, EXPANSION * width)
        self.down = nn.Linear(EXPANSION * width, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Vectors of the same shape, (rows, columns, width)."""
        rows, columns, width = inputs.shape
        split = (rows, columns, 3, self._heads, width // self._heads)
        query, key, value = self.qkv(self.attention_norm(inputs)).view(split).unbind(2)
        scores = torch.einsum("rihd,rjhd->rhij", query, key) / math.sqrt(width // self._heads)
        future = torch.ones(columns, columns, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, -torch.inf).softmax(-1)
        seen = torch.einsum("rhij,rjhd->rihd", weights, value).reshape(inputs.shape)
        inputs = inputs + self.mix(seen)
        return inputs + self.down(torch.relu(self.up(self.hidden_norm(inputs))))


class _LstmLayer(nn.Module):
    """A recurrent layer whose output is added to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.lstm = nn.LSTM(shape.width, shape.width, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """Vectors of the same shape, (rows, columns, width)."""
        return inputs + self.lstm(inputs)[0]


_LAYERS = {"transformer": _TransformerLayer, "lstm": _LstmLayer}


def initial(shape: Shape, shares: Mapping[int, Floats], rng: np.random.Generator) -> Parameters:
    """Parameters before training: columns are nearly independent, with given shares of codes.

    Args:
        shape: Sizes of the network.
        shares: Column's number -> probability of each of its codes; others are even.
        rng: Source of randomness.
    """
    return {name: _draw(name, size, shape, shares, rng) for name, size in shape.parameters()}


def _draw(
    name: str,
    size: tuple[int, ...],
    shape: Shape,
    shares: Mapping[int, Floats],
    rng: np.random.Generator,
) -> Singles:
    group, *rest = name.split(".")
    kind = rest[-1]
    if group == "heads" and kind == "bias" and int(rest[0]) in shares:
        return np.log(np.maximum(shares[int(rest[0])], RAREST)).astype(np.float32)
    if "norm" in name:
        return np.full(size, float(kind == "weight"), np.float32)
    if group in ("values", "targets"):
        spread = VECTORS
    elif group == "heads":
        spread = HEADS / math.sqrt(shape.width)
    elif kind == "bias":
        spread = 0.0
    else:
        spread = LAYERS / math.sqrt(size[-1])
    return (spread * rng.standard_normal(size)).astype(np.float32)


VECTORS = 0.5
"""Spread of the vectors of codes and of columns."""

LAYERS = 0.577
"""Spread of the outputs of a layer, for inputs of spread 1."""

HEADS = 0.25
"""Spread of the log probabilities around the given ones, before training."""

RAREST = 1e-6
"""Least probability of a code before training."""
