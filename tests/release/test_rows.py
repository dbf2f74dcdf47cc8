"""Synthetic rows and the names of codes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.errors import OutputError
from tronie.models.factor import Factor
from tronie.release import rows as rows_module
from tronie.release.rows import Rows, code_labels
from tronie.schema.columns import Boolean, Category, Date, Decimal, Integer
from tronie.schema.domain import Domain
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema

SCHEMA = Schema.model_validate(
    {
        "name": "rows",
        "columns": {
            "key": {"kind": "identifier", "pattern": "{n}"},
            "age": {"kind": "integer", "min": 10, "max": 19},
            "town": {
                "kind": "category",
                "values": ["Delft", "Gouda"],
                "other": True,
                "other_label": "else",
            },
        },
    }
)
TYPES = pa.schema([("age", pa.int8()), ("key", pa.int32()), ("town", pa.string())])
POINTS = {"age": np.array([0, 9, 11, 3]), "town": np.array([1, 2, 3, 0])}


def test_indices_become_values_of_the_promised_types() -> None:
    drawn = Rows.decode(SCHEMA, TYPES, POINTS, 4)
    assert drawn.table.schema.equals(TYPES)
    assert len(drawn) == 4
    assert drawn.table.to_pydict() == {
        "age": [10, 19, None, 13],
        "key": [1, 2, 3, 4],
        "town": ["Gouda", "else", None, "Delft"],
    }


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Rows.decode(SCHEMA, TYPES, POINTS, 4).table
    monkeypatch.setattr(rows_module, "BLOCK_ROWS", 3)
    parts = Rows.decode(SCHEMA, TYPES, POINTS, 4).table
    assert parts["age"].num_chunks == 2
    assert parts.equals(whole)


def test_no_rows_have_types_too() -> None:
    empty = {name: points[:0] for name, points in POINTS.items()}
    drawn = Rows.decode(SCHEMA, TYPES, empty, 0)
    assert len(drawn) == 0
    assert drawn.table.schema.equals(TYPES)


def test_other_libraries_read_them(model: tronie.Model) -> None:
    import polars as pl

    drawn = model.sample(20, seed=0)
    assert pa.table(drawn).equals(drawn.table)
    frame = pl.DataFrame(drawn)
    assert frame["town"].to_list() == drawn.table["town"].to_pylist()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow", "feather"])
def test_they_are_written_by_suffix(suffix: str, model: tronie.Model, tmp_path: Path) -> None:
    drawn = model.sample(20, seed=0)
    path = drawn.write(str(tmp_path / f"rows.{suffix}"))
    assert path == tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        assert pq.read_table(path).equals(drawn.table)
    assert path.stat().st_size > 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_unknown_suffix_is_refused(model: tronie.Model, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        model.sample(2, seed=0).write(tmp_path / "rows.xlsx")
    assert list(tmp_path.iterdir()) == []


def coding(grid: Grid, groups: list[int]) -> Coding:
    return Coding(grid, np.array(groups), np.ones(len(groups)))


def test_labels_of_ordered_codes_are_intervals() -> None:
    grid = Grid(np.array([0, 1, 4, 10]), null=True)
    age = Integer(min=10, max=19)
    assert code_labels(age, coding(grid, [0, 1, 1, 2])) == ["10", "11..19", "(missing)"]
    price = Decimal(min=0, max=0.9, resolution=0.1)
    assert code_labels(price, coding(grid, [0, 0, 1, 2])) == ["0.0..0.3", "0.4..0.9", "(missing)"]
    day = Date(min=dt.date(2020, 1, 1), max=dt.date(2020, 1, 10))
    labels = code_labels(day, coding(grid, [0, 1, 2, 3]))
    assert labels[:2] == ["2020-01-01", "2020-01-02..2020-01-04"]


def test_labels_of_listed_codes_are_values() -> None:
    town = Category(values=("a", "b", "c", "d"), other=True)
    grid = Grid.of(town, 4)
    assert code_labels(town, coding(grid, [0, 3, 1, 3, 2, 4])) == [
        "a",
        "c",
        "(other values)",
        "(2 rare values)",
        "(missing)",
    ]
    yes = Boolean()
    labels = code_labels(yes, Coding.identity(Grid.of(yes, 2)))
    assert labels == ["False", "True", "(missing)"]
    grade = Category(values=("low", "mid", "top"), ordered=True, nullable=False)
    assert code_labels(grade, coding(Grid.of(grade, 3), [0, 0, 1])) == ["low..mid", "top"]


def test_a_marginal_has_a_row_for_each_cell() -> None:
    codings = {
        "age": coding(Grid(np.array([0, 5, 10]), null=True), [0, 1, 2]),
        "town": coding(Grid.of(SCHEMA.modelled["town"], 2), [0, 1, 2, 2]),
    }
    factor = Factor(Domain({"town": 3, "age": 3}), np.arange(9.0).reshape(3, 3))
    cells = Rows.of_marginal(SCHEMA, codings, factor).table.to_pylist()
    assert len(cells) == 9
    none = {"standard_error": None}
    assert cells[0] == {"town": "Delft", "age": "10..14", "rows": 0.0, **none}
    assert cells[5] == {"town": "Gouda", "age": "(missing)", "rows": 5.0, **none}
