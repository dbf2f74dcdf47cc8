"""Tails of the standard normal distribution, stable far out, with `math` alone.

The functions are accurate to a relative 1e-13 or better; `ROUNDING` bounds their error with room to
spare.
"""

from __future__ import annotations

import math
from collections.abc import Callable

ROUNDING = 1e-12
"""Bound on the relative rounding error of the tails in this module."""

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
_FAR = 4.0
_TERMS = 30

# Nodes and weights of the 8-point Gauss-Legendre rule on [-1, 1], positive half.
_LEGENDRE = (
    (0.18343464249564980, 0.36268378337836198),
    (0.52553240991632899, 0.31370664587788729),
    (0.79666647741362674, 0.22238103445337447),
    (0.96028985649753623, 0.10122853629037626),
)


def log_density(x: float) -> float:
    """Logarithm of the standard normal density.

    >>> round(log_density(0.0), 6)
    -0.918939
    """
    return -0.5 * x * x - _LOG_SQRT_2PI


def upper_tail(x: float) -> float:
    """Probability that a standard normal variable exceeds x.

    >>> upper_tail(0.0)
    0.5
    """
    return 0.5 * math.erfc(x / math.sqrt(2.0))


def log_upper_tail(x: float) -> float:
    """Logarithm of `upper_tail`, finite where the tail itself underflows.

    >>> round(log_upper_tail(40.0), 3)
    -804.608
    """
    if x < 0.0:
        return math.log1p(-upper_tail(-x))
    return log_density(x) + math.log(mills_ratio(x))


def mills_ratio(x: float) -> float:
    """Upper tail divided by density, for x >= -37.

    Source: Laplace's continued fraction, Abramowitz and Stegun 1964, 26.2.14.

    >>> round(mills_ratio(10.0), 6)
    0.099029
    """
    if x < _FAR:
        return _SQRT_HALF_PI * math.exp(0.5 * x * x) * math.erfc(x / math.sqrt(2.0))
    return 1.0 / (x + _fraction(x))


def mills_difference(low: float, width: float) -> float:
    """`mills_ratio(low) - mills_ratio(low + width)` without cancellation, for low >= -37."""
    if width > 0.5:
        return mills_ratio(low) - mills_ratio(low + width)
    middle, half = low + 0.5 * width, 0.5 * width
    return half * sum(
        weight * (_mills_descent(middle - half * node) + _mills_descent(middle + half * node))
        for node, weight in _LEGENDRE
    )


def normal_quantile(probability: float) -> float:
    """The x whose `upper_tail` is at most the probability, rounded up.

    Args:
        probability: Upper tail probability, strictly between 0 and 1.

    >>> round(normal_quantile(0.025), 6)
    1.959964
    """
    target = math.log(probability)
    return smallest(lambda x: log_upper_tail(x) <= target, -40.0, 40.0)


def smallest(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The smallest x for which a monotone statement holds, rounded to the side where it does.

    Args:
        holds: False below some x, true above; it must hold at `high`.
        low: Where the statement need not hold.
        high: Where it holds.
    """
    while high - low > 2.0**-51 * abs(high):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _fraction(x: float) -> float:
    """Laplace's continued fraction 1/(x + 2/(x + 3/(x + ...)))."""
    value = 0.0
    for term in range(_TERMS, 0, -1):
        value = term / (x + value)
    return value


def _mills_descent(x: float) -> float:
    """Minus the derivative of the Mills ratio, 1 - x M(x)."""
    if x < _FAR:
        return 1.0 - x * mills_ratio(x)
    fraction = _fraction(x)
    return fraction / (x + fraction)
