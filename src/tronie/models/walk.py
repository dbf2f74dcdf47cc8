"""Ways through a forest."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


class Walk:
    """Ways through a forest that is given by its parents, which come before their children.

    Vertices get places in depth-first order, the largest subtree of each last: those of a subtree are
    consecutive, and few vertices are half done at any time.

    Attributes:
        children: Vertex -> its children, in the order of their places.
        roots: Vertex -> the root of its component.
        places: Vertex -> its place.
        ends: Vertex -> the place after those of its subtree.
        order: Place -> vertex.

    >>> walk = Walk([-1, 0, 0, 1])
    >>> walk.order, walk.towards(3, 2), walk.towards(0, 3)
    ([0, 2, 1, 3], 1, 1)
    """

    def __init__(self, parents: Sequence[int]) -> None:
        self._parents = parents
        sizes = [1] * len(parents)
        for i, parent in reversed(list(enumerate(parents))):
            if parent >= 0:
                sizes[parent] += sizes[i]
        self.children: list[list[int]] = [[] for _ in parents]
        self.roots: list[int] = []
        for i, parent in enumerate(parents):
            self.roots.append(i if parent < 0 else self.roots[parent])
            if parent >= 0:
                self.children[parent].append(i)
        self.places = [0] * len(parents)
        start = 0
        for i, children in enumerate(self.children):
            if parents[i] < 0:
                self.places[i], start = start, start + sizes[i]
            place = self.places[i] + 1
            children.sort(key=sizes.__getitem__)
            for child in children:
                self.places[child], place = place, place + sizes[child]
        self.ends = [place + size for place, size in zip(self.places, sizes, strict=True)]
        self.order = sorted(range(len(parents)), key=self.places.__getitem__)

    def towards(self, here: int, there: int) -> int:
        """The neighbour of one vertex that is nearest to another of its component."""
        place = self.places[there]
        if not self.places[here] < place < self.ends[here]:
            return self._parents[here]
        children = self.children[here]
        return children[bisect_right(children, place, key=self.places.__getitem__) - 1]
