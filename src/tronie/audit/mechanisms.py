"""Every kind of access on its own, on tables where one unit moves the answer as far as it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tronie.audit.games import neighbours
from tronie.audit.whitebox import Game, query_game
from tronie.errors import InputError
from tronie.measure.comparisons import Overlaps
from tronie.measure.curator import Curator
from tronie.measure.discovery import Decimals, Keys, Magnitudes
from tronie.measure.noise import Noise
from tronie.measure.queries import CountQuery, Dependences, Marginal, Misfits, Selection, Total
from tronie.privacy.budget import Budget
from tronie.privacy.events import bounded_range, sigma_for
from tronie.schema.columns import Decimal, Integer
from tronie.schema.grid import Coding, Grid
from tronie.synth.plan import KEYS_DELTA


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A kind of access.

    Attributes:
        pair: Name of the neighbouring tables on which it is played.
        ask: Asks one question that uses up a budget.
    """

    pair: str
    ask: Callable[[Curator, Budget], object]


def mechanism_game(name: str, epsilon: float, delta: float, *, noise: Noise | None = None) -> Game:
    """The game of one kind of access that uses up the claim.

    Args:
        name: Which one.
        epsilon: The claim.
        delta: The claim's delta.
        noise: Source of randomness; the operating system's unless a test injects another.

    Raises:
        InputError: If there is no such mechanism.
    """
    if name not in MECHANISMS:
        raise InputError(
            f"there is no mechanism {name!r}.", f"Choose one of {', '.join(MECHANISMS)}."
        )
    chosen, budget = MECHANISMS[name], Budget(epsilon, delta)
    return query_game(
        name,
        lambda curator: chosen.ask(curator, budget),
        epsilon,
        delta,
        pair=chosen.pair,
        noise=noise,
    )


def _count(make: Callable[[float], CountQuery], sensitivity: float = 1.0) -> Mechanism:
    """A question about the columns of the pair `ones`."""

    def ask(curator: Curator, budget: Budget) -> object:
        columns = neighbours("ones").schema.modelled
        curator.recode({n: Coding.identity(Grid.of(c, c.points)) for n, c in columns.items()})
        return curator.ask([make(sigma_for(budget.mu, sensitivity))])

    return Mechanism("ones", ask)


def _misfits(sigma: float) -> Misfits:
    flat = np.full((2, 2), 3)
    return Misfits({("a", "b"): flat, ("a", "c"): flat, ("b", "c"): flat}, sigma)


def _dependences(sigma: float) -> Dependences:
    """Without the unit all children are 0, as in the public distribution; the unit's is 1."""
    always = np.array([1, 0])
    return Dependences((("a", "b"), ("b", "c")), {"a": always, "b": always}, sigma)


def _select(curator: Curator, budget: Budget) -> object:
    """The unit lowers one score from 5 to 4 and raises the other from 4 to 5."""
    columns = neighbours("ones").schema.modelled
    curator.recode({n: Coding.identity(Grid.of(c, c.points)) for n, c in columns.items()})
    references = {("a",): np.array([10, 5]), ("b",): np.array([6, 0])}
    return curator.select(Selection(references, bounded_range(budget.mu)))


def _magnitudes(curator: Curator, budget: Budget) -> object:
    return curator.explore([Magnitudes("count", Integer(), sigma_for(budget.mu))])


def _decimals(curator: Curator, budget: Budget) -> object:
    return curator.explore([Decimals("price", Decimal(), sigma_for(budget.mu))])


def _keys(curator: Curator, budget: Budget) -> object:
    named = KEYS_DELTA * budget.delta
    mu = Budget(budget.epsilon, budget.delta - named).mu * (1 - 1e-6)
    return curator.keys(Keys("city", sigma_for(mu), named))


def _overlap(curator: Curator, budget: Budget) -> object:
    rows = {name: np.array([0, 1]) for name in "abc"}
    return curator.overlap(Overlaps(rows, (), sigma_for(budget.mu)))


MECHANISMS: Mapping[str, Mechanism] = MappingProxyType(
    {
        "total": _count(Total),
        "marginal": _count(lambda sigma: Marginal(("a", "b", "c"), sigma)),
        "misfits": _count(_misfits, 3**0.5),
        "dependences": _count(_dependences, 2**0.5),
        "selection": Mechanism("ones", _select),
        "magnitudes": Mechanism("bounds", _magnitudes),
        "decimals": Mechanism("bounds", _decimals),
        "keys": Mechanism("category", _keys),
        "unseen keys": Mechanism("unseen", _keys),
        "overlaps": Mechanism("ones", _overlap),
    }
)
"""Name -> a kind of access."""
