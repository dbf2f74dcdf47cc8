"""What a release may spend."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from tronie.errors import BudgetError
from tronie.privacy.gdp import gdp_mu

DEFAULT_DELTA = 1e-9
"""Delta of a budget that names none."""

SAMPLER_DELTA = 2.0**-90
"""Part of every delta that pays for the tails which the integer samplers cut off."""

LARGE_MU = 10.0
"""What sizes follow from without privacy (numbers of codes, shares): epsilon 109 at delta 1e-9."""

_SLACK = 1e-10


@dataclass(frozen=True, slots=True)
class Budget:
    """Privacy budget of a release, for adding or removing one unit.

    Attributes:
        epsilon: Positive and finite.
        delta: Above `SAMPLER_DELTA` and below 1.

    Raises:
        BudgetError: If a number is out of range.

    >>> round(1 / Budget(1.0, 1e-9).mu, 4)
    5.4953
    """

    epsilon: float
    delta: float = DEFAULT_DELTA

    def __post_init__(self) -> None:
        """Refuse numbers that are no budget."""
        if not 0.0 < self.epsilon < math.inf:
            raise BudgetError(
                f"epsilon is {self.epsilon}.", "Give a positive, finite number, such as 1."
            )
        if self.delta == 0.0:
            raise BudgetError(
                "delta is 0, but Gaussian noise never gives pure differential privacy.",
                f"Give a small delta, such as {DEFAULT_DELTA:g}.",
            )
        if not 0.0 < self.delta < 1.0:
            raise BudgetError(f"delta is {self.delta}.", "Give a number between 0 and 1.")
        if self.delta <= 2.0 * SAMPLER_DELTA:
            raise BudgetError(
                f"delta is {self.delta:g}, less than the samplers' own {SAMPLER_DELTA:.1e}.",
                f"Give a larger delta, such as {DEFAULT_DELTA:g}.",
            )

    @property
    def dp(self) -> bool:
        """Whether anything is promised."""
        return True

    def with_delta(self, delta: float) -> Budget:
        """The same with another delta.

        Raises:
            BudgetError: If delta is out of range.
        """
        return replace(self, delta=delta)

    @property
    def mu(self) -> float:
        """The largest total GDP parameter that this budget allows.

        Guarantee:
            Events without thresholds whose `total_mu` is at most this are (epsilon, delta)-DP, also
            when each is chosen from the answers before it. `SAMPLER_DELTA` is set aside first, and
            a relative 1e-10 is kept back, so that sums of squares may round.
        """
        return gdp_mu(self.epsilon, self.delta - SAMPLER_DELTA) * (1.0 - _SLACK)


@dataclass(frozen=True, slots=True)
class NoPrivacy(Budget):
    """No limit and no promise: exact answers, to compare private ones with.

    Guarantee:
        None. Ledger and certificates refuse it.

    >>> NoPrivacy().dp, NoPrivacy().epsilon
    (False, inf)
    """

    epsilon: float = field(default=math.inf, init=False)
    delta: float = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        """Nothing can be out of range."""

    @property
    def dp(self) -> bool:
        """Whether anything is promised."""
        return False

    def with_delta(self, delta: float) -> Budget:
        """The same."""
        return self

    @property
    def mu(self) -> float:
        """`LARGE_MU`, for sizes that follow from it."""
        return LARGE_MU
