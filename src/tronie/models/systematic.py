"""Systematic sampling of one column within the cells of others, balanced over more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.schema.grid import Floats, Ints

Axis: TypeAlias = tuple[NDArray[np.unsignedinteger[Any]], int]
"""Codes of a drawn column, and their number."""

GOLDEN = 2 / (1 + 5**0.5)
"""The fraction whose multiples spread most evenly modulo 1."""

SPREADS = tuple(float(x) for x in np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0]) % 1)

KEY_BITS = 63


def draw_within(
    parents: Sequence[Axis],
    keys: Sequence[Axis],
    cumulative: Floats,
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.unsignedinteger[Any]]:
    """Draw one column's codes."""
    shape = tuple(size for _, size in parents)
    order, counts = _sorted(parents, keys, cumulative.shape[0], rows)
    cells = np.flatnonzero(counts)
    counts = counts[cells]
    starts = np.cumsum(counts) - counts
    offsets = _offsets(shape, cells, rng.random())
    quotas = np.floor(cumulative[cells] * counts[:, None] + offsets[:, None]).astype(np.int64)
    np.minimum(quotas, counts[:, None], out=quotas)
    quotas[:, -1] = counts
    quotas[:, 1:] -= quotas[:, :-1].copy()
    dtype = np.min_scalar_type(cumulative.shape[1] - 1)
    ranked = np.repeat(np.tile(np.arange(cumulative.shape[1], dtype=dtype), len(cells)), quotas.ravel())
    ranks = _ranks(counts, starts, rng.random(len(counts)))
    codes = np.empty(rows, dtype)
    codes[order] = ranked[ranks]
    return codes


def _sorted(parents, keys, cells, rows):
    bits = max(rows - 1, 1).bit_length()
    key = np.zeros(rows, np.int64)
    for codes, size in parents:
        key *= size
        key += codes
    counts = np.bincount(key, minlength=cells)
    room = (1 << (KEY_BITS - bits)) // cells
    for codes, size in keys:
        if room < size:
            break
        room //= size
        key *= size
        key += codes
    key <<= bits
    key |= np.arange(rows)
    key.sort()
    key &= (1 << bits) - 1
    return key, counts


def _offsets(shape, cells, shift):
    out = np.full(len(cells), shift)
    for codes, spread in zip(np.unravel_index(cells, shape) if shape else (), SPREADS):
        out += codes * spread
    return out % 1.0


def _ranks(counts: Ints, starts: Ints, shifts: Floats) -> Ints:
    sizes, which = np.unique(counts, return_inverse=True)
    strides = _strides(sizes)[which]
    first = (shifts * counts).astype(np.int64)
    ranks = np.arange(int(counts.sum())) - np.repeat(starts, counts)
    ranks *= np.repeat(strides, counts)
    ranks += np.repeat(first, counts)
    ranks %= np.repeat(counts, counts)
    ranks += np.repeat(starts, counts)
    return ranks


def _strides(sizes: Ints) -> Ints:
    ideal = sizes * GOLDEN
    strides = np.zeros_like(sizes)
    for distance in range(64):
        for guess in (np.floor(ideal).astype(np.int64) - distance, np.floor(ideal).astype(np.int64) + 1 + distance):
            fits = (strides == 0) & (guess > 0) & (np.gcd(guess, sizes) == 1)
            strides[fits] = guess[fits]
        if strides.all():
            break
    return strides
