"""Total variation between a real and a synthetic table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tronie
from tronie.errors import SchemaMismatch
from tronie.evaluate.distributions import BINS, Comparison, compare
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema


def schema_of(**columns: dict[str, Any]) -> Schema:
    return Schema.model_validate({"name": "compared", "columns": columns})


TWO = schema_of(
    a={"kind": "category", "values": ["x", "y", "z"]},
    b={"kind": "boolean"},
)

rows = st.lists(
    st.fixed_dictionaries(
        {"a": st.sampled_from(["x", "y", "z", None]), "b": st.sampled_from([True, False, None])}
    ),
    min_size=1,
    max_size=20,
)


def table(values: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(values, schema=pa.schema([("a", pa.string()), ("b", pa.bool_())]))


def by_hand(one: list[Any], two: list[Any]) -> float:
    keys = set(one) | set(two)
    return sum(abs(one.count(k) / len(one) - two.count(k) / len(two)) for k in keys) / 2


@given(rows, rows)
def test_listed_columns_are_compared_value_by_value(
    real: list[dict[str, Any]], synthetic: list[dict[str, Any]]
) -> None:
    result = compare(table(real), table(synthetic), TWO)
    for name in ("a", "b"):
        one, two = ([row[name] for row in rows] for rows in (real, synthetic))
        assert result.columns[name] == pytest.approx(by_hand(one, two))
    one, two = ([(row["a"], row["b"]) for row in rows] for rows in (real, synthetic))
    assert result.pairs == {("a", "b"): pytest.approx(by_hand(one, two))}
    assert result.pairs["a", "b"] >= max(result.columns.values()) - 1e-12


@given(rows)
def test_a_table_is_equal_to_itself_in_any_order(real: list[dict[str, Any]]) -> None:
    result = compare(table(real), table(real[::-1]), TWO)
    assert set(result.columns.values()) | set(result.pairs.values()) == {0.0}


def test_means() -> None:
    result = Comparison({"a": 0.1, "b": 0.3, "c": 0.2}, {("a", "b"): 0.5, ("b", "c"): 0.1})
    assert result.mean_column == pytest.approx(0.2)
    assert result.mean_pair == pytest.approx(0.3)
    assert Comparison({"a": 0.1}, {}).mean_pair == 0.0


ORDERED = schema_of(n={"kind": "integer", "min": 0, "max": 10**12, "nullable": True})


def column(values: list[Any]) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


def compared(real: list[Any], synthetic: list[Any]) -> float:
    return compare(column(real), column(synthetic), ORDERED).columns["n"]


def test_ordered_columns_are_cut_at_the_real_quantiles() -> None:
    real = list(range(0, 3200, 10))
    assert compared(real, real) == 0
    assert compared(real, [v + 10**9 for v in real]) == pytest.approx(1 - 1 / BINS, abs=0.01)
    assert compared(real, [v for v in real if v < 1600]) == pytest.approx(0.5, abs=0.02)
    # Within a piece of equal mass nothing is told apart.
    assert compared(real, [v + 1 for v in real]) < 0.05


def test_a_spike_keeps_a_cut_of_its_own() -> None:
    real = [7] * 500 + list(range(1000, 1500))
    assert compared(real, [8] * 500 + list(range(1000, 1500))) < 0.01
    assert compared(real, [999] * 1000) >= 0.49


def test_missing_values_count() -> None:
    assert compared([1, 2, None, None], [1, 2]) == pytest.approx(0.5)
    assert compared([None, None], [None]) == 0
    assert compared([None], [5]) == 1


def test_empty_tables_are_compared_too() -> None:
    assert compared([], []) == 0
    assert compared([], [1, 2]) == pytest.approx(0.5)


def test_dates_and_several_batches() -> None:
    schema = schema_of(d={"kind": "date", "min": "2020-01-01", "max": "2020-12-31"})
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(366)]
    real = pa.concat_tables([pa.table({"d": days[:200]}), pa.table({"d": days[200:]})])
    half = pa.table({"d": days[:183]})
    assert compare(real, half, schema).columns["d"] == pytest.approx(0.5, abs=0.02)


def test_computed_columns_are_compared_and_keys_are_not() -> None:
    columns = {
        "a": {"kind": "category", "values": ["x", "y"], "nullable": False},
        "b": {"kind": "category", "values": ["p", "q"], "nullable": False},
        "id": {"kind": "identifier"},
    }
    rule = {"kind": "function", "of": "a", "gives": "b", "table": [["x", "p"], ["y", "q"]]}
    schema = Schema.model_validate({"name": "s", "columns": columns, "constraints": [rule]})
    real = pa.table({"a": ["x"], "b": ["p"], "id": ["one"]})
    result = compare(real, pa.table({"a": ["x"], "b": ["q"]}), schema)
    assert result.columns == {"a": 0.0, "b": 1.0}
    assert result.pairs == {("a", "b"): 1.0}


def test_files_are_read(tmp_path: Path) -> None:
    pq.write_table(column([1, 2, 3]), tmp_path / "real.parquet")
    assert tronie.compare(tmp_path / "real.parquet", column([1, 2, 3]), ORDERED).mean_column == 0


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SchemaMismatch):
        compare(table([{"a": "x", "b": True}]), pa.table({"a": ["?"], "b": [True]}), TWO)


def test_tables_without_a_column_are_refused() -> None:
    whole = table([{"a": "x", "b": True}])
    for real, synthetic in ((whole, whole.select(["a"])), (whole.select(["b"]), whole)):
        with pytest.raises(SchemaMismatch, match="lacks the column"):
            compare(real, synthetic, TWO)


def test_more_budget_brings_the_tables_nearer(table: pa.Table, schema: Schema) -> None:
    distances = []
    for epsilon in (0.05, 50.0):
        model = tronie.fit(table, schema, epsilon=epsilon, noise=InsecureNoise(1))
        distances.append(compare(table, model.sample(seed=0), schema))
    assert distances[1].mean_column < 0.05 < distances[0].mean_column
    assert distances[1].mean_pair < distances[0].mean_pair


@pytest.fixture(name="table")
def _table() -> pa.Table:
    rng = np.random.default_rng(0)
    n = rng.gamma(2, 20, 800).astype(int)
    return pa.table({"n": n, "c": np.array(["u", "v"])[(n > 30).astype(int)].tolist()})


@pytest.fixture(name="schema")
def _schema() -> Schema:
    return schema_of(
        n={"kind": "integer", "min": 0, "max": 500}, c={"kind": "category", "values": ["u", "v"]}
    )
