"""How well a language model foretells the tokens of rows, by what they stand for."""

from __future__ import annotations

import math

import numpy as np
import torch

from tronie.models.lm.grammar import KINDS
from tronie.models.lm.lessons import DECISION
from tronie.models.lm.network import LanguageNetwork
from tronie.schema.grid import Ints


def perplexities(
    network: LanguageNetwork, rows: Ints, *, physical_batch: int = 64
) -> dict[str, float]:
    """Perplexity of rows, by kind of token; free text is left out.

    That of private rows is private: look at public or drawn rows only.

    Args:
        network: The model.
        rows: Codes in the grammar's order of columns, shape (rows, columns).
        physical_batch: Rows that are computed at once.

    Returns:
        ``value``, ``key`` and ``other``: the exponential of the mean cost of such tokens among all
        tokens that occur in the grammar, whatever else the network knows, so that numbers can be
        compared; ``decision``: that of decisions, among the tokens that the grammar allows there. Kinds
        without any token are left out, and all of them where nothing is decided.

    Source: Afonja et al. 2024, arXiv 2412.02467 (by kind of token).
    """
    if not network.grammar.decides:
        return {}
    costs = dict.fromkeys((*KINDS, DECISION), 0.0)
    counts = dict.fromkeys(costs, 0)
    for start in range(0, len(rows), physical_batch):
        written = network.grammar.rows(rows[start : start + physical_batch])
        with torch.no_grad():
            tokens, decisions = (
                costs.cpu().numpy().astype(np.float64) for costs in network.costs_of(written)
            )
        for number, name in enumerate(KINDS):
            costs[name] += float(tokens[written.kinds == number].sum())
            counts[name] += int((written.kinds == number).sum())
        costs[DECISION] += float(decisions.sum())
        counts[DECISION] += int((written.nodes >= 0).sum())
    return {name: math.exp(costs[name] / count) for name, count in counts.items() if count}
