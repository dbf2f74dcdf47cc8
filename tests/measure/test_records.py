"""Private rows give the same counts however often and from wherever they are read."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from neighbours import CODINGS, SCHEMA, Watched

from tronie.errors import SchemaMismatch
from tronie.measure import records as records_module
from tronie.measure.discovery import Decimals, Magnitudes
from tronie.measure.records import Records
from tronie.schema.columns import Decimal, Integer
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema
from tronie.tables.sources import open_source

CLIQUES = [(), ("a",), ("b", "a"), ("a", "b", "c"), ("c",)]
ROWS = 1000


def batches(rows: int = ROWS, parts: int = 7) -> pa.Table:
    """A table in several pieces, with missing values and values out of bounds."""
    rng = np.random.default_rng(3)
    table = pa.table(
        {
            "a": pa.array(rng.choice(["x", "y", "z"], rows), mask=rng.random(rows) < 0.1),
            "b": pa.array(rng.integers(-2, 12, rows), mask=rng.random(rows) < 0.1),
            "c": pa.array(rng.random(rows) < 0.3),
        }
    )
    cuts = [*range(0, rows, max(rows // parts, 1)), rows]
    return pa.concat_tables([table.slice(a, b - a) for a, b in itertools.pairwise(cuts)] or [table])


def opened(table: pa.Table, schema: Schema = SCHEMA) -> tuple[Watched, Records]:
    source = Watched(open_source(table))
    return source, Records(source, schema)


def expected(table: pa.Table, clique: tuple[str, ...]) -> np.ndarray:
    """The contingency table, one row at a time."""
    counts = np.zeros([CODINGS[column].size for column in clique], np.int64)
    for row in table.to_pylist():
        point = {
            "a": 4 if row["a"] is None else "xyz".index(row["a"]),
            "b": 11 if row["b"] is None else min(max(row["b"], 0), 9),
            "c": int(row["c"]),
        }
        counts[tuple(int(CODINGS[c].code_of(np.array([point[c]]))[0]) for c in clique)] += 1
    return counts


def test_counts_are_those_of_a_plain_loop() -> None:
    table = batches()
    counts = opened(table)[1].count(CLIQUES, CODINGS)
    assert set(counts) == set(CLIQUES)
    for clique in CLIQUES:
        np.testing.assert_array_equal(counts[clique], expected(table, clique))


def test_small_tables_are_read_once() -> None:
    source, rows = opened(batches())
    first = rows.count(CLIQUES, CODINGS)
    second = rows.count(CLIQUES, CODINGS)
    assert source.passes == 1
    for clique in CLIQUES:
        np.testing.assert_array_equal(first[clique], second[clique])


@pytest.mark.parametrize("room", [0, 1, 2000, 11_999])
def test_larger_tables_are_streamed_and_count_the_same(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = batches()
    kept = opened(table)[1].count(CLIQUES, CODINGS)
    monkeypatch.setattr(records_module, "KEPT_BYTES", room)
    source, rows = opened(table)
    for passes in (1, 2, 3):
        streamed = rows.count(CLIQUES, CODINGS)
        assert source.passes == passes
        for clique in CLIQUES:
            np.testing.assert_array_equal(streamed[clique], kept[clique])


def test_a_table_that_just_fits_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "KEPT_BYTES", ROWS * 3 * 4)
    source, rows = opened(batches())
    rows.count(CLIQUES, CODINGS)
    rows.count(CLIQUES, CODINGS)
    assert source.passes == 1


def test_the_number_of_rows_alone() -> None:
    counts = opened(batches())[1].count([()], {})
    assert list(counts) == [()]
    assert counts[()].shape == ()
    assert int(counts[()]) == ROWS


def test_an_empty_table_has_zeros() -> None:
    counts = opened(batches(0))[1].count(CLIQUES, CODINGS)
    assert all(not table.any() for table in counts.values())
    assert counts[("b", "a")].shape == (CODINGS["b"].size, CODINGS["a"].size)


def test_other_codes_count_other_cells() -> None:
    _, rows = opened(batches())
    fine = rows.count([("b",)], {"b": Coding.identity(Grid.of(SCHEMA.modelled["b"], 10))})
    coarse = Coding(Grid.of(SCHEMA.modelled["b"], 10), np.arange(11) // 4, np.ones(11))
    merged = rows.count([("b",)], {"b": coarse})[("b",)]
    np.testing.assert_array_equal(merged, np.add.reduceat(fine[("b",)], [0, 4, 8]))


def test_a_lattice_too_wide_for_a_table_is_searched() -> None:
    schema = Schema.model_validate(
        {"name": "wide", "columns": {"n": {"kind": "integer", "min": 0, "max": 2**40}}}
    )
    values = np.random.default_rng(0).integers(0, 2**40, 500)
    _, rows = opened(pa.table({"n": pa.array(values, mask=np.arange(500) < 20)}), schema)
    coding = Coding.identity(Grid.of(schema.modelled["n"], 300))
    counts = rows.count([("n",)], {"n": coding})[("n",)]
    cells = np.searchsorted(coding.grid.edges, values[20:], side="right") - 1
    np.testing.assert_array_equal(counts[:300], np.bincount(cells, minlength=300))
    assert counts[300] == 20


def test_every_modelled_column_is_checked_whatever_is_counted() -> None:
    table = pa.table({"a": ["nowhere"], "b": [1], "c": [True]})
    _, rows = opened(table)
    with pytest.raises(SchemaMismatch, match="'a'"):
        rows.count([("b",)], CODINGS)


def test_another_schema_reads_the_same_rows() -> None:
    columns = {**SCHEMA.columns, "b": Integer(min=0, max=1, outside="missing")}
    schema = SCHEMA.model_copy(update={"columns": columns})
    table = batches()
    source, rows = opened(table)
    rows.count([("a",)], CODINGS)
    other = rows.under(schema)
    coding = Coding.identity(Grid.of(columns["b"], 2))
    counts = other.count([("b",)], {"b": coding})[("b",)]
    values = table["b"].to_pylist()
    assert counts.tolist() == [
        values.count(0),
        values.count(1),
        sum(v not in (0, 1) for v in values),
    ]
    assert source.passes == 2


def test_keys_are_counted_over_all_pieces() -> None:
    table = batches()
    words = [word for word in table["a"].to_pylist() if word is not None]
    counts = opened(table)[1].key_counts("a")
    assert counts == {word: words.count(word) for word in "xyz"}


def test_raw_questions_are_tallied_in_one_pass() -> None:
    table = pa.concat_tables(
        [pa.table({"p": [1.5, -2.0, None], "q": [0, 3, 700]}), pa.table({"p": [0.25], "q": [3]})]
    )
    schema = Schema.model_validate(
        {"name": "raw", "columns": {"p": {"kind": "decimal"}, "q": {"kind": "integer"}}}
    )
    source, rows = opened(table, schema)
    magnitudes, decimals, q = rows.tally(
        [
            Magnitudes("p", Decimal(), 1.0),
            Decimals("p", Decimal(), 1.0),
            Magnitudes("q", Integer(), 1.0),
        ]
    )
    assert source.passes == 1
    assert magnitudes.sum() == 3
    assert decimals.tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert q.sum() == 4
    assert q.max() == 2
