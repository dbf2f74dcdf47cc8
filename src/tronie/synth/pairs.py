"""What methods that measure pairs of columns share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Ints
from tronie.measure.queries import Marginal as MarginalQuery
from tronie.models.marginal import Marginal
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats
from tronie.synth.plan import Plan
from tronie.synth.prepare import Prepared


def rounded(table: Floats) -> Ints:
    """The nearest integer table."""
    return np.rint(table).astype(np.int64)


class Components:
    """Which columns are connected so far."""

    def __init__(self, pairs: Iterable[Clique]) -> None:
        self._member = {column: column for pair in pairs for column in pair}

    @property
    def count(self) -> int:
        """Number of connected groups."""
        return len(set(self._member.values()))

    def joined(self, pair: Clique) -> bool:
        """Whether two columns are connected."""
        return self._member[pair[0]] == self._member[pair[1]]

    def join(self, pair: Clique) -> None:
        """Connect two columns."""
        kept, lost = (self._member[column] for column in pair)
        self._member = {c: kept if m == lost else m for c, m in self._member.items()}


LEAST_PART = 1e-4
"""Least part of a marginal, where the largest gets 1: with even less, nothing but noise is left."""


def measure_weighted(
    curator: Curator,
    prepared: Prepared,
    plan: Plan,
    weights: Mapping[Clique, float],
    part: float = 1.0,
) -> list[Marginal]:
    """Measure some cliques with a part of the step `pairs`, so that their weighted L1 errors sum to least.

    The error of c cells of weight w with noise sigma is proportional to ``w c sigma``, so the best
    ``1 / sigma^2`` is proportional to ``(w c)^(2/3)``; see `even_out` for the least.

    Args:
        curator: Who answers.
        prepared: The codes.
        plan: The plan.
        weights: Clique -> how much its error matters, relative to the others; positive.
        part: Part of the step; more than 1 if what an earlier step left is added.
    """
    raw = {c: (w * prepared.domain.size(c)) ** (2 / 3) for c, w in weights.items()}
    return measure_shares(curator, plan, even_out(raw), part)


def even_out(parts: Mapping[Clique, float]) -> dict[Clique, float]:
    """Parts of a budget that sum to 1, none less than `LEAST_PART` of the largest.

    >>> even_out({("a",): 3.0, ("b",): 1.0})
    {('a',): 0.75, ('b',): 0.25}
    """
    least = LEAST_PART * max(parts.values(), default=0.0)
    raised = {clique: max(part, least) for clique, part in parts.items()}
    total = sum(raised.values())
    return {clique: part / total for clique, part in raised.items()}


def measure_shares(
    curator: Curator, plan: Plan, shares: Mapping[Clique, float], part: float
) -> list[Marginal]:
    """Measure some cliques with shares of a part of the step `pairs`."""
    sigmas = {c: plan.sigma("pairs", part * share) for c, share in shares.items()}
    answers = curator.ask([MarginalQuery(clique, sigma) for clique, sigma in sigmas.items()])
    return [
        Marginal(clique, answer.astype(np.float64), np.array(sigma))
        for (clique, sigma), answer in zip(sigmas.items(), answers, strict=True)
    ]
