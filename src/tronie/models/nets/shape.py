"""How large a column network is: public facts, from which the shapes of all its parameters follow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Body: TypeAlias = Literal["transformer", "lstm"]
"""What carries the columns that are known to the one that is predicted."""

BODIES: tuple[Body, ...] = get_args(Body)

EXPANSION = 2
"""Units of a transformer's hidden layer for each unit of its width."""

START = 0
"""The token that stands before the first column."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a column network.

    Every code of every column is a token of its own; token 0 stands before the first column.

    Args:
        body: Kind of network.
        sizes: Number of codes of each column, in the order of drawing.
        width: Units of a token's vector.
        depth: Layers of the body.
        heads: Attention heads of a transformer; they divide the width.

    >>> shape = Shape("transformer", (2, 3), width=8, depth=1, heads=2)
    >>> shape.tokens, shape.offsets
    (6, (1, 3))
    """

    body: Body
    sizes: tuple[int, ...]
    width: int = 64
    depth: int = 2
    heads: int = 4

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.sizes)

    @property
    def tokens(self) -> int:
        """Number of tokens, the one before the first column included."""
        return 1 + sum(self.sizes)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Token of each column's first code."""
        return tuple(itertools.accumulate(self.sizes[:-1], initial=1))

    def parameters(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of all parameters."""
        width = self.width
        yield "values.weight", (self.tokens, width)
        yield "targets.weight", (self.columns, width)
        for number in range(self.depth):
            for name, shape in _LAYERS[self.body](width):
                yield f"body.{number}.{name}", shape
        yield "norm.weight", (width,)
        yield "norm.bias", (width,)
        for number, size in enumerate(self.sizes):
            yield f"heads.{number}.weight", (size, width)
            yield f"heads.{number}.bias", (size,)

    @property
    def count(self) -> int:
        """Number of parameters."""
        total = 0
        for _, shape in self.parameters():
            product = 1
            for size in shape:
                product *= size
            total += product
        return total


def _transformer(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, rows, columns in (
        ("qkv", 3 * width, width),
        ("mix", width, width),
        ("up", EXPANSION * width, width),
        ("down", width, EXPANSION * width),
    ):
        yield f"{name}.weight", (rows, columns)
        yield f"{name}.bias", (rows,)
    for name in ("attention_norm", "hidden_norm"):
        yield f"{name}.weight", (width,)
        yield f"{name}.bias", (width,)


def _lstm(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for kind in ("ih", "hh"):
        yield f"lstm.weight_{kind}_l0", (4 * width, width)
        yield f"lstm.bias_{kind}_l0", (4 * width,)


_LAYERS = {"transformer": _transformer, "lstm": _lstm}
