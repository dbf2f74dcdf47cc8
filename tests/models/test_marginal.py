from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import SchemaError
from tronie.models.marginal import Marginal, combine


def test_noise_is_spread_over_cells_and_axes_can_be_reordered() -> None:
    marginal = Marginal(("a", "b"), np.arange(6.0).reshape(2, 3), np.array([[1.0], [2.0]]))
    turned = marginal.reorder(("b", "a"))
    assert turned.clique == ("b", "a")
    assert turned.values.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert turned.sd.tolist() == [[1, 2], [1, 2], [1, 2]]


def test_repeated_measurements_are_weighed_by_their_precision() -> None:
    one = Marginal(("a", "b"), np.array([[1.0, 2.0]]), np.array(1.0))
    two = Marginal(("b", "a"), np.array([[4.0], [5.0]]), np.array(2.0))
    both = combine([one, two])
    assert both.clique == ("a", "b")
    np.testing.assert_allclose(both.values, [[(1 + 4 / 4) / 1.25, (2 + 5 / 4) / 1.25]])
    np.testing.assert_allclose(both.sd, 1.25**-0.5)


def test_combining_loses_no_precision_in_simulation() -> None:
    rng = np.random.default_rng(0)
    draws = [
        combine(
            [Marginal(("a",), 7 + sd * rng.normal(size=50), np.array(sd)) for sd in (1.0, 3.0)]
        ).values
        for _ in range(100)
    ]
    # 5,000 draws: the sd of a sample sd is 1 % of it, so 5 % is five of its own.
    assert np.std(draws) == pytest.approx((1 + 1 / 9) ** -0.5, rel=0.05)


@pytest.mark.parametrize(
    ("clique", "values", "sd"),
    [
        ((), np.array(1.0), np.array(1.0)),
        (("a", "a"), np.ones((2, 2)), np.array(1.0)),
        (("a",), np.ones((2, 2)), np.array(1.0)),
        (("a",), np.ones(2), np.ones(3)),
        (("a",), np.ones(2), np.ones((2, 2))),
        (("a",), np.array([1.0, np.nan]), np.array(1.0)),
        (("a",), np.ones(2), np.array(0.0)),
        (("a",), np.ones(2), np.array(np.inf)),
    ],
)
def test_what_is_no_measurement_is_refused(
    clique: tuple[str, ...], values: np.ndarray, sd: np.ndarray
) -> None:
    with pytest.raises(SchemaError):
        Marginal(clique, values, sd)
