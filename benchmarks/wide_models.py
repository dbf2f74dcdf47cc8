"""Arithmetic of wide models: marginals of all pairs, and the size of a model with one more pair.

Half of the columns have 2 to 8 codes, a quarter 10 to 30, a quarter 50 to 100; the 14 columns of
``adult`` have the sizes of that table. A forest hangs every column on the smallest of three earlier ones;
a dense model adds pairs, each the cheapest of thirty random ones, up to so many pairs or cells.
Potentials are standard normal. Each model has a process of its own: CPU seconds are those of one thread
after imports, the peak of resident memory is the whole process's.

    python benchmarks/wide_models.py --output benchmarks/results/wide_models.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tronie.models.growth import Growth
from tronie.models.junction import forecast_cells, junction_tree
from tronie.models.markov import MarkovRandomField
from tronie.models.propagation import Propagation
from tronie.schema.domain import Clique, Domain

ADULT = (85, 9, 100, 16, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42)
CASES = {
    "adult forest": (14, 13, 130_000),
    "adult dense": (14, 91, 130_000),
    "60 forest": (60, 59, 400_000),
    "60 dense": (60, 180, 400_000),
    "300 alone": (300, 0, 400_000),
    "300 forest": (300, 299, 400_000),
    "300 dense": (300, 600, 400_000),
}
"""Columns, most pairs, and most cells."""

CANDIDATES = 100


def main() -> None:
    """Measure, and write down what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(*CASES[options.case], options.repeats)))
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found: dict[str, Any] = {
        "command": f"python benchmarks/wide_models.py --repeats {options.repeats}",
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "cases": {},
    }
    for case in CASES:
        command = [sys.executable, __file__, "--case", case, "--repeats", str(options.repeats)]
        run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found["cases"][case] = json.loads(run.stdout)
    text = json.dumps(found, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


def measure(columns: int, most: int, cells: int, repeats: int) -> dict[str, Any]:
    """CPU seconds and memory of one model; the shortest of several runs."""
    rng = np.random.default_rng(0)
    domain = draw_domain(columns, rng)
    pairs = draw_pairs(domain, most, cells, rng)
    growth = Growth(domain, pairs)
    names = domain.columns
    picks = [rng.choice(columns, 2, replace=False).tolist() for _ in range(CANDIDATES)]
    candidates = [(names[i], names[j]) for i, j in picks]
    each = [cpu(lambda pair=pair: growth.cells_with(pair), repeats) for pair in candidates]
    model = draw_model(domain, pairs, rng)
    every = list(itertools.combinations(names, 2))
    return {
        "columns": columns,
        "mean_codes": round(statistics.mean(domain.shape), 1),
        "pairs": len(pairs),
        "cells": growth.cells,
        "largest_separator": max(
            domain.size(model.tree.separator(i)) for i in range(len(model.beliefs))
        ),
        "all_pairs": len(every),
        "all_pairs_cells": sum(map(domain.size, every)),
        "all_pairs_s": round(cpu(lambda: model.marginals(every), repeats), 4),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "cells_with_mean_ms": round(statistics.mean(each) * 1e3, 3),
        "cells_with_max_ms": round(max(each) * 1e3, 3),
        "growth_ms": round(cpu(lambda: Growth(domain, pairs), repeats) * 1e3, 3),
        "forecast_cells_ms": round(cpu(lambda: forecast_cells(domain, pairs), repeats) * 1e3, 3),
        "junction_tree_ms": round(cpu(lambda: junction_tree(domain, pairs), repeats) * 1e3, 3),
    }


def draw_domain(columns: int, rng: np.random.Generator) -> Domain:
    """Sizes of the columns."""
    if columns == len(ADULT):
        return Domain({f"c{i}": size for i, size in enumerate(ADULT)})
    ranges = [(2, 8), (2, 8), (10, 30), (50, 100)]
    drawn = [ranges[kind] for kind in rng.integers(0, len(ranges), columns)]
    return Domain({f"c{i}": int(rng.integers(a, b + 1)) for i, (a, b) in enumerate(drawn)})


def draw_pairs(domain: Domain, most: int, cells: int, rng: np.random.Generator) -> list[Clique]:
    """A forest first, then pairs that close circles."""
    names = domain.columns
    pairs: list[Clique] = []
    for i in range(1, min(len(names), most + 1)):
        earlier = [names[j] for j in rng.integers(0, i, 3)]
        pairs.append((names[i], min(earlier, key=domain.sizes.__getitem__)))
    growth = Growth(domain, pairs)
    while len(pairs) < most:
        picks = [rng.choice(len(names), 2, replace=False).tolist() for _ in range(30)]
        some = [(names[min(pick)], names[max(pick)]) for pick in picks]
        fresh = [p for p in some if p not in pairs and p[::-1] not in pairs]
        best = min(fresh, key=growth.cells_with, default=None)
        if best is None or growth.cells_with(best) > cells:
            break
        growth.add(best)
        pairs.append(best)
    return pairs


def draw_model(domain: Domain, pairs: list[Clique], rng: np.random.Generator) -> MarkovRandomField:
    """Random potentials over the cliques of the junction tree."""
    tree = junction_tree(domain, pairs)
    tables = [rng.normal(size=domain.project(clique).shape) for clique in tree.cliques]
    Propagation(tree).calibrate(tables)
    return MarkovRandomField(tree, 1000.0, tuple(tables))


def cpu(work: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the fastest run."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    main()
