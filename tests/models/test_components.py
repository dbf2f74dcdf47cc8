from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.components import Components
from tronie.models.junction import junction_tree
from tronie.models.measured import Blocks
from tronie.schema.domain import Clique, Domain

SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 3}

CLIQUES = st.lists(
    st.lists(st.sampled_from(sorted(SIZES)), min_size=1, max_size=3, unique=True).map(tuple),
    min_size=1,
    max_size=6,
    unique_by=frozenset,
)
SEEDS = st.integers(0, 2**32)


def blocks_of(cliques: list[Clique]) -> Blocks:
    return Blocks(junction_tree(Domain(SIZES), cliques), cliques)


def product_weights(blocks: Blocks, rng: np.random.Generator) -> np.ndarray:
    """One factor per code of each column."""
    codes = {column: rng.random(size) + 0.5 for column, size in SIZES.items()}
    weights = np.ones(blocks.size)
    for block in blocks.blocks:
        for i, column in enumerate(block.columns):
            shape = [-1 if j == i else 1 for j in range(len(block.columns))]
            block.view(weights)[...] *= codes[column].reshape(shape)
    return weights


@given(CLIQUES, SEEDS)
def test_the_adjoint_is_the_transpose(cliques: list[Clique], seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = blocks_of(cliques)
    components = Components(blocks, rng.random(blocks.size) + 0.5)
    one, two = rng.normal(size=(2, blocks.size))
    left = float(components.of(one) @ two)
    assert left == pytest.approx(float(one @ components.adjoint(two)), abs=1e-9)


@given(CLIQUES, SEEDS, st.booleans())
def test_components_are_orthogonal_to_functions_of_fewer_columns(
    cliques: list[Clique], seed: int, even: bool
) -> None:
    rng = np.random.default_rng(seed)
    blocks = blocks_of(cliques)
    weights = np.ones(blocks.size) if even else product_weights(blocks, rng)
    pure = Components(blocks, weights).of(rng.normal(size=blocks.size)) * weights
    for block in blocks.blocks:
        assert block.view(pure).sum() == pytest.approx(0, abs=1e-9)
        for other in blocks.blocks:
            if set(other.columns) < set(block.columns):
                axes = tuple(i for i, c in enumerate(block.columns) if c not in other.columns)
                np.testing.assert_allclose(block.view(pure).sum(axis=axes), 0, atol=1e-9)


@given(CLIQUES, SEEDS, st.booleans())
def test_vectors_of_the_same_sum_have_the_same_components(
    cliques: list[Clique], seed: int, even: bool
) -> None:
    rng = np.random.default_rng(seed)
    blocks = blocks_of(cliques)
    weights = np.ones(blocks.size) if even else product_weights(blocks, rng)
    flat = rng.normal(size=blocks.size)
    moved = flat.copy()
    for block in blocks.blocks:
        block.view(moved)[...] += rng.normal()
        for other in blocks.blocks:
            if set(other.columns) < set(block.columns):
                change = rng.normal(size=other.shape)
                shape = [
                    size if column in other.columns else 1
                    for column, size in zip(block.columns, block.shape, strict=True)
                ]
                block.view(moved)[...] += change.reshape(shape)
                other.view(moved)[...] -= change
    components = Components(blocks, weights)
    np.testing.assert_allclose(components.of(flat), components.of(moved), atol=1e-9)


@given(CLIQUES, SEEDS)
def test_taking_components_twice_is_taking_them_once(cliques: list[Clique], seed: int) -> None:
    blocks = blocks_of(cliques)
    components = Components(blocks, np.ones(blocks.size))
    once = components.of(np.random.default_rng(seed).normal(size=blocks.size))
    np.testing.assert_allclose(components.of(once), once, atol=1e-12)
