"""How often intervals of 1.96 standard errors hold the truth, over simulated releases.

Usage:
    python benchmarks/coverage.py [--releases 200] [--out FILE]

Each release measures one and the same made-up table anew, with seeded noise: all single columns as every
method does, and a ring of pairs chosen beforehand. The model is fitted, its standard errors are worked
out from the noise alone, and the table's exact counts are held against the intervals. Cells are grouped
by their exact and by their estimated count in noise sds of their table, since regularisation and the
bound at zero act on small counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import InsecureNoise
from tronie.measure.records import Records
from tronie.models.estimation import estimate
from tronie.models.uncertainty import REPLICAS, replicate
from tronie.privacy.budget import Budget
from tronie.schema.schema import Schema
from tronie.synth.mst import Mst
from tronie.synth.pairs import measure_weighted
from tronie.synth.prepare import Prepared, prepare
from tronie.tables.sources import open_source

SETTINGS = ((2_000, 1.0), (10_000, 1.0), (50_000, 0.3))
"""Rows and epsilon of each simulation."""

SIZES = {"a": 2, "b": 4, "c": 6, "d": 9, "e": 15, "f": 40}
ORDERED = {"g": 60, "h": 3000}
RING = [
    ("a", "d"),
    ("d", "f"),
    ("f", "g"),
    ("g", "h"),
    ("h", "b"),
    ("b", "e"),
    ("e", "c"),
    ("c", "a"),
]
UNMEASURED = [("a", "b"), ("c", "g"), ("d", "e"), ("e", "h")]
BOUNDS = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, np.inf)


def made_up(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Codes of columns that depend on two hidden numbers; frequencies fall off like those of names."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(rows, 2))
    table: dict[str, np.ndarray] = {}
    for name, size in SIZES.items():
        score = hidden @ rng.normal(size=2) + rng.normal(size=rows)
        shares = np.cumsum(1 / np.arange(1, size + 1))
        cuts = np.quantile(score, shares[:-1] / shares[-1])
        table[name] = rng.permutation(size)[np.searchsorted(cuts, score)]
    for name, size in ORDERED.items():
        score = np.exp(0.6 * (hidden @ rng.normal(size=2) + rng.normal(size=rows)))
        table[name] = np.minimum((score * size / 8).astype(np.int64), size - 1)
    return table


def schema() -> Schema:
    """Public facts about the made-up table."""
    listed = {
        name: {"kind": "category", "values": list(range(size)), "nullable": False}
        for name, size in SIZES.items()
    }
    ordered = {
        name: {"kind": "integer", "min": 0, "max": size - 1, "nullable": False}
        for name, size in ORDERED.items()
    }
    return Schema.model_validate({"name": "made-up", "columns": {**listed, **ordered}})


def release(
    table: dict[str, np.ndarray], epsilon: float, seed: int
) -> Iterator[tuple[str, float, np.ndarray, np.ndarray, np.ndarray]]:
    """Of each marginal of one release: its kind, its noise sd, truth, estimate and standard error."""
    facts, budget = schema(), Budget(epsilon, 1e-9)
    curator = Curator(
        Records(open_source(pa.table(table)), facts),
        Meter(budget),
        rows_per_unit=1,
        noise=InsecureNoise(seed),
    )
    plan = Mst().plan(facts, budget)
    prepared = prepare(curator, facts, plan)
    measured = [
        *prepared.oneways,
        *measure_weighted(curator, prepared, plan, dict.fromkeys(RING, 1.0)),
    ]
    model = estimate(prepared.domain, measured, prepared.total)
    replicas = replicate(model, measured, total_sd=plan.sigma("total"), seed=seed)
    sds = {m.clique: m.sd for m in measured}
    cliques = [*sds, *UNMEASURED]
    found = replicas.uncertainty(cliques)
    for clique, estimated, one in zip(cliques, model.marginals(cliques), found, strict=True):
        kind = f"{len(clique)}-way" if one.supported else "2-way, not supported"
        sd = float(np.mean(sds.get(clique, sds[RING[0]])))
        yield kind, sd, exact(table, prepared, clique), estimated.values, one.noise
    rows = np.array([len(table["a"])], float)
    yield (
        "total",
        plan.sigma("total"),
        rows,
        np.array([model.total]),
        np.array([replicas.total_error]),
    )


def exact(table: dict[str, np.ndarray], prepared: Prepared, clique: tuple[str, ...]) -> np.ndarray:
    """Exact counts of some columns' codes."""
    counts = np.zeros(prepared.domain.project(clique).shape)
    codes = tuple(prepared.codings[name].code_of(table[name]) for name in clique)
    np.add.at(counts, codes, 1.0)
    return counts


def simulate(rows: int, epsilon: float, releases: int) -> dict[str, Any]:
    """Coverage by kind of marginal and by exact count in noise sds."""
    table = made_up(rows, seed=0)
    held: dict[str, list[np.ndarray]] = defaultdict(list)
    begun = time.process_time()
    for seed in range(releases):
        for kind, sd, truth, estimated, error in release(table, epsilon, seed):
            cells = np.stack([np.ravel(values) / sd for values in (truth, estimated, error)])
            held[kind].append(cells)
    cpu = time.process_time() - begun
    return {
        "rows": rows,
        "epsilon": epsilon,
        "releases": releases,
        "cpu_s_per_release": round(cpu / releases, 3),
        "coverage": {kind: summary(np.concatenate(held[kind], axis=1)) for kind in sorted(held)},
    }


def summary(cells: np.ndarray) -> dict[str, Any]:
    """Coverage of all cells, and of each class of exact and of estimated counts."""
    found: dict[str, Any] = {"all": measures(cells)}
    for name, counts in (("by_exact_count", cells[0]), ("by_estimate", cells[1])):
        classes = np.searchsorted(BOUNDS, counts, side="right") - 1
        found[name] = {
            f"{BOUNDS[n]:g} to {BOUNDS[n + 1]:g} sds": measures(cells[:, classes == n])
            for n in np.unique(classes).tolist()
        }
    return found


def measures(cells: np.ndarray) -> dict[str, float]:
    """Coverage, and by how much estimates are off, in noise sds."""
    truth, estimated, error = cells
    off = estimated - truth
    return {
        "cells": off.size,
        "coverage": round(float((np.abs(off) <= 1.96 * error).mean()), 4),
        "bias_sds": round(float(off.mean()), 3),
        "rms_error_sds": round(float(np.sqrt((off**2).mean())), 3),
        "rms_claimed_sds": round(float(np.sqrt((error**2).mean())), 3),
    }


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for rows, epsilon in SETTINGS:
        results.append(simulate(rows, epsilon, options.releases))
        print(json.dumps(results[-1], indent=1), flush=True)
    report = {
        "command": f"python benchmarks/coverage.py --releases {options.releases}",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "replicas": REPLICAS,
        "interval": "estimate +- 1.96 standard errors; nominal coverage 0.95",
        "results": results,
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
