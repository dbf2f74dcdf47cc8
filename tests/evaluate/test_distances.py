"""Distances of columns, pairs and triples."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.evaluate import distances
from tronie.evaluate.distances import (
    MOST_PAIRS,
    MOST_TRIPLES,
    DistanceReference,
    Distributions,
    cliques_of,
    compared,
    distributions,
    labels_of,
    shuffled_codes,
    uniform_codes,
)
from tronie.evaluate.tables import Tables, read_tables
from tronie.schema.schema import Schema


def schema_of(**columns: dict[str, Any]) -> Schema:
    return Schema.model_validate({"name": "compared", "columns": columns})


THREE = schema_of(
    a={"kind": "category", "values": ["x", "y", "z"]},
    b={"kind": "boolean"},
    c={"kind": "category", "values": [1, 2], "nullable": False},
)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.sampled_from(["x", "y", "z", None]),
            "b": st.sampled_from([True, False, None]),
            "c": st.sampled_from([1, 2]),
        }
    ),
    min_size=1,
    max_size=20,
)


def table(values: list[dict[str, Any]]) -> pa.Table:
    types = pa.schema([("a", pa.string()), ("b", pa.bool_()), ("c", pa.int64())])
    return pa.Table.from_pylist(values, schema=types)


def measured(real: Any, synthetic: Any, schema: Schema) -> Distributions:
    return distributions(read_tables(real, {"it": synthetic}, schema), "it")


def by_hand(one: list[Any], two: list[Any]) -> float:
    keys = set(one) | set(two)
    return sum(abs(one.count(k) / len(one) - two.count(k) / len(two)) for k in keys) / 2


@given(rows, rows)
def test_listed_columns_are_compared_value_by_value(
    real: list[dict[str, Any]], synthetic: list[dict[str, Any]]
) -> None:
    found = measured(table(real), table(synthetic), THREE)
    each = {(column.name,): column.distance for column in found.columns}
    each |= {joint.columns: joint.distance for joint in (*found.pairs, *found.triples)}
    for size in (1, 2, 3):
        for names in itertools.combinations("abc", size):
            one, two = (
                [tuple(row[n] for n in names) for row in rows] for rows in (real, synthetic)
            )
            assert each.pop(names) == pytest.approx(by_hand(one, two))
    assert not each
    assert (found.rows, found.real_rows) == (len(synthetic), len(real))


@given(rows)
def test_a_table_is_equal_to_itself_in_any_order(real: list[dict[str, Any]]) -> None:
    found = measured(table(real), table(real[::-1]), THREE)
    everything = (*found.columns, *found.pairs, *found.triples)
    assert {each.distance for each in everything} == {0.0}
    assert {each.intersection for each in everything} == {1.0}
    assert all(group.error == group.missing == 0 and group.kept == 1 for group in found.rare)


def column(values: list[Any]) -> pa.Table:
    return pa.table({"n": values})


NUMBERS = schema_of(n={"kind": "integer", "min": 0, "max": 10**12, "nullable": True})


def test_shares_labels_and_expectation_of_a_column() -> None:
    schema = schema_of(n={"kind": "category", "values": ["u", "v"], "nullable": True})
    real = ["u"] * 600 + ["v"] * 300 + [None] * 100
    (found,) = measured(column(real), column(["u", "v", "v", "w"]), schema).columns
    assert found.labels == ("u", "v", "missing", "not in the domain")
    assert found.real == (0.6, 0.3, 0.1, 0.0)
    assert found.synthetic == (0.25, 0.5, 0.0, 0.25)
    assert found.invalid == 0.25
    assert found.distance == pytest.approx(0.45)
    assert found.kind == "category"
    assert found.ks is found.wasserstein is None
    assert 0.1 < found.expected < 0.4, "of 4 rows"
    assert found.uniform == pytest.approx(0.3, abs=0.25), "of 4 random rows"


def test_labels_of_bins_and_groups() -> None:
    schema = schema_of(n={"kind": "integer", "min": 0, "max": 9, "nullable": True})
    real = column([0, 0, 0, 0, 5, 9])
    tables = read_tables(real, {"it": real}, schema)
    names = labels_of(tables.columns["n"], tables.codings["n"], invalid=False)
    assert names[0] == "0"
    assert names[-1] == "missing"
    assert len(names) == len(set(names)) == tables.sizes["n"]
    many = schema_of(n={"kind": "category", "values": list(range(100)), "nullable": False})
    tables = read_tables(column([3, 3, 4]), {"it": column([3] * 50 + [4] * 50)}, many)
    names = labels_of(tables.columns["n"], tables.codings["n"], invalid=False)
    assert names[:3] == ("3", "4", "0")
    assert names[-1].endswith(" more")
    decimals = schema_of(
        n={"kind": "decimal", "min": 0.0, "max": 1.0, "resolution": 0.1, "nullable": False}
    )
    tables = read_tables(column([0.1]), {"it": column([0.3])}, decimals)
    names = labels_of(tables.columns["n"], tables.codings["n"], invalid=False)
    assert names == ("0 to 0.2", "0.3", "0.4 to 1")


def test_distances_of_ordered_columns() -> None:
    (found,) = measured(column([0, 10, 20, None]), column([5, 15, 25]), NUMBERS).columns
    assert found.ks == pytest.approx(1 / 3)
    assert found.wasserstein == pytest.approx(5.0)
    (found,) = measured(column([1, 1, 3]), column([2]), NUMBERS).columns
    assert found.ks == pytest.approx(2 / 3)
    assert found.wasserstein == pytest.approx(1.0)


def test_distances_in_the_columns_own_unit() -> None:
    day, moment = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1)
    cases = (
        ({"kind": "decimal", "min": 0, "max": 1, "resolution": 0.01}, 0.25, 0.75, 0.5),
        ({"kind": "date", "min": day, "max": day.replace(day=31)}, day, day.replace(day=11), 10.0),
        (
            {
                "kind": "datetime",
                "min": moment,
                "max": moment.replace(day=2),
                "resolution": "minute",
            },
            moment,
            moment.replace(minute=2),
            120.0,
        ),
        (
            {"kind": "category", "values": ["low", "mid", "high"], "ordered": True},
            "low",
            "high",
            2.0,
        ),
    )
    for kind, one, two, wanted in cases:
        (found,) = measured(column([one]), column([two]), schema_of(n=kind)).columns
        assert found.wasserstein == pytest.approx(wanted)
        assert found.ks == 1.0


def test_a_column_that_is_missing_throughout_has_no_order() -> None:
    real = pa.table({"n": pa.array([None, None], pa.int64())})
    (found,) = measured(real, column([5]), NUMBERS).columns
    assert found.ks is found.wasserstein is None
    assert found.distance == 1.0


@given(st.lists(st.integers(0, 40), min_size=1), st.lists(st.integers(0, 40), min_size=1))
def test_earth_movers_distance_is_that_of_the_sorted_values(one: list[int], two: list[int]) -> None:
    real, synthetic = one * len(two), two * len(one)
    (found,) = measured(column(real), column(synthetic), NUMBERS).columns
    by_rank = np.abs(np.sort(real) - np.sort(synthetic)).mean()
    assert found.wasserstein == pytest.approx(by_rank, abs=1e-9)
    largest = max(abs(np.mean(np.array(one) <= v) - np.mean(np.array(two) <= v)) for v in one + two)
    assert found.ks == pytest.approx(largest)


def correlated(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 8, rows)
    b = np.where(rng.random(rows) < 0.7, a, rng.integers(0, 8, rows))
    c = rng.integers(0, 8, rows)
    return pa.table({"a": a, "b": b, "c": c})


EIGHTS: dict[str, Any] = {"kind": "integer", "min": 0, "max": 7, "nullable": False}
CORRELATED = schema_of(a=EIGHTS, b=EIGHTS, c=EIGHTS)


def test_a_second_sample_is_as_far_as_is_expected() -> None:
    found = measured(correlated(20_000, 0), correlated(20_000, 1), CORRELATED)
    for each in (*found.columns, *found.pairs, *found.triples):
        assert each.distance == pytest.approx(each.expected, rel=0.6)
    for each in found.triples:
        assert each.distance == pytest.approx(each.expected, rel=0.1)
    (related,) = (each for each in found.pairs if each.columns == ("a", "b"))
    assert related.independent > 0.5


def test_shuffled_columns_are_as_far_as_the_baseline_says() -> None:
    real = correlated(20_000, 0)
    rng = np.random.default_rng(5)
    alone = pa.table({n: real[n].take(rng.permutation(20_000)) for n in real.column_names})
    found = measured(real, alone, CORRELATED)
    for each in (*found.pairs, *found.triples):
        assert each.distance == pytest.approx(each.independent, abs=0.015)
    assert found.pairs[0].columns == ("a", "b"), "the pair whose relation is lost comes first"
    assert found.pairs[0].distance > 0.5
    assert {c.distance for c in found.columns} == {0.0}


def test_uniform_values_are_as_far_as_the_baseline_says() -> None:
    rng = np.random.default_rng(6)
    values = np.minimum(rng.geometric(0.4, 20_000) - 1, 7)
    schema = schema_of(n=EIGHTS)
    found = measured(column(values), column(rng.integers(0, 8, 20_000)), schema).columns[0]
    assert found.distance == pytest.approx(found.uniform, abs=0.01)


def test_baselines_are_made_from_public_facts_alone() -> None:
    synthetic = correlated(500, 1)
    one, two = (
        read_tables(correlated(500, seed), {"it": synthetic}, CORRELATED) for seed in (2, 3)
    )
    for make in (lambda t: shuffled_codes(t.synthetic["it"]), _uniform):
        for name in "abc":
            assert make(one).codes[name].tolist() == make(two).codes[name].tolist()
    alone = shuffled_codes(one.synthetic["it"])
    for name in "abc":
        before = np.sort(one.synthetic["it"].codes[name])
        assert np.sort(alone.codes[name]).tolist() == before.tolist()


def _uniform(tables: Tables) -> Any:
    return uniform_codes(tables.columns, tables.codings, 4000)


def test_uniform_values_are_uniform_over_the_domain_missing_values_included() -> None:
    schema = schema_of(
        n={"kind": "integer", "min": 0, "max": 8, "nullable": True},
        c={"kind": "category", "values": ["x", "y", "z"], "other": True, "nullable": True},
    )
    real = pa.table({"n": list(range(9)), "c": ["x"] * 9})
    codes = _uniform(read_tables(real, {"it": real}, schema)).codes
    for name, size in (("n", 10), ("c", 5)):
        shares = np.bincount(codes[name], minlength=size) / 4000
        assert shares == pytest.approx(np.full(size, 1 / size), abs=0.03)


def test_rare_groups() -> None:
    schema = schema_of(
        a={"kind": "category", "values": [0, 1, 2, 3], "nullable": False},
        b={"kind": "category", "values": [0], "nullable": False},
    )
    a = [0] * 1 + [1] * 1 + [2] * 3 + [3] * 2000
    real = pa.table({"a": a, "b": [0] * len(a)})
    synthetic = pa.table({"a": [1] * 2 + [2] * 6 + [3] * 4002, "b": [0] * 4010})
    one, few, many = measured(real, synthetic, schema).rare
    assert (one.low, one.high, one.cells) == (1, 1, 2)
    assert one.missing == 0.5
    assert one.error == pytest.approx(0.5)
    assert one.bias == pytest.approx(-0.5)
    assert one.kept == pytest.approx(0.5)
    assert (few.low, few.high, few.cells, few.missing) == (2, 4, 1, 0.0)
    assert few.kept == pytest.approx(1.0)
    assert (many.low, many.high, many.cells) == (1000, None, 1)
    assert many.bias == pytest.approx(1 / 2000)


def test_a_reference_is_worked_out_once() -> None:
    tables = read_tables(
        correlated(300, 0), {"it": correlated(200, 1)}, CORRELATED, correlated(100, 2)
    )
    reference = DistanceReference.of(tables)
    assert distributions(tables, "it", reference) == distributions(tables, "it")
    assert tables.holdout is not None
    assert compared(tables, tables.holdout, reference).rows == 100


def test_large_tables_are_counted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = read_tables(correlated(300, 0), {"it": correlated(200, 1)}, CORRELATED)
    whole = distributions(tables, "it")
    monkeypatch.setattr(distances, "_BATCH_CELLS", 70)
    assert distributions(tables, "it") == whole


def test_one_and_two_columns() -> None:
    found = measured(column([1, 2]), column([1, 2]), NUMBERS)
    assert found.pairs == found.triples == found.rare == ()
    real = correlated(50, 0).select(["a", "b"])
    found = measured(real, real, schema_of(a=EIGHTS, b=EIGHTS))
    assert len(found.pairs) == 1
    assert found.triples == ()


def test_of_many_columns_a_fixed_selection_is_looked_at() -> None:
    names = [f"c{n}" for n in range(120)]
    for size, most in ((2, MOST_PAIRS), (3, MOST_TRIPLES)):
        found = cliques_of(names, size)
        assert len(found) == len(set(found)) == most
        assert found == cliques_of(names, size)
        assert all(list(clique) == sorted(clique, key=names.index) for clique in found)
        assert found != cliques_of(names[::-1], size)
    assert len(cliques_of(names[:15], 3)) == math.comb(15, 3) <= MOST_TRIPLES
    assert len(cliques_of(names, 1)) == 120
