"""Tables read once and coded alike."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import InputError, SchemaMismatch
from tronie.evaluate.tables import (
    BINS,
    MOST_VALUES,
    Tables,
    coding_of,
    read_synthetic,
    read_tables,
)
from tronie.schema.columns import Boolean, Category, Date, Decimal, Integer, Modelled
from tronie.schema.schema import Schema


def schema_of(**columns: dict[str, Any]) -> Schema:
    return Schema.model_validate({"name": "compared", "columns": columns})


BOTH = schema_of(
    n={"kind": "integer", "min": 0, "max": 99, "nullable": False},
    c={"kind": "category", "values": ["x", "y"], "nullable": False},
)


def both(n: list[Any], c: list[Any]) -> pa.Table:
    return pa.table({"n": n, "c": c})


def read(real: Any, synthetic: Any, schema: Schema = BOTH) -> Tables:
    return read_tables(real, {"it": synthetic}, schema)


def test_all_tables_get_the_same_codes() -> None:
    real = both([0, 50, 99], ["x", "y", "y"])
    tables = read_tables(real, {"one": real, "other": real.slice(1)}, BOTH, holdout=real)
    assert tables.real.rows == 3
    assert tables.holdout is not None
    for name in ("n", "c"):
        codes = tables.real.codes[name]
        assert codes.tolist() == tables.synthetic["one"].codes[name].tolist()
        assert codes.tolist() == tables.holdout.codes[name].tolist()
        assert codes[1:].tolist() == tables.synthetic["other"].codes[name].tolist()
        assert codes.max() < tables.sizes[name]
    assert tables.real.points["n"].tolist() == [0, 50, 99]
    assert list(tables.columns) == ["n", "c"]


def test_codes_do_not_depend_on_real_rows() -> None:
    synthetic = both([1, 2, 3, 4], ["x", "y", "x", "y"])
    one = read(both([0], ["x"]), synthetic)
    two = read(both(list(range(100)), ["y"] * 100), synthetic)
    for name in ("n", "c"):
        assert one.codings[name].grid.edges.tolist() == two.codings[name].grid.edges.tolist()
        assert one.codings[name].groups.tolist() == two.codings[name].groups.tolist()


def test_rows_can_be_taken() -> None:
    tables = read(both([5, 6, 7], ["x", "y", "x"]), both([5], ["x"]))
    some = tables.real.take(np.array([2, 0]))
    assert some.rows == 2
    assert some.points["n"].tolist() == [7, 5]
    assert some.codes["c"].tolist() == [0, 0]


def test_an_ordered_column_is_cut_into_codes_of_equal_mass() -> None:
    column = Integer(min=0, max=10**6, nullable=False)
    points = np.random.default_rng(0).integers(0, 10**6, 10_000)
    shares = np.bincount(coding_of(column, points).code_of(points)) / 10_000
    assert len(shares) == BINS
    assert shares == pytest.approx(np.full(BINS, 1 / BINS), abs=0.002)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.booleans())
def test_a_code_of_much_synthetic_mass_is_a_single_value(points: list[int], nullable: bool) -> None:
    """So a synthetic table cannot hide a difference inside a code."""
    found = np.array(points)
    columns: list[Modelled] = [
        Integer(min=0, max=30, nullable=nullable),
        Category(values=tuple(range(31)), nullable=nullable, ordered=True),
    ]
    for column in columns:
        coding = coding_of(column, found)
        codes = coding.code_of(found)
        for code in np.unique(codes):
            held = found[codes == code]
            assert len(held) <= 2 * len(found) / BINS + 1 or len(set(held.tolist())) == 1


def test_a_constant_column_gets_a_code_of_its_own() -> None:
    for value in (0, 50, 99):
        real = both([0, 20, 50, 80, 99], ["x"] * 5)
        tables = read(real, both([value] * 7, ["x"] * 7))
        same = tables.real.codes["n"] == tables.synthetic["it"].codes["n"][0]
        assert same.tolist() == [n == value for n in (0, 20, 50, 80, 99)]


def test_frequent_values_of_a_long_list_have_their_own_codes() -> None:
    values = tuple(f"v{n}" for n in range(1000))
    column = Category(values=values, nullable=True)
    rng = np.random.default_rng(0)
    points = np.concatenate([np.full(500, 7), np.full(300, 900), rng.integers(0, 1000, 200)])
    coding = coding_of(column, points)
    assert coding.size <= MOST_VALUES + 1
    codes = coding.code_of(np.arange(1002))
    assert (codes == codes[7]).sum() == (codes == codes[900]).sum() == 1
    assert (codes == codes[1001]).sum() == 1, "missing values are a code of their own"
    assert (np.bincount(codes[points]) / 1000).max() == pytest.approx(0.5, abs=0.01)


def test_rare_values_are_not_all_put_together() -> None:
    """A flat synthetic column beside a peaked real one: the peak shows."""
    values = tuple(range(1000))
    column = Category(values=values, nullable=False)
    flat = np.arange(1000).repeat(3)
    codes = coding_of(column, flat).code_of(flat)
    assert (np.bincount(codes) / len(flat)).max() < 2 / MOST_VALUES


def test_unseen_values_of_a_long_list_are_coded_too() -> None:
    column = Category(values=tuple(range(100)), nullable=False)
    coding = coding_of(column, np.zeros(10, np.int64))
    codes = coding.code_of(np.arange(100))
    assert (codes == codes[0]).sum() == 1
    assert sorted(set(codes.tolist())) == list(range(coding.size))


def test_missing_values_only() -> None:
    column = Integer(min=0, max=9, nullable=True)
    coding = coding_of(column, np.array([11, 11]))
    assert coding.code_of(np.array([0, 9, 11])).tolist() == [0, 0, 1]


OTHER = {
    "unlisted": (["x", "z", "y"], [False, True, False]),
    "a number": ([1, 2, 3], [True, True, True]),
    "missing": (["x", None, "y"], [False, True, False]),
}


@pytest.mark.parametrize("case", OTHER)
def test_synthetic_values_outside_the_domain_are_a_mismatch(case: str) -> None:
    values, invalid = OTHER[case]
    tables = read(both([1, 1, 1], ["x", "y", "y"]), both([1, 1, 1], values))
    found = tables.synthetic["it"]
    assert found.invalid == {"c": pytest.approx(np.mean(invalid))}
    assert tables.sizes["c"] == tables.codings["c"].size + 1
    assert (found.codes["c"] == tables.codings["c"].size).tolist() == invalid
    assert (found.points["c"] == 3).tolist() == invalid
    assert not (tables.real.codes["c"] == tables.codings["c"].size).any()
    assert found.take(np.array([0])).invalid == found.invalid


def placed(column: Modelled, values: Any) -> tuple[list[int], list[bool]]:
    found = read_synthetic(pa.table({"it": values}), {"it": column})
    points = found.indices["it"]
    invalid = found.invalid.get("it", np.zeros(len(points), bool))
    return points.tolist(), invalid.tolist()


def test_the_policies_for_what_is_outside_hold_for_synthetic_rows_too() -> None:
    clip = Integer(min=0, max=9, nullable=False)
    assert placed(clip, [3, 12]) == ([3, 9], [False, False])
    refuse = Integer(min=0, max=9, nullable=False, outside="error")
    assert placed(refuse, [3, 12]) == ([3, 11], [False, True])
    nullable = Integer(min=0, max=9, nullable=True, outside="error")
    assert placed(nullable, [3, 12, None]) == ([3, 11, 11], [False, True, False])
    missing = Category(values=("a",), nullable=True, outside="missing")
    assert placed(missing, ["a", "b"]) == ([0, 2], [False, False])
    other = Category(values=("a",), other=True, nullable=False)
    assert placed(other, ["a", "b", None]) == ([0, 1, 2], [False, False, True])


def test_what_cannot_be_read_is_outside() -> None:
    decimal = Decimal(min=0, max=1, resolution=0.1, nullable=False)
    assert placed(decimal, ["0.1", "much", ""]) == ([1, 12, 12], [False, True, True])
    date = Date(min=dt.date(2020, 1, 1), max=dt.date(2020, 1, 31), nullable=False)
    assert placed(date, ["2020-01-02", "never"]) == ([1, 32], [False, True])
    assert placed(date, [5, 6])[1] == [True, True]
    refuse = date.model_copy(update={"outside": "error", "nullable": True})
    assert placed(refuse, ["2020-01-02", "2021-01-01", None])[1] == [False, True, False]
    exact = decimal.model_copy(update={"outside": "error", "nullable": True})
    assert placed(exact, [0.5, 2.0, None])[1] == [False, True, False]
    truth = Boolean(nullable=False)
    assert placed(truth, ["yes", "no", "perhaps"]) == ([1, 0, 3], [False, False, True])
    assert placed(truth, [[1], [2]])[1] == [True, True]
    text = Category(values=("1", "2"), nullable=True)
    assert placed(text, [1, 3]) == ([0, 3], [False, True])


def test_real_rows_have_to_fit() -> None:
    fine = both([1], ["x"])
    with pytest.raises(SchemaMismatch, match="outside its declared domain"):
        read(both([1], ["z"]), fine)
    with pytest.raises(SchemaMismatch, match="outside its declared domain"):
        read_tables(fine, {"it": fine}, BOTH, holdout=both([1], ["z"]))


def test_what_cannot_be_compared_is_refused() -> None:
    fine = both([1], ["x"])
    with pytest.raises(InputError, match="no synthetic table"):
        read_tables(fine, {}, BOTH)
    with pytest.raises(InputError, match="'it' has no rows"):
        read(fine, fine.slice(1))
    with pytest.raises(InputError, match="the real table has no rows"):
        read(fine.slice(1), fine)
    with pytest.raises(InputError, match="the holdout has no rows"):
        read_tables(fine, {"it": fine}, BOTH, holdout=fine.slice(1))
    for real, synthetic in ((fine, fine.select(["n"])), (fine.select(["c"]), fine)):
        with pytest.raises(SchemaMismatch, match="lacks the column"):
            read(real, synthetic)
    with pytest.raises(InputError, match="no column with a known domain"):
        read(fine, fine, schema_of(n={"kind": "text"}, c={"kind": "open_category"}))


def test_columns_without_a_known_domain_are_passed_over() -> None:
    schema = schema_of(n=BOTH.columns["n"].model_dump(), c={"kind": "open_category"})
    assert list(read(both([1], ["x"]), both([1], ["x"]), schema).codings) == ["n"]
