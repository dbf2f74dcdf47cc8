"""Pairs of tables are neighbours, and are what they are meant to be."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from tronie.audit.games import NEIGHBOURS, Neighbours, neighbours
from tronie.errors import InputError
from tronie.measure.records import Records
from tronie.synth.methods import METHODS
from tronie.tables.sources import open_source


def rows(table: pa.Table) -> Counter[str]:
    return Counter(map(repr, table.to_pylist()))


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_one_unit_apart(name: str) -> None:
    pair = neighbours(name)
    more = rows(pair.included) - rows(pair.without)
    assert not rows(pair.without) - rows(pair.included)
    assert more.total() == pair.schema.unit.max_rows
    assert pair.without.schema == pair.included.schema
    assert pair.name == pair.schema.name == name


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_both_tables_fit_the_schema(name: str) -> None:
    pair = neighbours(name)
    for table in (pair.without, pair.included):
        Records(open_source(table), pair.schema).validate()


def test_what_is_found_privately() -> None:
    found = {name: set(neighbours(name).schema.unknowns()) for name in NEIGHBOURS}
    assert found["bounds"] == {"count", "price", "day"}
    assert found["category"] == found["unseen"] == {"city"}
    assert not found["ones"] | found["unit"] | found["missing"]
    assert neighbours("function").schema.constraints


def test_a_method_that_needs_a_workload_gets_one() -> None:
    pair = neighbours("ones")
    for method in METHODS:
        workload = pair.settings(method).workload
        assert (workload is None) == (method != "direct")
    chosen = pair.settings("direct").workload
    assert chosen is not None
    assert set(chosen.weights) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_a_pair_of_ones_own() -> None:
    columns = {"x": {"kind": "integer", "min": 0, "max": 9}}
    pair = Neighbours.of("mine", {"columns": columns}, [], [{"x": 3}])
    assert (pair.without.num_rows, pair.included.num_rows) == (0, 1)
    assert pair.without.schema.types == [pa.int64()]


def test_an_unknown_pair() -> None:
    with pytest.raises(InputError, match="no pair of neighbours 'twos'"):
        neighbours("twos")
