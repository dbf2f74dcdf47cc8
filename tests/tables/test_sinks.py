from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, feather, ipc, parquet

from tronie.errors import OutputError
from tronie.tables.sinks import write_table
from tronie.tables.sources import open_source

TABLE = pa.table(
    {
        "naïve ☃": pa.array([1, None, 3], pa.int16()),
        "float": pa.array([0.07, 1e20, None]),
        "text": pa.array(["ä", "b,c", None]),
        "view": pa.array(["ä", 'q"q', None], pa.string_view()),
        "category": pa.array(["x", "y", None]).dictionary_encode(),
        "truth": pa.array([True, None, False]),
        "date": pa.array([dt.date(2024, 1, 1), None, dt.date(2024, 2, 29)]),
        "moment": pa.array([dt.datetime(2024, 1, 1, 12), None, None], pa.timestamp("us")),
        "money": pa.array([Decimal("1.50"), None, Decimal("2.25")], pa.decimal128(9, 2)),
        "nothing": pa.nulls(3),
    }
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather", "ARROW"])
def test_types_survive(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{suffix}"
    write_table(TABLE, path)
    read: Any = parquet.read_table if suffix == "parquet" else feather.read_table
    assert read(str(path)).to_pylist() == TABLE.to_pylist()
    source = open_source(path)
    assert source.schema.names == TABLE.schema.names
    back = pa.Table.from_batches(list(source.batches(source.schema.names)))
    assert back.to_pylist() == TABLE.to_pylist()
    assert names(tmp_path) == [path.name]


def test_arrow_files_can_be_opened_at_any_batch(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "t.arrow")
    with ipc.open_file(str(tmp_path / "t.arrow")) as reader:
        assert reader.schema.names == TABLE.schema.names


def test_csv_has_a_header_and_empty_fields_for_missing_values(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].replace('"', "") == ",".join(TABLE.schema.names)
    first, last = "2024-01-01,2024-01-01 12:00:00.000000,1.50,", "2024-02-29,,2.25,"
    assert lines[1] == f'1,0.07,"ä","ä","x",true,{first}'
    assert lines[3] == f"3,,,,,false,{last}"
    source = open_source(tmp_path / "t.csv")
    [batch] = source.batches(["text", "view", "naïve ☃", "nothing"])
    assert batch.to_pydict() == {
        "text": ["ä", "b,c", None],
        "view": ["ä", 'q"q', None],
        "naïve ☃": ["1", None, "3"],
        "nothing": [None] * 3,
    }


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{suffix}"
    write_table(TABLE.slice(0, rows), str(path))
    source = open_source(path)
    assert source.schema.names == TABLE.schema.names
    assert sum(batch.num_rows for batch in source.batches(["text"])) == rows


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
def test_tables_of_polars(suffix: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"s": ["a", None], "c": pl.Series(["x", None], dtype=pl.Categorical)})
    write_table(pa.table(frame), tmp_path / f"t.{suffix}")
    [batch] = open_source(tmp_path / f"t.{suffix}").batches(["s", "c"])
    assert batch.to_pydict() == {"s": ["a", None], "c": ["x", None]}


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    for name in ("t.xlsx", "t", "t.parquet.gz"):
        with pytest.raises(OutputError, match=r"(?s)\.parquet, \.csv, \.arrow, \.feather"):
            write_table(TABLE, tmp_path / name)
    assert names(tmp_path) == []


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    nested = pa.table({"a": [[1, 2]]})
    (tmp_path / "t.csv").write_text("old")
    with pytest.raises(OutputError, match="cannot hold one of the table's types"):
        write_table(nested, tmp_path / "t.csv")
    assert names(tmp_path) == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        write_table(TABLE, tmp_path / "none" / "t.parquet")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device")
def test_a_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(table: pa.Table, path: Any, *args: Any) -> None:
        with open("/dev/full", "wb") as device:  # noqa: PTH123
            device.write(b"x")

    monkeypatch.setattr(csv, "write_csv", full)
    with pytest.raises(OutputError, match="No space left"):
        write_table(TABLE, tmp_path / "t.csv")
    assert names(tmp_path) == []
