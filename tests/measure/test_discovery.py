"""Questions about columns whose domain is unknown."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.measure.discovery import MAX_DECIMALS, MOMENT_ORIGIN, Decimals, Keys, Magnitudes
from tronie.measure.noise import gaussian_threshold
from tronie.privacy.events import Gaussian, Threshold
from tronie.schema.columns import Date, Datetime, Decimal, Integer, Ordered

EDGES = Magnitudes.edges()
ZERO = (len(EDGES) - 1) // 2


def bucket(values: pa.Array, kind: Ordered | None = None) -> list[int]:
    """Buckets that hold something, each as often as it holds something."""
    counts = Magnitudes("x", kind or Decimal(), 1.0).exact(values)
    assert len(counts) == len(EDGES) - 1
    return np.repeat(np.arange(len(counts)), counts).tolist()


def test_buckets_touch_and_are_symmetric() -> None:
    assert (np.diff(EDGES) > 0).all()
    np.testing.assert_array_equal(EDGES, -EDGES[::-1])
    positive = EDGES[ZERO + 1 :]
    np.testing.assert_allclose(positive[1:] / positive[:-1], 2**0.25)


@given(st.floats(2.0**-19, 2.0**63), st.sampled_from([-1, 1]))
def test_a_number_lies_in_its_bucket(size: float, sign: int) -> None:
    (at,) = bucket(pa.array([sign * size]))
    # A number on an edge may fall to either side of it by rounding.
    assert EDGES[at] * (1 - sign * 1e-12) <= sign * size <= EDGES[at + 1] * (1 + sign * 1e-12)


def test_powers_of_two_begin_a_bucket() -> None:
    for power in range(-19, 63):
        (at,) = bucket(pa.array([2.0**power]))
        assert EDGES[at] == 2.0**power
        (below,) = bucket(pa.array([-(2.0**power)]))
        assert EDGES[below + 1] == -(2.0**power)


def test_zero_and_almost_zero_have_the_middle_bucket() -> None:
    assert bucket(pa.array([0.0, -0.0, 1e-9, -1e-9, 5e-324])) == [ZERO] * 5
    assert bucket(pa.array([1e-6]))[0] > ZERO > bucket(pa.array([-1e-6]))[0]


def test_the_outermost_buckets_take_what_is_beyond() -> None:
    huge = pa.array([np.inf, 1e300, -1e300, -np.inf])
    assert bucket(huge) == [0, 0, 2 * ZERO, 2 * ZERO]


def test_missing_and_unreadable_values_fall_into_no_bucket() -> None:
    assert bucket(pa.array([None, float("nan"), 1.0], from_pandas=False)) != []
    assert len(bucket(pa.array([None, float("nan"), 1.0], from_pandas=False))) == 1
    assert len(bucket(pa.array(["12", "twelve", ""]))) == 1
    assert bucket(pa.nulls(5, pa.float64())) == []
    assert bucket(pa.nulls(5)) == []
    assert bucket(pa.array([], pa.int64()), Integer()) == []


def test_dates_count_from_the_origin() -> None:
    origin = MOMENT_ORIGIN.date()
    near = pa.array([origin, origin + dt.timedelta(days=1), origin - dt.timedelta(days=1)])
    below, middle, above = sorted(bucket(near, Date()))
    assert middle == ZERO
    assert EDGES[above] == 1
    assert EDGES[below + 1] == -1
    (far,) = bucket(pa.array([dt.date(1, 1, 1)]), Date())
    assert EDGES[far] <= (dt.date(1, 1, 1) - origin).days <= EDGES[far + 1]


def test_datetimes_count_microseconds_from_the_origin() -> None:
    moments = pa.array([MOMENT_ORIGIN + dt.timedelta(microseconds=5)], pa.timestamp("us"))
    (at,) = bucket(moments, Datetime())
    assert EDGES[at] <= 5 <= EDGES[at + 1]
    assert bucket(pa.array([MOMENT_ORIGIN], pa.timestamp("s")), Datetime()) == [ZERO]


def test_integers_and_decimals_of_every_width() -> None:
    for kind in (pa.int8(), pa.uint64(), pa.float32(), pa.float16()):
        values = pa.array([1, 2, 100]).cast(pa.float32()).cast(kind)
        assert len(bucket(values, Integer())) == 3
    values = pa.array([decimal.Decimal("12.50")], pa.decimal128(10, 2))
    (at,) = bucket(values)
    assert EDGES[at] <= 12.5 <= EDGES[at + 1]


def needs(values: list[float | None]) -> list[int]:
    counts = Decimals("x", Decimal(), 1.0).exact(pa.array(values, pa.float64()))
    assert len(counts) == MAX_DECIMALS + 2
    return counts.tolist()


def test_decimals_are_counted() -> None:
    values = [3.0, -0.1, 0.25, 17.125, 1e-6, 1 / 3, None, float("inf"), float("nan"), 0.0]
    assert needs(values) == [2, 1, 1, 1, 0, 0, 1, 1]


@given(st.integers(-(10**9), 10**9), st.integers(0, MAX_DECIMALS))
def test_a_rounded_number_needs_no_more_decimals_than_it_has(units: int, places: int) -> None:
    counts = needs([units / 10**places])
    at = counts.index(1)
    assert at <= places
    assert units % 10 ** (places - at) == 0


def test_nothing_is_needed_by_no_values() -> None:
    assert needs([]) == needs([None, float("inf")]) == [0] * (MAX_DECIMALS + 2)


@pytest.mark.parametrize("k", [1, 5])
def test_events_say_what_was_asked(k: int) -> None:
    magnitudes = Magnitudes("x", Integer(), 3.0).event(k)
    assert magnitudes == Gaussian(query="magnitudes", columns=("x",), sigma=3.0, sensitivity=k)
    decimals = Decimals("x", Decimal(), 4.0).event(k)
    assert decimals == Gaussian(query="decimals", columns=("x",), sigma=4.0, sensitivity=k)
    keys = Keys("x", 3.0, 1e-9).event(k)
    assert keys == Threshold(
        query="keys",
        columns=("x",),
        sigma=3.0,
        sensitivity=k,
        threshold=gaussian_threshold(3.0, 1e-9, k),
        delta=1e-9,
    )
