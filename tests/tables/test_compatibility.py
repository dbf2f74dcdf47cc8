from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tronie.errors import SchemaMismatch
from tronie.schema.columns import (
    Boolean,
    Category,
    Date,
    Datetime,
    Decimal,
    Identifier,
    Integer,
    OpenCategory,
    Text,
)
from tronie.schema.schema import Schema
from tronie.tables.codec import check_types, decode, output_type

SCHEMA = Schema.model_validate(
    {
        "name": "people",
        "columns": {
            "who": {"kind": "identifier"},
            "age": {"kind": "integer", "min": 0, "max": 99},
            "pay": {"kind": "decimal", "min": 0, "max": 9},
            "born": {"kind": "date", "min": "1900-01-01", "max": "2024-01-01"},
            "seen": {"kind": "datetime", "min": "2024-01-01", "max": "2024-01-02"},
            "sex": {"kind": "category", "values": ["f", "m"]},
            "grade": {"kind": "category", "values": [1, 2, 3]},
            "town": {"kind": "open_category"},
            "code": {"kind": "open_category", "value_type": "integer"},
            "member": {"kind": "boolean"},
            "notes": {"kind": "text"},
        },
    }
)
TYPES: dict[str, pa.DataType] = {
    "who": pa.binary(),
    "age": pa.int8(),
    "pay": pa.float32(),
    "born": pa.date32(),
    "seen": pa.timestamp("ns", "UTC"),
    "sex": pa.dictionary(pa.int8(), pa.string()),
    "grade": pa.int16(),
    "town": pa.string_view(),
    "code": pa.float64(),
    "member": pa.bool_(),
    "notes": pa.large_string(),
}


def types(**changes: pa.DataType | None) -> pa.Schema:
    return pa.schema({n: t for n, t in {**TYPES, **changes}.items() if t is not None})


def test_tables_that_fit() -> None:
    check_types(SCHEMA, types())
    check_types(SCHEMA, pa.schema(dict.fromkeys(TYPES, pa.string())))
    check_types(SCHEMA, pa.schema(dict.fromkeys(TYPES, pa.null())))
    check_types(SCHEMA, pa.schema(reversed(list(TYPES.items()))))


def test_all_problems_are_named_at_once() -> None:
    table = types(
        age=pa.date32(), sex=pa.int8(), pay=None, town=None, extra=pa.int8(), more=pa.int8()
    )
    with pytest.raises(SchemaMismatch) as caught:
        check_types(SCHEMA, table)
    text = str(caught.value)
    assert "the table lacks 'pay', 'town'" in text
    assert "the schema lacks 'extra', 'more'" in text
    assert "'age' is of kind integer, but of type date32[day]" in text
    assert "'sex' is of kind category, but of type int8" in text


def test_a_table_that_shares_no_name_is_not_described() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        check_types(SCHEMA, pa.schema({"s3cr3t": pa.string(), "x": pa.string()}))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("age", pa.bool_()),
        ("age", pa.binary()),
        ("age", pa.list_(pa.int8())),
        ("pay", pa.timestamp("s")),
        ("born", pa.int64()),
        ("born", pa.time32("s")),
        ("seen", pa.float64()),
        ("sex", pa.bool_()),
        ("sex", pa.dictionary(pa.int8(), pa.int8())),
        ("grade", pa.date32()),
        ("town", pa.int64()),
        ("code", pa.date32()),
        ("member", pa.date32()),
        ("age", pa.decimal256(50, 0)),
    ],
)
def test_types_that_cannot_hold_a_kind(name: str, kind: pa.DataType) -> None:
    with pytest.raises(SchemaMismatch, match=f"'{name}' is of kind"):
        check_types(SCHEMA, types(**{name: kind}))


INTEGER = Integer(min=0, max=300)
MONEY = Decimal(min=0, max=500, resolution=0.25)
DAY = Date(min=dt.date(2024, 1, 1), max=dt.date(2024, 1, 9))
MOMENT = Datetime(min=dt.datetime(2024, 1, 1), max=dt.datetime(2024, 1, 9))
DICTIONARY = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize(
    ("column", "given", "expected"),
    [
        (INTEGER, pa.int16(), pa.int16()),
        (INTEGER, pa.uint64(), pa.uint64()),
        (INTEGER, pa.float64(), pa.float64()),
        (INTEGER, pa.decimal128(5, 2), pa.decimal128(5, 2)),
        (INTEGER, pa.decimal128(4, 2), pa.int64()),
        (INTEGER, pa.int8(), pa.int64()),
        (INTEGER, pa.string(), pa.int64()),
        (INTEGER, pa.null(), pa.int64()),
        (INTEGER, None, pa.int64()),
        (Integer(min=-1, max=1), pa.uint8(), pa.int64()),
        (Integer(min=0, max=2**24 + 1), pa.float32(), pa.int64()),
        (Integer(), pa.int8(), pa.int8()),
        (MONEY, pa.float32(), pa.float32()),
        (MONEY, pa.decimal128(9, 2), pa.decimal128(9, 2)),
        (MONEY, pa.int64(), pa.float64()),
        (MONEY, pa.string(), pa.float64()),
        (Decimal(min=0, max=9, resolution=3), pa.int8(), pa.int8()),
        (Decimal(), pa.decimal128(9, 2), pa.decimal128(9, 2)),
        (Decimal(min=0, max=1e30), pa.decimal128(38, 2), pa.float64()),
        (DAY, pa.timestamp("ns", "UTC"), pa.timestamp("ns", "UTC")),
        (DAY, pa.date64(), pa.date64()),
        (DAY, pa.string(), pa.date32()),
        (Date(min=dt.date(1600, 1, 1), max=dt.date(1700, 1, 1)), pa.timestamp("ns"), pa.date32()),
        (Date(), pa.timestamp("ns"), pa.timestamp("ns")),
        (MOMENT, pa.timestamp("s", "Asia/Tokyo"), pa.timestamp("s", "Asia/Tokyo")),
        (MOMENT, pa.date32(), pa.timestamp("us")),
        (MOMENT.model_copy(update={"resolution": "day"}), pa.date32(), pa.date32()),
        (MOMENT, pa.string(), pa.timestamp("us")),
        (Boolean(), pa.int8(), pa.int8()),
        (Boolean(), pa.string(), pa.bool_()),
        (Category(values=("a", "b")), pa.large_string(), pa.large_string()),
        (Category(values=("a", "b")), DICTIONARY, DICTIONARY),
        (Category(values=("a", "b")), None, pa.string()),
        (Category(values=(1, 2)), pa.uint8(), pa.uint8()),
        (Category(values=(1, 2)), pa.float32(), pa.float32()),
        (Category(values=(1, 300)), pa.uint8(), pa.int64()),
        (Category(values=(1, 2)), pa.string(), pa.int64()),
        (Category(values=(1, 0.5)), pa.string(), pa.float64()),
        (Category(values=(True, False)), pa.string(), pa.bool_()),
        (Category(values=(1, "a")), pa.string(), pa.string()),
        (Category(values=(1, 2), other=True, other_label="rest"), pa.int8(), pa.string()),
        (Category(values=(1, 2), other=True), pa.int8(), pa.int8()),
        (
            Category(values=tuple(str(n) for n in range(200))),
            DICTIONARY,
            pa.dictionary(pa.int32(), pa.string()),
        ),
        (OpenCategory(), pa.string_view(), pa.string_view()),
        (OpenCategory(value_type="integer"), pa.int16(), pa.int16()),
        (OpenCategory(value_type="integer", other_label="rest"), pa.int16(), pa.string()),
        (Identifier(pattern="C-{n}"), pa.int64(), pa.string()),
        (Text(), pa.large_string(), pa.string()),
    ],
)
def test_output_types(column: Any, given: pa.DataType | None, expected: pa.DataType) -> None:
    assert output_type(column, given) == expected


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (INTEGER, pa.int8()),
        (INTEGER, pa.string()),
        (INTEGER, pa.decimal128(4, 2)),
        (MONEY, pa.int64()),
        (MONEY, pa.decimal128(4, 2)),
        (DAY, pa.int64()),
        (MOMENT, pa.date32()),
        (Boolean(), pa.string()),
        (Category(values=("a",)), pa.int8()),
        (Category(values=(1.5,)), pa.int8()),
        (Category(values=tuple(map(str, range(200)))), DICTIONARY),
    ],
)
def test_types_that_cannot_be_written(column: Any, kind: pa.DataType) -> None:
    with pytest.raises(SchemaMismatch, match="cannot be written as"):
        decode(column, np.array([0]), kind)


def test_mixed_categories_are_written_as_text() -> None:
    column = Category(values=(1, 2.5, True, "x"))
    assert decode(column, np.arange(4), pa.string()).to_pylist() == ["1", "2.5", "true", "x"]
