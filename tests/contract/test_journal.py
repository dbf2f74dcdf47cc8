"""Whatever the method: a fit that dies again and again ends as if it had not.

Every run of a fit is killed after its first new answer, or in the middle of its training. The noise is one
stream for all of them, so the model must be that of a fit that was left alone, cell by cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from journals import Killed, killed_after

import tronie
from tronie.measure.journal import Journal
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema
from tronie.synth import learning, marginal_net
from tronie.synth.methods import METHODS

SCHEMA = Schema.model_validate(
    {
        "name": "small",
        "columns": {
            "a": {"kind": "category", "values": ["x", "y", "z"]},
            "b": {"kind": "integer", "min": 0, "max": 5},
            "c": {"kind": "boolean"},
        },
    }
)

WISHES: Mapping[str, dict[str, Any]] = {
    "direct": {"workload": {("a", "b"): 1.0}},
    "llm": {"language": tronie.LanguageSettings(stage1_rows=64, population=64)},
}


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 60)
    letters = pa.array(["xyz"[i] for i in a])
    return pa.table({"a": letters, "b": 2 * a + rng.integers(0, 2, 60), "c": a > 0})


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few public steps, noise that needs no search, rough accounts: not about how good models are."""
    brief = {name: replace(level, public=4, orders=4) for name, level in learning.LEVELS.items()}
    for module in ("learning", "gan", "language_cost"):
        monkeypatch.setattr(f"tronie.synth.{module}.LEVELS", MappingProxyType(brief))
    monkeypatch.setattr(marginal_net, "STEPS", dict.fromkeys(marginal_net.STEPS, 5))
    for size in ("POPULATION", "LEAST_POPULATION"):
        monkeypatch.setattr(learning, size, 256)
    monkeypatch.setattr("tronie.measure.descent.calibrated_noise", lambda *a, **more: 4e3)
    monkeypatch.setattr("tronie.privacy.pld.pld_epsilon", lambda *a: math.inf)


def fitted(method: str, folder: Path, noise: InsecureNoise, **more: Any) -> tronie.Model:
    training = tronie.Training(epochs=0.3)
    options = {"effort": "fast", "training": training, **WISHES.get(method, {}), **more}
    book = folder / "ledger.sqlite"
    options = {"epsilon": 5.0, "delta": 1e-6, "ledger": book, "noise": noise, **options}
    return tronie.fit(table(), SCHEMA, method=method, **options)


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_that_dies_again_and_again_ends_as_one_that_was_left_alone(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alone").mkdir()
    alone = fitted(method, tmp_path / "alone", InsecureNoise(1))
    stages: list[str] = []

    def watch(stage: str) -> None:
        if stage.startswith("training, step 4 ") and not stages:
            stages.append(stage)
            raise Killed

    noise, journal, deaths = InsecureNoise(1), tmp_path / "journal", 0
    monkeypatch.setattr(Journal, "record", killed_after(Journal.record))
    while True:
        try:
            model = fitted(method, tmp_path, noise, journal=journal, watch=watch)
            break
        except Killed:
            deaths += 1
    monkeypatch.undo()
    assert deaths >= 1
    trained = any(event.kind == "sampled_gaussian" for event in alone.certificate.events)
    assert len(stages) == trained
    assert model.certificate.events == alone.certificate.events
    assert model.certificate.claim == alone.certificate.claim
    assert model.sample(300, seed=0).table.equals(alone.sample(300, seed=0).table)
    (entry,) = tronie.Ledger(tmp_path / "ledger.sqlite").entries()
    assert (entry.state, entry.events) == ("committed", model.certificate.events)
