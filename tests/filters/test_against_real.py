"""Filters that compare with real rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tronie.errors import InputError
from tronie.filters.against_real import Outlying, Similar
from tronie.schema.schema import Schema

REAL = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [0.5, 1.5, 2.5]})


def test_copies_and_near_copies_go() -> None:
    rows = pa.table(
        {"a": [1, 1, 1, 9, None], "b": ["x", "x", "y", "q", "x"], "c": [0.5, 9.0, 9.0, 9.0, 0.5]}
    )
    assert Similar(REAL).keep(rows).tolist() == [False, True, True, True, True]
    assert Similar(REAL, differing=1).keep(rows).tolist() == [False, False, True, True, False]
    assert Similar(REAL, differing=2).keep(rows).tolist() == [False, False, False, True, False]
    assert Similar(REAL, columns=("b",)).keep(rows).tolist() == [False, False, False, True, False]


def test_lattices_decide_what_is_equal() -> None:
    schema = Schema.model_validate(
        {
            "name": "x",
            "columns": {
                "a": {"kind": "integer", "min": 0, "max": 9},
                "c": {"kind": "decimal", "min": 0, "max": 10, "resolution": 1},
            },
        }
    )
    rows = pa.table({"a": [1, 1], "c": [0.4, 3.0]})
    assert Similar(REAL, columns=("a", "c")).keep(rows).tolist() == [True, True]
    assert Similar(REAL, schema=schema).keep(rows).tolist() == [False, True]


def test_rows_with_nothing_in_common_are_not_similar() -> None:
    with pytest.raises(InputError, match="differ in 3 of 3 columns"):
        Similar(REAL, differing=3).keep(REAL)
    with pytest.raises(InputError, match="differ in 1 of 1 columns"):
        Similar(REAL, differing=1, columns=("a",)).keep(REAL)


def test_outliers_go() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    real = pa.table({"x": x, "y": x + rng.normal(size=2000) / 10})
    again = rng.normal(size=500)
    rows = pa.table(
        {
            "x": np.append(again, [0.0, 1.0]),
            "y": np.append(again + rng.normal(size=500) / 10, [2.5, -1.5]),
        }
    )
    mask = Outlying(real, share=0.01).keep(rows)
    assert mask[-2:].tolist() == [False, False]
    assert mask[:-2].mean() > 0.95
    assert Outlying(real, share=0.5).keep(rows).sum() < mask.sum()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="the share is 0"):
        Outlying(REAL, share=0.0).keep(REAL)
    with pytest.raises(InputError, match="too few real rows"):
        Outlying(REAL).keep(REAL)
