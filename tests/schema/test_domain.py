from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import SchemaError
from tronie.schema.domain import Domain

sizes = st.dictionaries(st.text(max_size=3), st.integers(1, 50), max_size=6)


@given(sizes)
def test_a_domain_is_an_ordered_mapping(sizes: dict[str, int]) -> None:
    domain = Domain(sizes)
    assert domain.columns == tuple(sizes) == tuple(domain)
    assert domain.shape == tuple(sizes.values())
    assert len(domain) == len(sizes)
    assert all(column in domain and domain[column] == size for column, size in sizes.items())
    assert domain.size() == math.prod(sizes.values())


@given(sizes, st.data())
def test_project_keeps_the_given_order(sizes: dict[str, int], data: st.DataObject) -> None:
    domain = Domain(sizes)
    some = data.draw(st.permutations(list(sizes)))[: data.draw(st.integers(0, len(sizes)))]
    part = domain.project(some)
    assert part.columns == tuple(some)
    assert part.size() == domain.size(some)
    assert domain.project(domain) == domain


def test_a_domain_does_not_change_with_what_it_was_made_of() -> None:
    sizes = {"a": 2}
    domain = Domain(sizes)
    sizes["a"] = 3
    assert domain["a"] == 2
    with pytest.raises(TypeError):
        domain.sizes["a"] = 3  # type: ignore[index]


def test_empty_sizes_are_refused() -> None:
    with pytest.raises(SchemaError, match="'a' has a domain of size 0"):
        Domain({"a": 0})


def test_a_column_that_is_not_there() -> None:
    assert "b" not in Domain({"a": 1})
    with pytest.raises(KeyError):
        Domain({"a": 1}).project(["b"])
