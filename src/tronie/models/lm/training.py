"""Training a language model on rows that hurt no one: rows of a model, or public ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from tronie.models.lm.network import LanguageNetwork
from tronie.models.nets.training import Course, one_thread, promoted_orders
from tronie.schema.grid import Ints

SMALL = 2_000_000
"""Networks of fewer parameters are faster with one thread."""


def train_on_public(
    network: LanguageNetwork,
    rows: Ints,
    course: Course,
    rng: np.random.Generator,
    *,
    physical_batch: int = 64,
    watch: Callable[[int, float], None] | None = None,
) -> None:
    """Fit a language model to rows that may be looked at, in place.

    Args:
        network: The model; its trained parameters are changed.
        rows: Codes in the grammar's order of columns, shape (rows, columns); numbers of free text may
            follow, as for the network.
        course: How long and how fast; `Course.promoted` is the part of the rows that are written with
            random columns first.
        rng: Source of randomness; equal states give equal parameters on the same machine.
        physical_batch: Rows that are computed at once; it bounds memory, and changes nothing else.
        watch: Told the number of each step and its mean loss; may raise to stop the run.

    Source: Adam, Kingma and Ba 2015, arXiv 1412.6980; two stages, Afonja et al. 2024, arXiv 2412.02467.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=course.rate)
    count = sum(parameter.numel() for parameter in network.parameters())
    with one_thread() if count < SMALL else nullcontext():
        for step in range(course.steps):
            for group in optimiser.param_groups:
                group["lr"] = course.rate_at(step)
            batch = torch.tensor(rows[rng.integers(len(rows), size=course.batch)])
            orders = _orders(course, len(batch), len(network.grammar.columns), rng)
            optimiser.zero_grad()
            total = 0.0
            for start in range(0, course.batch, physical_batch):
                part = slice(start, start + physical_batch)
                losses = network(batch[part], None if orders is None else orders[part])
                loss = losses.sum() / course.batch
                loss.backward()
                total += float(loss.detach())
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]
            if watch is not None:
                watch(step, total)


def _orders(course: Course, rows: int, columns: int, rng: np.random.Generator) -> Tensor | None:
    if not course.promoted:
        return None
    return torch.tensor(promoted_orders(rows, columns, course.promoted, rng))
