"""Changes of low rank are nothing at first, and are the product of their two factors."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tronie.models.lm.lora import SCALE, LowRank, add_low_rank, merge_low_rank


def test_a_change_is_nothing_at_first_and_then_a_product() -> None:
    linear = nn.Linear(5, 3)
    inputs = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    before = linear(inputs)
    layer = LowRank(linear, 2, np.random.default_rng(0))
    assert torch.equal(layer(inputs), before)
    with torch.no_grad():
        layer.up.weight += 1
    change = SCALE * inputs @ layer.down.weight.T @ layer.up.weight.T
    assert torch.allclose(layer(inputs), before + change, atol=1e-6)
    assert torch.allclose(layer.merged()(inputs), before + change, atol=1e-6)


def test_the_layer_itself_is_not_trained() -> None:
    layer = LowRank(nn.Linear(5, 3), 2, np.random.default_rng(0))
    trained = {name for name, value in layer.named_parameters() if value.requires_grad}
    assert trained == {"down.weight", "up.weight"}


def test_layers_are_found_by_name() -> None:
    body = nn.ModuleDict(
        {
            "attn": nn.ModuleDict({"q": nn.Linear(2, 2)}),
            "mlp": nn.Linear(2, 2),
            "n": nn.LayerNorm(2),
        }
    )
    add_low_rank(body, 1, np.random.default_rng(0), "attention")
    assert isinstance(body["attn"]["q"], LowRank)
    assert type(body["mlp"]) is nn.Linear
    merge_low_rank(body)
    assert type(body["attn"]["q"]) is nn.Linear
    add_low_rank(body, 1, np.random.default_rng(0))
    assert sum(isinstance(module, LowRank) for module in body.modules()) == 2
