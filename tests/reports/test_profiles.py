"""Histograms for drawing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tronie.evaluate.tables import read_tables
from tronie.reports.profiles import BINS, profiles
from tronie.schema.columns import Category, Date, Decimal, Integer
from tronie.schema.schema import Schema


def schema() -> Schema:
    return Schema(
        name="t",
        columns={
            "wide": Integer(min=0, max=10**6, nullable=False),
            "small": Integer(min=0, max=9, nullable=True),
            "part": Decimal(min=0.0, max=1.0, resolution=0.01, nullable=False),
            "gone": Integer(min=0, max=9, nullable=True),
            "word": Category(values=("a", "b"), nullable=False),
        },
    )


def table(shift: int) -> pa.Table:
    n = 1000
    return pa.table(
        {
            "wide": np.arange(n) * 100 + shift,
            "small": [None if i % 4 == 0 else i % 10 for i in range(n)],
            "part": np.round(np.linspace(0, 1, n), 2),
            "gone": pa.nulls(n, pa.int64()),
            "word": ["a", "b"] * (n // 2),
        }
    )


def test_all_ordered_columns_with_values_have_a_profile() -> None:
    tables = read_tables(table(0), {"one": table(5), "two": table(50_000)}, schema())
    found = profiles(tables)
    assert set(found) == {"wide", "small", "part"}
    for profile in found.values():
        assert len(profile.real) <= BINS
        assert len(profile.synthetic) == 2
        for n, inside in enumerate((profile.real, *profile.synthetic)):
            total = sum(inside) + profile.outside[n] + profile.missing[n]
            assert total == pytest.approx(1)
    assert found["small"].missing == pytest.approx((0.25, 0.25, 0.25))
    assert found["part"].ticks[0] in {"0", "0.01"}


def test_bins_are_whole_numbers_of_lattice_points() -> None:
    found = profiles(read_tables(table(0), {"one": table(0)}, schema()))
    assert len(found["small"].real) == 10
    assert found["small"].ticks == ("0", "4", "9")
    assert np.ptp(found["small"].real) < 0.11


def test_bins_rest_on_synthetic_rows_only() -> None:
    one = profiles(read_tables(table(0), {"one": table(0)}, schema()))
    other = profiles(read_tables(table(500_000), {"one": table(0)}, schema()))
    assert one["wide"].ticks == other["wide"].ticks
    assert one["wide"].synthetic == other["wide"].synthetic
    assert other["wide"].outside[0] == pytest.approx(1)


def test_dates_have_ticks_as_they_are_written() -> None:
    import datetime as dt

    days = [dt.date(2020, 1, 1) + dt.timedelta(days=d) for d in range(100)]
    columns = {"day": Date(min=days[0], max=dt.date(2020, 12, 31), nullable=False)}
    rows = pa.table({"day": days})
    found = profiles(read_tables(rows, {"one": rows}, Schema(name="t", columns=columns)))
    assert found["day"].ticks[0] == "2020-01-01"
