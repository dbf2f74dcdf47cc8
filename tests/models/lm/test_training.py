"""Stage 1: a language model learns rows that may be looked at."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("transformers")
import torch
from language_models import base_of, grammar_of, network_of

from tronie.models.lm import training
from tronie.models.lm.network import LanguageNetwork
from tronie.models.lm.training import train_on_public
from tronie.models.nets.training import Course

COURSE = Course(steps=25, batch=16, rate=1e-2, warm_up=4, promoted=0.0)


def linked(count: int) -> np.ndarray:
    """Rows in which the last column follows from the first."""
    rng = np.random.default_rng(0)
    first = rng.integers(4, size=count)
    return np.stack([first, rng.integers(2, size=count), np.zeros(count, np.int64), first], axis=1)


def fresh(rank: int = 0) -> LanguageNetwork:
    base = base_of()
    grammar = grammar_of(base)
    rng = np.random.default_rng(0)
    return LanguageNetwork(base.model(grammar.longest), grammar, rng=rng, rank=rank)


@pytest.mark.parametrize("promoted", [0.0, 0.5])
def test_training_comes_near_the_entropy_of_the_rows(promoted: float) -> None:
    network = fresh()
    rows = linked(200)
    seen: list[float] = []
    train_on_public(
        network,
        rows,
        Course(steps=40, batch=32, rate=2e-2, promoted=promoted),
        np.random.default_rng(1),
        watch=lambda step, loss: seen.append(loss),
    )
    assert len(seen) == 40
    with torch.no_grad():
        loss = float(network(torch.tensor(rows)).mean())
    entropy = np.log(8)
    assert seen[0] > entropy + 1
    assert entropy - 0.1 < loss < entropy + 0.5


def test_changes_of_low_rank_learn_too() -> None:
    network = network_of(rank=4)
    rows = torch.tensor(linked(64))
    before = float(network(rows).mean().detach())
    train_on_public(network, rows.numpy(), COURSE, np.random.default_rng(0))
    assert float(network(rows).mean().detach()) < before - 0.5


def test_physical_batches_change_nothing_but_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(steps=2, batch=6, promoted=0.5)
    parameters = []
    for physical, small in ((6, 2_000_000), (4, 0)):
        monkeypatch.setattr(training, "SMALL", small)
        network = fresh()
        rng = np.random.default_rng(3)
        train_on_public(network, linked(20), course, rng, physical_batch=physical)
        parameters.append(network.parameters_now())
    for name, value in parameters[0].items():
        assert np.allclose(value, parameters[1][name], atol=1e-3)
