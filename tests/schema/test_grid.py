from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.schema import grid as grid_module
from tronie.schema.columns import Boolean, Category, Date, Integer
from tronie.schema.grid import TABLE_POINTS, Coding, Grid


@st.composite
def grids(draw: st.DrawFn, most: int = 200) -> Grid:
    points = draw(st.integers(1, most))
    inner = draw(st.sets(st.integers(1, max(points - 1, 1)), max_size=12))
    edges = sorted({0, points} | {edge for edge in inner if edge < points})
    return Grid(np.array(edges), other=draw(st.booleans()), null=draw(st.booleans()))


def all_indices(grid: Grid) -> np.ndarray:
    special = [grid.points] * grid.other + [grid.points + 1] * grid.null
    return np.array([*range(grid.points), *special])


@given(grids())
def test_cells_follow_the_index_conventions(grid: Grid) -> None:
    cells = grid.cell_of(all_indices(grid))
    assert grid.size == grid.runs + grid.other + grid.null
    assert sorted(set(cells.tolist())) == list(range(grid.size))
    assert (np.bincount(cells) == grid.widths).all()
    assert (np.diff(cells) >= 0).all()
    table = grid.index_table()
    assert table.shape == (grid.points + 2,)
    assert table[grid.points] == (grid.runs if grid.other else -1)
    assert table[grid.points + 1] == (grid.runs + grid.other if grid.null else -1)


@given(grids())
def test_starts_are_the_first_index_of_each_cell(grid: Grid) -> None:
    assert grid.cell_of(grid.starts).tolist() == list(range(grid.size))
    first = [all_indices(grid)[grid.cell_of(all_indices(grid)) == c][0] for c in range(grid.size)]
    assert grid.starts.tolist() == first


@given(grids())
def test_a_search_agrees_with_the_table(grid: Grid) -> None:
    indices = all_indices(grid)
    by_table = grid.cell_of(indices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid_module, "TABLE_POINTS", 0)
        assert (grid.cell_of(indices) == by_table).all()


@given(st.integers(1, 2**53), st.integers(1, 4096), st.booleans())
def test_equal_width(points: int, cells: int, null: bool) -> None:
    grid = Grid.equal_width(points, cells, null=null)
    widths = np.diff(grid.edges)
    assert grid.points == points
    assert grid.runs == min(points, cells)
    assert widths.min() >= 1
    assert widths.max() - widths.min() <= 1
    assert grid.edges[0] == 0
    assert grid.edges.dtype == np.int64


def test_the_grid_of_a_column() -> None:
    listed = Grid.of(Category(values=("a", "b", "c"), other=True, nullable=False), cells=2)
    assert (listed.runs, listed.other, listed.null) == (3, True, False)
    assert Grid.of(Boolean(), cells=9).size == 3
    wide = Grid.of(Integer(min=-5, max=94, nullable=False), cells=10)
    assert wide.edges.tolist() == list(range(0, 101, 10))
    days = Grid.of(Date.model_validate({"min": "2020-01-01", "max": "2020-01-03"}), cells=10)
    assert (days.runs, days.null) == (3, True)
    nothing = Grid.of(Category(values=(), other=True), cells=5)
    assert (nothing.runs, nothing.size) == (0, 2)
    assert nothing.cell_of(np.array([0, 1])).tolist() == [0, 1]


@given(grids(), st.data())
def test_refine_splits_the_chosen_runs_only(grid: Grid, data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.integers(0, grid.runs - 1)))
    branch = data.draw(st.integers(1, 9))
    finer, parents = grid.refine(chosen, branch)
    assert parents.shape == (finer.size,)
    assert (finer.points, finer.other, finer.null) == (grid.points, grid.other, grid.null)
    indices = all_indices(grid)
    assert (parents[finer.cell_of(indices)] == grid.cell_of(indices)).all()
    widths = np.diff(grid.edges)
    parts = np.bincount(parents, minlength=grid.size)
    for cell in range(grid.runs):
        assert parts[cell] == (min(branch, widths[cell]) if cell in chosen else 1)
        own = finer.widths[parents == cell]
        assert own.max() - own.min() <= 1


def test_refine_copes_with_the_largest_lattice() -> None:
    grid = Grid.equal_width(2**53, 2, null=True)
    finer, _ = grid.refine([0, 1], 4096)
    assert (np.diff(finer.edges) == 2**40).all()


@given(grids(), st.lists(st.integers(-3, 220), max_size=8))
def test_split_at_adds_edges_and_keeps_the_others(grid: Grid, points: list[int]) -> None:
    split = grid.split_at(points)
    inside = {point for point in points if 0 < point < grid.points}
    assert set(split.edges.tolist()) == set(grid.edges.tolist()) | inside
    assert (np.diff(split.edges) > 0).all()
    assert (split.points, split.other, split.null) == (grid.points, grid.other, grid.null)


@st.composite
def codings(draw: st.DrawFn) -> Coding:
    grid = draw(grids())
    labels = draw(st.lists(st.integers(0, 4), min_size=grid.size, max_size=grid.size))
    _, groups = np.unique(labels, return_inverse=True)
    return Coding(grid, groups, np.ones(grid.size))


@given(codings())
def test_codes_are_groups_of_cells(coding: Coding) -> None:
    indices = all_indices(coding.grid)
    codes = coding.code_of(indices)
    assert (codes == coding.groups[coding.grid.cell_of(indices)]).all()
    assert sorted(set(codes.tolist())) == list(range(coding.size))
    assert (coding.code_table()[indices] == codes).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid_module, "TABLE_POINTS", 0)
        assert (coding.code_of(indices) == codes).all()


@given(grids())
def test_the_identity_has_a_code_for_each_cell(grid: Grid) -> None:
    coding = Coding.identity(grid)
    indices = all_indices(grid)
    assert coding.size == grid.size
    assert (coding.code_of(indices) == grid.cell_of(indices)).all()


def test_wide_lattices_are_searched() -> None:
    grid = Grid(np.array([0, 10, 2**53]), other=False, null=True)
    assert grid.points > TABLE_POINTS
    assert grid.cell_of(np.array([0, 9, 10, 2**53 - 1, 2**53 + 1])).tolist() == [0, 0, 1, 1, 2]
