"""How far a fitted table will be from the truth because of the noise of its measurement."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

import numpy as np

from tronie.models.estimation import SLACK
from tronie.schema.grid import Floats

NODES = 100
"""Quantiles of the noise over which errors are averaged."""

LOWEST, HIGHEST, PLACES = 1e-5, 1e4, 181
"""Range of expected counts, in noise sds, for which the error is worked out beforehand."""


def fit_error(expected: Floats, sigma: float) -> float:
    """Expected L1 distance, in rows, between a table and its fit to a noisy measurement.

    A fit of largest entropy multiplies each cell of the table that it would have without the
    measurement. So noise does little where hardly any row is expected, and errors are far below
    ``0.8 * sigma`` a cell in sparse tables. What other measurements say of the same cells is taken
    into account only as far as single columns are known: of a table of a times b cells, noise acts on
    ``(a - 1) * (b - 1)`` contrasts.

    Args:
        expected: Expected counts, as the model has them before the measurement.
        sigma: Noise sd of the measurement, in rows, positive.

    >>> sparse, dense = np.full((10, 10), 0.01), np.full((10, 10), 1000.0)
    >>> round(fit_error(sparse, 10.0)), round(fit_error(dense, 10.0))
    (11, 714)
    """
    freedom = math.prod((size - 1) / size for size in expected.shape)
    noise = max(sigma * math.sqrt(freedom), 1e-9)
    places, errors = _curve()
    shares = np.log(np.clip(expected / noise, LOWEST, HIGHEST))
    return float(noise * np.interp(shares, places, errors).sum())


@functools.cache
def _curve() -> tuple[Floats, Floats]:
    """Log of a cell's expected count, and its mean absolute error; both in noise sds.

    With an expected count of x and noise z, the regularised dual's optimum multiplies the cell by
    ``exp(l)`` where ``x * exp(l) + slack * l = x + z``; see `estimate`.
    """
    normal = NormalDist()
    nodes = np.array([normal.inv_cdf((i + 0.5) / NODES) for i in range(NODES)])
    counts = np.geomspace(LOWEST, HIGHEST, PLACES)[:, None]
    low = np.full((PLACES, NODES), -200.0)
    high = np.full((PLACES, NODES), 200.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = counts * np.exp(middle) + SLACK * middle > counts + nodes
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    errors = np.abs(counts * np.expm1((low + high) / 2))
    return np.log(counts[:, 0]), errors.mean(axis=1)
