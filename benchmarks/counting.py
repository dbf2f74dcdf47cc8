"""All pairs of 15 integer columns counted in one pass, against a plain numpy loop.

Three ways count the same 105 tables from the same Parquet file, each in a process of its own, by
turns: ``tronie`` streams the file and counts packed blocks of columns; ``numpy chunks`` streams it and
calls bincount 105 times per batch; ``numpy whole`` reads whole columns and calls bincount 105 times.
Their tables are compared by a checksum. CPU seconds are those after imports (pyarrow's `to_numpy`
imports pandas, which is not held against anyone); the peak of resident memory is the whole process's.

    python benchmarks/counting.py --codes adult.csv --output benchmarks/results/counting.json

The codes are a CSV file of 14 columns of small integers, such as Adult as AIM and Private-PGM use it.
Its rows are repeated; a 15th column holds the first one's codes in another order.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from tronie.tables.arrays import values_of
from tronie.tables.counting import count_marginals
from tronie.tables.sources import open_source

Tables: TypeAlias = Mapping[tuple[str, ...], NDArray[np.int64]]
Sizes: TypeAlias = dict[str, int]

WAYS = ("tronie", "numpy chunks", "numpy whole")
BATCH_ROWS = 65_536


def main() -> None:
    """Measure, and write down what was found."""
    options = _options()
    if options.way:
        print(json.dumps(_measure(options.way, options.parquet, json.loads(options.sizes))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        sizes = _write(options.codes, path, options.rows)
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(options.repeats):
            for way in WAYS:
                runs[way].append(_run(way, path, sizes))
        found = _report(options, path, sizes, runs)
    text = json.dumps(found, indent=1)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--codes", type=Path, help="CSV file of integer codes")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    for internal in ("--way", "--parquet", "--sizes"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    return parser.parse_args()


def _write(codes: Path, path: Path, rows: int) -> Sizes:
    """Write the table, and say how many codes each column has."""
    table = csv.read_csv(codes)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    first = next(iter(columns))
    rng = np.random.default_rng(0)
    columns[f"{first} (shuffled)"] = rng.permutation(columns[first])
    block = pa.table(columns)
    with parquet.ParquetWriter(path, block.schema) as writer:
        for start in range(0, rows, len(block)):
            writer.write_table(block.slice(0, rows - start))
    return {name: int(values.max()) + 1 for name, values in columns.items()}


def _run(way: str, path: Path, sizes: Sizes) -> dict[str, Any]:
    command = [sys.executable, __file__, "--way", way, "--parquet", str(path)]
    done = subprocess.run(
        [*command, "--sizes", json.dumps(sizes)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def _measure(way: str, path: str, sizes: Sizes) -> dict[str, Any]:
    pa.array([0]).to_numpy()
    began, cpu = time.perf_counter(), time.process_time()
    tables = _WAYS[way](path, sizes)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    digest = hashlib.sha256()
    for clique, table in sorted(tables.items()):
        digest.update(repr((clique, table.shape)).encode())
        digest.update(np.ascontiguousarray(table, np.int64).tobytes())
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20,
        "checksum": digest.hexdigest(),
    }


def _pairs(sizes: Sizes) -> list[tuple[str, str]]:
    return list(itertools.combinations(sizes, 2))


def _tronie(path: str, sizes: Sizes) -> Tables:
    batches = open_source(path).batches(list(sizes))
    chunks = ({name: values_of(batch[name]) for name in sizes} for batch in batches)
    return count_marginals(chunks, sizes, _pairs(sizes))


def _numpy_chunks(path: str, sizes: Sizes) -> Tables:
    tables = {(a, b): np.zeros(sizes[a] * sizes[b], np.int64) for a, b in _pairs(sizes)}
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            columns = {name: batch[name].to_numpy() for name in sizes}
            for (a, b), table in tables.items():
                table += np.bincount(columns[a] * sizes[b] + columns[b], minlength=len(table))
    return {(a, b): table.reshape(sizes[a], sizes[b]) for (a, b), table in tables.items()}


def _numpy_whole(path: str, sizes: Sizes) -> Tables:
    table = parquet.read_table(path)
    columns = {name: table[name].to_numpy() for name in sizes}
    return {
        (a, b): np.bincount(
            columns[a] * sizes[b] + columns[b], minlength=sizes[a] * sizes[b]
        ).reshape(sizes[a], sizes[b])
        for a, b in _pairs(sizes)
    }


_WAYS: dict[str, Callable[[str, Sizes], Tables]] = {
    "tronie": _tronie,
    "numpy chunks": _numpy_chunks,
    "numpy whole": _numpy_whole,
}


def _report(
    options: argparse.Namespace, path: Path, sizes: Sizes, runs: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    measures = ("cpu_seconds", "wall_seconds", "peak_rss_mib")
    ours, whole = ([run["cpu_seconds"] for run in runs[way]] for way in ("tronie", "numpy whole"))
    return {
        "command": f"python benchmarks/counting.py --codes adult.csv --rows {options.rows} "
        f"--repeats {options.repeats} --output FILE",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "processor": platform.machine(),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
        "rows": options.rows,
        "columns": len(sizes),
        "tables": len(_pairs(sizes)),
        "cells": sum(sizes[a] * sizes[b] for a, b in _pairs(sizes)),
        "file_mib": round(path.stat().st_size / 2**20, 1),
        "same_counts": len({run["checksum"] for way in WAYS for run in runs[way]}) == 1,
        "median": {
            way: {m: round(statistics.median(run[m] for run in runs[way]), 2) for m in measures}
            for way in WAYS
        },
        "cpu_of_tronie_to_numpy_whole": round(
            statistics.median(ours) / statistics.median(whole), 3
        ),
        "runs": {
            way: [{m: round(run[m], 2) for m in measures} for run in runs[way]] for way in WAYS
        },
    }


if __name__ == "__main__":
    main()
