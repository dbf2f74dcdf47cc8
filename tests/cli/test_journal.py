"""A command that was killed in the middle of a training goes on when it is given again."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tronie
from tronie.privacy.events import SampledGaussian
from tronie.synth import learning

pytest.importorskip("torch")

STUCK = """
import time
from tronie.cli.main import main
from tronie.measure import descent, gradients, journal
descent.calibrated_noise = lambda *known, **more: 4e3
journal.CLAIM_SECONDS = 0.01
honest, steps = gradients._clipped_sum, []
def slow(*given):
    steps.append(given)
    if len(steps) == 7:
        print("training", flush=True)
        time.sleep(600)
    time.sleep(0.02)
    return honest(*given)
gradients._clipped_sum = slow
main()
"""
"""A fit that gets stuck in the middle of its training; its noise is not searched for, to save time."""


def bodies(journal: Path) -> list[dict[str, Any]]:
    text = (journal / "journal.jsonl").read_text()
    return [json.loads(line)["body"] for line in text.splitlines()]


def test_kill_9_in_a_training_loses_steps_but_neither_budget_nor_answers(
    table: Path,
    schema: Path,
    ledger: Path,
    tmp_path: Path,
    run: Callable[..., Any],
    run_json: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brief = {name: replace(level, orders=4) for name, level in learning.LEVELS.items()}
    monkeypatch.setattr(learning, "LEVELS", brief)
    monkeypatch.setattr(learning, "LEAST_POPULATION", 512)
    monkeypatch.setattr("tronie.measure.descent.calibrated_noise", lambda *known, **more: 4e3)
    monkeypatch.setattr("tronie.privacy.pld.pld_epsilon", lambda *known: math.inf)
    journal = tmp_path / "journal"
    options = [
        "--epsilon",
        1,
        "--method",
        "transformer",
        "--effort",
        "fast",
        "--train",
        "epochs=0.5",
    ]
    command = ["fit", table, schema, *options, "--journal", journal, "-o", tmp_path / "x.tronie"]
    with subprocess.Popen(
        [sys.executable, "-c", STUCK, *map(str, command)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        assert "in use by another run" in run(*command, code=2).stderr
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert [entry.state for entry in tronie.Ledger(ledger).entries()] == ["touched"]
    told = bodies(journal)
    claimed = max(line["upto"] for line in told if line["kind"] == "steps")
    saved = max(line["next"] for line in told if line["kind"] == "state")
    assert 1 <= saved < claimed <= 12

    run_json(*command)
    model = tronie.Model.load(tmp_path / "x.tronie")
    (training,) = [e for e in model.certificate.events if isinstance(e, SampledGaussian)]
    assert training.steps > claimed
    (entry,) = tronie.Ledger(ledger).entries()
    assert (entry.state, entry.events) == ("committed", model.certificate.events)
    after = bodies(journal)
    assert after[: len(told)] == told
    assert min(line["upto"] for line in after[len(told) :] if line["kind"] == "steps") > claimed
    states = list(journal.glob("*.safetensors"))
    assert [path.name for path in states] == [after[-1]["file"]]

    again = [*command[:-1], tmp_path / "y.tronie"]
    run_json(*again)
    same = tronie.Model.load(tmp_path / "y.tronie")
    assert same.sample(50, seed=1).table.equals(model.sample(50, seed=1).table)
    assert len(tronie.Ledger(ledger).entries()) == 1
