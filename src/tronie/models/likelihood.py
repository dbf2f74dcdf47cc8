"""How likely rows are under a junction tree's distribution."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tronie.models.markov import MarkovRandomField
from tronie.schema.grid import Floats, Ints


def code_log_likelihoods(model: MarkovRandomField, codes: Mapping[str, Ints]) -> dict[str, Floats]:
    """Log probability of each code given those that the model draws before it.

    Args:
        model: The joint distribution.
        codes: Column -> codes of the rows, shape (rows,).

    Returns:
        Column -> shape (rows,), in the order in which the model draws them.

    Source: Koller, Friedman 2009, section 10.2: the distribution is the product over the cliques of a
    calibrated tree of what each adds to its separator.
    """
    found: dict[str, Floats] = {}
    for i, clique in enumerate(model.tree.cliques):
        belief = model.belief(i)
        for k in reversed(range(len(model.tree.new_columns(i)))):
            column, given = clique[k], clique[k + 1 :]
            joint = belief.project((*given, column)).values
            flat = joint.reshape(-1, joint.shape[-1])
            mass = flat.sum(axis=1, keepdims=True)
            shares = np.divide(flat, mass, out=np.zeros_like(flat), where=mass > 0)
            place = np.zeros(len(codes[column]), np.int64)
            for other in given:
                place = place * model.domain[other] + codes[other]
            found[column] = log_or_minus_infinity(shares)[place, codes[column]]
    return found


def log_or_minus_infinity(table: Floats) -> Floats:
    """Natural logarithm; minus infinity of 0."""
    return np.log(table, out=np.full(table.shape, -np.inf), where=table > 0)
