from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import DomainTooLarge, SchemaError
from tronie.models.junction import JunctionTree, forecast_cells, junction_tree
from tronie.schema.domain import Clique, Domain


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Domain, list[Clique]]:
    columns = [f"c{i}" for i in range(draw(st.integers(1, 9)))]
    domain = Domain({column: draw(st.integers(1, 6)) for column in columns})
    clique = st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True).map(tuple)
    return domain, draw(st.lists(clique, max_size=12))


def components(columns: list[str], cliques: list[Clique]) -> set[frozenset[str]]:
    member = {column: {column} for column in columns}
    for clique in cliques:
        union = set().union(*(member[column] for column in clique))
        for column in union:
            member[column] = union
    return {frozenset(group) for group in member.values()}


def spanning_weight(cliques: list[Clique]) -> int:
    """Total size of the intersections along a maximum spanning tree of the cliques."""
    done, weight = {0}, 0
    while len(done) < len(cliques):
        sizes = {
            (len(set(cliques[i]) & set(cliques[j])), j)
            for i in done
            for j in range(len(cliques))
            if j not in done
        }
        best, chosen = max(sizes)
        weight, done = weight + best, done | {chosen}
    return weight


@given(graphs())
def test_every_clique_lies_within_a_clique_of_the_tree(graph: tuple[Domain, list[Clique]]) -> None:
    domain, cliques = graph
    tree = junction_tree(domain, cliques)
    for clique in [*cliques, *((column,) for column in domain)]:
        assert any(set(clique) <= set(node) for node in tree.cliques)
        assert set(clique) <= set(tree.cliques[tree.smallest_with(clique)])


@given(graphs())
def test_cliques_that_share_a_column_are_connected(graph: tuple[Domain, list[Clique]]) -> None:
    tree = junction_tree(*graph)
    for column in tree.domain:
        holding = [i for i, clique in enumerate(tree.cliques) if column in clique]
        tops = [i for i in holding if tree.parents[i] not in holding]
        assert tops == [tree.homes[column]]


@given(graphs())
def test_no_clique_lies_within_another(graph: tuple[Domain, list[Clique]]) -> None:
    tree = junction_tree(*graph)
    for one, two in itertools.permutations(tree.cliques, 2):
        assert not set(one) <= set(two)


@given(graphs())
def test_separators_are_those_of_a_maximum_spanning_tree(
    graph: tuple[Domain, list[Clique]],
) -> None:
    tree = junction_tree(*graph)
    kept = sum(len(tree.separator(i)) for i in range(len(tree.cliques)))
    assert kept == spanning_weight(list(tree.cliques))


@given(graphs())
def test_there_is_one_root_per_connected_component(graph: tuple[Domain, list[Clique]]) -> None:
    domain, cliques = graph
    tree = junction_tree(domain, cliques)
    assert tree.parents.count(-1) == len(components(list(domain), cliques))


@given(graphs())
def test_the_forecast_is_what_is_built(graph: tuple[Domain, list[Clique]]) -> None:
    tree = junction_tree(*graph)
    assert forecast_cells(*graph) == tree.cells
    assert tree.cells == sum(tree.domain.size(clique) for clique in tree.cliques)


def test_cheap_columns_are_eliminated_first() -> None:
    # A ring of four: the chord joins the two small columns.
    domain = Domain({"a": 2, "b": 50, "c": 2, "d": 50})
    ring = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    assert forecast_cells(domain, ring) == 2 * (2 * 2 * 50)


def test_a_tree_that_is_too_large_is_refused_before_it_is_built() -> None:
    domain = Domain({f"c{i}": 1000 for i in range(40)})
    everything = [tuple(domain)]
    assert forecast_cells(domain, everything) == 1000**40
    with pytest.raises(DomainTooLarge, match="limit is 1,000") as caught:
        junction_tree(domain, everything, max_cells=1000)
    assert "merge values" in str(caught.value)
    tree = junction_tree(domain, [], max_cells=40_000)
    assert tree.cells == 40_000


@pytest.mark.parametrize("clique", [("a", "nonsense"), ("a", "a")])
def test_cliques_must_be_sets_of_known_columns(clique: Clique) -> None:
    with pytest.raises(SchemaError):
        junction_tree(Domain({"a": 2, "b": 2}), [clique])


@pytest.mark.parametrize(
    ("cliques", "parents"),
    [
        ((("a", "b"),), (-1,)),  # c is missing
        ((("a", "b"), ("c", "b")), (-1,)),  # a parent is missing
        ((("a", "b"), ("c", "b")), (-1, 1)),  # its own parent
        ((("a", "b"), ("c", "b")), (1, -1)),  # parent after child
        ((("a", "b"), ("b", "c")), (-1, 0)),  # separator first
        ((("a", "b"), ("c", "b")), (-1, -1)),  # b in two components
        ((("a", "b"), ("b",), ("c",)), (-1, 0, -1)),  # nothing new
        ((("a", "b"), ("c", "z")), (-1, 0)),  # unknown column
    ],
)
def test_what_is_no_junction_tree_is_refused(
    cliques: tuple[Clique, ...], parents: tuple[int, ...]
) -> None:
    with pytest.raises(SchemaError):
        JunctionTree(Domain({"a": 2, "b": 2, "c": 2}), cliques, parents)


def test_three_hundred_columns_take_well_under_a_second() -> None:
    domain = Domain({f"c{i}": 2 + i % 40 for i in range(300)})
    pairs = [(f"c{i}", f"c{(i * 7919) % i}") for i in range(1, 300)]
    start = time.process_time()
    tree = junction_tree(domain, pairs)
    assert time.process_time() - start < 0.5
    assert len(tree.cliques) == 299
    assert forecast_cells(domain, pairs) == sum(map(domain.size, pairs))
