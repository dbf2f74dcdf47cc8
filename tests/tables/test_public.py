from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import SchemaMismatch
from tronie.schema.draft import MAX_PUBLIC_VALUES, Field, PublicFacts, draft_public
from tronie.tables.public import public_facts
from tronie.tables.sources import open_source


def facts_of(
    values: Sequence[object], kind: pa.DataType, declared: str | None = None
) -> PublicFacts:
    """Facts of a column, read in two batches."""
    half = len(values) // 2
    chunks = [pa.array(values[:half], kind), pa.array(values[half:], kind)]
    table = pa.table({"x": pa.chunked_array(chunks, kind)})
    kinds = {} if declared is None else {"x": declared}
    return public_facts(open_source(table), kinds)["x"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["b", "a", None, "b"], pa.string(), PublicFacts(True, ("a", "b"))),
        (["b", "a"], pa.large_string(), PublicFacts(False, ("a", "b"))),
        (["b", "a", "b"], pa.dictionary(pa.int8(), pa.string()), PublicFacts(False, ("a", "b"))),
        ([True, None, True], pa.bool_(), PublicFacts(True, (True,))),
        ([3, -1, None], pa.int16(), PublicFacts(True, (-1, 3), -1, 3)),
        ([2**63 + 5], pa.uint64(), PublicFacts(False, (2**63 - 1,), 2**63 - 1, 2**63 - 1)),
        ([0.5, 2.0, None], pa.float64(), PublicFacts(True, None, 0.5, 2.0, 0.1)),
        ([0.25, 0.1], pa.float32(), None),
        ([3.0, 4.0], pa.float64(), PublicFacts(False, None, 3.0, 4.0, 1.0)),
        ([1 / 3, 1.0], pa.float64(), PublicFacts(False, None, 1 / 3, 1.0, None)),
        ([1.0, float("nan")], pa.float64(), PublicFacts(True, None, 1.0, 1.0, 1.0)),
        ([1.0, float("inf"), -2.0], pa.float64(), PublicFacts(False, None, -2.0, 1.0, 1.0)),
        ([1e15, 0.001], pa.float64(), None),
        ([Decimal("1.50")], pa.decimal128(9, 2), PublicFacts(False, None, 1.5, 1.5, 0.1)),
        ([None, None], pa.float64(), PublicFacts(True)),
        ([None, None], pa.string(), PublicFacts(True, ())),
        ([None, None], pa.null(), PublicFacts(True, ())),
        ([], pa.int64(), PublicFacts(False, ())),
        (
            [dt.date(2020, 2, 29), None, dt.date(1999, 1, 1)],
            pa.date32(),
            PublicFacts(True, None, dt.date(1999, 1, 1), dt.date(2020, 2, 29)),
        ),
        (
            [dt.datetime(2020, 1, 1, 12, 30), dt.datetime(1969, 1, 1)],
            pa.timestamp("ns"),
            PublicFacts(
                False, None, dt.datetime(1969, 1, 1), dt.datetime(2020, 1, 1, 12, 30), "minute"
            ),
        ),
        (
            [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)],
            pa.timestamp("s", "Europe/Paris"),
            PublicFacts(False, None, dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1), "day"),
        ),
        ([b"x"], pa.binary(), PublicFacts(False, None)),
    ],
    ids=str,
)
def test_facts(values: list[object], kind: pa.DataType, expected: PublicFacts | None) -> None:
    found = facts_of(values, kind)
    if expected is not None:
        assert found == expected
    else:
        assert found.min is not None
        assert found.max is not None


def test_a_narrow_float_s_decimals_are_told_from_its_rounding() -> None:
    assert facts_of([0.1, 12.3, 0.2], pa.float32()).resolution == 0.1


@pytest.mark.parametrize(
    ("values", "declared", "expected"),
    [
        (["3", " -1", "", None], "integer", PublicFacts(True, (-1, 3), -1, 3)),
        (["0.5", "1e1"], "decimal", PublicFacts(False, None, 0.5, 10.0, 0.1)),
        (
            ["2020-02-29"],
            "date",
            PublicFacts(False, None, dt.date(2020, 2, 29), dt.date(2020, 2, 29)),
        ),
        (
            ["2020-01-01T10:00:00.5"],
            "datetime",
            PublicFacts(
                False,
                None,
                dt.datetime(2020, 1, 1, 10, 0, 0, 500_000),
                dt.datetime(2020, 1, 1, 10, 0, 0, 500_000),
                "millisecond",
            ),
        ),
        (["3", "1"], "category", PublicFacts(False, ("1", "3"))),
    ],
)
def test_text_is_read_by_the_declared_kind(
    values: list[str], declared: str, expected: PublicFacts
) -> None:
    assert facts_of(values, pa.string(), declared) == expected


def test_integers_may_be_declared_a_category() -> None:
    assert facts_of([3, 1, None], pa.int64(), "category") == PublicFacts(True, (1, 3))


@pytest.mark.parametrize("declared", ["integer", "decimal", "date", "datetime"])
def test_text_that_cannot_be_read_is_refused(declared: str) -> None:
    with pytest.raises(SchemaMismatch, match="column 'x' of the public table"):
        facts_of(["1", "2020-01-01", "three"], pa.string(), declared)


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
@pytest.mark.parametrize("extra", [0, 1])
def test_values_are_listed_up_to_a_number(kind: pa.DataType, extra: int) -> None:
    numbers = range(MAX_PUBLIC_VALUES + extra)
    values = [*numbers] if pa.types.is_integer(kind) else [f"{n}" for n in numbers]
    found = facts_of(values, kind)
    assert (found.values is None) == (extra == 1)


def test_a_resolution_too_fine_for_the_bounds_is_left_out() -> None:
    assert facts_of([-1e15, 1e15, 0.001], pa.float64()).resolution is None


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=1),
    st.integers(0, 5),
)
def test_the_resolution_is_the_number_of_decimals_needed(numbers: list[int], places: int) -> None:
    values = [number / 10**places for number in numbers]
    needed = max(
        -int(Decimal(number).scaleb(-places).normalize().as_tuple().exponent) for number in numbers
    )
    assert facts_of(values, pa.float64()).resolution == float(f"1e-{max(needed, 0)}")


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_bounds_hold_all_values(values: list[float]) -> None:
    found = facts_of(values, pa.float64())
    assert (found.min, found.max) == (min(values), max(values))


def test_a_schema_drafted_from_them_holds_them(tmp_path: Path) -> None:
    table = pa.table({"age": [1, 50, 2], "price": [0.5, 1.0, 2.5], "ward": ["a", None, "b"]})
    fields = [Field(field.name, str(field.type)) for field in table.schema]
    schema = draft_public(fields, public_facts(open_source(table)), "visits")
    assert {name: column.origin for name, column in schema.columns.items()} == dict.fromkeys(
        ("age", "price", "ward"), "public"
    )
    assert not schema.unknowns()


def test_a_table_is_read_once() -> None:
    @dataclass
    class Counting:
        schema: pa.Schema
        passes: int = 0

        def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
            self.passes += 1
            for start in range(5):
                yield pa.record_batch({"x": np.arange(start, start + 10)}).select(list(columns))

    source = Counting(pa.schema([("x", pa.int64())]))
    assert public_facts(source)["x"].max == 13
    assert source.passes == 1
