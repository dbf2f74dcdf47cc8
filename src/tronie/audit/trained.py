"""What a training on private rows gives away about single rows: all its noisy sums, weighed row by row.

Every step of private gradient descent releases a noisy sum of clipped gradients; the moments that the
optimiser keeps betray it. An attacker who has the weights of all steps computes the gradient that a row
would have added, and how much better the noisy sum is explained with it than without.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.measure.descent import Descent
from tronie.measure.records import Codes, Records, TextCoder
from tronie.measure.training_state import TrainingState
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema

Floats: TypeAlias = NDArray[np.float64]

WEIGHED = 48
"""Steps of a training that are weighed where nothing else is asked for; weighing is slow."""

DOUBTFUL = 0.25
"""Part of the declared variance below which there is less noise than declared."""

NEARBY = 1e-5
"""Length of the change of weights by which a slope of the loss is measured, in double precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A training that the curator answered.

    Attributes:
        network: The network, with any weights.
        columns: Its columns.
        codings: How they were coded.
        schema: The schema by which rows were read then.
        descent: Settings.
        states: Before the first step, and after each.
        texts: Its columns of free text, if there are any.
    """

    network: Any
    columns: tuple[str, ...]
    codings: Mapping[str, Coding]
    schema: Schema
    descent: Descent
    states: tuple[TrainingState, ...]
    texts: TextCoder | None = None

    def score(self, known: Records, canaries: Records, steps: int = WEIGHED) -> Floats:
        """How much the noisy sums speak for each canary: a log likelihood ratio, summed over steps.

        What is expected of known rows, and of half of the canaries, is taken off each sum first. A step has
        the canary in its batch at the training's rate only; what other rows of the batch add by
        chance counts as noise, and how large it is follows from the scores of all canaries. A tensor of
        parameters whose sums vary much less than declared counts for more: an attacker who reads the
        code would know.

        Args:
            known: Rows that took part.
            canaries: Rows that did or did not.
            steps: How many steps to weigh, at most; they are evenly spread.

        Returns:
            Shape (canaries,).
        """
        rest, marked = (self._codes(records) for records in (known, canaries))
        found = _Slopes(self.network, self.descent)
        scores = np.zeros(len(marked))
        changes = list(itertools.pairwise(self.states))
        every = -(-len(changes) // steps)
        for before, after in changes[::every]:
            found.move(before.weights)
            expected = found.sum(rest) + 0.5 * found.sum(marked)
            left = self._noisy_sum(before, after) - self.descent.rate * expected
            left = self._sharpened(left, found.sizes)
            norms = found.norms(marked)
            along = found.along(marked, left) * np.minimum(
                1.0, self.descent.max_grad_norm / np.maximum(norms, 1e-300)
            )
            squares = np.minimum(norms, self.descent.max_grad_norm) ** 2
            spread = float((along**2).sum() / max(squares.sum(), 1e-300))
            evidence = (along - 0.5 * squares) / max(spread, 1e-300)
            rate = min(self.descent.rate, 1.0 - 1e-12)
            scores += np.logaddexp(np.log1p(-rate), np.log(rate) + evidence)
        return scores

    def _codes(self, records: Records) -> Codes:
        return records.under(self.schema).codes(self.columns, self.codings, self.texts)

    def _noisy_sum(self, before: TrainingState, after: TrainingState) -> Floats:
        """The noisy sum of gradients that led from one state to the next."""
        from tronie.measure.gradients import BETAS

        descent = self.descent
        kept, share = (
            (descent.momentum, 1.0) if descent.optimiser == "sgd" else (BETAS[0], 1.0 - BETAS[0])
        )
        mean = (after.first.astype(np.float64) - kept * before.first.astype(np.float64)) / share
        if descent.optimiser != "adamw":
            mean -= descent.weight_decay * before.weights
        return mean * descent.divisor

    def _sharpened(self, left: Floats, sizes: list[int]) -> Floats:
        """A noisy sum whose tensors are divided by the part of the declared variance that they have."""
        declared = (self.descent.noise_multiplier * self.descent.max_grad_norm) ** 2
        parts = np.split(left, np.cumsum(sizes)[:-1])
        ratios = [float((part**2).mean()) / declared for part in parts]
        return np.concatenate(
            [
                part / max(ratio, 1e-12) if ratio < DOUBTFUL else part
                for part, ratio in zip(parts, ratios, strict=True)
            ]
        )


class _Slopes:
    """Gradients of single rows at any weights; slopes of losses in double precision."""

    def __init__(self, network: Any, descent: Descent) -> None:
        from tronie.measure.clipping import ClippedGradients

        self._core: Any = ClippedGradients(copy.deepcopy(network).cpu())
        self._exact: Any = copy.deepcopy(network).double().cpu()
        self._descent = descent
        self._weights = np.zeros(self._core.size)
        self.sizes: list[int] = [parameter.numel() for parameter in self._core.parameters]

    def move(self, weights: NDArray[np.floating[Any]]) -> None:
        """Go to these weights, shape (parameters,)."""
        self._weights = weights.astype(np.float64)
        _write(self._core.parameters, self._weights)

    def sum(self, codes: Codes) -> Floats:
        """Sum of the rows' clipped gradients, shape (parameters,)."""
        total = np.zeros(self._core.size)
        for start in range(0, len(codes), self._descent.physical_batch):
            rows = self._tensor(codes[start : start + self._descent.physical_batch])
            total += self._core.sum(rows, self._descent.max_grad_norm).numpy()
        return total

    def norms(self, codes: Codes) -> Floats:
        """Norm of each row's gradient, shape (rows,)."""
        return self._core.norms(self._tensor(codes)).numpy()

    def along(self, codes: Codes, direction: Floats) -> Floats:
        """Inner product of each row's gradient with a vector, shape (rows,)."""
        length = float(np.linalg.norm(direction))
        step = NEARBY / max(length, 1e-300) * direction
        ahead, behind = (self._losses(codes, self._weights + sign * step) for sign in (1.0, -1.0))
        return (ahead - behind) * (length / (2.0 * NEARBY))

    def _losses(self, codes: Codes, weights: Floats) -> Floats:
        _write([p for p in self._exact.parameters() if p.requires_grad], weights)
        return self._exact(self._tensor(codes)).detach().numpy()

    def _tensor(self, codes: Codes) -> Any:
        return self._core.parameters[0].new_tensor(codes.tolist()).long()


def _write(parameters: Any, weights: Floats) -> None:
    """Copy a vector to a network."""
    start = 0
    for parameter in parameters:
        part = weights[start : start + parameter.numel()].reshape(parameter.shape)
        parameter.data.copy_(parameter.new_tensor(part))
        start += parameter.numel()
