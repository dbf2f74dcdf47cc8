"""How well single columns of raw tables survive: mean histogram intersection.

Usage:
    python benchmarks/histograms.py TABLE.parquet SCHEMA.yaml [--method mst] [--runs 3] [--out FILE]

Numbers are cut into 50 bins of equal width over the real table's range, other values are compared as they
are, missing values are a bin of their own; identifiers are left out. The intersection of two histograms
is one minus their total variation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

import tronie

BINS = 50


def intersection(real: pa.ChunkedArray, synthetic: pa.ChunkedArray) -> float:
    """Sum over bins of the smaller of the two shares."""
    if pa.types.is_integer(real.type) or pa.types.is_floating(real.type):
        one, two = (np.array(c.to_pylist(), float) for c in (real, synthetic))
        edges = np.linspace(np.nanmin(one), np.nanmax(one), BINS + 1)
        inner = edges[1:-1]
        bins = [np.where(np.isnan(x), BINS, np.searchsorted(inner, x, "right")) for x in (one, two)]
        shares = [np.bincount(b, minlength=BINS + 1) / len(b) for b in bins]
    else:
        names = sorted(
            {*map(str, real.unique().to_pylist()), *map(str, synthetic.unique().to_pylist())}
        )
        index = {name: i for i, name in enumerate(names)}
        shares = [
            np.bincount([index[str(v)] for v in c.to_pylist()], minlength=len(names)) / len(c)
            for c in (real, synthetic)
        ]
    return float(np.minimum(*shares).sum())


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("schema", type=Path)
    parser.add_argument("--method", default="mst")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--discover", action="store_true", help="use no schema at all")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    real = pyarrow.parquet.read_table(options.table)
    schema = tronie.Schema.read(options.schema)
    identifiers = {n for n, c in schema.columns.items() if c.kind == "identifier"}
    runs: list[dict[str, Any]] = []
    for number in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            model = tronie.fit(
                options.table,
                None if options.discover else schema,
                epsilon=options.epsilon,
                delta=options.delta,
                method=options.method,
                discover=options.discover,
                ledger=Path(folder) / "ledger.sqlite",
            )
            synthetic = model.sample().table
            cpu = time.process_time() - begun
        columns = {
            name: round(intersection(real[name], synthetic[name]), 4)
            for name in synthetic.column_names
            if name not in identifiers
        }
        runs.append(
            {
                "run": number,
                "cpu_s": round(cpu, 2),
                "mean": round(float(np.mean(list(columns.values()))), 4),
                "columns": columns,
            }
        )
        print(json.dumps(runs[-1]), flush=True)
    report = {
        "command": f"python benchmarks/histograms.py {options.table.name} {options.schema.name} "
        f"--method {options.method} --epsilon {options.epsilon:g} --delta {options.delta:g} "
        f"--runs {options.runs}" + (" --discover" if options.discover else ""),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "mean": round(float(np.mean([run["mean"] for run in runs])), 4),
        "runs": runs,
    }
    print(report["mean"])
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
