from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import SchemaError
from tronie.models.growth import Growth
from tronie.models.junction import forecast_cells, junction_tree
from tronie.schema.domain import Clique, Domain


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Domain, list[Clique]]:
    columns = [f"c{i}" for i in range(draw(st.integers(1, 10)))]
    domain = Domain({column: draw(st.integers(1, 6)) for column in columns})
    clique = st.lists(st.sampled_from(columns), max_size=3, unique=True).map(tuple)
    return domain, draw(st.lists(clique, max_size=14))


@given(graphs(), st.integers(0, 14))
def test_every_size_on_the_way_is_that_of_the_tree(
    graph: tuple[Domain, list[Clique]], start: int
) -> None:
    domain, cliques = graph
    growth = Growth(domain, cliques[:start])
    for number in range(start, len(cliques)):
        known = cliques[:number]
        assert growth.cells == junction_tree(domain, known).cells
        for candidate in cliques[number:]:
            built = junction_tree(domain, [*known, candidate])
            assert growth.cells_with(candidate) == built.cells
        growth.add(cliques[number])
    assert growth.cells == forecast_cells(domain, cliques)


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_of_cliques_does_not_matter(
    graph: tuple[Domain, list[Clique]], rng: random.Random
) -> None:
    domain, cliques = graph
    growth = Growth(domain)
    for clique in rng.sample(cliques, len(cliques)):
        growth.add(tuple(rng.sample(clique, len(clique))))
    assert growth.cells == Growth(domain, cliques).cells


def test_asking_changes_nothing() -> None:
    columns = [f"c{i}" for i in range(30)]
    rng = random.Random(0)
    pairs = [tuple(rng.sample(columns, 2)) for _ in range(45)]
    growth = Growth(Domain({column: rng.randint(2, 9) for column in columns}), pairs)
    candidates = list(itertools.combinations(columns, 2))
    once = [growth.cells_with(pair) for pair in candidates]
    assert [growth.cells_with(pair) for pair in candidates] == once
    assert min(once) < growth.cells < max(once)


def test_an_empty_table_has_no_cells() -> None:
    assert Growth(Domain({})).cells == 0
    assert Growth(Domain({})).cells_with(()) == 0


@pytest.mark.parametrize("clique", [("a", "nonsense"), ("a", "a")])
def test_cliques_must_be_sets_of_known_columns(clique: Clique) -> None:
    domain = Domain({"a": 2, "b": 2})
    growth = Growth(domain, [("a", "b")])
    for attempt in (growth.cells_with, growth.add, lambda clique: Growth(domain, [clique])):
        with pytest.raises(SchemaError):
            attempt(clique)
    assert growth.cells == 4


def test_a_candidate_among_three_hundred_columns_takes_milliseconds() -> None:
    rng = random.Random(0)
    columns = [f"c{i}" for i in range(300)]
    domain = Domain({column: rng.randint(2, 50) for column in columns})
    pairs = [(columns[i], columns[rng.randrange(i)]) for i in range(1, 300)]
    growth = Growth(domain, pairs)
    start = time.process_time()
    for _ in range(100):
        growth.cells_with((rng.choice(columns[:150]), rng.choice(columns[150:])))
    assert time.process_time() - start < 2.0
