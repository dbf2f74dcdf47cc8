"""Schemas of tables that come without one."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal as Exact
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tronie.errors import InputError
from tronie.evaluate.distances import distributions
from tronie.evaluate.schemas import _Some, schema_of
from tronie.evaluate.tables import read_tables
from tronie.schema.columns import Boolean, Category, Date, Datetime, Decimal, Integer
from tronie.tables.sources import open_source

DAY = dt.date(2024, 2, 1)
MOMENT = dt.datetime(2024, 2, 1, 12, 30)


def mixed(rows: int = 200) -> pa.Table:
    n = np.arange(rows)
    return pa.table(
        {
            "age": n % 60,
            "wage": (n % 100) / 4,
            "city": [["Utrecht", "Delft", "Leiden"][i % 3] for i in range(rows)],
            "member": [i % 4 == 0 for i in range(rows)],
            "joined": [DAY + dt.timedelta(days=i % 90) for i in range(rows)],
            "seen": [MOMENT + dt.timedelta(minutes=i % 90) for i in range(rows)],
            "customer_id": n,
            "comment": [f"remark {i}" for i in range(rows)],
        }
    )


MODELLED = ["age", "wage", "city", "member", "joined", "seen"]


def test_columns_are_what_their_types_say() -> None:
    found = schema_of(mixed(), [mixed(50)])
    assert list(found.columns) == MODELLED
    kinds = [type(column) for column in found.columns.values()]
    assert kinds == [Integer, Decimal, Category, Boolean, Date, Datetime]
    assert not found.unknowns()
    assert found.columns["wage"].resolution == 0.01
    assert found.columns["seen"].resolution == "minute"


def test_values_and_bounds_are_those_of_any_table() -> None:
    real = pa.table(
        {"n": list(range(50)), "c": ["a", "b"] * 25, "d": [DAY] * 49 + [DAY.replace(day=9)]}
    )
    other = pa.table(
        {"n": [5, 70, None], "c": ["b", "z", None], "d": [DAY.replace(day=20), DAY, DAY]}
    )
    found = schema_of(real, [other])
    assert (found.columns["n"].min, found.columns["n"].max) == (0, 70)
    assert found.columns["n"].nullable
    assert found.columns["c"].values == ("a", "b", "z")
    assert found.columns["d"].max == DAY.replace(day=17), "one range beyond the real dates"
    tables = read_tables(real, {"it": other}, found)
    assert tables.synthetic["it"].invalid == {}


def test_one_stray_value_does_not_stretch_the_lattice() -> None:
    """On a lattice up to 1e12 all other values would be one point."""
    rng = np.random.default_rng(0)
    real = pa.table({"x": rng.normal(size=1000)})
    other = pa.table({"x": np.append(rng.normal(size=999) + 3, 1e12)})
    found = schema_of(real, [other])
    (column,) = distributions(read_tables(real, {"it": other}, found), "it").columns
    assert column.distance > 0.8
    assert column.wasserstein == pytest.approx(3, abs=0.3)


def test_a_constant_real_column_does_not_hide_other_values() -> None:
    real, other = pa.table({"x": [5.0] * 9, "n": [1] * 9}), pa.table({"x": [7.0] * 9, "n": [3] * 9})
    found = distributions(read_tables(real, {"it": other}, schema_of(real, [other])), "it")
    assert {column.distance for column in found.columns} == {1.0}


def write(table: pa.Table, path: Path) -> Path:
    (pacsv.write_csv if path.suffix == ".csv" else pq.write_table)(table, path)
    return path


@pytest.mark.parametrize("form", ["csv", "parquet", "pandas"])
@pytest.mark.parametrize("other_form", ["csv", "parquet", "pandas"])
def test_files_and_frames_of_differing_types(form: str, other_form: str, tmp_path: Path) -> None:
    def given(form: str, name: str) -> Any:
        return (
            mixed().to_pandas() if form == "pandas" else write(mixed(), tmp_path / f"{name}.{form}")
        )

    real, other = given(form, "real"), given(other_form, "other")
    found = schema_of(real, [other])
    assert set(MODELLED) <= {*found.columns}
    assert found.name == ("table" if form == "pandas" else "real")
    tables = read_tables(real, {"it": other}, found)
    distances = distributions(tables, "it")
    assert {column.name: column.distance for column in distances.columns} == dict.fromkeys(
        found.columns, 0.0
    )
    assert tables.synthetic["it"].invalid == {}


def test_text_is_read_as_what_it_is() -> None:
    dates = [str(DAY + dt.timedelta(days=i)) for i in range(60)]
    moments = [f"{day}T10:00" for day in dates]
    real = pa.table(
        {"date": dates, "moment": moments, "digits": [str(i) for i in range(40)] * 1 + ["1"] * 20}
    )
    found = schema_of(real, [real])
    assert isinstance(found.columns["date"], Date)
    assert isinstance(found.columns["moment"], Datetime)
    assert isinstance(found.columns["digits"], Category), "a typed table says that it is text"


def test_columns_of_a_csv_are_told_by_their_values(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    lines = [f"{i},{i / 2},0{i % 9}123,{'yes' if i % 2 else 'no'},," for i in range(100)]
    path.write_text("n,x,zip,answer,empty,nothing\n" + "\n".join(lines) + "\n")
    found = schema_of(path, [path])
    assert isinstance(found.columns["n"], Integer)
    assert isinstance(found.columns["x"], Decimal)
    assert isinstance(found.columns["zip"], Category), "leading zeros are no number's"
    assert isinstance(found.columns["answer"], Category)
    assert "empty" not in found.columns


def test_numbers_written_in_other_types_are_the_same_values() -> None:
    real = pa.table({"n": list(range(40)), "c": ["1", "2"] * 20, "k": [10, 30] * 20})
    others = (
        pa.table(
            {"n": [float(i) for i in range(40)], "c": [1.0, 2.0] * 20, "k": [10.0, 30.0] * 20}
        ),
        pa.table({"n": [str(i) for i in range(40)], "c": [1, 2] * 20, "k": ["10", "30"] * 20}),
        pa.table({"n": [Exact(i) for i in range(40)], "c": ["1", "2"] * 20, "k": [10, 30] * 20}),
    )
    for other in others:
        found = distributions(read_tables(real, {"it": other}, schema_of(real, [other])), "it")
        assert {column.distance for column in found.columns} == {0.0}


def test_what_another_table_cannot_say_is_a_mismatch_and_no_error() -> None:
    real = pa.table({"n": list(range(40)), "c": [1, 5] * 20, "d": [DAY] * 40})
    other = pa.table({"n": ["much"] * 4, "c": ["x"] * 4, "d": [1, 2, 3, 4]})
    found = distributions(read_tables(real, {"it": other}, schema_of(real, [other])), "it")
    assert {column.distance for column in found.columns} == {1.0}


def test_a_table_of_which_nothing_can_be_read() -> None:
    real, other = pa.table({"d": [DAY, DAY.replace(day=9)]}), pa.table({"d": [1.5, 2.5]})
    (column,) = distributions(
        read_tables(real, {"it": other}, schema_of(real, [other])), "it"
    ).columns
    assert (column.distance, column.invalid) == (1.0, 1.0)


def test_dictionaries_and_categorical_frames() -> None:
    real = pd.DataFrame({"c": pd.Categorical(["a", "b"] * 30), "k": pd.Categorical([1, 7] * 30)})
    other = pd.DataFrame({"c": ["a", "b"] * 30, "k": [1, 7] * 30})
    schema = schema_of(real, [other])
    assert schema.columns["k"].values == (1, 7)
    found = distributions(read_tables(real, {"it": other}, schema), "it")
    assert {column.distance for column in found.columns} == {0.0}


def test_dates_at_the_end_of_the_calendar() -> None:
    real = pa.table({"d": [dt.date(1, 1, 1), dt.date(9999, 12, 31)]})
    other = pa.table({"d": [dt.date(1, 1, 1), dt.date(9999, 12, 30)]})
    found = schema_of(real, [other]).columns["d"]
    assert (found.min, found.max) == (dt.date(1, 1, 1), dt.date(9999, 12, 31))


def test_a_column_that_is_missing_in_one_table() -> None:
    real = pa.table({"x": pa.array([None, None, 2.5]), "n": pa.array([1, 2, 3])})
    other = pa.table({"x": pa.array([None, None], pa.float64()), "n": pa.array([1, 2])})
    for one, two in ((real, other), (other, real)):
        found = schema_of(one, [two]).columns["x"]
        assert (found.min, found.max) == (2.5, 2.5)


def test_many_values_and_free_text_are_left_out() -> None:
    rng = np.random.default_rng(0)
    real = pa.table(
        {
            "n": np.arange(3000),
            "many": [f"v{i % 1500}" for i in range(3000)],
            "wide": rng.integers(-(2**62), 2**62, 3000),
            "kept": [f"v{i % 900}" for i in range(3000)],
        }
    )
    assert list(schema_of(real, [real]).columns) == ["n", "kept"]
    few = real.slice(0, 100)
    assert list(schema_of(few, [few]).columns) == ["n"], "nearly each row has a text of its own"
    other = real.set_column(3, "kept", pa.array([f"w{i % 900}" for i in range(3000)]))
    assert "kept" not in schema_of(real, [other]).columns, "more than a thousand together"


def test_some_columns_are_a_source_too() -> None:
    some = _Some(open_source(mixed()), ["age"])
    assert some.schema.names == ["age"]
    assert some.describe() == open_source(mixed()).describe()


def test_columns_that_not_all_tables_have_are_left_out() -> None:
    real = pa.table({"a": [1, 2], "b": [1, 2]})
    assert list(schema_of(real, [real.select(["b"])]).columns) == ["b"]
    with pytest.raises(InputError, match="no column in common"):
        schema_of(real, [pa.table({"z": [1]})])
    with pytest.raises(InputError, match="no column of the tables can be compared"):
        schema_of(pa.table({"id": [1, 2]}), [pa.table({"id": [1, 2]})])
