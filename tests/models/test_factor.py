from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import SchemaError
from tronie.models.factor import Factor
from tronie.schema.domain import Domain

SIZES = {"a": 2, "b": 3, "c": 4, "d": 1}


@st.composite
def factors(draw: st.DrawFn) -> Factor:
    columns = draw(st.lists(st.sampled_from(sorted(SIZES)), unique=True))
    domain = Domain(SIZES).project(columns)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return Factor(domain, rng.normal(size=domain.shape))


def same(one: Factor, two: Factor) -> bool:
    return set(one.columns) == set(two.columns) and np.allclose(
        one.values, two.project(one.columns).values, rtol=1e-12, atol=1e-12
    )


@given(factors(), factors())
def test_sums_and_products_do_not_depend_on_order(one: Factor, two: Factor) -> None:
    assert same(one + two, two + one)
    assert same(one * two, two * one)


@given(factors(), factors())
def test_subtraction_undoes_addition_and_division_undoes_multiplication(
    one: Factor, two: Factor
) -> None:
    wide = one.expand(Domain({**one.domain.sizes, **two.domain.sizes}))
    assert same(one + two - two, wide)
    assert same(one * two.exp() / two.exp(), wide)


@given(factors(), st.data())
def test_projecting_twice_is_projecting_once(factor: Factor, data: st.DataObject) -> None:
    some = data.draw(st.permutations(factor.columns)) if factor.columns else []
    fewer = some[: len(some) // 2]
    assert same(factor.project(some).project(fewer), factor.project(fewer))
    assert factor.project(some).columns == tuple(some)
    assert np.isclose(factor.project(fewer).sum(), factor.sum())


@given(factors(), factors(), st.sets(st.sampled_from(sorted(SIZES))))
def test_contracting_is_multiplying_and_projecting(
    one: Factor, two: Factor, keep: set[str]
) -> None:
    product = one * two
    expected = product.project([column for column in product.columns if column in keep])
    assert same(one.contract(two, keep), expected)


@given(factors())
def test_expanding_repeats_and_projecting_adds_up(factor: Factor) -> None:
    wide = factor.expand(Domain(SIZES))
    repeats = Domain(SIZES).size() / factor.domain.size()
    assert same(wide.project(factor.columns), factor * repeats)


@given(factors(), st.sets(st.sampled_from(sorted(SIZES))))
def test_logsumexp_is_the_log_of_the_sum(factor: Factor, keep: set[str]) -> None:
    kept = [column for column in factor.columns if column in keep]
    assert same(factor.logsumexp(kept), factor.exp().project(kept).log())


def test_logsumexp_neither_overflows_nor_turns_nothing_into_nan() -> None:
    factor = Factor(Domain({"a": 2, "b": 2}), [[1e4, 1e4], [-np.inf, -np.inf]])
    assert factor.logsumexp(["a"]).values.tolist() == [1e4 + np.log(2), -np.inf]


def test_division_by_zero_is_zero() -> None:
    domain = Domain({"a": 2})
    quotient = Factor(domain, [1.0, 0.0]) / Factor(domain, [0.0, 0.0])
    assert quotient.values.tolist() == [0.0, 0.0]


def test_scalars_take_part() -> None:
    factor = Factor(Domain({"a": 2}), [1.0, 2.0])
    assert (factor * 2 + 1 - 3).values.tolist() == [0.0, 2.0]
    assert (factor / 2).values.tolist() == [0.5, 1.0]
    assert Factor.full(Domain({"a": 2}), 3.0).values.tolist() == [3.0, 3.0]
    assert factor.normalise(6.0).values.tolist() == [2.0, 4.0]


def test_values_cannot_be_changed_through_the_factor() -> None:
    factor = Factor(Domain({"a": 2}), np.ones(2))
    with pytest.raises(ValueError, match="read-only"):
        factor.values[0] = 2.0


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(SchemaError, match="shape"):
        Factor(Domain({"a": 2}), np.ones(3))


def test_columns_of_different_size_do_not_mix() -> None:
    with pytest.raises(SchemaError, match="'a' has 2 codes"):
        Factor(Domain({"a": 2}), np.ones(2)) * Factor(Domain({"a": 3}), np.ones(3))
