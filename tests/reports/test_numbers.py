"""How numbers are written."""

from __future__ import annotations

import math

import pytest

from tronie.reports.numbers import (
    DASH,
    MINUS,
    count,
    fixed,
    many,
    number,
    points,
    share,
    signed_share,
    with_error,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.12345, "12.3%"),
        (0.0123, "1.2%"),
        (0.00994, "0.99%"),
        (0.00996, "1.0%"),
        (0.00001, "<0.01%"),
        (-0.25, f"{MINUS}25.0%"),
        (4.676, "467.6%"),
        (None, DASH),
        (math.nan, DASH),
        (math.inf, DASH),
    ],
)
def test_shares(value: float | None, shown: str) -> None:
    assert share(value) == shown


def test_differences_have_a_sign() -> None:
    assert signed_share(0.05) == "+5.0%"
    assert signed_share(-0.05) == f"{MINUS}5.0%"
    assert signed_share(0.0) == "0%"


@pytest.mark.parametrize(
    ("value", "shown"), [(99.94, "99.9"), (99.96, "100"), (0.04, "0.0"), (33.333, "33.3")]
)
def test_points(value: float, shown: str) -> None:
    assert points(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.012345, "0.0123"),
        (12345.6, "12,346"),
        (-12345.6, f"{MINUS}12,346"),
        (None, DASH),
        (math.nan, DASH),
        (math.inf, "∞"),
        (-math.inf, f"{MINUS}∞"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.5, "0.500"),
        (-0.0712, f"{MINUS}0.071"),
        (-0.0001, "0.000"),
        (None, DASH),
        (math.inf, DASH),
    ],
)
def test_fixed(value: float | None, shown: str) -> None:
    assert fixed(value) == shown


def test_counts_and_errors() -> None:
    assert count(48842) == "48,842"
    assert many(1, "query", "queries") == "1 query"
    assert many(2000, "query", "queries") == "2,000 queries"
    assert with_error("91.3", "0.2") == "91.3 ± 0.2"
