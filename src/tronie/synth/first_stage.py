"""Rows that a language model learns before it meets a private one: of no one, or of people who agreed.

Source: two stages, Afonja et al. 2024, arXiv 2412.02467, where these rows are even or another table's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from tronie.models.estimation import estimate
from tronie.models.field import Field
from tronie.models.growth import Growth
from tronie.models.marginal import Marginal
from tronie.models.markov import MarkovRandomField
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats
from tronie.synth.batch import Candidate, choose
from tronie.synth.plan import MEAN_ABSOLUTE
from tronie.synth.prepare import Prepared
from tronie.synth.settings import Prior

CELLS = 2**20
"""Most cells of a model of public rows."""

LEAST_GAIN = 0.01
"""Public pairs that are nearer than this to independence, in total variation, are left out."""


def even_model(prepared: Prepared) -> MarkovRandomField:
    """All possible rows of codes, each equally likely as far as rules allow."""
    return estimate(prepared.domain, [], prepared.total, zeros=prepared.zeros)


def public_model(prepared: Prepared, prior: Prior) -> Field:
    """A model of public rows: their single columns, and the pairs that are farthest from independence.

    Args:
        prepared: The codes, and what rules make impossible.
        prior: The public rows.
    """
    domain = prepared.domain
    pairs: list[Clique] = list(itertools.combinations(domain, 2))
    singles: list[Clique] = [(column,) for column in domain]
    tables = prior.count([(), *singles, *pairs], prepared.codings)
    rows = max(float(tables[()]), 1.0)
    shares = {clique: tables[clique] / rows for clique in (*singles, *pairs)}
    gains = {pair: _dependence(shares, pair) for pair in pairs}
    room = Growth(domain, [zero.columns for zero in prepared.zeros])
    candidates = {
        pair: Candidate(gain, 1.0 / rows) for pair, gain in gains.items() if gain > LEAST_GAIN
    }
    chosen = choose(candidates, room, most=3 * len(domain), cells=CELLS, forest=False)
    known = [_counted(clique, shares[clique] * rows) for clique in (*singles, *chosen)]
    return estimate(domain, known, rows, zeros=prepared.zeros)


def _dependence(shares: Mapping[Clique, Floats], pair: Clique) -> float:
    """Total variation between a pair and what it would be if its columns were independent."""
    apart = np.multiply.outer(shares[pair[:1]], shares[pair[1:]])
    return float(np.abs(shares[pair] - apart).sum()) / 2


def _counted(clique: Clique, counts: Floats) -> Marginal:
    """Exact counts of public rows, taken to be as sure as counts of a sample are."""
    sd = np.sqrt(counts.sum() / counts.size) * MEAN_ABSOLUTE
    return Marginal(clique, counts, np.array(max(float(sd), 1e-3)))
