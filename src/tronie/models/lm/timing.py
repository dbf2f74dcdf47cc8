"""What a step of a language model takes on this machine, and where it runs best."""

from __future__ import annotations

import time

import numpy as np
import torch

from tronie.models.lm.network import LanguageNetwork
from tronie.models.lm.prose import FIRST

CLIPPING = 1.5
"""What it takes to clip each row's gradient, as a multiple of the time without."""

STATES = 40
"""Numbers that are kept for each unit of each layer and token until a step is done, about."""

PATIENCE = 0.25
"""CPU seconds of steps that are enough to know what one takes."""


def on_fastest_device(network: LanguageNetwork) -> LanguageNetwork:
    """The network, on a graphics card if there is one."""
    return network.to("cuda") if torch.cuda.is_available() else network


def seconds_per_row(network: LanguageNetwork, rows: int = 4, *, filled: float = 0.5) -> float:
    """CPU seconds of a private step for each row: the least of some steps on made-up rows.

    Args:
        network: The model; it is not changed.
        rows: Number of made-up rows.
        filled: Part of its limit that a text has.
    """
    sizes = np.array(network.grammar.sizes)
    codes = np.arange(rows)[:, None] % sizes
    if network.prose is not None:
        texts = [
            np.arange(column.limit) < filled * column.limit for column in network.prose.columns
        ]
        numbers = np.concatenate(texts) * FIRST
        codes = np.concatenate([codes, np.tile(numbers, (rows, 1))], axis=1)
    codes = torch.tensor(codes)
    _step_seconds(network, codes[:1])
    times = [_step_seconds(network, codes)]
    while sum(times) < PATIENCE:
        times.append(_step_seconds(network, codes))
    return CLIPPING * min(times) / rows


def _step_seconds(network: LanguageNetwork, codes: torch.Tensor) -> float:
    start = time.process_time()
    network(codes).sum().backward()
    network.zero_grad()
    return time.process_time() - start


def bytes_of_step(network: LanguageNetwork, rows: int) -> int:
    """Memory of a step of so many rows, about."""
    config = network.config
    width = int(config.get("hidden_size", config.get("n_embd", 0)))
    depth = int(config.get("num_hidden_layers", config.get("n_layer", 0)))
    prose = network.prose
    longest = network.grammar.longest + (prose.longest if prose else 0)
    kept = 4 * STATES * rows * longest * width * depth
    kept += 0 if prose is None else 16 * rows * prose.width * len(prose.alphabet)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return weights + 16 * trained + kept
