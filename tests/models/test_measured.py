from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.factor import Factor
from tronie.models.junction import junction_tree
from tronie.models.marginal import Marginal
from tronie.models.measured import Blocks
from tronie.schema.domain import Clique, Domain

SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 3}

CLIQUES = st.lists(
    st.lists(st.sampled_from(sorted(SIZES)), min_size=1, max_size=3, unique=True).map(tuple),
    min_size=1,
    max_size=6,
    unique_by=frozenset,
)


def blocks_of(cliques: list[Clique]) -> Blocks:
    return Blocks(junction_tree(Domain(SIZES), cliques), cliques)


def tables_of(cliques: list[Clique]) -> list[np.ndarray]:
    tree = junction_tree(Domain(SIZES), cliques)
    return [np.zeros(tree.domain.project(clique).shape) for clique in tree.cliques]


@given(CLIQUES)
def test_tables_are_closed_under_intersection(cliques: list[Clique]) -> None:
    known = {frozenset(block.columns) for block in blocks_of(cliques).blocks}
    assert known >= {frozenset(clique) for clique in cliques}
    assert known | {frozenset()} >= {one & two for one in known for two in known}


@given(CLIQUES, st.integers(0, 2**32))
def test_gathering_is_the_adjoint_of_scattering(cliques: list[Clique], seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks, tables = blocks_of(cliques), tables_of(cliques)
    flat = rng.normal(size=blocks.size)
    blocks.scatter(flat.copy(), tables)
    others = [rng.normal(size=table.shape) for table in tables]
    spread = sum(float((a * b).sum()) for a, b in zip(tables, others, strict=True))
    assert spread == pytest.approx(float(flat @ blocks.gather(others)), abs=1e-9)


def exact_tables(cliques: list[Clique], joint: np.ndarray) -> list[np.ndarray]:
    tree = junction_tree(Domain(SIZES), cliques)
    factor = Factor(Domain(SIZES), joint)
    return [factor.project(clique).values for clique in tree.cliques]


@given(CLIQUES, st.integers(0, 2**32))
def test_exact_counts_survive_pooling_and_reconciling(cliques: list[Clique], seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = blocks_of(cliques)
    joint = rng.random(Domain(SIZES).shape)
    exact = blocks.gather(exact_tables(cliques, joint))
    variances = rng.random(blocks.size) + 0.5
    pooled, _ = blocks.pooled(exact, variances)
    np.testing.assert_allclose(pooled, exact)
    np.testing.assert_allclose(blocks.reconciled(exact, variances, joint.sum()), exact)


@given(CLIQUES, st.integers(0, 2**32), st.booleans())
def test_reconciled_tables_agree(cliques: list[Clique], seed: int, even: bool) -> None:
    rng = np.random.default_rng(seed)
    blocks = blocks_of(cliques)
    variances = np.ones(blocks.size) if even else rng.random(blocks.size) + 0.5
    tables = blocks.reconciled(rng.normal(10, 1, size=blocks.size), variances, 500.0)
    for block in blocks.blocks:
        assert block.view(tables).sum() == pytest.approx(500)
        for other in blocks.blocks:
            if set(other.columns) < set(block.columns):
                axes = tuple(i for i, c in enumerate(block.columns) if c not in other.columns)
                sums = block.view(tables).sum(axis=axes)
                np.testing.assert_allclose(sums, other.view(tables), rtol=1e-6)


def test_what_is_missing_goes_where_noise_is_large() -> None:
    blocks = blocks_of([("c",)])
    variances = np.array([1.0, 1.0, 1.0, 97.0])
    tables = blocks.reconciled(np.full(4, 25.0), variances, 200.0)
    np.testing.assert_allclose(tables, [26, 26, 26, 122])


def test_sums_of_larger_tables_add_their_precision() -> None:
    blocks = blocks_of([("a", "b"), ("a",)])
    marginals = [
        Marginal(("a", "b"), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array(2.0)),
        Marginal(("a",), np.array([10.0, 20.0]), np.array(3.0)),
    ]
    values, sds = blocks.flatten(marginals)
    pooled, variances = blocks.pooled(values, sds**2)
    single = next(block for block in blocks.blocks if block.columns == ("a",))
    weights = np.array([1 / 9, 1 / 12])
    expected = [weights @ [10, 6] / weights.sum(), weights @ [20, 15] / weights.sum()]
    np.testing.assert_allclose(single.view(pooled), expected)
    np.testing.assert_allclose(single.view(variances), 1 / weights.sum())


def test_intersections_that_were_not_measured_are_known_from_sums() -> None:
    blocks = blocks_of([("a", "b"), ("a", "c")])
    marginals = [
        Marginal(("a", "b"), np.ones((2, 3)), np.array(1.0)),
        Marginal(("a", "c"), np.ones((2, 4)), np.array(1.0)),
    ]
    values, sds = blocks.flatten(marginals)
    assert np.isinf(sds).sum() == 2
    pooled, variances = blocks.pooled(values, sds**2)
    single = next(block for block in blocks.blocks if block.columns == ("a",))
    np.testing.assert_allclose(single.view(variances), 1 / (1 / 3 + 1 / 4))
    np.testing.assert_allclose(single.view(pooled), 2 / (1 / 3 + 1 / 4))
