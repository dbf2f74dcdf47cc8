"""What noise leaves of a fitted table: the closed form against real fits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.estimation import estimate
from tronie.models.fit_error import fit_error
from tronie.models.marginal import Marginal
from tronie.schema.domain import Domain


@pytest.mark.parametrize("sigma", [1.0, 10.0, 60.0])
@pytest.mark.parametrize("skew", [0.0, 2.0])
def test_it_is_near_the_error_of_real_fits(sigma: float, skew: float) -> None:
    """Within 35 % of the mean over 40 simulated fits of a table with known margins (fixed seed)."""
    rng = np.random.default_rng(0)
    domain = Domain({"a": 6, "b": 8})
    rows, columns = (np.exp(-skew * np.arange(n) / n) for n in (6, 8))
    truth = np.multiply.outer(rows, columns)
    truth *= 3000 / truth.sum()
    margins = [
        Marginal(("a",), truth.sum(axis=1), np.array(1e-3)),
        Marginal(("b",), truth.sum(axis=0), np.array(1e-3)),
    ]
    errors = [
        np.abs(
            estimate(
                domain,
                [*margins, Marginal(("a", "b"), rng.normal(truth, sigma), np.array(sigma))],
                3000.0,
            )
            .marginal(["a", "b"])
            .values
            - truth
        ).sum()
        for _ in range(40)
    ]
    assert fit_error(truth, sigma) == pytest.approx(np.mean(errors), rel=0.35)


@given(st.floats(0.01, 1e4), st.floats(1e-3, 1e5))
def test_it_grows_with_the_noise_and_never_beyond_that_of_free_cells(
    sigma: float, count: float
) -> None:
    table = np.full((3, 4), count)
    assert 0 <= fit_error(table, sigma) <= fit_error(table, 2 * sigma) * (1 + 1e-9)
    assert fit_error(table, sigma) <= 0.81 * 12 * sigma


def test_one_contrast_is_all_that_two_binary_columns_leave() -> None:
    dense = np.full((2, 2), 1e6)
    assert fit_error(dense, 10.0) == pytest.approx(4 * math.sqrt(2 / math.pi) * 5.0, rel=0.02)
