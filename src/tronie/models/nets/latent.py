"""Generators: networks that turn a point into a distribution of every column, in numpy alone.

Given its point, the columns of a row are independent; what ties them together is that they share it. So a
generator with some points is a finite mixture of rows with independent columns, one component per point.
No learning framework is needed to draw from a model's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tronie.models.nets.decoding import Parameters, Singles
from tronie.schema.grid import Ints

ROUNDS = 60
"""Rounds after which the root in `even_paces` has converged."""


@dataclass(frozen=True, slots=True)
class LatentShape:
    """Sizes of a generator.

    Args:
        sizes: Number of codes of each column, in the order of drawing.
        latent: Numbers of a point.
        width: Units of a hidden layer.
        depth: Hidden layers, the first included; the others add to what goes into them.

    >>> shape = LatentShape((2, 3), latent=4, width=8, depth=2)
    >>> shape.columns, shape.count
    (2, 157)
    """

    sizes: tuple[int, ...]
    latent: int = 16
    width: int = 128
    depth: int = 2

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.sizes)

    def parameters(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of all parameters."""
        for number in range(self.depth):
            before = self.width if number else self.latent
            yield f"layers.{number}.weight", (self.width, before)
            yield f"layers.{number}.bias", (self.width,)
        for number, size in enumerate(self.sizes):
            yield f"heads.{number}.weight", (size, self.width)
            yield f"heads.{number}.bias", (size,)

    @property
    def count(self) -> int:
        """Number of parameters."""
        return sum(int(np.prod(shape)) for _, shape in self.parameters())


class Mixture:
    """The components of a generator: one for each point.

    Args:
        shape: Sizes of the generator.
        parameters: Its parameters.
        points: Shape (components, latent).
        weights: Probability of each component, in proportion; even if None.
    """

    def __init__(
        self,
        shape: LatentShape,
        parameters: Parameters,
        points: Singles,
        weights: Singles | None = None,
    ) -> None:
        self.shape = shape
        even = np.ones(len(points), np.float32) if weights is None else weights
        self.weights = even.astype(np.float64) / even.sum(dtype=np.float64)
        self._hidden = hidden_of(shape, parameters, points)
        self._heads = [
            (np.ascontiguousarray(parameters[f"heads.{n}.weight"].T), parameters[f"heads.{n}.bias"])
            for n in range(shape.columns)
        ]

    def logs(self, column: int, components: Ints) -> Singles:
        """Log probabilities of a column's codes, up to a constant in each line.

        Args:
            column: Its number.
            components: Numbers of components.

        Returns:
            Shape (components, codes).
        """
        weight, bias = self._heads[column]
        logs: Singles = self._hidden[components] @ weight
        logs += bias
        return logs


def hidden_of(shape: LatentShape, parameters: Parameters, points: Singles) -> Singles:
    """What the heads get, shape (points, width)."""
    hidden = points
    for number in range(shape.depth):
        weight, bias = (parameters[f"layers.{number}.{kind}"] for kind in ("weight", "bias"))
        after: Singles = hidden @ weight.T
        after += bias
        np.maximum(after, 0, out=after)
        if number:
            after += hidden
        hidden = after
    return hidden


def even_paces(count: int) -> Singles:
    """Numbers whose multiples' fractional parts spread evenly, together.

    They are the inverse powers of the root of ``x ** (count + 1) = x + 1``; for one number, those of the
    golden ratio.

    Source: Roberts 2018, a generalisation of the golden ratio.

    >>> [round(float(pace), 4) for pace in (*even_paces(1), *even_paces(2))]
    [0.618, 0.7549, 0.5698]
    """
    root = 1.5
    for _ in range(ROUNDS):
        root = (1 + root) ** (1 / (count + 1))
    return (root ** -np.arange(1.0, count + 1)).astype(np.float32)
