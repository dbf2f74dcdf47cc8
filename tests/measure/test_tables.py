"""The samplers' tables, against direct sums at higher precision."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import BudgetError, DomainTooLarge
from tronie.measure.tables import (
    MAX_SIGMA,
    PRECISION,
    THRESHOLD_BITS,
    ExponentialTable,
    GaussianTable,
    fixed_exp,
    gaussian_table,
)

CONTEXT = Context(prec=130)


def exact_exp(x: Fraction) -> Fraction:
    """exp(-x) to about 128 digits, each value on its own."""
    quotient = CONTEXT.divide(Decimal(-x.numerator), Decimal(x.denominator))
    return Fraction(CONTEXT.exp(quotient))


@cache
def exact_thresholds(sigma: float, largest: int) -> list[int]:
    """What the thresholds ought to be, from a sum at 400 bits of exponentials one by one."""
    twice = 2 * Fraction(sigma) ** 2
    weights = [int(exact_exp(x * x / twice) * 2**400) * (2 if x else 1) for x in range(largest + 1)]
    below = list(accumulate(weights))
    return [(mass << THRESHOLD_BITS) // below[-1] for mass in below[:-1]]


@cache
def thresholds(table: GaussianTable) -> list[int]:
    """All thresholds, from the table's public answers."""
    whole = 1 << THRESHOLD_BITS
    return [whole - int(2 * table.survival(m) * whole) for m in range(1, table.largest + 1)]


@pytest.mark.parametrize("sigma", [0.07, 0.3, 0.7, 1.0, 6.0, 12.345, 50.0, 300.0])
def test_thresholds_are_the_exact_cumulative_probabilities(sigma: float) -> None:
    table = gaussian_table(sigma)
    assert thresholds(table) == exact_thresholds(sigma, table.largest)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 6.0, 50.0, 1000.0])
def test_the_mass_that_is_cut_off_is_below_its_bound(sigma: float) -> None:
    table = gaussian_table(sigma)
    twice = 2 * Fraction(sigma) ** 2
    first = Fraction((table.largest + 1) ** 2) / twice
    # A geometric series bounds the tail: successive weights fall by at least this ratio.
    ratio = exact_exp(Fraction(2 * table.largest + 3) / twice)
    assert 2 * exact_exp(first) / (1 - ratio) < Fraction(1, 2**180) * max(1, Fraction(sigma) * 2)


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.0, 6.0, 50.0, 1000.0])
def test_every_magnitude_up_to_the_largest_can_be_drawn(sigma: float) -> None:
    table = gaussian_table(sigma)
    bounds = [0, *thresholds(table), 2**THRESHOLD_BITS]
    assert all(a < b for a, b in pairwise(bounds))


@pytest.mark.parametrize("sigma", [1.0, 6.0, 50.0])
def test_log_ratios_of_neighbouring_draws_are_those_of_the_gaussian(sigma: float) -> None:
    table = gaussian_table(sigma)
    survival = [table.survival(m) for m in range(1, table.largest + 2)]
    masses = [a - b for a, b in pairwise(survival)]
    for x in range(1, int(9 * sigma)):
        ratio = float(masses[x] / masses[x - 1])
        assert ratio == pytest.approx(np.exp(-(2 * x + 1) / (2 * sigma**2)), rel=1e-12)


def test_a_tiny_sigma_draws_zero_only() -> None:
    table = gaussian_table(0.06)
    assert table.largest == 0
    assert table.survival(1) == 0


def test_survival_beyond_the_support_is_zero() -> None:
    table = gaussian_table(1.0)
    assert table.survival(table.largest) > 0
    assert table.survival(table.largest + 1) == 0


@given(st.integers(0, 2**THRESHOLD_BITS - 1))
def test_resolve_counts_thresholds_that_a_word_reaches(word: int) -> None:
    table = gaussian_table(6.0)
    high, rest = divmod(word, 2**128)
    assert table.resolve(high, rest) == bisect_right(thresholds(table), word)


@given(st.integers(0, 94), st.sampled_from([-1, 0, 1]))
def test_resolve_is_exact_at_thresholds(index: int, step: int) -> None:
    table = gaussian_table(6.0)
    word = min(thresholds(table)[index] + step, 2**THRESHOLD_BITS - 1)
    assert table.resolve(*divmod(word, 2**128)) == bisect_right(thresholds(table), word)


def test_tables_are_cached() -> None:
    assert gaussian_table(3.0) is gaussian_table(3.0)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sigma_that_is_no_scale_is_refused(sigma: float) -> None:
    with pytest.raises(BudgetError):
        gaussian_table(sigma)


def test_a_sigma_too_large_for_a_table_is_refused() -> None:
    with pytest.raises(DomainTooLarge, match="200000"):
        gaussian_table(MAX_SIGMA * 1.001)


@given(st.fractions(0, 200, max_denominator=10**9))
def test_fixed_exp_is_within_one_unit(x: Fraction) -> None:
    assert abs(fixed_exp(x) - exact_exp(x) * 2**PRECISION) <= 1


def test_fixed_exp_of_something_huge_is_zero() -> None:
    assert fixed_exp(Fraction(10) ** 400) == 0


@given(st.fractions(Fraction(1, 10**6), 100, max_denominator=10**6), st.data())
def test_exponential_weights_are_relatively_exact(rate: Fraction, data: st.DataObject) -> None:
    table = ExponentialTable(rate)
    gap = data.draw(st.integers(0, table.reach))
    expected = exact_exp(min(rate, Fraction(45)) * gap) * 2**PRECISION
    assert abs(table.weight(gap) / expected - 1) < Fraction(1, 2**180)
