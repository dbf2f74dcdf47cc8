"""What the best membership attack on a release can reach, where one mu does not say it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tronie.errors import BudgetError
from tronie.privacy.accounting import deltas_of, samples, total_delta, total_mu
from tronie.privacy.events import Event
from tronie.privacy.gdp import advantage, tpr_at_fpr

_LEVELS = 24
_LEAST, _MOST = 2e-3, 64.0


@dataclass(frozen=True, slots=True)
class BestAttack:
    """Upper bounds over all tests of whether a unit is in the table.

    Attributes:
        fpr: False positive rate of the test.
        tpr: Most true positives at that rate.
        advantage: Most that true positives exceed false positives by, at any rate.
    """

    fpr: float
    tpr: float
    advantage: float


def best_attack(events: Sequence[Event], fpr: float = 0.01) -> BestAttack:
    """Bound all membership attacks on what some events gave away.

    Args:
        events: Accesses to the same rows.
        fpr: False positive rate, between 0 and 1.

    Raises:
        BudgetError: If the rate is no probability.

    Guarantee:
        Without sampled events the bounds are those of `total_mu`. With them, each (epsilon, delta)
        that the events keep bounds true positives by ``e^epsilon * fpr + delta`` and by
        ``1 - e^-epsilon * (1 - delta - fpr)``; the smallest bound over many epsilons is taken, and
        the advantage is at most the delta at epsilon 0. Deltas of thresholds and samplers are
        included. As for PLD, noise must have been fixed beforehand.

    Source: Dong, Roth, Su 2022, arXiv 1905.02383, proposition 6 (trade-off curves from deltas).

    >>> from tronie.privacy.events import Gaussian
    >>> round(best_attack([Gaussian(query="n", sigma=5.5, sensitivity=1.0)]).tpr, 3)
    0.016
    """
    if not 0.0 <= fpr <= 1.0:
        raise BudgetError(f"the false positive rate is {fpr}.", "Give a probability from 0 to 1.")
    if not samples(events):
        mu, fixed = total_mu(events), total_delta(events)
        return BestAttack(
            fpr, min(1.0, tpr_at_fpr(mu, fpr) + fixed), min(1.0, advantage(mu) + fixed)
        )
    ratio = (_MOST / _LEAST) ** (1.0 / (_LEVELS - 2))
    levels = [0.0, *(_LEAST * ratio**power for power in range(_LEVELS - 1))]
    deltas = deltas_of(events, levels)
    bounds = [
        min(math.exp(level) * fpr + delta, 1.0 - math.exp(-level) * (1.0 - delta - fpr))
        for level, delta in zip(levels, deltas, strict=True)
    ]
    return BestAttack(fpr, min(1.0, *bounds), deltas[0])
