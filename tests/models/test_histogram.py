"""Histograms of two levels, the simplex, and the grouping of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.histogram import (
    Histogram,
    group_nominal,
    group_ordered,
    project_to_simplex,
)
from tronie.models.smoothing import smooth
from tronie.schema.grid import Grid

COARSE = Grid.equal_width(40, 4, null=True)
MIDDLE, FIRST_PARENTS = COARSE.refine([1, 3], 5)
FINE, SECOND_PARENTS = MIDDLE.refine([0, 3], 2)
SIGMAS = (3.0, 2.0, 4.0)


def three_levels(rng: np.random.Generator) -> Histogram:
    """A noisy histogram of one row per point, of which some cells were split twice."""
    first, second, third = (
        grid.widths + rng.normal(0, sigma, grid.size)
        for grid, sigma in zip((COARSE, MIDDLE, FINE), SIGMAS, strict=True)
    )
    histogram = Histogram.single(COARSE, first, SIGMAS[0])
    histogram = histogram.refine(MIDDLE, FIRST_PARENTS, second, SIGMAS[1])
    return histogram.refine(FINE, SECOND_PARENTS, third, SIGMAS[2])


def test_levels_agree_with_least_squares() -> None:
    histogram = three_levels(np.random.default_rng(0))
    middle = np.arange(MIDDLE.size)[:, None] == SECOND_PARENTS
    coarse = FIRST_PARENTS[SECOND_PARENTS] == np.arange(COARSE.size)[:, None]
    design = np.vstack(
        [m / s for m, s in zip((coarse, middle, np.eye(FINE.size)), SIGMAS, strict=True)]
    )
    answers = np.concatenate(
        [level.counts / s for level, s in zip(histogram.levels, SIGMAS, strict=True)]
    )
    truth, *_ = np.linalg.lstsq(design, answers, rcond=None)
    np.testing.assert_allclose(histogram.counts, truth, atol=1e-9)
    covariance = np.linalg.inv(design.T @ design)
    groups = np.arange(FINE.size) // 3
    member = (groups == np.arange(groups.max() + 1)[:, None]).astype(float)
    np.testing.assert_allclose(
        histogram.group_variance(groups), np.diag(member @ covariance @ member.T), atol=1e-9
    )
    np.testing.assert_allclose(histogram.cell_variance, np.diag(covariance), atol=1e-9)


def test_stated_variance_is_that_of_many_draws() -> None:
    # 4,000 draws: a sample variance is within 12 % of the truth in 5.4 sds (chi-square).
    rng = np.random.default_rng(1)
    draws = np.array([three_levels(rng).counts for _ in range(4000)])
    groups = np.minimum(np.arange(FINE.size) // 2, 3)
    sums = np.array([draws[:, groups == g].sum(axis=1) for g in range(groups.max() + 1)])
    ratio = sums.var(axis=1) / three_levels(rng).group_variance(groups)
    assert np.all(np.abs(ratio - 1) < 0.12)


@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=70),
    st.floats(0.5, 50),
    st.floats(1, 1e5),
    st.integers(0, 2**32),
)
def test_smoothing_keeps_the_total_and_signs(
    counts: list[int], sigma: float, total: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 9, len(counts))
    noisy = np.array(counts) + rng.normal(0, sigma, len(counts))
    result = smooth(noisy, np.full(len(counts), sigma**2), widths, total)
    assert (result >= 0).all()
    assert result.sum() == pytest.approx(total)


def test_smoothing_beats_projection_and_keeps_spikes() -> None:
    """Mean over 20 noise draws of the L1 error on a smooth curve with a spike and an empty tail."""
    rng = np.random.default_rng(2)
    truth = np.concatenate([2000 * np.exp(-np.arange(100) / 20), np.zeros(100)])
    truth[30] += 5000
    errors = []
    for _ in range(20):
        noisy = truth + rng.normal(0, 40, 200)
        smoothed = smooth(noisy, np.full(200, 1600.0), np.ones(200, int), truth.sum())
        projected = project_to_simplex(noisy, truth.sum())
        assert abs(smoothed[30] - truth[30]) < 200
        errors.append([np.abs(x - truth).sum() for x in (smoothed, projected)])
    ours, theirs = np.mean(errors, axis=0)
    assert ours < 0.6 * theirs


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    st.floats(1e-3, 1e6),
)
def test_projection_is_the_nearest_point_of_the_simplex(values: list[float], total: float) -> None:
    point = project_to_simplex(np.array(values), total)
    assert (point >= 0).all()
    assert point.sum() == pytest.approx(total, rel=1e-6, abs=1e-6)
    gap = np.array(values) - point
    # Optimality: positive entries share one gap, entries at zero have no larger one.
    if (point > 0).any():
        shift = gap[point > 0]
        scale = 1e-9 * (np.abs(values).max() + total)
        assert np.ptp(shift) <= scale
        assert (gap[point == 0] <= shift.max() + scale).all()


def test_rare_values_share_a_code_and_named_ones_do_not() -> None:
    counts = np.array([1000.0, 5.0, 3.0, 800.0, 2.0])
    histogram = Histogram.single(Grid(np.arange(6)), counts, 10.0)
    coding = group_nominal(histogram, 1800.0, at_most=10)
    assert coding.groups.tolist() == [0, 2, 2, 1, 2]
    kept = group_nominal(histogram, 1800.0, keep=[4], at_most=10)
    assert kept.groups.tolist() == [0, 3, 3, 1, 2]


def test_one_rare_value_is_left_alone_and_too_many_values_are_merged() -> None:
    histogram = Histogram.single(Grid(np.arange(5)), np.array([900.0, 1.0, 700.0, 800.0]), 10.0)
    assert group_nominal(histogram, 2400.0, at_most=10).size == 4
    assert group_nominal(histogram, 2400.0, at_most=2).groups.tolist() == [0, 2, 2, 1]


@given(
    st.lists(st.integers(0, 500), min_size=2, max_size=60),
    st.integers(1, 40),
    st.sets(st.integers(0, 60)),
    st.booleans(),
)
def test_codes_of_ordered_columns_are_intervals_within_barriers(
    counts: list[int], pieces: int, barriers: set[int], null: bool
) -> None:
    grid = Grid(np.arange(len(counts) + 1), null=null)
    values = np.array([*counts, *([7] * null)], float)
    histogram = Histogram.single(grid, values, 2.0)
    coding = group_ordered(histogram, values.sum() + 1, pieces=pieces, barriers=barriers)
    runs = coding.groups[: grid.runs]
    assert (np.diff(runs) >= 0).all()
    assert set(coding.groups.tolist()) == set(range(coding.size))
    for barrier in barriers:
        if 0 < barrier < len(counts):
            assert runs[barrier - 1] != runs[barrier]
    if null:
        assert (coding.groups == coding.groups[-1]).sum() == 1


def test_a_spike_gets_a_code_of_its_own() -> None:
    counts = np.full(100, 10.0)
    counts[50] = 5000.0
    histogram = Histogram.single(Grid(np.arange(101)), counts, 1.0)
    coding = group_ordered(histogram, counts.sum(), pieces=20)
    assert (coding.groups == coding.groups[50]).sum() <= 2


@given(st.data())
def test_variances_of_cells_are_those_of_groups_of_one_cell(data: st.DataObject) -> None:
    """The recursion from the root down against the full covariance, over drawn levels."""
    size = data.draw(st.integers(1, 4))
    histogram = Histogram.single(
        Grid(np.arange(size + 1) * 64), np.zeros(size), data.draw(st.floats(0.5, 9.0))
    )
    for _ in range(data.draw(st.integers(0, 3))):
        runs = histogram.grid.runs
        wide = np.flatnonzero(np.diff(histogram.grid.edges) > 1).tolist()
        split = data.draw(st.sets(st.sampled_from(wide))) if wide else set[int]()
        grid, parents = histogram.grid.refine(sorted(split), data.draw(st.integers(2, 4)))
        assert grid.runs >= runs
        sigma = data.draw(st.floats(0.5, 9.0))
        histogram = histogram.refine(grid, parents, np.zeros(grid.size), sigma)
    direct = histogram.group_variance(np.arange(histogram.grid.size))
    np.testing.assert_allclose(histogram.cell_variance, direct, rtol=1e-9)
