"""Small networks for tests."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from tronie.models.estimation import estimate
from tronie.models.factor import Factor
from tronie.models.nets.decoding import Decoder, Parameters
from tronie.models.nets.drawing import Ties
from tronie.models.nets.frame import as_codes, drawing_order
from tronie.models.nets.net_field import NetField
from tronie.models.nets.shape import Body, Shape
from tronie.schema.domain import Domain

SIZES = (2, 3, 4)


def shape_of(body: Body = "transformer", sizes: tuple[int, ...] = SIZES, depth: int = 2) -> Shape:
    """A network of 8 units."""
    return Shape(body, sizes, width=8, depth=depth, heads=2)


def parameters_of(shape: Shape, seed: int = 0, spread: float = 0.7) -> Parameters:
    """Any parameters, far from where training starts."""
    rng = np.random.default_rng(seed)
    return {
        name: (spread * rng.standard_normal(size)).astype(np.float32)
        for name, size in shape.parameters()
    }


def joint(
    shape: Shape,
    parameters: Parameters,
    order: tuple[int, ...] | None = None,
    ties: Ties | None = None,
) -> np.ndarray:
    """Probability of every row, by the network's predictions in some order of columns."""
    columns = order or tuple(range(shape.columns))
    decoder = Decoder(shape, parameters)
    rows = np.array(list(itertools.product(*map(range, shape.sizes))))
    memory = decoder.start().take(np.zeros(len(rows), np.int64))
    tokens = np.zeros(len(rows), np.int64)
    logs = np.zeros(len(rows))
    for column in columns:
        scores = decoder.step(memory, tokens, column).astype(np.float64)
        for (earlier, later), tie in (ties or {}).items():
            if later == column:
                scores += tie[rows[:, earlier]]
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        logs += scores[np.arange(len(rows)), rows[:, column]]
        tokens = rows[:, column] + shape.offsets[column]
    return np.exp(logs).reshape(shape.sizes)


def field_of(
    domain: Domain,
    zeros: tuple[Factor, ...] = (),
    *,
    body: Body = "transformer",
    seed: int = 0,
    total: float = 100.0,
) -> NetField:
    """A model with any parameters, and a population of 50 rows."""
    tree = estimate(domain, [], total, zeros=zeros)
    order = drawing_order(tree)
    shape = shape_of(body, tuple(domain[column] for column in order))
    parameters = parameters_of(shape, seed)
    empty = as_codes(order, shape, np.zeros((0, len(order)), np.int64))
    guide = parameters_of(shape, seed + 1, spread=0.1)
    rng = np.random.default_rng(seed)
    ties = {(0, 1): rng.standard_normal(shape.sizes[:2]).astype(np.float32)}
    field = NetField(tree, order, shape, parameters, ties, guide, empty)
    return replace(field, population=field.sample(50, rng))
