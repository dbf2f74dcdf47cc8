"""What differential privacy allows for a group of rows."""

from __future__ import annotations

import math

from tronie.privacy.gdp import tpr_at_fpr


def allowed(
    copies: int, base: float, *, epsilon: float, delta: float, mu: float | None = None
) -> float:
    """Largest probability of an event with some rows, given its probability without them.

    Args:
        copies: Number of units that are added.
        base: Probability of the event without them.
        epsilon: Of the claim.
        delta: Of the claim.
        mu: The claim's GDP parameter, where it has one; it gives a tighter bound.

    Returns:
        The smaller of ``e^(k epsilon) base + delta (e^(k epsilon) - 1) / (e^epsilon - 1)`` and of the
        power of the best test of N(0, 1) against N(k mu, 1) at level `base`; at most 1.

    Source: Dwork and Roth 2014, theorem 2.2, with delta carried along; Dong, Roth, Su 2022, theorem 2.14.

    >>> round(allowed(1, 0.01, epsilon=1.0, delta=0.0), 4)
    0.0272
    >>> allowed(100, 0.0, epsilon=1.0, delta=1e-9, mu=0.182)
    0.0
    """
    odds = group_delta(copies, epsilon, delta)
    if copies * epsilon < math.log(1e300):
        odds += math.exp(copies * epsilon) * base
    else:
        odds = 1.0 if base or delta else 0.0
    if mu is not None:
        odds = min(odds, tpr_at_fpr(copies * mu, base))
    return min(odds, 1.0)


def group_delta(copies: int, epsilon: float, delta: float) -> float:
    """The delta at which a group of units is protected with `copies` times epsilon; at most 1.

    >>> f"{group_delta(3, 1.0, 1e-9):.4g}"
    '1.111e-08'
    """
    if delta == 0.0 or copies == 0:
        return 0.0
    log_factor = copies * epsilon + math.log(-math.expm1(-copies * epsilon))
    log_factor -= epsilon + math.log(-math.expm1(-epsilon))
    return math.exp(min(math.log(delta) + log_factor, 0.0))
