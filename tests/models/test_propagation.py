from __future__ import annotations

import numpy as np
import pytest
from brute_models import brute_model
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.factor import Factor
from tronie.models.junction import junction_tree
from tronie.models.propagation import IMPOSSIBLE, Propagation
from tronie.schema.domain import Domain

SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 3}
GRAPHS = [
    [],
    [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")],
    [("a", "b"), ("a", "c"), ("a", "d"), ("a", "e")],
    [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("e", "a")],
    [("a", "b", "c"), ("c", "d", "e")],
    [("a", "b"), ("d", "e")],
    [tuple(SIZES)],
]


@pytest.mark.parametrize("cliques", GRAPHS)
@given(seed=st.integers(0, 2**32), scale=st.sampled_from([0.1, 3.0, 300.0]))
def test_beliefs_and_partition_function_match_brute_force(
    cliques: list[tuple[str, ...]], seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    domain = Domain(SIZES)
    tree = junction_tree(domain, cliques)
    tables = [scale * rng.normal(size=domain.project(c).shape) for c in tree.cliques]
    logs = Factor.full(domain, 0.0)
    for clique, table in zip(tree.cliques, tables, strict=True):
        logs = logs + Factor(domain.project(clique), table)
    log_partition = Propagation(tree).calibrate(tables)
    expected = float(logs.logsumexp([]).values)
    assert log_partition == pytest.approx(expected, rel=1e-12, abs=1e-12)
    joint = (logs - expected).exp()
    for clique, table in zip(tree.cliques, tables, strict=True):
        np.testing.assert_allclose(table, joint.project(clique).values, atol=1e-12)


@pytest.mark.parametrize("cliques", GRAPHS)
@pytest.mark.parametrize("seed", range(5))
def test_impossible_cells_come_out_as_exact_zeros(
    cliques: list[tuple[str, ...]], seed: int
) -> None:
    model, joint = brute_model(SIZES, cliques, seed=seed, impossible=0.4)
    for clique, table in zip(model.tree.cliques, model.beliefs, strict=True):
        expected = joint.project(clique).values
        np.testing.assert_allclose(table, expected, atol=1e-12)
        assert np.array_equal(table == 0.0, expected == 0.0)


def test_a_contradiction_shows_in_the_partition_function() -> None:
    tree = junction_tree(Domain({"a": 2, "b": 2, "c": 2}), [("a", "b"), ("b", "c")])
    tables = [np.zeros((2, 2)), np.zeros((2, 2))]
    place = tree.cliques[0].index("b")
    np.moveaxis(tables[0], place, 0)[0] = IMPOSSIBLE
    place = tree.cliques[1].index("b")
    np.moveaxis(tables[1], place, 0)[1] = IMPOSSIBLE
    assert Propagation(tree).calibrate(tables) < IMPOSSIBLE / 2
    assert all(np.isfinite(table).all() for table in tables)
