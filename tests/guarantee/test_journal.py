"""A journal never makes one charge pay for two answers; bugs that would are found out.

The audit knows everything but which units are in the table: each has a code of its own, so one marginal
is a game for every unit. Answers of all processes are added up. Bounds hold with a confidence of 95 %;
seeds are fixed.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from journals import Killed, killed_after, opened

from tronie.audit.bounds import split_bound
from tronie.audit.onerun import coins
from tronie.errors import BudgetExceeded, BundleError
from tronie.measure.journal import Asked, Journal
from tronie.measure.noise import InsecureNoise
from tronie.measure.queries import Marginal
from tronie.measure.records import Records
from tronie.privacy.accounting import epsilon_of
from tronie.privacy.budget import Budget
from tronie.privacy.events import sigma_for
from tronie.privacy.ledger import Reservation
from tronie.privacy.ledger_entries import Mark
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema
from tronie.tables.sources import open_source

log = logging.getLogger(__name__)
"""Shown by ``pytest --log-cli-level INFO``."""

SIZE, RUNS = 20_000, 6

BUDGET = Budget(1.0, 1e-5)

SCHEMA = Schema.model_validate(
    {"name": "wide", "columns": {"a": {"kind": "integer", "min": 0, "max": SIZE - 1}}}
)


def answers_of(folder: Path, included: np.ndarray, *, put_back: bool = False) -> list[np.ndarray]:
    """What all processes say that ask the same, each killed when it has its answer."""
    source = open_source(pa.table({"a": np.flatnonzero(included)}))
    said: list[np.ndarray] = []
    for seed in range(RUNS):
        if put_back and seed > 0:
            shutil.rmtree(folder / "journal")
            shutil.copytree(folder / "backup", folder / "journal")
        options = {"noise": InsecureNoise(seed), "budget": BUDGET}
        with opened(folder, Records(source, SCHEMA), **options) as (curator, meter, _):
            if put_back and seed == 0:
                shutil.copytree(folder / "journal", folder / "backup")
            curator.recode({"a": Coding.identity(Grid(np.arange(SIZE + 1)))})
            (answer,) = curator.ask([Marginal(("a",), sigma_for(BUDGET.mu))])
            assert epsilon_of(meter.events, BUDGET.delta) <= BUDGET.epsilon
            said.append(answer[:SIZE])
    return said


def shown(said: list[np.ndarray], included: np.ndarray) -> float:
    """A lower bound on epsilon, from all answers that differ."""
    different = {answer.tobytes(): answer for answer in said}
    scores = np.mean(list(different.values()), axis=0)
    bound = split_bound(scores[~included], scores[included], BUDGET.delta, claim="gaussian")
    log.info("claimed 1, shown %.3f by %d answers", bound.epsilon, len(different))
    return bound.epsilon


def test_a_question_that_is_asked_again_tells_nothing_new(tmp_path: Path) -> None:
    included = coins(SIZE, seed=1)
    assert shown(answers_of(tmp_path, included), included) <= 1.0


def test_fresh_noise_for_an_old_question_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: a journal that is written, but not read, so that nothing of then is charged either."""

    def forgetful(journal: Journal, kind: str, question: str) -> Asked | None:
        return None

    monkeypatch.setattr(Journal, "recorded", forgetful)
    included = coins(SIZE, seed=1)
    assert shown(answers_of(tmp_path, included), included) > 1.0


def test_a_backup_that_is_put_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not as far as its release"):
        answers_of(tmp_path, coins(SIZE, seed=1), put_back=True)


def test_a_backup_that_is_believed_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: nobody compares a journal with the ledger, and an old copy is put back each time."""

    def trusting(journal: Journal, known: Mark) -> Mark:
        return known

    monkeypatch.setattr(Journal, "_reconciled", trusting)
    included = coins(SIZE, seed=1)
    said = answers_of(tmp_path, included, put_back=True)
    assert len({answer.tobytes() for answer in said}) == RUNS
    assert shown(said, included) > 1.0


DEATHS: dict[str, tuple[Any, str, Any]] = {
    "before the ledger knows": (Reservation, "advance", lambda *marks: None),
    "after the charge": (Journal, "charge", Journal.charge),
    "after the answer": (Journal, "record", Journal.record),
}


@pytest.mark.parametrize("moment", DEATHS)
def test_whatever_the_moment_of_death_there_is_one_answer_at_most(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    included = coins(SIZE, seed=1)
    owner, name, call = DEATHS[moment]
    monkeypatch.setattr(owner, name, killed_after(call))
    with pytest.raises(Killed):
        answers_of(tmp_path, included)
    monkeypatch.undo()
    if moment == "after the charge":
        with pytest.raises(BudgetExceeded, match="between a charge and its answer"):
            answers_of(tmp_path, included)
    else:
        assert len({answer.tobytes() for answer in answers_of(tmp_path, included)}) == 1
