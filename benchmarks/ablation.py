"""What each ingredient of `glaze` gains: one is changed at a time, all else stays.

Usage:
    python benchmarks/ablation.py CODES.csv DOMAIN.json EVALUATION.py [--runs 3] [--epsilon 1] [--out FILE]

The arguments are those of adult_discrete.py. Runs share one process; CPU seconds are those of fitting and
sampling. Noise is fresh in every run: differences below 0.0005 in tv2 are chance.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.csv
import pyarrow.parquet
from adult_discrete import schema_of

import tronie
from tronie.models import expansion
from tronie.schema.schema import Schema
from tronie.synth import batch, glaze, layers, plan, prepare
from tronie.synth.layers import Level

Change = tuple[ModuleType, str, Any]


def levels(rounds: int, cells: int) -> dict[str, Level]:
    """One level for all efforts."""
    return dict.fromkeys(("fast", "normal", "high"), Level(rounds, cells))


def share(value: float) -> Callable[..., float]:
    """A fixed share of single columns."""
    return lambda schema, mu: value


def flat_error(table: Any, sigma: float) -> float:
    """Expected noise of a table as AIM counts it."""
    return float(0.8 * sigma * table.size)


def even(sizes: dict[str, int]) -> dict[str, float]:
    """The same budget for every column."""
    return dict.fromkeys(sizes, 1 / len(sizes))


CHANGES: dict[str, list[Change]] = {
    "glaze": [],
    "one round (all chosen at once)": [(glaze, "LEVELS", levels(1, 400_000))],
    "a tree, then one batch (2 rounds)": [(glaze, "LEVELS", levels(2, 400_000))],
    "8 rounds": [(glaze, "LEVELS", levels(8, 400_000))],
    "no triples": [(layers, "TRIPLE_CELLS", 0.0)],
    "noise counted as 0.8 sigma a cell": [(layers, "fit_error", flat_error)],
    "noise counts once (no caution)": [(batch, "CAUTION", 1.0)],
    "no price of growth": [(batch, "SCARCITY", 0.0)],
    "models of 50,000 cells": [(glaze, "LEVELS", levels(5, 50_000))],
    "models of 2 million cells": [(glaze, "LEVELS", levels(5, 2_000_000))],
    "a tenth of the budget for single columns": [(glaze, "columns_share", share(0.1))],
    "same budget for every column": [
        (prepare, "histogram_weights", even),
        (plan, "histogram_weights", even),
    ],
    "a tenth of the budget for choosing": [(glaze, "SELECT", 0.1)],
    "numbers in 12 pieces": [(prepare, "pieces", lambda rows, mu: 12)],
    "numbers in 100 pieces": [(prepare, "pieces", lambda rows, mu: 100)],
    "points within a code spread at random": [(expansion, "KEYS", 0)],
}


def patched(changes: list[Change]) -> AbstractContextManager[Any]:
    """The package with some of its parts exchanged."""
    stack = ExitStack()
    for module, name, value in changes:
        stack.enter_context(mock.patch.object(module, name, value))
    return stack


def main() -> None:
    """Run all, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", type=Path)
    parser.add_argument("domain", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    domain: dict[str, int] = json.loads(options.domain.read_text())
    spec = importlib.util.spec_from_file_location("evaluation", options.evaluation)
    assert spec
    assert spec.loader
    evaluation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evaluation)
    real = evaluation.load(str(options.codes), domain)
    table = pyarrow.csv.read_csv(options.codes).select(list(domain))
    schema = Schema.model_validate(schema_of(domain, ordinal=True))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CHANGES}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "synthetic.parquet"
        for number in range(options.runs):
            for name, changes in CHANGES.items():
                ledger = Path(folder) / f"{number}-{len(found[name])}-{abs(hash(name))}"
                start = time.process_time()
                with patched(changes):
                    model = tronie.fit(
                        table,
                        schema,
                        epsilon=options.epsilon,
                        delta=1e-9,
                        method="glaze",
                        ledger=ledger,
                    )
                    model.sample().write(output)
                cpu = time.process_time() - start
                errors = evaluation.evaluate(real, evaluation.load(str(output), domain), domain)
                found[name].append(
                    {"cpu_s": cpu, **{f"tv{k}": errors[f"tv_{k}way_mean"] for k in (1, 2, 3)}}
                )
    means = {
        name: {k: round(statistics.mean(r[k] for r in runs), 5) for k in runs[0]}
        for name, runs in found.items()
    }
    report = {
        "command": "python benchmarks/ablation.py CODES.csv DOMAIN.json EVALUATION.py "
        f"--runs {options.runs} --epsilon {options.epsilon}",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "means": means,
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    for name, mean in means.items():
        print(f"{name:45s} {mean['tv2']:.4f} {mean['tv3']:.4f} {mean['cpu_s']:.1f} s")


if __name__ == "__main__":
    main()
