"""Column networks as they are drawn from: one column of many rows at a time, in numpy alone.

What a row's earlier columns leave behind (keys and values of a transformer, the state of an LSTM) is kept,
so a row costs one pass through the network, however many columns it has. No learning framework is needed
to draw rows from a model's file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.models.nets.shape import Shape
from tronie.schema.grid import Ints

Singles: TypeAlias = NDArray[np.float32]

Parameters: TypeAlias = Mapping[str, Singles]
"""Name -> parameter of a network, as `Shape.parameters` lists them."""

EPSILON = 1e-5
"""What is added to a variance before it is divided by."""


class Memory(Protocol):
    """What the columns so far left behind, one entry per row."""

    def take(self, rows: Ints) -> Memory:
        """Some of the rows, each any number of times."""
        ...


class Body(Protocol):
    """The part of a network between its embeddings and its heads."""

    def start(self) -> Memory:
        """The memory of one row without any column."""
        ...

    def step(self, memory: Memory, inputs: Singles) -> Singles:
        """Go on by one column; the memory is extended.

        Args:
            memory: Of the columns so far.
            inputs: Vectors of the latest column, shape (rows, width).

        Returns:
            What the network knows of the next column, shape (rows, width).
        """
        ...


class Decoder:
    """A column network, one column at a time.

    Args:
        shape: Its sizes.
        parameters: Its parameters.
    """

    def __init__(self, shape: Shape, parameters: Parameters) -> None:
        self.shape = shape
        self._values = parameters["values.weight"]
        self._targets = parameters["targets.weight"]
        self._body = _BODIES[shape.body](shape, parameters)
        scale, shift = parameters["norm.weight"], parameters["norm.bias"]
        self._heads = [
            _fold(scale, shift, parameters[f"heads.{n}.weight"], parameters[f"heads.{n}.bias"])
            for n in range(shape.columns)
        ]

    def start(self) -> Memory:
        """The memory of one row of which nothing is known."""
        return self._body.start()

    def step(self, memory: Memory, tokens: Ints, target: int) -> Singles:
        """Log probabilities of a column's codes, up to a constant in each row.

        Args:
            memory: Of the columns so far; the latest is added to it.
            tokens: Token of the latest column, shape (rows,).
            target: Number of the column that comes next.

        Returns:
            Shape (rows, codes of the target).
        """
        inputs = self._values[tokens] + self._targets[target]
        return self._heads[target](_normalise(self._body.step(memory, inputs)))


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    weight: Singles
    bias: Singles

    def __call__(self, inputs: Singles) -> Singles:
        result: Singles = inputs @ self.weight
        result += self.bias
        return result


def _linear(parameters: Parameters, name: str) -> _Linear:
    weight = np.ascontiguousarray(parameters[f"{name}.weight"].T)
    return _Linear(weight, parameters[f"{name}.bias"])


def _fold(scale: Singles, shift: Singles, weight: Singles, bias: Singles) -> _Linear:
    """A linear layer that follows a layer norm, which is left with nothing but to normalise."""
    moved: Singles = weight @ shift
    return _Linear(np.ascontiguousarray((weight * scale).T), bias + moved)


def _folded(parameters: Parameters, norm: str, linear: str) -> _Linear:
    return _fold(
        parameters[f"{norm}.weight"],
        parameters[f"{norm}.bias"],
        parameters[f"{linear}.weight"],
        parameters[f"{linear}.bias"],
    )


def _normalise(inputs: Singles) -> Singles:
    """Rows with mean 0 and variance 1."""
    even = np.full(inputs.shape[1], 1 / inputs.shape[1], np.float32)
    centred = inputs - (inputs @ even)[:, None]
    variance = np.einsum("nd,nd->n", centred, centred) / np.float32(inputs.shape[1])
    centred *= (1 / np.sqrt(variance + np.float32(EPSILON)))[:, None]
    return centred


@dataclass(slots=True, eq=False)
class _Attended:
    """Keys and values of the columns so far: for each layer, for each column, shape (rows, width)."""

    keys: list[list[Singles]]
    values: list[list[Singles]]

    def take(self, rows: Ints) -> _Attended:
        return _Attended(
            [[column[rows] for column in layer] for layer in self.keys],
            [[column[rows] for column in layer] for layer in self.values],
        )


class _Transformer:
    def __init__(self, shape: Shape, parameters: Parameters) -> None:
        self._depth = shape.depth
        names = [f"body.{number}" for number in range(shape.depth)]
        self._qkv = [_folded(parameters, f"{n}.attention_norm", f"{n}.qkv") for n in names]
        self._mix = [_linear(parameters, f"{n}.mix") for n in names]
        self._up = [_folded(parameters, f"{n}.hidden_norm", f"{n}.up") for n in names]
        self._down = [_linear(parameters, f"{n}.down") for n in names]
        each = shape.width // shape.heads
        self._spread = np.repeat(np.eye(shape.heads, dtype=np.float32), each, axis=1)
        self._gather = np.ascontiguousarray(self._spread.T) / np.float32(math.sqrt(each))

    def start(self) -> Memory:
        return _Attended([[] for _ in range(self._depth)], [[] for _ in range(self._depth)])

    def step(self, memory: Memory, inputs: Singles) -> Singles:
        assert isinstance(memory, _Attended)
        for layer in range(self._depth):
            query, key, value = np.split(self._qkv[layer](_normalise(inputs)), 3, axis=1)
            memory.keys[layer].append(np.ascontiguousarray(key))
            memory.values[layer].append(np.ascontiguousarray(value))
            seen = self._attend(query, memory.keys[layer], memory.values[layer])
            inputs = inputs + self._mix[layer](seen)
            hidden = self._up[layer](_normalise(inputs))
            np.maximum(hidden, 0, out=hidden)
            inputs += self._down[layer](hidden)
        return inputs

    def _attend(self, query: Singles, keys: list[Singles], values: list[Singles]) -> Singles:
        query = np.ascontiguousarray(query)
        scores = np.stack([(query * key) @ self._gather for key in keys])
        scores -= scores.max(axis=0)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=0)
        seen = np.zeros_like(values[0])
        for weight, value in zip(scores, values, strict=True):
            seen += (weight @ self._spread) * value
        return seen


@dataclass(slots=True, eq=False)
class _Cells:
    """Outputs and cells of each layer of an LSTM, shape (rows, width)."""

    outputs: list[Singles]
    cells: list[Singles]

    def take(self, rows: Ints) -> _Cells:
        return _Cells([o[rows] for o in self.outputs], [c[rows] for c in self.cells])


class _Lstm:
    def __init__(self, shape: Shape, parameters: Parameters) -> None:
        self._width = shape.width
        self._layers: list[_Linear] = []
        for number in range(shape.depth):
            name = f"body.{number}.lstm"
            both = [parameters[f"{name}.weight_{kind}_l0"].T for kind in ("ih", "hh")]
            bias = parameters[f"{name}.bias_ih_l0"] + parameters[f"{name}.bias_hh_l0"]
            self._layers.append(_Linear(np.concatenate(both), bias))

    def start(self) -> Memory:
        nothing = [np.zeros((1, self._width), np.float32) for _ in self._layers]
        return _Cells(nothing, list(nothing))

    def step(self, memory: Memory, inputs: Singles) -> Singles:
        assert isinstance(memory, _Cells)
        for number, layer in enumerate(self._layers):
            together = np.concatenate([inputs, memory.outputs[number]], axis=1)
            enter, keep, new, leave = np.split(layer(together), 4, axis=1)
            cell = _sigmoid(keep) * memory.cells[number] + _sigmoid(enter) * np.tanh(new)
            memory.cells[number] = cell
            memory.outputs[number] = _sigmoid(leave) * np.tanh(cell)
            inputs = inputs + memory.outputs[number]
        return inputs


def _sigmoid(inputs: Singles) -> Singles:
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * inputs) + np.float32(1))


_BODIES = {"transformer": _Transformer, "lstm": _Lstm}
