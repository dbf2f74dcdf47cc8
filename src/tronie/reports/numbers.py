"""How numbers are written, the same in every format."""

from __future__ import annotations

import math

NORMAL_95 = 1.96
"""Half the width of a 95% interval, in standard deviations."""

MINUS, TIMES, DASH = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
"""Signs that keyboards lack."""

NONE = DASH
"""What stands where there is no number."""


def share(value: float | None) -> str:
    """A part of a whole, in per cent; small ones with more digits.

    >>> share(0.1234), share(0.00456), share(0.0), share(1.0), share(0.00001)
    ('12.3%', '0.46%', '0%', '100%', '<0.01%')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if value in {0.0, 1.0}:
        return f"{value:.0%}"
    if abs(value) < 0.00005:
        return "<0.01%"
    return _sign(f"{value:.2%}" if abs(value) < 0.00995 else f"{value:.1%}")


def signed_share(value: float) -> str:
    """A difference of shares, always with its sign."""
    return f"+{share(value)}" if value > 0 else share(value)


def points(value: float) -> str:
    """Points out of 100.

    >>> points(87.26), points(100.0)
    ('87.3', '100')
    """
    return "100" if value >= 99.95 else f"{value:.1f}"


def number(value: float | None, digits: int = 3) -> str:
    """Any other number.

    >>> number(0.012345), number(12345.6), number(3.0)
    ('0.0123', '12,346', '3')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return _sign(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}")


def count(value: float) -> str:
    """A number of things.

    >>> count(48842)
    '48,842'
    """
    return f"{value:,.0f}"


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a minus sign is a minus sign.

    >>> fixed(0.5), fixed(12.34567, 1)
    ('0.500', '12.3')
    """
    if value is None or not math.isfinite(value):
        return NONE
    return _sign(f"{value:.{digits}f}") if round(value, digits) else f"{0:.{digits}f}"


def with_error(shown: str, error: str | None) -> str:
    """A number and how far off it may be.

    >>> with_error("91.3", "0.2"), with_error("91.3", None)
    ('91.3 ± 0.2', '91.3')
    """
    return shown if error is None else f"{shown} ± {error}"


def many(n: int, what: str, plural: str | None = None) -> str:
    """A count with its noun.

    >>> many(1, "table"), many(3, "table"), many(0, "query", "queries")
    ('1 table', '3 tables', '0 queries')
    """
    return f"{n:,} {what if n == 1 else plural or what + 's'}"


def _sign(shown: str) -> str:
    return shown.replace("-", MINUS) if shown.startswith("-") else shown
