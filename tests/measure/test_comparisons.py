"""How private and public rows overlap: against plain sets, and as the curator answers it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neighbours import LOOSE, SCHEMA, Watched, records, rows_of_a_table

from tronie.errors import BudgetExceeded, Cancelled, SchemaMismatch
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import InsecureNoise
from tronie.measure.queries import MAX_REFERENCE, MAX_SCALE, Misfits
from tronie.measure.records import Records
from tronie.privacy.budget import Budget
from tronie.privacy.events import Gaussian
from tronie.schema.schema import Schema
from tronie.tables.sources import open_source

NAMES = ("a", "b", "c")


def points_of(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Lattice indices of a table."""
    chunks = [chunk for _, chunk in records(rows)._chunks()]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in NAMES}


def tuples(points: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    """The rows one by one."""
    return list(zip(*(points[name].tolist() for name in NAMES), strict=True))


@given(rows_of_a_table, rows_of_a_table.filter(len), st.integers(1, 30))
def test_the_numbers_are_those_of_sets(private: Any, public: Any, size: int) -> None:
    rows, others = points_of(private or public), points_of(public)
    listed = ("a", "c")
    known = {name: set(others[name].tolist()) for name in listed}
    met = set(tuples(rows)) & set(tuples(others))
    strangers = [
        row
        for row in tuples(rows)
        if any(row[NAMES.index(name)] not in known[name] for name in listed)
    ]
    chunks = [
        {name: values[start : start + size] for name, values in rows.items()}
        for start in range(0, len(rows["a"]), size)
    ]
    assert Overlaps(others, listed, 1.0).exact(chunks).tolist() == [len(met), len(strangers)]


def test_no_private_rows_overlap_with_nothing() -> None:
    query = Overlaps({"a": np.array([0, 1])}, ("a",), 1.0)
    assert query.exact([]).tolist() == [0, 0]


def test_rows_of_another_integer_type_are_the_same_rows() -> None:
    query = Overlaps({"a": np.array([0, 1]), "b": np.array([3, 300])}, ("a",), 1.0)
    chunk = {"a": np.array([1, 2], np.uint8), "b": np.array([300, 3], np.uint16)}
    assert query.exact([chunk]).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("rows", "listed"),
    [
        ({}, ()),
        ({"a": np.array([], np.int64)}, ()),
        ({"a": np.array([1]), "b": np.array([1, 2])}, ()),
        ({"a": np.array([1])}, ("b",)),
    ],
)
def test_what_is_no_table_is_refused(rows: Any, listed: Any) -> None:
    with pytest.raises(TypeError, match="public rows"):
        Overlaps(rows, listed, 1.0)


PUBLIC = points_of([{"a": "x", "b": 1, "c": True}, {"a": "y", "b": 2, "c": None}])
PRIVATE = [{"a": "x", "b": 1, "c": True}] * 3 + [{"a": "z", "b": 1, "c": True}] * 2


def test_the_curator_adds_noise_and_charges(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(LOOSE)
    curator = Curator(records(PRIVATE), meter, rows_per_unit=3, noise=InsecureNoise(0))
    query = Overlaps(PUBLIC, ("a",), 20.0)
    answers = np.array([curator.overlap(query) for _ in range(400)])
    assert np.abs(answers.mean(axis=0) - [1, 2]).max() < 5 * 20 / 400**0.5
    assert np.abs(answers.std(axis=0) / 20 - 1).max() < 5 / 800**0.5
    assert abs(np.corrcoef(answers.T)[0, 1]) < 5 / 400**0.5
    assert set(meter.events) == {
        Gaussian(query="overlaps", columns=NAMES, sigma=20.0, sensitivity=3)
    }


def test_what_does_not_fit_the_budget_is_refused_before_the_rows_are_read() -> None:
    watched = Watched(open_source(records(PRIVATE)._source))
    meter = Meter(Budget(0.1, 1e-9))
    with pytest.raises(BudgetExceeded):
        Curator(Records(watched, SCHEMA), meter).overlap(Overlaps(PUBLIC, (), 0.6))
    assert (meter.events, watched.passes) == ((), 0)


def test_nothing_is_answered_when_a_row_does_not_fit_or_the_run_is_stopped() -> None:
    narrow = Schema.model_validate(
        {
            "name": "narrow",
            "columns": {
                **{name: SCHEMA.columns[name].model_dump() for name in ("b", "c")},
                "a": {"kind": "category", "values": ["x"]},
            },
        }
    )
    meter = Meter(LOOSE)
    query = Overlaps(PUBLIC, (), 5.0)
    with pytest.raises(SchemaMismatch):
        Curator(records(PRIVATE, narrow), meter).overlap(query)

    def stop(stage: str) -> None:
        assert stage == "comparing rows"
        raise Cancelled("stopped.")

    with pytest.raises(Cancelled):
        Curator(records(PRIVATE), meter, checkpoint=stop).overlap(query)
    assert not meter.answered
    assert len(meter.events) == 2


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6),
    st.lists(st.integers(0, 10**6), min_size=6, max_size=6),
    st.integers(1, 1000),
)
def test_misfits_from_fractions_of_rows_are_exact_and_rounded_down(
    counts: list[int], units: list[int], scale: int
) -> None:
    """Against rational numbers."""
    reference = np.array(units[: len(counts)])
    query = Misfits({("a",): reference}, 1.0, scale)
    found = query.exact({("a",): np.array(counts)})
    gaps = (abs(c - Fraction(u, scale)) for c, u in zip(counts, units, strict=False))
    assert found.tolist() == [math.floor(sum(gaps))]


@pytest.mark.parametrize("scale", [0, -1, MAX_SCALE + 1, 1.0, True])
def test_a_scale_is_a_whole_number_in_range(scale: Any) -> None:
    with pytest.raises(TypeError, match="scale"):
        Misfits({("a",): np.ones(2, np.int64)}, 1.0, scale)


def test_references_that_64_bits_might_not_hold_are_refused() -> None:
    with pytest.raises(TypeError, match="MAX_REFERENCE"):
        Misfits({("a",): np.full(4, MAX_REFERENCE // 3)}, 1.0)
    Misfits({("a",): np.full(2, MAX_REFERENCE // 3)}, 1.0)
