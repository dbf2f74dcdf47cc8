"""Glaze: pairs of columns in a few thin layers, each chosen where the model so far is most wrong.

A painter glazes by laying thin, transparent layers over an underpainting. Here the underpainting is the
independent model of single columns; each layer is a batch of pairs, measured at once.

Round by round: (1) the L1 distances of all unmeasured pairs from the model are released as one noisy
vector; (2) pairs are taken greedily by what they should gain, their distance less the noise of measuring
them, as long as the model stays small; the first round takes a forest; (3) the batch is measured, each pair
with noise that suits its size; (4) the model is fitted again from where it stood.

Guarantee: every access is Gaussian, and the squares of their parameters sum to at most the square of the
planned mu, which is fixed beforehand. So the whole run is mu-GDP, although which pairs are measured, and
with what part of the budget, depends on earlier answers (Smith, Thakurta 2022, arXiv 2210.17520).

Source: adaptive selection as in AIM (McKenna, Mullins, Sheldon, Miklau 2022, arXiv 2201.12677); batches
chosen by noisy errors as in SWIFT and AIM-GDP (google/dpsynth).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tronie.measure.curator import Curator
from tronie.measure.queries import Misfits
from tronie.models.estimation import estimate
from tronie.models.junction import forecast_cells
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.privacy.budget import Budget
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.method import Fitted
from tronie.synth.pairs import Components, measure_cliques, rounded
from tronie.synth.plan import MEAN_ABSOLUTE, Plan, pair_plan
from tronie.synth.prepare import Prepared, prepare
from tronie.synth.settings import DEFAULTS, Settings

SELECT = 0.04
"""Share of choosing pairs, over all rounds."""

GROWTH = 0.01
"""What a pair must gain, as a part of all rows, for each e-fold of the model's size that it costs."""

BATCH = 0.7
"""Pairs of one batch, at most, for each column."""

LOOKAHEAD = 30
"""Most promising pairs whose effect on the model's size is worked out at each step."""

ROUND_TOLERANCE = 0.1
"""Fits between rounds stop at this gradient, in noise sds; the last one goes on to 0.03."""


def columns_share(mu: float) -> float:
    """Share of single columns: noise hurts them most where it is largest.

    >>> [round(columns_share(mu), 2) for mu in (0.02, 0.18, 1.5)]
    [0.6, 0.35, 0.21]
    """
    return min(max(0.228 * mu**-0.25, 0.15), 0.6)


@dataclass(frozen=True, slots=True)
class Glaze:
    """Measure every column, then pairs in batches where the model is most wrong.

    Attributes:
        rounds: Number of batches; the first is a forest.
        cells: Most cells of the model's tables.
    """

    rounds: int = 4
    cells: int = 400_000
    name: str = "glaze"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A third or so to single columns, a little to the selection, the rest to pairs."""
        return pair_plan(
            self.name,
            schema,
            budget,
            settings,
            columns=columns_share(budget.mu),
            select=SELECT,
            why=f"choose pairs, in {self.rounds} rounds",
        )

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure the columns, then a layer of pairs in each round."""
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        model = _fitted(prepared, measured, None, ROUND_TOLERANCE)
        if len(prepared.domain) > 1:
            left = 1.0
            for number in range(self.rounds):
                part = left / (self.rounds - number)
                batch = self._choose(curator, prepared, plan, measured, model, part, number)
                last = number == self.rounds - 1
                if last and not batch:
                    batch = _known_pairs(measured) or [prepared.domain.columns[:2]]
                if batch:
                    measured += measure_cliques(curator, prepared, plan, batch, part)
                    left -= part
                    model = _fitted(prepared, measured, model, ROUND_TOLERANCE)
        return Fitted(prepared, _fitted(prepared, measured, model, 0.03))

    def _choose(
        self,
        curator: Curator,
        prepared: Prepared,
        plan: Plan,
        measured: Sequence[Marginal],
        model: MarkovRandomField,
        part: float,
        number: int,
    ) -> list[Clique]:
        """The pairs of one batch."""
        known = set(_known_pairs(measured))
        columns = prepared.domain.columns
        pairs = [p for p in itertools.combinations(columns, 2) if p not in known]
        if not pairs:
            return []
        tables = model.marginals(pairs)
        references = {
            pair: rounded(table.values) for pair, table in zip(pairs, tables, strict=True)
        }
        sigma = plan.sigma("select", 1 / self.rounds, len(pairs) ** 0.5)
        (scores,) = curator.ask([Misfits(references, sigma)])
        most = len(columns) - 1 if number == 0 else max(round(BATCH * len(columns)), 1)
        noise = plan.sigma("pairs", part / most)
        gains = {
            pair: (float(score) - MEAN_ABSOLUTE * noise * prepared.domain.size(pair))
            / prepared.total
            for pair, score in zip(pairs, scores.tolist(), strict=True)
        }
        ruled = [zero.columns for zero in prepared.zeros]
        size = _size_of(prepared, [*ruled, *known])
        return _greedy(gains, size, most, self.cells, forest=number == 0)


def _greedy(
    gains: Mapping[Clique, float],
    size: Callable[[Sequence[Clique]], int],
    most: int,
    cells: int,
    *,
    forest: bool,
) -> list[Clique]:
    """Pairs by gain less the price of the model's growth.

    Args:
        gains: Pair -> expected gain, as a part of all rows.
        size: Cells of the model if some pairs are added.
        most: Most pairs.
        cells: Most cells of the model.
        forest: Whether pairs must not close a circle.
    """
    promising = [pair for pair, gain in gains.items() if gain > 0]
    waiting: list[Clique] = sorted(promising, key=lambda pair: -gains[pair])
    components = Components(gains)
    batch: list[Clique] = []
    now = size(batch)
    while waiting and len(batch) < most:
        if forest:
            waiting = [pair for pair in waiting if not components.joined(pair)]
        sizes = {pair: size([*batch, pair]) for pair in waiting[:LOOKAHEAD]}
        worth = {p: gains[p] - GROWTH * math.log(max(sizes[p] / now, 1.0)) for p in sizes}
        fitting = [pair for pair in sizes if sizes[pair] <= cells and worth[pair] > 0]
        best = max(fitting, key=lambda pair: worth[pair], default=None)
        # A pair that is too dear now may become cheap once others have enlarged the model.
        gone = [pair for pair in sizes if sizes[pair] > cells]
        if best is None:
            gone = list(sizes)
        else:
            batch.append(best)
            components.join(best)
            now = sizes[best]
            gone.append(best)
        waiting = [pair for pair in waiting if pair not in gone]
    return batch


def _size_of(prepared: Prepared, before: Sequence[Clique]) -> Callable[[Sequence[Clique]], int]:
    return lambda pairs: forecast_cells(prepared.domain, [*before, *pairs])


def _known_pairs(measured: Sequence[Marginal]) -> list[Clique]:
    """The pairs that were measured, once each."""
    return list(dict.fromkeys(m.clique for m in measured if len(m.clique) > 1))


def _fitted(
    prepared: Prepared,
    measured: Sequence[Marginal],
    warm: MarkovRandomField | None,
    tolerance: float,
) -> MarkovRandomField:
    return estimate(
        prepared.domain,
        measured,
        prepared.total,
        zeros=prepared.zeros,
        warm=warm,
        tolerance=tolerance,
    )
