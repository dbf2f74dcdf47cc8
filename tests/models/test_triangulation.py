from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from tronie.models.triangulation import Elimination, Graph, members


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=9))
    clique = st.lists(st.integers(0, len(sizes) - 1), max_size=3, unique=True)
    return sizes, draw(st.lists(clique, max_size=10))


def by_hand(sizes: list[int], cliques: list[list[int]]) -> list[tuple[int, set[int]]]:
    """Columns with their neighbours, as a plain search for the smallest table finds them."""
    near = {column: {column} for column in range(len(sizes))}
    for clique in cliques:
        for column in clique:
            near[column].update(clique)
    steps: list[tuple[int, set[int]]] = []
    while near:
        column = min(near, key=lambda c: (math.prod(sizes[o] for o in near[c]), c))
        clique = near.pop(column)
        steps.append((column, clique))
        for other in clique - {column}:
            near[other] = (near[other] | clique) - {column}
    return steps


@given(graphs())
def test_the_smallest_table_goes_first(graph: tuple[list[int], list[list[int]]]) -> None:
    sizes, cliques = graph
    found = Graph.of(sizes, cliques)
    steps = [(column, set(members(near))) for column, near in found.eliminate()]
    assert steps == by_hand(sizes, cliques)
    assert found.cells == [0] * len(sizes)


@given(graphs())
def test_sizes_are_those_of_the_tables(graph: tuple[list[int], list[list[int]]]) -> None:
    sizes, cliques = graph
    whole = Graph.of(sizes, cliques)
    joined = Graph.of(sizes, [])
    for clique in cliques:
        joined.join(clique)
        assert joined.apart(clique) == []
    assert (joined.near, joined.cells) == (whole.near, whole.cells)
    for column, near in whole.copy().eliminate():
        assert whole.cells[column] > 0
        assert near >> column & 1


@given(graphs())
def test_holders_are_the_maximal_cliques(graph: tuple[list[int], list[list[int]]]) -> None:
    sizes, cliques = graph
    elimination = Elimination.of(Graph.of(sizes, cliques))
    whole = {c: {c, *members(rest)} for c, rest in elimination.rests.items()}
    held = {holder: whole[holder] for holder in elimination.holders.values()}
    for one, two in itertools.permutations(held.values(), 2):
        assert not one <= two
    for column, holder in elimination.holders.items():
        assert whole[column] <= held[holder]
    tables = [math.prod(sizes[c] for c in clique) for clique in held.values()]
    assert elimination.cells == sum(tables)


def test_columns_that_lack_a_neighbour() -> None:
    graph = Graph.of([2, 2, 2], [[0, 1], [1, 2]])
    assert graph.apart([0, 1, 2]) == [0, 2]
    assert graph.apart([0, 1]) == graph.apart([1]) == graph.apart([]) == []
