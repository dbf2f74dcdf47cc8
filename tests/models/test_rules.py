"""Declared constraints over codes: a cell is forbidden if, and only if, it holds no possible row."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import SchemaError
from tronie.models.expansion import Axis, Ranking
from tronie.models.rules import Rules, regions, within
from tronie.schema.constraints import Range
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema

COLUMNS: dict[str, dict[str, Any]] = {
    "age": {"kind": "integer", "min": 10, "max": 21},
    "town": {"kind": "category", "values": ["d", "g", "l", "m"]},
    "paid": {"kind": "boolean", "nullable": False},
    "zip": {"kind": "category", "values": ["p", "q"]},
    "begin": {"kind": "integer", "min": 0, "max": 9},
    "middle": {"kind": "integer", "min": 3, "max": 12},
    "end": {"kind": "integer", "min": 1, "max": 8},
}
TABLE = [["d", "p"], ["g", "q"], ["l", "q"], ["m", "p"]]


def schema_of(*constraints: dict[str, Any], **columns: dict[str, Any]) -> Schema:
    return Schema.model_validate(
        {"name": "ruled", "columns": {**COLUMNS, **columns}, "constraints": list(constraints)}
    )


def never(**when: Any) -> dict[str, Any]:
    return {"kind": "impossible", "when": when}


def order(low: str, high: str, *, strict: bool = False) -> dict[str, Any]:
    return {"kind": "order", "low": low, "high": high, "strict": strict}


def coding(schema: Schema, name: str, cells: int, per_code: int) -> Coding:
    """Codes of some neighbouring cells each, cut at the barriers; missing values on their own."""
    grid = Grid.of(schema.modelled[name], cells).split_at(Rules.of(schema).barriers(name))
    groups = np.arange(grid.size) // per_code
    if grid.null:
        groups[-1] = groups[-2] + 1
    return Coding(grid, groups, np.ones(grid.size))


def test_without_rules_there_is_nothing() -> None:
    rules = Rules.of(schema_of())
    assert rules == Rules((), (), {})
    assert rules.barriers("age") == []
    assert rules.zeros({}) == ()
    assert rules.cliques == []


def test_regions_of_values_and_ranges() -> None:
    schema = schema_of()
    wanted = {"age": Range(min=12, max=15), "town": ("g", "m", None), "paid": (True,)}
    assert regions(schema, wanted) == {
        "age": ((2, 5),),
        "town": ((1, 1), (3, 3), (5, 5)),
        "paid": ((1, 1),),
    }
    with pytest.raises(SchemaError):
        regions(schema, {"age": Range(min=99)})


def test_a_computed_column_is_a_region_of_its_source() -> None:
    schema = schema_of({"kind": "function", "of": "town", "gives": "zip", "table": TABLE})
    assert regions(schema, {"zip": ("q",)}) == {"town": ((1, 1), (2, 2))}
    assert regions(schema, {"zip": (None,)}) == {"town": ((5, 5),)}
    both = {"zip": ("q",), "town": ("d", "l")}
    assert regions(schema, both) == {"town": ((2, 2),)}
    assert regions(schema, dict(reversed(both.items()))) == {"town": ((2, 2),)}
    assert regions(schema, {"zip": ("p",), "town": ("g",)}) == {"town": ()}


def test_computed_columns_may_follow_one_another() -> None:
    schema = schema_of(
        {"kind": "function", "of": "zip", "gives": "last", "table": [["p", 1], ["q", 2]]},
        {"kind": "function", "of": "town", "gives": "zip", "table": TABLE},
        last={"kind": "integer", "min": 0, "max": 5},
    )
    assert regions(schema, {"last": (2,)}) == {"town": ((1, 1), (2, 2))}


def test_points_within_regions() -> None:
    points = np.arange(8)
    assert within(points, ((1, 2), (5, 5))).tolist() == [p in {1, 2, 5} for p in range(8)]
    assert not within(points, ()).any()


def test_barriers_fence_what_rules_name() -> None:
    rules = Rules.of(
        schema_of(
            never(age={"min": 12, "max": 15}, paid=[True]),
            never(age={"max": 12}, town=["g"]),
            never(paid=[False], town=["m", None]),
        )
    )
    assert rules.barriers("age") == [0, 2, 3, 6]
    assert rules.barriers("begin") == []
    grid = Grid.of(schema_of().modelled["town"], 4)
    assert rules.named("town", grid) == [1, 3, 4]
    assert rules.named("zip", grid) == []
    assert rules.cliques == [("age", "paid"), ("age", "town"), ("paid", "town")]


def possible(coding: Coding, code: int) -> list[int]:
    return [
        p
        for p in range(coding.grid.points + 2)
        if p != coding.grid.points and int(coding.code_of(np.array([p]))[0]) == code
    ]


@given(
    st.integers(10, 21),
    st.integers(10, 21),
    st.lists(st.sampled_from(["d", "g", "l", "m", None]), min_size=1, unique=True),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_a_combination_forbids_the_cells_that_lie_within_it(
    low: int, high: int, towns: list[str | None], cells: int, per_code: int, towns_per_code: int
) -> None:
    low, high = min(low, high), max(low, high)
    schema = schema_of(never(age={"min": low, "max": high}, town=towns))
    codings = {
        "age": coding(schema, "age", cells, per_code),
        "town": coding(schema, "town", 4, towns_per_code),
    }
    (factor,) = Rules.of(schema).zeros(codings)
    table = factor.project(["age", "town"]).values
    names = ["d", "g", "l", "m", "", None]
    for i, j in itertools.product(*map(range, table.shape)):
        inside = all(10 + p in range(low, high + 1) and p < 12 for p in possible(codings["age"], i))
        inside &= all(names[p] in towns for p in possible(codings["town"], j))
        assert table[i, j] == (0 if inside else 1)


def test_a_combination_of_one_column() -> None:
    schema = schema_of(never(paid=[True]))
    codings = {"paid": Coding.identity(Grid.of(schema.modelled["paid"], 2))}
    (factor,) = Rules.of(schema).zeros(codings)
    assert factor.values.tolist() == [1, 0]


@given(st.booleans(), st.integers(1, 10), st.integers(1, 8), st.integers(1, 3), st.integers(1, 3))
def test_a_comparison_forbids_the_cells_without_room(
    strict: bool, cells: int, others: int, per_code: int, others_per_code: int
) -> None:
    schema = schema_of(order("begin", "end", strict=strict))
    codings = {
        "begin": coding(schema, "begin", cells, per_code),
        "end": coding(schema, "end", others, others_per_code),
    }
    rules = Rules.of(schema)
    (factor,) = rules.zeros(codings)
    table = factor.project(["begin", "end"]).values
    for i, j in itertools.product(*map(range, table.shape)):
        pairs = itertools.product(possible(codings["begin"], i), possible(codings["end"], j))
        room = any(
            begin > 9 or end > 7 or (begin < end + 1 if strict else begin <= end + 1)
            for begin, end in pairs
        )
        assert table[i, j] == room
    assert rules.rankings == (Ranking("begin", "end", strict),)
    assert rules.axes == {"begin": Axis(0, 1), "end": Axis(1, 1)}


def test_comparisons_in_a_row_leave_room_for_what_is_between() -> None:
    schema = schema_of(order("begin", "middle", strict=True), order("middle", "end", strict=True))
    names = ("begin", "middle", "end")
    codings = {n: Coding.identity(Grid.of(schema.modelled[n], 12)) for n in names}
    rules = Rules.of(schema)
    assert rules.cliques == [("begin", "middle"), ("middle", "end"), ("begin", "end")]
    factors = {zero.columns: zero.values for zero in rules.zeros(codings)}
    assert set(factors) == set(rules.cliques)
    # No whole number lies between 4 and 5, so begin 4 and end 5 leave no room for the middle.
    both = factors[("begin", "end")]
    assert both[4, 5 - 1] == 0
    assert both[4, 6 - 1] == 1
    # That the middle is 3 at least is up to its own codes: it may be missing as well.
    assert both[0, 1 - 1] == 0
    assert both[0, 2 - 1] == 1
    assert not factors[("middle", "end")][:-1, 3 - 1].any()
    # Missing values compare with nothing.
    assert both[-1].all()
    assert both[:, -1].all()


def test_columns_of_unlike_steps_are_compared_by_value() -> None:
    schema = schema_of(
        order("low", "high"),
        low={"kind": "decimal", "min": 0, "max": 1, "resolution": 0.1, "nullable": False},
        high={"kind": "decimal", "min": 0, "max": 1, "resolution": 0.25, "nullable": False},
    )
    codings = {n: Coding.identity(Grid.of(schema.modelled[n], 20)) for n in ("low", "high")}
    (factor,) = Rules.of(schema).zeros(codings)
    exact = [[10 * i <= 25 * j for j in range(5)] for i in range(11)]
    np.testing.assert_array_equal(factor.values, exact)
