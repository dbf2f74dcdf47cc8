"""Public rows as a prior: their marginals stand in where measuring would be noisier than they are wrong.

The public table's pairs are scaled to the private number of rows, and their L1 distances from the private
ones are released as one noisy vector. A pair is adopted if, even one noise sd farther away than that says,
it is nearer to the truth than a measurement would be, and nearer than the model without it can be. It
enters the fit as a measurement whose noise is as large as its distance. So public rows that are biased, or
of other people, are mostly left out, and what is adopted may still be measured later.

Source: the choice between public and private marginals is that of JAM (Fuentes, Mullins, McKenna, Miklau,
Sheldon 2024, arXiv 2403.07797); there it is made anew in each round.
"""

from __future__ import annotations

import itertools

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.queries import Misfits
from tronie.models.fit_error import fit_error
from tronie.models.growth import Growth
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.schema.domain import Clique
from tronie.synth.batch import Candidate, choose
from tronie.synth.pairs import rounded
from tronie.synth.plan import MEAN_ABSOLUTE, Plan
from tronie.synth.prepare import Prepared
from tronie.synth.settings import Prior

PRIOR = 0.02
"""Share of finding out how far public rows are from private ones."""

CERTAIN = 1e-9
"""Cost of adopting a table, as a part of all rows: none, but shares must be positive."""


def adopt(
    curator: Curator,
    prepared: Prepared,
    plan: Plan,
    prior: Prior,
    model: MarkovRandomField,
    *,
    noise: float,
    cells: int,
) -> list[Marginal]:
    """Public pairs that are nearer to the private table than measurements would be.

    Args:
        curator: Who says how far public pairs are from private ones.
        prepared: The codes.
        plan: Its step `prior` is spent.
        prior: The public rows.
        model: The model of what was measured so far.
        noise: Noise sd that a measured pair would have.
        cells: Most cells of the model.
    """
    varied = [column for column in prepared.domain if prepared.domain[column] > 1]
    pairs: list[Clique] = list(itertools.combinations(varied, 2))
    if not pairs:
        return []
    counts = prior.count([(), *pairs], prepared.codings)
    scale = prepared.total / max(float(counts[()]), 1.0)
    tables = {pair: counts[pair].astype(np.float64) * scale for pair in pairs}
    sigma = plan.sigma("prior", sensitivity=len(pairs) ** 0.5)
    references = {pair: rounded(table) for pair, table in tables.items()}
    (scores,) = curator.ask([Misfits(references, sigma)])
    candidates: dict[Clique, Candidate] = {}
    distances: dict[Clique, float] = {}
    for pair, factor, score in zip(pairs, model.marginals(pairs), scores.tolist(), strict=True):
        distance = max(float(score), 0.0) + sigma
        # The truth is at least so much farther from the model than from the public table.
        gain = float(np.abs(tables[pair] - factor.values).sum()) - 2 * distance
        if gain > 0 and distance < fit_error(factor.values, noise):
            candidates[pair] = Candidate(gain / prepared.total, CERTAIN)
            distances[pair] = distance
    room = Growth(prepared.domain, [zero.columns for zero in prepared.zeros])
    chosen = choose(candidates, room, most=len(pairs), cells=cells, forest=False)
    return [
        Marginal(
            pair, tables[pair], np.array(distances[pair] / (MEAN_ABSOLUTE * tables[pair].size))
        )
        for pair in chosen
    ]
