"""What methods that measure pairs of columns share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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


def measure_cliques(
    curator: Curator, prepared: Prepared, plan: Plan, cliques: Sequence[Clique], part: float = 1.0
) -> list[Marginal]:
    """Measure some cliques with a part of the step `pairs`, each with noise that suits its size."""
    raw = {clique: prepared.domain.size(clique) ** (2 / 3) for clique in cliques}
    total = sum(raw.values())
    return measure_shares(curator, plan, {c: v / total for c, v in raw.items()}, part)


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
