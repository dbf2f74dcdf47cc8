"""The table that ships with tronie, and its schema."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import as_file, files

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tronie.schema.columns import Category
from tronie.schema.constraints import Function
from tronie.schema.schema import Schema

DATA = files("tronie") / "data"
ROWS = 48_842
UNKNOWN = {"workclass": 2799, "occupation": 2809, "native-country": 857}
CONTENT = "e1e840c832eacf5811f59addbdd8ca3ebae2998edb2362ae3120aa640a68bcf8"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    with as_file(DATA / "adult.parquet") as path:
        return pq.read_table(path)


@pytest.fixture(scope="module")
def schema() -> Schema:
    with as_file(DATA / "adult.yaml") as path:
        return Schema.read(path)


def test_shape_names_and_types(table: pa.Table, schema: Schema) -> None:
    assert table.num_rows == ROWS
    assert table.column_names == list(schema.columns)
    for name, column in schema.columns.items():
        text = isinstance(column, Category)
        assert table.schema.field(name).type == (pa.string() if text else pa.int64())


def test_question_marks_are_kept_and_spaces_are_not(table: pa.Table) -> None:
    columns = {name: table[name].to_pylist() for name in table.column_names}
    assert {name: columns[name].count("?") for name in UNKNOWN} == UNKNOWN
    texts = [values for values in columns.values() if isinstance(values[0], str)]
    assert all(value == value.strip() for values in texts for value in values)
    assert not any(column.null_count for column in table.columns)


def test_every_row_fits_the_schema(table: pa.Table, schema: Schema) -> None:
    for name, column in schema.columns.items():
        values = set(table[name].to_pylist())
        if isinstance(column, Category):
            assert values <= set(column.values)
        else:
            assert column.min <= min(values)
            assert max(values) <= column.max


def test_the_declared_function_holds_in_every_row(table: pa.Table, schema: Schema) -> None:
    (rule,) = schema.constraints
    assert isinstance(rule, Function)
    assert rule.table is not None
    pairs = zip(table[rule.of].to_pylist(), table[rule.gives].to_pylist(), strict=True)
    assert set(pairs) == set(rule.table)


def test_nothing_in_the_schema_is_a_guess(schema: Schema) -> None:
    assert schema.name == "adult"
    assert not any(column.guessed for column in schema.columns.values())
    assert {column.origin for column in schema.columns.values()} == {"declared"}


def test_every_bound_says_where_it_comes_from() -> None:
    lines = (DATA / "adult.yaml").read_text(encoding="utf-8").splitlines()
    starts = [n for n, line in enumerate(lines) if re.search(r"^\s+(min:|values:)", line)]
    assert len(starts) == 15
    assert all("#" in "".join(lines[n - 3 : n]) for n in starts)


def test_the_attribution_names_source_and_licence() -> None:
    text = (DATA / "ATTRIBUTION").read_text(encoding="utf-8")
    for words in ("Becker", "Kohavi", "CC BY 4.0", "10.24432/C5XW20", "dataprep 0.4.1"):
        assert words in text


def test_the_content_is_the_reviewed_one(table: pa.Table) -> None:
    digest = hashlib.sha256()
    for column in table.columns:
        digest.update(repr(column.to_pylist()).encode())
    assert digest.hexdigest() == CONTENT
