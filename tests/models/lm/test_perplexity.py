"""Perplexity by kind of token: against a computation by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("transformers")
import torch
from language_models import network_of, rows_of

from tronie.models.lm.perplexity import perplexities


def test_perplexity_of_each_kind_is_that_of_its_tokens() -> None:
    network = network_of()
    rows = rows_of(7)
    costs: dict[str, list[float]] = {"key": [], "value": [], "other": [], "decision": []}
    for row in rows.numpy():
        written = network.grammar.rows(row[None])
        ids = torch.tensor(written.ids)
        with torch.no_grad():
            states = network.states(ids[:, :-1])[0]
            scores = network.scores(states, torch.tensor(network.grammar.tokens)).log_softmax(1)
        decided = {int(p): int(n) for p, n in zip(written.places[0], written.nodes[0], strict=True)}
        for place in range(1, ids.shape[1]):
            where = int(np.searchsorted(network.grammar.tokens, written.ids[0, place]))
            name = ("key", "value", "other")[written.kinds[0, place]]
            costs[name].append(-float(scores[place - 1, where]))
            if written.decisions[0, place]:
                node = decided[place]
                start, size = (
                    x[node]
                    for x in (network.grammar.allowed.starts, network.grammar.allowed.lengths)
                )
                options = np.searchsorted(
                    network.grammar.tokens, network.grammar.allowed.values[start : start + size]
                )
                total = float(scores[place - 1, options].logsumexp(0))
                costs["decision"].append(total - float(scores[place - 1, where]))
    expected = {name: math.exp(np.mean(some)) for name, some in costs.items()}
    assert perplexities(network, rows.numpy(), physical_batch=3) == pytest.approx(
        expected, rel=1e-4
    )


def test_kinds_without_tokens_are_left_out() -> None:
    found = perplexities(network_of(serial="compact"), rows_of(3).numpy())
    assert set(found) == {"value", "decision"}


def test_no_rows_have_no_perplexity() -> None:
    assert perplexities(network_of(), rows_of(0).numpy()) == {}


def test_other_tokens_that_a_network_knows_make_no_difference() -> None:
    rows = rows_of(5).numpy()
    own = perplexities(network_of(rank=2), rows)
    assert perplexities(network_of(rank=2, whole_vocabulary=True), rows) == pytest.approx(own)
