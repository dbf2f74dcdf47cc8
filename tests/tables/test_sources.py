from __future__ import annotations

import builtins
import gc
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, feather, ipc, parquet

from tronie.errors import SourceError
from tronie.tables import csv_source
from tronie.tables.sources import Source, open_source
from tronie.tables.streams import BATCH_ROWS

TABLE = pa.table(
    {
        "naïve ☃": pa.array([1, None, 3], pa.int64()),
        "name": pa.array(["ä", "b,c", None], pa.string()),
        "x.y": pa.array([0.5, 1.5, 2.5]),
    }
)
SECRET = "s3cr3t"


def read(source: Source, columns: list[str] | None = None) -> pa.Table:
    wanted = source.schema.names if columns is None else columns
    batches = list(source.batches(wanted))
    assert all(0 < batch.num_rows <= BATCH_ROWS for batch in batches)
    kept = pa.schema([source.schema.field(name) for name in wanted])
    return pa.Table.from_batches(batches, schema=kept)


def write_parquet(path: Path) -> Path:
    parquet.write_table(TABLE, path / "t.parquet")
    return path / "t.parquet"


def write_folder(path: Path) -> Path:
    (path / "folder").mkdir()
    parquet.write_table(TABLE.slice(0, 2), path / "folder" / "a.parquet")
    parquet.write_table(TABLE.slice(2), path / "folder" / "b.parquet")
    return path / "folder"


def write_arrow(path: Path) -> Path:
    with ipc.new_file(path / "t.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    return path / "t.arrow"


def write_stream(path: Path) -> Path:
    with ipc.new_stream(path / "t.ipc", TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    return path / "t.ipc"


def write_feather(path: Path) -> Path:
    feather.write_feather(TABLE, str(path / "t.feather"))
    return path / "t.feather"


def write_duckdb(path: Path) -> Path:
    with duckdb.connect(str(path / "t.duckdb")) as connection:
        connection.register("source", TABLE)
        connection.execute('CREATE TABLE "my ""table" AS SELECT * FROM source')
        connection.execute("CREATE TABLE other (a INTEGER)")
    return path / "t.duckdb"


FILES = [write_parquet, write_folder, write_arrow, write_stream, write_feather]


@pytest.mark.parametrize("write", FILES)
def test_files_are_read_with_their_types(write: Any, tmp_path: Path) -> None:
    source = open_source(write(tmp_path))
    assert source.schema.equals(TABLE.schema)
    assert read(source).equals(TABLE)
    assert source.describe() in {"Parquet file", "2 Parquet files", "Arrow file"}


@pytest.mark.parametrize("write", FILES)
def test_only_the_asked_columns_come_in_the_asked_order(write: Any, tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path)))
    assert read(source, ["x.y", "naïve ☃"]).equals(TABLE.select(["x.y", "naïve ☃"]))
    assert read(source, ["name"]).equals(TABLE.select(["name"]))


@pytest.mark.parametrize("write", FILES)
def test_a_source_can_be_read_again_and_side_by_side(write: Any, tmp_path: Path) -> None:
    source = open_source(write(tmp_path))
    first, second = source.batches(["name"]), source.batches(["name"])
    next(first)
    assert pa.Table.from_batches(list(second)).equals(TABLE.select(["name"]))
    first.close()  # type: ignore[attr-defined]
    assert read(source, ["name"]).equals(TABLE.select(["name"]))


def test_duckdb_tables_are_named_in_the_path_or_beside_it(tmp_path: Path) -> None:
    path = write_duckdb(tmp_path)
    for source in (open_source(path, table='my "table'), open_source(f'{path}::my "table')):
        assert source.schema.equals(TABLE.schema)
        assert read(source).equals(TABLE)
        assert read(source, ["x.y", "name"]).equals(TABLE.select(["x.y", "name"]))
        assert source.describe() == "DuckDB table"


def test_a_duckdb_database_is_not_changed(tmp_path: Path) -> None:
    path = write_duckdb(tmp_path)
    before = path.read_bytes()
    read(open_source(path, table="other"), ["a"])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.duckdb"]


def test_duckdb_names_its_tables_when_none_fits(tmp_path: Path) -> None:
    path = write_duckdb(tmp_path)
    with pytest.raises(SourceError, match=r"t.duckdb::TABLE.*'other'"):
        open_source(path)
    with pytest.raises(SourceError, match=r"no table 'nothing'(.|\n)*'other'"):
        open_source(path, table="nothing")


def test_duckdb_views_are_tables(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("CREATE VIEW v AS SELECT 1 AS a")
    assert read(open_source(tmp_path / "t.duckdb", table="v")).to_pydict() == {"a": [1]}


def test_duckdb_is_asked_for_only_when_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_duckdb(tmp_path)
    true_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert open_source(TABLE).schema.names
    with pytest.raises(SourceError, match=r'pip install "tronie\[duckdb\]"'):
        open_source(path, table="other")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: TABLE, pa.int64()),
        (lambda: TABLE.to_batches()[0], pa.int64()),
        (TABLE.to_reader, pa.int64()),
        (TABLE.to_pandas, pa.float64()),
        (lambda: TABLE.to_pandas().convert_dtypes(), pa.int64()),
        (lambda: pl.from_arrow(TABLE), pa.int64()),
        (lambda: duckdb.from_arrow(TABLE), pa.int64()),
    ],
    ids=["table", "batch", "reader", "pandas", "pandas nullable", "polars", "duckdb relation"],
)
def test_frames_are_read_any_number_of_times(make: Any, kind: pa.DataType) -> None:
    source = open_source(make())
    assert source.schema.names == TABLE.schema.names
    assert source.schema.field("naïve ☃").type == kind
    for _ in range(2):
        assert read(source, ["naïve ☃", "name"]).to_pydict()["naïve ☃"] == [1, None, 3]
    assert source.describe() == "table in memory"


def test_a_source_is_a_source() -> None:
    source = open_source(TABLE)
    assert open_source(source) is source


def test_row_labels_of_pandas_are_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}).iloc[[0, 2]]
    frame.to_parquet(tmp_path / "t.parquet")
    feather.write_feather(pa.Table.from_pandas(frame), str(tmp_path / "t.arrow"))
    for obj in (frame, tmp_path / "t.parquet", tmp_path / "t.arrow"):
        source = open_source(obj)
        assert source.schema.names == ["a", "b"]
        assert read(source, ["b", "a"]).to_pydict() == {"b": [4, 6], "a": [1, 3]}


def test_metadata_stays_behind() -> None:
    table = TABLE.replace_schema_metadata({"note": SECRET})
    assert open_source(table).schema.metadata is None


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
def test_tables_of_few_rows(rows: int, suffix: str, tmp_path: Path) -> None:
    table = TABLE.slice(0, rows)
    path = tmp_path / f"t.{suffix}"
    {"parquet": parquet.write_table, "csv": csv.write_csv}.get(suffix, feather.write_feather)(
        table, str(path)
    )
    assert read(open_source(path)).num_rows == rows
    assert read(open_source(table)).num_rows == rows


def test_a_column_of_nulls(tmp_path: Path) -> None:
    table = pa.table({"nothing": pa.nulls(3), "a": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "t.parquet")
    csv.write_csv(table, tmp_path / "t.csv")
    for obj in (table, tmp_path / "t.parquet", tmp_path / "t.csv"):
        assert read(open_source(obj), ["nothing"]).to_pydict() == {"nothing": [None] * 3}


# --- CSV ---------------------------------------------------------------------------------------------


def csv_of(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Source:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(path)


def test_every_csv_column_is_text_and_empty_fields_are_missing(tmp_path: Path) -> None:
    source = csv_of(tmp_path, 'a,b,ü\n1,"",x\n02,2024-01-01,"q""q,\nr"\n,true,NA\n')
    assert source.schema.types == [pa.string()] * 3
    assert read(source).to_pydict() == {
        "a": ["1", "02", None],
        "b": [None, "2024-01-01", "true"],
        "ü": ["x", 'q"q,\nr', "NA"],
    }
    assert source.describe() == "CSV file"


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n",
        "a,b\r\n1,2\r\n",
        "\ufeffa,b\n1,2",
        "\n\na,b\n1,2\n\n",
        '"a","b"\n"1","2"\n',
        "a;b\n1;2\n",
        "a\tb\n1\t2\n",
        "a|b\n1|2\n",
    ],
)
def test_dialects(content: str, tmp_path: Path) -> None:
    assert read(csv_of(tmp_path, content)).to_pydict() == {"a": ["1"], "b": ["2"]}


def test_separators_within_quotes_do_not_count(tmp_path: Path) -> None:
    source = csv_of(tmp_path, '"a;b;c",d\n"1;2",3\n')
    assert read(source).to_pydict() == {"a;b;c": ["1;2"], "d": ["3"]}


def test_compressed_and_tab_separated_files(tmp_path: Path) -> None:
    assert read(csv_of(tmp_path, gzip.compress(b"a,b\n1,2\n"), "t.csv.gz")).num_rows == 1
    assert read(csv_of(tmp_path, "a\tb\n1\t2\n", "t.tsv")).num_rows == 1


def test_a_blank_line_is_a_missing_value_of_a_single_column(tmp_path: Path) -> None:
    assert read(csv_of(tmp_path, "a\n1\n\n3\n")).to_pydict() == {"a": ["1", None, "3"]}


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\r\n", "a,b\n\n"])
def test_a_header_alone_is_a_table_without_rows(content: str, tmp_path: Path) -> None:
    source = csv_of(tmp_path, content)
    assert source.schema.names == ["a", "b"]
    assert read(source).num_rows == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"{SECRET},37,x\n{SECRET},2,y\n", "no header"),
        (f"{SECRET},2024-01-31\n", "no header"),
        (f"{SECRET},-1.5\n", "no header"),
        (f"{SECRET},{SECRET}\n1,2\n", "columns 1 and 2 .* same name"),
        (f",{SECRET}\n0,1\n", "column 1 .* no name"),
        ("\n\n", "empty"),
        ("", "empty"),
        (f"a,b\n{SECRET},2\n".encode("utf-16"), "UTF-8"),
        (f"a,b\n{SECRET}é,2\n".encode("latin-1"), "UTF-8"),
    ],
)
def test_csv_files_that_are_refused(content: str | bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=problem) as caught:
        csv_of(tmp_path, content)
    assert_hidden(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"a,b\n1,2\n{SECRET}\n", "cannot be read"),
        (f"a,b\n1,2\n3,4,{SECRET}\n", "cannot be read"),
        (b"a,b\n" + b"1,2\n" * 9000 + SECRET.encode() + b",\xff\n", "UTF-8"),
        (f'a,b\n1,"{SECRET}' + "\n3,4" * 3_000_000, "cannot be read"),
    ],
    ids=["short", "long", "late encoding", "unclosed quote"],
)
def test_csv_files_that_fail_on_the_way(content: str | bytes, problem: str, tmp_path: Path) -> None:
    source = csv_of(tmp_path, content)
    with pytest.raises(SourceError, match=problem) as caught:
        list(source.batches(["b"]))
    assert_hidden(caught.value)
    assert "UTF-8" in str(caught.value) or "quotation marks" in str(caught.value)


def assert_hidden(error: BaseException) -> None:
    """Nothing planted is in the error, nor in what is shown of the errors behind it."""
    import traceback

    assert SECRET not in "".join(traceback.format_exception(error))
    assert error.__cause__ is None


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "duckdb"])
def test_missing_and_empty_files(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{suffix}"
    with pytest.raises(SourceError, match="does not exist"):
        open_source(path)
    path.touch()
    with pytest.raises(SourceError, match="is empty"):
        open_source(path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "duckdb", "csv.gz"])
def test_files_that_are_something_else(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{suffix}"
    path.write_text(f"{SECRET}," * 5000)
    with pytest.raises(SourceError, match="cannot be read") as caught:
        open_source(path, table="t" if suffix == "duckdb" else None)
    assert_hidden(caught.value)


@pytest.mark.parametrize("write", [write_parquet, write_arrow])
def test_damaged_files(write: Any, tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SourceError, match="cannot be read"):
        read(open_source(path))


def test_a_parquet_file_that_is_damaged_inside(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": [SECRET * 9] * 99}), path, compression="none")
    source = open_source(path)
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        list(source.batches(["a"]))
    assert_hidden(caught.value)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(SECRET)

    path = write_arrow(tmp_path)
    monkeypatch.setattr(pa, "memory_map", refuse)
    with pytest.raises(SourceError, match="may not be read") as caught:
        open_source(path)
    assert_hidden(caught.value)


def test_a_folder_needs_parquet_files_of_one_schema(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Parquet files"):
        open_source(tmp_path)
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"a": ["1"]}), tmp_path / "b.parquet")
    with pytest.raises(SourceError, match=r"'a.parquet' and 'b.parquet'"):
        open_source(tmp_path)


def test_unknown_kinds(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(SourceError, match=r"(?s)kind that is not known.*\.csv"):
        open_source(tmp_path / "t.xlsx")
    with pytest.raises(SourceError, match="type list"):
        open_source([1, 2])
    with pytest.raises(SourceError, match="type LazyFrame"):
        open_source(pl.LazyFrame({"a": [1]}))


def test_a_table_name_belongs_to_a_database(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a database"):
        open_source(write_parquet(tmp_path), table="t")
    with pytest.raises(SourceError, match="no database"):
        open_source(TABLE, table="t")


def test_equal_names_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=[SECRET, SECRET])
    feather.write_feather(table, str(tmp_path / "t.arrow"))
    for obj in (table, tmp_path / "t.arrow"):
        with pytest.raises(SourceError, match="columns 1 and 2"):
            open_source(obj)
    with pytest.raises(SourceError):
        open_source(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_pandas_column_of_mixed_types_is_named_without_its_values() -> None:
    with pytest.raises(SourceError, match="column 'age' of the DataFrame") as caught:
        open_source(pd.DataFrame({"age": [1, SECRET]}, dtype=object))
    assert_hidden(caught.value)


@pytest.mark.parametrize("series", [pl.Series([1]), pd.Series([1]), pa.chunked_array([[1]])])
def test_a_single_column_is_not_a_table(series: Any) -> None:
    with pytest.raises(SourceError, match="is not a table"):
        open_source(series)


# --- memory ------------------------------------------------------------------------------------------


def most_alive(batches: Iterator[pa.RecordBatch]) -> tuple[int, int]:
    """Rows read, and the most bytes that Arrow held at once beyond those held before."""
    gc.collect()
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for batch in batches:
        rows += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
        del batch
    return rows, most


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_memory_does_not_grow_with_the_file(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of ten times as many rows takes hardly more memory to stream."""
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 2**14)
    block = pa.table({name: np.random.default_rng(0).integers(0, 10**9, 20_000) for name in "abc"})
    held: list[int] = []
    for times in (2, 20):
        path = tmp_path / f"{times}.{suffix}"
        kind = csv.CSVWriter if suffix == "csv" else parquet.ParquetWriter
        with kind(path, block.schema) as writer:
            for _ in range(times):
                writer.write_table(block)
        rows, most = most_alive(open_source(path).batches(["a", "b", "c"]))
        assert rows == times * 20_000
        held.append(most)
    assert held[1] < 1.3 * held[0] + 2**17
    assert held[1] < 20 * block.nbytes / 2


def test_duckdb_is_streamed(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT range AS a, range * 2 AS b FROM range(1000000)"
        )
    rows, most = most_alive(open_source(tmp_path / "t.duckdb", table="t").batches(["b"]))
    assert rows == 1_000_000
    assert most < 4 * BATCH_ROWS * 8


def test_one_large_batch_is_cut() -> None:
    batches = list(open_source(pa.table({"a": np.arange(200_000)})).batches(["a"]))
    assert [batch.num_rows for batch in batches] == [65_536, 65_536, 65_536, 3_392]


def test_reading_files_does_not_import_heavy_packages(tmp_path: Path) -> None:
    import subprocess

    path = write_parquet(tmp_path)
    csv.write_csv(TABLE, tmp_path / "t.csv")
    code = (
        "import sys; from tronie.tables.sources import open_source\n"
        f"for path in ({str(path)!r}, {str(tmp_path / 't.csv')!r}):\n"
        "    list(open_source(path).batches(['name']))\n"
        "assert not {'pandas', 'duckdb', 'polars', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
