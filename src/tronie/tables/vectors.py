"""Rows as points of a Euclidean space in which near means alike. INTERNAL: it reads rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tronie.schema.grid import Floats, Ints
from tronie.tables.matching import Comparable

MOST_VALUES = 32
"""Values of a nominal column that get an axis of their own: the most frequent ones."""


def vectors(found: Comparable, *, dimensions: int | None = None) -> list[Floats]:
    """Each table's rows as vectors, by the ranks and frequencies of all tables' rows together.

    An ordered column becomes its rank, with standard deviation 1, so that a skewed one does not
    dominate; a missing value lies in the middle, and has an axis of its own. A nominal column becomes one
    axis per frequent value, such that two rows with different values are as far apart as two rows
    with independent ranks are on average.

    Args:
        found: The tables.
        dimensions: Keep that many principal components; all axes when not given.

    Returns:
        For each table an array of shape (rows, axes).
    """
    sizes = [len(table[found.columns[0]]) for table in found.tables]
    stacked = {name: np.concatenate([t[name] for t in found.tables]) for name in found.columns}
    axes = np.concatenate(_axes(found, stacked), axis=1)
    axes -= axes.mean(axis=0)
    if dimensions is not None and dimensions < axes.shape[1]:
        _, directions = np.linalg.eigh(axes.T @ axes)
        axes = axes @ directions[:, -dimensions:]
    return np.split(axes, np.cumsum(sizes)[:-1])


def _axes(found: Comparable, stacked: Mapping[str, Ints]) -> list[Floats]:
    return [
        _ranks(values, found.missing[name]) if name in found.ordered else _indicators(values)
        for name, values in stacked.items()
    ]


def _ranks(values: Ints, missing: int) -> Floats:
    """Ranks with standard deviation 1, and an axis for missing values if there are any."""
    absent = values == missing
    present = np.sort(values[~absent])
    low = np.searchsorted(present, values, side="left")
    high = np.searchsorted(present, values, side="right")
    share = (low + high) / (2 * max(len(present), 1))
    axis = np.where(absent, 0.0, (share - 0.5) * np.sqrt(12))
    return np.stack([axis, absent * 1.0] if absent.any() else [axis], axis=1)


def _indicators(values: Ints) -> Floats:
    """One axis for each of the most frequent values."""
    distinct, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    axis = np.full(len(distinct), len(kept))
    axis[kept] = np.arange(len(kept))
    return np.eye(len(kept) + 1)[axis[places]][:, : len(kept)]
