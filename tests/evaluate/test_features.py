"""Rows as numbers."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tronie.evaluate.features import (
    RARE,
    Encoder,
    columns_as_floats,
    coordinates,
    halves,
    nominal_mask,
    sampled,
    shuffled,
    tree_features,
)
from tronie.evaluate.tables import Coded, Tables, read_tables
from tronie.schema.columns import Category, Date, Datetime, Decimal, Integer, Modelled
from tronie.schema.schema import Schema

MIXED: dict[str, Any] = {
    "age": {"kind": "integer", "min": 10, "max": 90, "nullable": True},
    "town": {"kind": "category", "values": ["Delft", "Gouda", "Lisse"], "nullable": True},
    "level": {
        "kind": "category",
        "values": ["low", "middle", "high"],
        "ordered": True,
        "nullable": False,
    },
    "paid": {"kind": "boolean", "nullable": False},
}


def tables_of(
    rows: dict[str, list[Any]], columns: dict[str, Any], synthetic: dict[str, Any] | None = None
) -> Tables:
    schema = Schema.model_validate({"name": "test", "columns": columns})
    return read_tables(pa.table(rows), {"made": pa.table(synthetic or rows)}, schema)


@pytest.fixture(scope="module")
def mixed() -> Tables:
    rng = np.random.default_rng(0)
    n = 400
    return tables_of(
        {
            "age": [None if r < 0.1 else int(10 + 80 * r) for r in rng.random(n)],
            "town": [
                "Lisse",
                *rng.choice(["Delft", "Gouda", None], n - 1, p=[0.6, 0.3, 0.1]).tolist(),
            ],
            "level": rng.choice(["low", "middle", "high"], n).tolist(),
            "paid": (rng.random(n) < 0.3).tolist(),
        },
        MIXED,
    )


AXES: dict[str, tuple[Modelled, list[float]]] = {
    "integer": (Integer(min=10, max=12, nullable=True), [10.0, 12.0]),
    "decimal": (Decimal(min=1.0, max=2.0, resolution=0.25, nullable=True), [1.0, 1.5]),
    "date": (
        Date(min=dt.date(2020, 1, 1), max=dt.date(2020, 1, 31), nullable=True),
        [dt.date(2020, 1, 1).toordinal(), dt.date(2020, 1, 3).toordinal()],
    ),
    "datetime": (
        Datetime(min=dt.datetime(2000, 1, 1), max=dt.datetime(2000, 1, 2), nullable=True),
        [0.0, 2e6],
    ),
    "ordered category": (
        Category(values=("low", "middle", "high"), ordered=True, nullable=True),
        [0.0, 2.0],
    ),
}


@pytest.mark.parametrize(("column", "wanted"), AXES.values(), ids=AXES)
def test_coordinates_are_values_on_the_axis(column: Modelled, wanted: list[float]) -> None:
    found = coordinates(column, np.array([0, 2, column.points + 1]))
    assert found[:2].tolist() == wanted
    assert np.isnan(found[2])


def test_an_unlisted_value_of_an_ordered_category_has_no_place() -> None:
    column = Category(values=("low", "high"), ordered=True, other=True)
    assert np.isnan(coordinates(column, np.array([2]))).all()


def test_trees_get_a_feature_per_column(mixed: Tables) -> None:
    names = list(MIXED)
    found = tree_features(mixed, mixed.real, names)
    assert found.shape == (400, 4)
    assert nominal_mask(mixed, names).tolist() == [False, True, False, True]
    assert found[:, 1].tolist() == mixed.real.codes["town"].tolist()
    missing = mixed.real.points["age"] > 81
    assert np.isnan(found[:, 0]).tolist() == missing.tolist()
    assert not np.isnan(found[:, 1:]).any()
    assert set(found[:, 2]) == {0.0, 1.0, 2.0}


def test_features_of_linear_models_are_standardised(mixed: Tables) -> None:
    encoder = Encoder.fit(mixed, mixed.real, list(MIXED))
    # age and where it is missing; Delft, Gouda, missing and the rare Lisse; level; two of paid.
    assert Counter(encoder.owners) == {"age": 2, "town": 4, "level": 1, "paid": 2}
    found = encoder.transform(mixed.real)
    assert found.shape == (400, 9)
    assert np.abs(found.mean(axis=0)).max() < 1e-12
    missing = mixed.real.points["age"] > 81
    assert (found[missing, 0] == 0).all()
    assert found[~missing, 0].std() == pytest.approx(1)
    assert np.allclose(found[:, 1:].std(axis=0), 1)
    assert len(set(found[missing, 1])) == len(set(found[~missing, 1])) == 1


def test_rare_values_share_a_feature() -> None:
    values = ["a"] * 500 + ["b"] * 495 + ["c"] * 3 + ["d"] * 2
    columns = {"x": {"kind": "category", "values": ["a", "b", "c", "d", "never"]}}
    tables = tables_of({"x": values}, columns)
    assert RARE > 3 / 1000
    encoder = Encoder.fit(tables, tables.real, ["x"])
    assert encoder.slots["x"].tolist() == [0, 1, 2, 2, 2, 2]
    found = encoder.transform(tables.real)
    assert np.array_equal(found[995], found[999])
    assert not np.array_equal(found[0], found[500])


def test_constant_columns_give_zeros() -> None:
    columns = {
        "n": {"kind": "integer", "min": 0, "max": 10**12},
        "x": {"kind": "category", "values": ["a", "b"]},
        "empty": {"kind": "integer", "min": 0, "max": 9, "nullable": True},
    }
    constant: dict[str, list[Any]] = {"n": [10**11 + 7] * 5, "x": ["a"] * 5, "empty": [None] * 5}
    other: dict[str, list[Any]] = {"n": [10**11 + 9] * 3, "x": ["b"] * 3, "empty": [4] * 3}
    schema = pa.schema([("n", pa.int64()), ("x", pa.string()), ("empty", pa.int64())])
    tables = read_tables(
        pa.table(constant, schema=schema),
        {"made": pa.table(other, schema=schema)},
        Schema.model_validate({"name": "test", "columns": columns}),
    )
    encoder = Encoder.fit(tables, tables.real, list(columns))
    assert (encoder.transform(tables.real) == 0).all()
    assert np.isfinite(encoder.transform(tables.synthetic["made"])).all()
    assert encoder.transform(tables.synthetic["made"])[0, 0] == 2.0


def rows_of(coded: Coded) -> Counter[tuple[int, ...]]:
    names = list(coded.points)
    columns = [*(coded.points[n] for n in names), *(coded.codes[n] for n in names)]
    return Counter(zip(*(c.tolist() for c in columns), strict=True))


def test_rows_are_drawn_without_replacement(mixed: Tables) -> None:
    rng = np.random.default_rng(0)
    assert sampled(mixed.real, 400, rng) is mixed.real
    few = sampled(mixed.real, 100, rng)
    assert few.rows == 100
    assert not rows_of(few) - rows_of(mixed.real)
    one, two = halves(mixed.real, rng, 0.3)
    assert (one.rows, two.rows) == (120, 280)
    assert rows_of(one) + rows_of(two) == rows_of(mixed.real)


def test_shuffled_columns_keep_their_values_only(mixed: Tables) -> None:
    found = shuffled(mixed.real, np.random.default_rng(0))
    assert found.rows == 400
    for name in MIXED:
        coding = mixed.codings[name]
        assert Counter(found.points[name].tolist()) == Counter(mixed.real.points[name].tolist())
        assert np.array_equal(coding.code_of(found.points[name]), found.codes[name])
    assert rows_of(found) != rows_of(mixed.real)


def test_seeds_repeat(mixed: Tables) -> None:
    one, two, other = (
        rows_of(shuffled(mixed.real, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    assert one == two != other


def test_ordered_columns_side_by_side(mixed: Tables) -> None:
    found = columns_as_floats(mixed, mixed.real, ["age", "level"])
    trees = tree_features(mixed, mixed.real, ["age", "level"])
    assert np.array_equal(found, trees, equal_nan=True)
