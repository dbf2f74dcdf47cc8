"""PrivBayes: a Bayesian network grown greedily, its tables measured and fitted together.

Round one releases the L1 distance of every pair of columns from independence as one noisy vector, and joins
the columns one by one, each to the earlier column that it depends on most. Each further round tries to give
every column one more parent: how far some sets of parents determine their child is released as one noisy
vector, and a column takes the best set if that promises more than a larger table costs. Then the table
of each column with its parents is measured, and all are fitted as one model.

Only theta-useful tables are considered: the mean cell must hold theta times more rows than noise.

Guarantee: every access is Gaussian, and the squares of their parameters sum to at most the square of the
planned mu, which is fixed beforehand. So the whole run is mu-GDP, although what is scored and measured
depends on earlier answers (Smith, Thakurta 2022, arXiv 2210.17520).

Source: Zhang, Cormode, Procopiuc, Srivastava, Xiao 2017, "PrivBayes: Private Data Release via Bayesian
Networks", TODS 42(4). Different here, and why:

* The score is the paper's R, half the L1 distance of the table of child and parents from the product of
  their distributions, in rows. The child's distribution (for pairs, both) is the released one. Then one row
  moves the score by at most 1, where mutual information is far more sensitive than is often assumed.
* Scores are one noisy vector per round instead of one exponential mechanism per column: all accesses are
  Gaussian, and the rows are read once per round instead of once per column. Therefore the order of the
  columns is settled in round one, sets of parents grow by one column at a time, and each column tries a
  bounded number of them.
* The first column is not drawn at random; it belongs to the most dependent pair.
* The price of noise is taken off the score, so a larger set is not better as such.
* Tables are measured with noise that suits their size and are fitted, with the single columns, as a Markov
  random field (McKenna, Sheldon, Miklau 2019, arXiv 1901.09136). It makes the best of overlapping noisy
  tables, where errors add up from parents to children if a Bayesian network is read off them.
* Wide columns were cut into codes when they were measured, so there is no taxonomy to climb.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.measure.curator import Curator
from tronie.measure.queries import Dependences, Ints, Misfits
from tronie.models.estimation import estimate
from tronie.models.junction import MAX_CELLS, forecast_cells
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats
from tronie.schema.schema import Schema
from tronie.synth.method import Fitted
from tronie.synth.mst import columns_share
from tronie.synth.pairs import measure_weighted, rounded
from tronie.synth.plan import MEAN_ABSOLUTE, Plan, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.settings import DEFAULTS, Effort, Settings

SELECT = 0.06
"""Share of choosing parents."""

FIRST_ROUND = 0.4
"""Part of it that goes to the first round; the others share the rest."""

CANDIDATES = 8
"""Sets of parents that a column tries in one round, at most."""

TRIED_CELLS = 2**23
"""Most cells of all tables that are tried in one round: 64 MiB of counts."""

NOISE_PRICE = 0.15
"""What a table must gain for each row of expected noise: the fit removes much of it. Prices from 0.1 to
0.25 did alike on coded Adult."""

SCALE = 2**16
"""What a child's distribution is multiplied by before it is rounded to whole numbers."""

DEGREES: Mapping[Effort, int] = {"fast": 2, "normal": 3, "high": 4}
"""Most parents of a column."""

CELLS: Mapping[Effort, int] = {"fast": 200_000, "normal": 1_000_000, "high": 4_000_000}
"""Most cells of the model's tables."""


@dataclass(frozen=True, slots=True)
class PrivBayes:
    """Measure every column, grow a Bayesian network, measure each column with its parents.

    Attributes:
        theta: How many times more rows than noise the mean cell of a table must hold; the paper finds
            values from 3 to 6 to do alike.
    """

    theta: float = 4.0
    name: str = "privbayes"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A third or so to single columns, a little to the network, the rest to its tables."""
        return pair_plan(
            self.name,
            schema,
            budget,
            settings,
            columns=columns_share(budget.mu),
            select=SELECT,
            why="choose the parents of each column",
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure, grow, measure, fit."""
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        if len(prepared.domain) > 1:
            network = _Network(curator, prepared, plan, self.theta)
            network.grow(DEGREES[plan.settings.effort])
            part = 1 + network.unspent * plan.share("select") / plan.share("pairs")
            measured += measure_weighted(curator, prepared, plan, network.tables(), part)
        model = estimate(prepared.domain, measured, prepared.total, zeros=prepared.zeros)
        return Fitted(prepared, model, tuple(measured))


class _Network:
    """A Bayesian network in the making.

    Attributes:
        parents: Column -> its parents, none for a root; in the order in which columns joined.
        unspent: Part of the step `select` that is left.
    """

    def __init__(self, curator: Curator, prepared: Prepared, plan: Plan, theta: float) -> None:
        self._curator, self._prepared, self._plan = curator, prepared, plan
        self._domain = prepared.domain
        noise = MEAN_ABSOLUTE * plan.sigma("pairs", 1 / (len(self._domain) - 1))
        self._price = NOISE_PRICE * noise
        self._limit = min(CELLS[plan.settings.effort], plan.settings.cells(MAX_CELLS))
        self._most = min(prepared.total / (theta * noise), float(self._limit))
        values = plan.settings.workload_of(prepared.schema).over(prepared.schema).pair_values()
        mean = sum(values.values()) / max(len(values), 1)
        # A column of a single code depends on nothing.
        self._weights = {
            pair: value / mean
            for pair, value in values.items()
            if min(map(self._domain.__getitem__, pair)) > 1
        }
        self._scores: dict[frozenset[str], float] = {}
        self._known: dict[str, float] = {}
        self.parents: dict[str, Clique] = {}
        self.unspent = 1.0

    def grow(self, degree: int) -> None:
        """Join all columns, then give them up to `degree` parents each."""
        if not self._weights:
            return
        self._score_pairs(FIRST_ROUND if degree > 1 else 1.0)
        self._join()
        for number in range(2, degree + 1):
            if not self._add_parents(number, self.unspent / (degree + 1 - number)):
                break

    def tables(self) -> dict[Clique, float]:
        """Each child with its parents, and how much that table matters; single columns if none has any."""
        cliques = [(child, *given) for child, given in self.parents.items() if given]
        weights = {
            clique: sum(
                self._weights.get(frozenset(p), 0.0) for p in itertools.combinations(clique, 2)
            )
            for clique in cliques
        }
        return weights or {(column,): 1.0 for column in self._domain}

    def _score_pairs(self, part: float) -> None:
        pairs = [
            p for p in itertools.combinations(self._domain, 2) if frozenset(p) in self._weights
        ]
        references = {pair: rounded(self._prepared.independence(pair)) for pair in pairs}
        sigma = self._plan.sigma("select", part, len(pairs) ** 0.5)
        (scores,) = self._curator.ask([Misfits(references, sigma)])
        self.unspent -= part
        self._scores = dict(zip(map(frozenset, pairs), map(float, scores), strict=True))

    def _join(self) -> None:
        """Prim's algorithm: always the most promising child of the columns that joined before."""
        names = self._domain.columns
        place = {name: i for i, name in enumerate(names)}
        cells = np.multiply.outer(self._domain.shape, self._domain.shape)
        worth = np.full(cells.shape, -np.inf)
        for pair, score in self._scores.items():
            a, b = (place[name] for name in pair)
            worth[a, b] = worth[b, a] = score * self._weights[pair] - self._price * cells[a, b]
        worth[(worth <= 0) | (cells > self._most)] = -np.inf
        outside = np.ones(len(names), bool)
        while outside.any():
            child, parent = _next(worth, outside)
            given = () if parent is None else (names[parent],)
            if self._fits(names[child], given):
                self.parents[names[child]] = given
                self._known[names[child]] = self._scores.get(frozenset((names[child], *given)), 0.0)
                outside[child] = False
            else:
                # Nothing of this size is tried again, which would take long and fail.
                worth[cells >= cells[child, parent]] = -np.inf

    def _add_parents(self, number: int, part: float) -> bool:
        """Give columns a parent more, where that is promising; whether there was anything to try."""
        sets = self._candidates(number)
        if not sets:
            return False
        scores = self._score(sets, part)
        gains = {
            clique: self._weights[frozenset((clique[0], clique[-1]))]
            * (scores[clique] - self._known[clique[0]])
            - self._price * (self._domain.size(clique) - self._domain.size(clique[:-1]))
            for clique in sets
        }
        for clique in sorted(sets, key=lambda clique: -gains[clique]):
            child, given = clique[0], clique[1:]
            grown = len(self.parents[child]) == number
            if gains[clique] > 0 and not grown and self._fits(child, given):
                self.parents[child] = given
                self._known[child] = scores[clique]
        return True

    def _candidates(self, number: int) -> list[Clique]:
        """Child and parents, the last of them new: the most promising sets that can be counted together."""
        ranked: list[list[Clique]] = []
        earlier: list[str] = []
        for child, given in self.parents.items():
            if len(given) == number - 1:
                ranked.append(self._supersets(child, given, earlier)[:CANDIDATES])
            earlier.append(child)
        chosen: list[Clique] = []
        left = min(TRIED_CELLS, self._plan.settings.cells(TRIED_CELLS))
        for clique in itertools.chain(*itertools.zip_longest(*ranked)):
            if clique is not None and self._domain.size(clique) <= left:
                chosen.append(clique)
                left -= self._domain.size(clique)
        return chosen

    def _supersets(self, child: str, given: Clique, earlier: Sequence[str]) -> list[Clique]:
        """A child with its parents and one more, by how much the child depends on that one."""
        scores = {
            (child, *given, column): self._scores[frozenset((child, column))]
            for column in earlier
            if column not in given and frozenset((child, column)) in self._scores
        }
        ranked = sorted(scores, key=lambda clique: -scores[clique])
        return [clique for clique in ranked if self._domain.size(clique) <= self._most]

    def _score(self, sets: Sequence[Clique], part: float) -> dict[Clique, float]:
        """Twice the noisy score of each child and its parents: an L1 distance, as that of a pair."""
        sigma = self._plan.sigma("select", part, len(sets) ** 0.5)
        children = dict.fromkeys(clique[0] for clique in sets)
        weights = {child: self._distribution(child) for child in children}
        (scores,) = self._curator.ask([Dependences(tuple(sets), weights, sigma)])
        self.unspent -= part
        return {clique: 2.0 * score for clique, score in zip(sets, scores.tolist(), strict=True)}

    def _distribution(self, column: str) -> Ints:
        return rounded(self._prepared.independence((column,)) * (SCALE / self._prepared.total))

    def _fits(self, child: str, given: Clique) -> bool:
        """Whether the model stays small enough if a column gets some parents."""
        if not given:
            return True
        after = {**self.parents, child: given}
        tables = [(column, *others) for column, others in after.items() if others]
        ruled = [zero.columns for zero in self._prepared.zeros]
        return forecast_cells(self._domain, [*ruled, *tables]) <= self._limit


def _next(worth: Floats, outside: NDArray[np.bool_]) -> tuple[int, int | None]:
    """Which column joins next, and its parent, if any is worth it.

    Args:
        worth: What each pair promises, symmetric; minus infinity for pairs that promise nothing.
        outside: Which columns have not joined.
    """
    reach = np.where(outside[:, None] & ~outside, worth, -np.inf)
    child, parent = divmod(int(reach.argmax()), len(outside))
    if reach[child, parent] > -np.inf:
        return child, parent
    left = np.flatnonzero(outside)
    return int(left[worth[np.ix_(left, left)].max(axis=1).argmax()]), None
