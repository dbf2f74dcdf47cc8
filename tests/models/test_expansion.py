"""From codes to lattice points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.models.evidence import Evidence
from tronie.models.expansion import Axis, Ranking, code_spans, expand
from tronie.schema.grid import Coding, Grid


def coding_of(groups: list[int], weights: list[float], *, null: bool = False) -> Coding:
    grid = Grid(np.arange(len(groups) + 1 - null), null=null)
    return Coding(grid, np.array(groups), np.array(weights))


@st.composite
def codings(draw: st.DrawFn) -> Coding:
    """Any coding: groups in any order, cells of any width, weights that may be zero."""
    widths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=12))
    null = draw(st.booleans())
    grid = Grid(np.concatenate([[0], np.cumsum(widths)]), null=null)
    raw = draw(st.lists(st.integers(0, 4), min_size=grid.size, max_size=grid.size))
    groups = np.unique(raw, return_inverse=True)[1]
    weights = draw(
        st.lists(st.one_of(st.just(0.0), st.floats(0.1, 9)), min_size=grid.size, max_size=grid.size)
    )
    return Coding(grid, groups, np.array(weights))


@given(codings(), st.integers(0, 2**32))
def test_points_belong_to_their_codes(coding: Coding, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, coding.size, 500)
    points = expand({"a": coding}, {"a": codes}, rng)["a"]
    np.testing.assert_array_equal(coding.code_of(points), codes)


@given(codings(), st.integers(0, 2**32))
def test_cells_get_their_share(coding: Coding, seed: int) -> None:
    rng = np.random.default_rng(seed)
    code = int(coding.groups[0])
    rows = 4000
    points = expand({"a": coding}, {"a": np.full(rows, code)}, rng)["a"]
    inside = coding.groups == code
    weights = np.where(inside, coding.weights, 0.0)
    if not weights.any():
        weights = np.where(inside, coding.grid.widths, 0.0)
    expected = rows * weights / weights.sum()
    found = np.bincount(coding.grid.cell_of(points), minlength=coding.grid.size)
    # A low-discrepancy sequence misses a cell by O(log n) rows; independent draws by sqrt(n) = 63.
    assert np.abs(found - expected).max() < 25


def test_columns_do_not_resonate() -> None:
    """Two columns of one wide code each come out nearly independent of each other."""
    rng = np.random.default_rng(3)
    wide = coding_of([0] * 8, [1.0] * 8)
    names = [f"c{i}" for i in range(6)]
    rows = 16_000
    points = expand(dict.fromkeys(names, wide), {n: np.zeros(rows, np.uint8) for n in names}, rng)
    for i, a in enumerate(names):
        for b in names[:i]:
            table = np.bincount(points[a] * 8 + points[b], minlength=64) / rows
            assert np.abs(table - 1 / 64).sum() / 2 < 0.05, (a, b)


def test_same_seed_same_points() -> None:
    coding = coding_of([0, 0, 1, 1], [1, 2, 3, 4])
    codes = {"a": np.arange(1000) % 2}
    first, second = (expand({"a": coding}, codes, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first["a"], second["a"])


def feasible(
    codes: tuple[int, ...],
    coding: dict[str, Coding],
    axes: dict[str, Axis],
    rankings: list[Ranking],
) -> bool:
    """Whether some points of the codes obey all comparisons, by trying all of them."""
    spans = [code_spans(c) for c in coding.values()]
    choices = [range(a[g], b[g] + 1) for (a, b), g in zip(spans, codes, strict=True)]
    names = list(coding)
    for points in itertools.product(*choices):
        values = {
            n: axes[n].origin + axes[n].step * p if p < coding[n].grid.points else np.nan
            for n, p in zip(names, points, strict=True)
        }
        if all(
            not (values[r.low] >= values[r.high] if r.strict else values[r.low] > values[r.high])
            for r in rankings
        ):
            return True
    return False


@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_rankings_hold_in_every_row(seed: int, strict: bool, null: bool) -> None:
    rng = np.random.default_rng(seed)
    coding = {
        name: coding_of(
            [0] * 4 + [1] * 5 + [2] * 3 + [3] * null, rng.random(12 + null).tolist(), null=null
        )
        for name in "abc"
    }
    axes = {"a": Axis(0, 1), "b": Axis(-1, 2), "c": Axis(3, 1)}
    rankings = [Ranking("a", "b", strict), Ranking("b", "c")]
    cells = itertools.product(*(range(c.size) for c in coding.values()))
    possible = [cell for cell in cells if feasible(cell, coding, axes, rankings)]
    rows = np.array(possible)[rng.integers(0, len(possible), 600)]
    codes = {name: rows[:, i] for i, name in enumerate(coding)}
    points = expand(coding, codes, rng, axes=axes, rankings=rankings)
    for rule in rankings:
        low, high = (
            np.where(points[n] < 12, axes[n].origin + axes[n].step * points[n], np.nan)
            for n in (rule.low, rule.high)
        )
        bad = low >= high if rule.strict else low > high
        assert not bad.any()
    for name, c in coding.items():
        np.testing.assert_array_equal(c.code_of(points[name]), codes[name])


def test_evidence_restricts_points_and_weighs_codes() -> None:
    coding = coding_of([0, 0, 1, 1], [3.0, 1.0, 2.0, 2.0])
    evidence = Evidence.of(coding, ((1, 2),))
    assert evidence.likelihood.tolist() == [0.25, 0.5]
    rng = np.random.default_rng(0)
    points = expand({"a": evidence.coding}, {"a": np.arange(100) % 2}, rng)["a"]
    assert set(points.tolist()) == {1, 2}


def test_evidence_splits_a_cell() -> None:
    coding = Coding(Grid(np.array([0, 10, 20])), np.array([0, 1]), np.array([4.0, 4.0]))
    evidence = Evidence.of(coding, ((5, 9),))
    assert evidence.likelihood.tolist() == pytest.approx([0.5, 0.0])
    points = expand({"a": evidence.coding}, {"a": np.zeros(50, int)}, np.random.default_rng(1))["a"]
    assert points.min() >= 5
    assert points.max() <= 9
