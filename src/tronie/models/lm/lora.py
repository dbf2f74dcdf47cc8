"""Low-rank changes of linear layers: the layers stay as they are, two small ones beside them learn.

Source: Hu et al. 2022, arXiv 2106.09685.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

Targets: TypeAlias = Literal["all", "attention"]
"""Which linear layers get a change: all of them, or those of attention."""

TARGETS: tuple[Targets, ...] = get_args(Targets)

SCALE = 2.0
"""What the change is multiplied by."""


class LowRank(nn.Module):
    """A linear layer that stays as it is, and a change of it of low rank, which is zero at first.

    The change is computed in single precision, whatever the precision of the layer, so that norms of
    its gradients are exact.

    Args:
        frozen: The layer.
        rank: Rank of the change.
        rng: Source of randomness.
    """

    def __init__(self, frozen: nn.Linear, rank: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(requires_grad=False)
        self.down = nn.Linear(frozen.in_features, rank, bias=False, device="meta")
        self.up = nn.Linear(rank, frozen.out_features, bias=False, device="meta")
        spread = 1 / math.sqrt(3 * frozen.in_features)
        down = spread * rng.standard_normal((rank, frozen.in_features))
        where = frozen.weight.device
        self.down.weight = nn.Parameter(torch.tensor(down, dtype=torch.float32, device=where))
        self.up.weight = nn.Parameter(torch.zeros(frozen.out_features, rank, device=where))

    def forward(self, inputs: Tensor) -> Tensor:
        """What the layer gives, and the change; shapes as of the layer."""
        kept: Tensor = self.frozen(inputs)
        change: Tensor = self.up(self.down(inputs.to(self.down.weight.dtype)))
        return kept + (SCALE * change).to(kept.dtype)

    def merged(self) -> nn.Linear:
        """One linear layer that gives the same."""
        with torch.no_grad():
            change = SCALE * (self.up.weight @ self.down.weight)
            self.frozen.weight += change.to(self.frozen.weight.dtype)
        return self.frozen


def add_low_rank(
    body: nn.Module, rank: int, rng: np.random.Generator, targets: Targets = "all"
) -> None:
    """Give linear layers of a network changes of low rank, in place.

    Args:
        body: The network.
        rank: Rank of each change.
        rng: Source of randomness.
        targets: Which layers; those of attention are known by "attn" or "attention" in their names.
    """
    for name, parent, attribute, module in list(_children(body)):
        if type(module) is nn.Linear and (targets == "all" or "att" in name.lower()):
            setattr(parent, attribute, LowRank(module, rank, rng))


def merge_low_rank(body: nn.Module) -> None:
    """Replace layers and their changes by the layers that they amount to, in place."""
    for _, parent, attribute, module in list(_children(body)):
        if isinstance(module, LowRank):
            setattr(parent, attribute, module.merged())


def _children(body: nn.Module) -> Iterator[tuple[str, nn.Module, str, nn.Module]]:
    """Each module inside: its full name, what holds it, its name there, and the module."""
    for name, parent in cast("Iterator[tuple[str, nn.Module]]", body.named_modules()):
        for attribute, module in parent.named_children():
            yield f"{name}.{attribute}".strip("."), parent, attribute, module
