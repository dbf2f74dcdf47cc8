from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tronie.models.walk import Walk


@st.composite
def forests(draw: st.DrawFn) -> list[int]:
    return [draw(st.integers(-1, i - 1)) for i in range(draw(st.integers(1, 20)))]


def subtree(parents: list[int], top: int) -> set[int]:
    found = {top}
    for i in range(top + 1, len(parents)):
        if parents[i] in found:
            found.add(i)
    return found


@given(forests())
def test_subtrees_are_consecutive_and_start_with_their_top(parents: list[int]) -> None:
    walk = Walk(parents)
    for i in range(len(parents)):
        assert set(walk.order[walk.places[i] : walk.ends[i]]) == subtree(parents, i)
        assert walk.order[walk.places[i]] == i


@given(forests())
def test_the_largest_subtree_comes_last(parents: list[int]) -> None:
    walk = Walk(parents)
    for i in range(len(parents)):
        children = [j for j, parent in enumerate(parents) if parent == i]
        largest = max((len(subtree(parents, j)) for j in children), default=0)
        last = walk.order[walk.ends[i] - largest] if children else i
        assert last == i if not children else last in children


@given(forests())
def test_steps_lead_from_any_vertex_to_any_other_of_its_component(parents: list[int]) -> None:
    walk = Walk(parents)
    for here in range(len(parents)):
        for there in range(len(parents)):
            if walk.roots[here] != walk.roots[there]:
                continue
            way = [here]
            while way[-1] != there:
                way.append(walk.towards(way[-1], there))
            assert len(set(way)) == len(way)
            assert all(parents[a] == b or parents[b] == a for a, b in pairwise(way))
