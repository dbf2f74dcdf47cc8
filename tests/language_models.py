"""Small language models of transformers for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tronie.models.lm.grammar import Grammar
from tronie.models.lm.loading import TinyBase, rebuilt
from tronie.models.lm.network import LanguageNetwork

TEXTS = {
    "age": ("4", "39", "3", "unknown"),
    "sex": ("F", "M"),
    "same": ("so",),
    "work": ("State-gov", "Self-emp-inc", "Self-emp-not-inc", "none"),
}
SIZES = tuple(len(texts) for texts in TEXTS.values())

LLAMA = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}


def base_of(**settings: Any) -> TinyBase:
    """A small base that knows some of the words of the texts."""
    words = [" age is 39, sex is F, work is State-gov, M"]
    return TinyBase.of(words, **{"width": 16, "heads": 2, **settings})


def grammar_of(base: TinyBase, serial: Any = "sentence") -> Grammar:
    return Grammar.of(list(TEXTS), TEXTS, base.encode, serial, start=base.start)


def model_of(kind: str, base: TinyBase, grammar: Grammar) -> nn.Module:
    """A model with random weights that are far from any symmetric start."""
    if kind == "gpt2":
        model = base.model(grammar.longest)
    else:
        model = rebuilt({**LLAMA, "tie_word_embeddings": kind == "tied llama"})
    return blurred(model)


def blurred(module: nn.Module, spread: float = 0.2, seed: int = 0) -> nn.Module:
    """Add noise to all parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=generator)
    return module


def network_of(kind: str = "gpt2", serial: Any = "sentence", **settings: Any) -> LanguageNetwork:
    base = base_of()
    grammar = grammar_of(base, serial)
    rng = np.random.default_rng(0)
    network = LanguageNetwork(model_of(kind, base, grammar), grammar, rng=rng, **settings)
    if network.rank:
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter += 0.2 * torch.randn(
                        parameter.shape, generator=torch.Generator().manual_seed(1)
                    )
    return network


def rows_of(count: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(np.stack([rng.integers(size, size=count) for size in SIZES], axis=1))
