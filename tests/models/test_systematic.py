from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.systematic import SLOPES, Labels, draw_column
from tronie.schema.grid import Floats

SEEDS = st.integers(0, 2**32)


def cumulative(probabilities: Floats) -> Floats:
    sums = np.cumsum(probabilities, axis=1)
    return sums / sums[:, -1:]


def table(rng: np.random.Generator, cells: int, codes: int) -> Floats:
    """Probabilities of codes in each cell; about half are 0, the first never is."""
    values = rng.gamma(0.5, size=(cells, codes)) * (rng.random((cells, codes)) < 0.5)
    values[:, 0] += 0.01
    return values / values.sum(axis=1, keepdims=True)


@given(SEEDS, st.integers(0, 200), st.integers(1, 6), st.integers(1, 9))
def test_counts_in_each_cell_are_right_to_less_than_one(
    seed: int, rows: int, cells: int, codes: int
) -> None:
    rng = np.random.default_rng(seed)
    probabilities = table(rng, cells, codes)
    parent = rng.integers(0, cells, rows).astype(np.uint8)
    key = rng.integers(0, 3, rows).astype(np.uint8)
    drawn = draw_column(
        [(parent, cells)], [(key, 3)], cumulative(probabilities), Labels(rows, rng), rng
    )
    counts = np.zeros((cells, codes))
    np.add.at(counts, (parent, drawn), 1)
    expected = counts.sum(axis=1, keepdims=True) * probabilities
    assert (np.abs(counts - expected) < 1 + 1e-9).all()
    assert (counts[probabilities == 0] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_cells_of_few_rows_make_up_for_one_another(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, sizes = 20_000, [2] * 13
    parents = [(rng.integers(0, size, rows).astype(np.uint8), size) for size in sizes]
    chances = rng.beta(0.2, 1.0, math.prod(sizes))  # two or three rows for each
    cell = np.ravel_multi_index([codes for codes, _ in parents], sizes)
    probabilities = np.stack([1 - chances, chances], axis=1)
    drawn = draw_column(parents, [], cumulative(probabilities), Labels(rows, rng), rng)
    off = drawn - chances[cell]
    # Independent rows would be off by 50 or so.
    assert abs(off.sum()) < 1
    for i, (codes, _) in enumerate(parents[:4]):
        assert abs(off[codes == 1].sum()) < 2 ** (i + 1)


@given(SEEDS, st.integers(1, 400))
def test_codes_are_spread_over_the_key(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    key = rng.integers(0, 4, rows).astype(np.uint8)
    drawn = draw_column([], [(key, 4)], np.array([[0.5, 1.0]]), Labels(rows, rng), rng)
    for code in range(4):
        inside = drawn[key == code]
        # A stretch of a lattice: off by a few rows, however many there are.
        assert abs(int(inside.sum()) - len(inside) / 2) <= 1 + math.log2(rows + 1)


def test_columns_of_the_same_order_are_spread_over_one_another() -> None:
    rng = np.random.default_rng(0)
    rows = 10_000
    labels = Labels(rows, rng)
    half = np.array([[0.5, 1.0]])
    columns = [draw_column([], [], half, labels, rng) for _ in range(3 * len(SLOPES))]
    for i, one in enumerate(columns):
        for two in columns[:i]:
            both = int((one & two).sum())
            # Independent rows: sd 43 about 2,500. Columns of one order: a few rows off.
            assert abs(both - rows / 4) < 5 * 43


def test_every_row_has_the_given_probabilities() -> None:
    rng = np.random.default_rng(0)
    probabilities = np.array([[0.1, 0.6, 0.3], [0.5, 0.0, 0.5]])
    parent = np.array([0, 0, 0, 1, 1], np.uint8)
    repeats = 2000
    counts = np.zeros((5, 3))
    for _ in range(repeats):
        labels = Labels(5, rng)
        drawn = draw_column([(parent, 2)], [], cumulative(probabilities), labels, rng)
        counts[np.arange(5), drawn] += 1
    expected = probabilities[parent]
    sd = np.sqrt(expected * (1 - expected) / repeats)
    # Fifteen cells, 4.5 sds each: fails once in 10,000 seeds.
    assert (np.abs(counts / repeats - expected) <= 4.5 * sd).all()


@pytest.mark.parametrize(
    ("codes", "kind"), [(2, np.uint8), (256, np.uint8), (257, np.uint16), (70_000, np.uint32)]
)
def test_codes_come_in_the_smallest_type(codes: int, kind: type) -> None:
    rng = np.random.default_rng(0)
    uniform = cumulative(np.ones((1, codes)))
    drawn = draw_column([], [], uniform, Labels(10, rng), rng)
    assert drawn.dtype == kind


def test_keys_beyond_what_fits_are_left_out() -> None:
    rng = np.random.default_rng(0)
    rows = 1000
    wide = [(rng.integers(0, 2**15, rows).astype(np.uint16), 2**15) for _ in range(6)]
    drawn = draw_column([], wide, np.array([[0.25, 1.0]]), Labels(rows, rng), rng)
    assert int((drawn == 0).sum()) == 250
