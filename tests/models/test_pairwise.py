from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from brute_models import brute_model, random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import DomainTooLarge
from tronie.models import pairwise
from tronie.models.pairwise import pair_marginals
from tronie.models.sweeps import Calibrated
from tronie.schema.domain import Clique


@st.composite
def models(draw: st.DrawFn) -> tuple[dict[str, int], list[Clique], dict[str, Any]]:
    columns = [f"c{i}" for i in range(draw(st.integers(2, 7)))]
    sizes = {column: draw(st.integers(1, 4)) for column in columns}
    clique = st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True).map(tuple)
    options = {"seed": draw(st.integers(0, 99)), "impossible": draw(st.sampled_from([0.0, 0.5]))}
    return sizes, draw(st.lists(clique, max_size=8)), options


@pytest.mark.parametrize("chunk", [1, pairwise.CHUNK])
@settings(max_examples=60)
@given(drawn=models(), data=st.data())
def test_any_pairs_match_brute_force(
    chunk: int, drawn: tuple[dict[str, int], list[Clique], dict[str, Any]], data: Any
) -> None:
    sizes, cliques, options = drawn
    model, joint = brute_model(sizes, cliques, **options)
    every = list(itertools.permutations(sizes, 2))
    pairs = data.draw(st.lists(st.sampled_from(every), max_size=20) | st.just(every))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairwise, "CHUNK", chunk)
        found = model.marginals(pairs)
    for pair, table in zip(pairs, found, strict=True):
        assert table.columns == pair
        np.testing.assert_allclose(
            table.values, joint.project(pair).values * model.total, rtol=0, atol=1e-12 * model.total
        )


def dense(columns: int, seed: int) -> tuple[dict[str, int], list[Clique]]:
    """A tree with a few more pairs: some of its separators have several columns."""
    rng = random.Random(seed)
    names = [f"c{i}" for i in range(columns)]
    pairs: list[Clique] = [(names[i], names[rng.randrange(i)]) for i in range(1, columns)]
    pairs += [tuple(rng.sample(names, 2)) for _ in range(columns // 3)]
    return {name: rng.randint(2, 4) for name in names}, pairs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("chunk", [40, 400, pairwise.CHUNK])
def test_pairs_of_many_columns_agree_with_marginals_of_three(
    chunk: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairwise, "CHUNK", chunk)
    sizes, cliques = dense(24, seed)
    model = random_model(sizes, cliques, seed=seed)
    assert max(len(model.tree.separator(i)) for i in range(len(model.tree.cliques))) > 1
    pairs = list(itertools.combinations(sizes, 2))
    triples = [(*pair, next(c for c in sizes if c not in pair)) for pair in pairs]
    for pair, table, larger in zip(
        pairs, model.marginals(pairs), model.marginals(triples), strict=True
    ):
        np.testing.assert_allclose(
            table.values, larger.project(pair).values, rtol=0, atol=1e-12 * model.total
        )


@pytest.mark.parametrize("hub", ["first", "last"])
def test_stars_and_their_many_children(hub: str) -> None:
    leaves = [f"leaf{i}" for i in range(9)]
    names = ["hub", *leaves] if hub == "first" else [*leaves, "hub"]
    sizes = dict.fromkeys(names, 2)
    model, joint = brute_model(sizes, [("hub", leaf) for leaf in leaves])
    pairs = list(itertools.combinations(names, 2))
    for pair, table in zip(pairs, model.marginals(pairs), strict=True):
        np.testing.assert_allclose(
            table.values, joint.project(pair).values * model.total, atol=1e-10
        )


def test_pairs_that_need_too_large_tables_go_the_general_way() -> None:
    sizes = {"a": 12, "b": 4, "c": 4, "d": 4, "e": 12, "f": 11, "apart": 13}
    cliques = [("a", "b", "c"), ("b", "c", "d"), ("d", "e"), ("d", "f")]
    model, joint = brute_model(sizes, cliques)
    calibrated = Calibrated.of(model.tree, model.beliefs)
    pairs = [("a", "e"), ("a", "d"), ("b", "e"), ("e", "f"), ("a", "b")]
    larger = [("e", "a"), ("apart", "e")]
    assert set(pair_marginals(calibrated, [*pairs, *larger], 1000)) == {*pairs, *larger}
    # Columns a and e make 144 cells, with b and c on the way 192; apart and e make 156.
    assert set(pair_marginals(calibrated, [*pairs, *larger], 150)) == set(pairs[1:])
    for pair, table in zip(pairs, model.marginals(pairs, max_cells=150), strict=True):
        expected = joint.project(pair).values * model.total
        np.testing.assert_allclose(table.values, expected, atol=1e-10)
    for pair in larger:
        with pytest.raises(DomainTooLarge, match="limit is 150"):
            model.marginals([*pairs, pair], max_cells=150)


def test_tables_are_apart_from_one_another() -> None:
    sizes, cliques = dense(12, 0)
    model = random_model(sizes, cliques)
    tables = pair_marginals(
        Calibrated.of(model.tree, model.beliefs), itertools.combinations(sizes, 2), 10**6
    )
    for table in tables.values():
        assert table.base is None
        assert table.flags.c_contiguous
