"""Regions of lattice points as evidence over codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.evidence import Evidence
from tronie.models.expansion import expand
from tronie.schema.grid import Coding, Grid
from tronie.schema.points import Region

GRID = Grid(np.array([0, 4, 5, 10]), other=True, null=True)
CODING = Coding(GRID, np.array([0, 0, 1, 2, 3]), np.array([8.0, 2.0, 5.0, 1.0, 4.0]))


def mass_of(coding: Coding, points: set[int]) -> np.ndarray:
    """Weight of some points within each code, a cell's spread evenly over its points."""
    mass = np.zeros(coding.size)
    grid = coding.grid
    for start, width, code, weight in zip(
        grid.starts, grid.widths, coding.groups, coding.weights, strict=True
    ):
        inside = sum(int(start) + i in points for i in range(int(width)))
        mass[code] += weight * inside / width
    return mass


def points_of(region: Region) -> set[int]:
    return {point for first, last in region for point in range(first, last + 1)}


@pytest.mark.parametrize(
    ("region", "likelihood"),
    [
        (((0, 9),), [1, 1, 0, 0]),
        (((0, 11),), [1, 1, 1, 1]),
        (((4, 4),), [0.2, 0, 0, 0]),
        (((0, 1),), [0.4, 0, 0, 0]),
        (((2, 6),), [0.6, 0.4, 0, 0]),
        (((10, 10),), [0, 0, 1, 0]),
        (((11, 11),), [0, 0, 0, 1]),
        (((0, 0), (9, 9), (11, 11)), [0.2, 0.2, 0, 1]),
        ((), [0, 0, 0, 0]),
    ],
)
def test_likelihoods_are_shares_of_the_codes_weight(
    region: Region, likelihood: list[float]
) -> None:
    np.testing.assert_allclose(Evidence.of(CODING, region).likelihood, likelihood)


intervals = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 11)).map(lambda p: (min(p), max(p))), max_size=3
)


@given(
    intervals, st.lists(st.integers(0, 9), min_size=5, max_size=5), st.permutations([0, 0, 1, 2, 2])
)
def test_any_region_of_any_coding(
    region: list[tuple[int, int]], weights: list[int], groups: list[int]
) -> None:
    coding = Coding(GRID, np.array(groups), np.array(weights, float))
    found = Evidence.of(coding, tuple(region))
    points = points_of(tuple(region))
    wanted, everything = mass_of(coding, points), mass_of(coding, set(range(12)))
    if wanted.any():
        share = np.divide(wanted, everything, out=np.zeros(3), where=everything > 0)
        np.testing.assert_allclose(found.likelihood, share, atol=1e-12)
        np.testing.assert_allclose(mass_of(found.coding, points), wanted, atol=1e-12)
    assert (found.likelihood > 0).any() == bool(points)
    assert (found.likelihood <= 1 + 1e-12).all()
    assert found.coding.size == coding.size
    # What is outside of the region has no weight.
    cells = found.coding.grid.starts[found.coding.weights > 0]
    assert set(cells.tolist()) <= points


def test_a_region_without_weight_is_weighed_by_width() -> None:
    empty = Coding(GRID, CODING.groups, np.array([8.0, 0.0, 5.0, 1.0, 4.0]))
    np.testing.assert_allclose(Evidence.of(empty, ((4, 4),)).likelihood, [0.2, 0, 0, 0])


def test_rows_drawn_with_evidence_lie_in_the_region() -> None:
    found = Evidence.of(CODING, ((3, 6), (11, 11)))
    rng = np.random.default_rng(0)
    codes = rng.choice(np.flatnonzero(found.likelihood), 500)
    points = expand({"x": found.coding}, {"x": codes}, rng)["x"]
    assert set(points.tolist()) == {3, 4, 5, 6, 11}
    np.testing.assert_array_equal(CODING.code_of(points), codes)
