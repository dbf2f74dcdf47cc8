"""Time, memory and error of our methods on a table of hundreds of columns.

Usage:
    python benchmarks/wide.py DATA [--columns 300] [--rows 100000] [--method glaze] [--out FILE]

DATA is the folder of the development tables. Rows of several of them are drawn with replacement and put
side by side, again and again, until there are enough columns: within a copy of a table columns depend on
one another, between copies they do not. The fit is a process of its own, from its start to the written
file; its CPU seconds and peak memory are the operating system's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tronie.schema.schema import Schema

TABLES = {
    "adult": "adult/adult.parquet",
    "airline": "airline/airline_train.parquet",
    "bank_marketing": "bank_marketing/bank_marketing.parquet",
    "acs_employment_ma": "acs_employment_ma/acs_employment_ma.parquet",
    "california_housing": "california_housing/california_housing.parquet",
}
SCHEMAS = Path(__file__).parent / "schemas"

RUN = """
import sys, tronie
source, schema, method, epsilon, output, ledger = sys.argv[1:]
model = tronie.fit(source, schema, epsilon=float(epsilon), delta=1e-9, method=method, ledger=ledger)
model.sample().write(output)
"""


def side_by_side(data: Path, columns: int, rows: int) -> tuple[pa.Table, dict[str, Any]]:
    """A wide table and its schema."""
    rng = np.random.default_rng(0)
    arrays: dict[str, pa.Array] = {}
    kinds: dict[str, Any] = {}
    copy = 0
    while len(arrays) < columns:
        for name, path in TABLES.items():
            table = pq.read_table(data / path)
            schema = Schema.read(SCHEMAS / f"{name}.yaml")
            drawn = rng.integers(0, len(table), rows)
            for column in list(schema.modelled)[: columns - len(arrays)]:
                new = f"{name}{copy}.{column}"
                arrays[new] = table[column].take(pa.array(drawn)).combine_chunks()
                kinds[new] = json.loads(schema.columns[column].model_dump_json())
        copy += 1
    return pa.table(arrays), {"name": "wide", "columns": kinds}


def pair_errors(real: pa.Table, synthetic: pa.Table, pairs: int) -> dict[str, float]:
    """Mean total variation of some pairs of columns, values in at most 32 classes of equal mass."""
    rng = np.random.default_rng(1)
    names = real.column_names
    codes: dict[str, tuple[Any, Any]] = {}
    for name in names:
        both = pa.chunked_array(
            [*real[name].cast(pa.string()).chunks, *synthetic[name].cast(pa.string()).chunks]
        )
        if pa.types.is_integer(real[name].type) or pa.types.is_floating(real[name].type):
            values = np.nan_to_num(real[name].to_numpy().astype(float), nan=-1e9)
            cuts = np.unique(np.quantile(values, np.linspace(0, 1, 33)[1:-1]))
            other = np.nan_to_num(synthetic[name].to_numpy().astype(float), nan=-1e9)
            codes[name] = tuple(np.searchsorted(cuts, v, side="right") for v in (values, other))
        else:
            index = both.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy() + 1
            codes[name] = (index[: len(real)], index[len(real) :])
    errors: dict[str, list[float]] = {"same": [], "other": []}
    for a, b in itertools.combinations(names, 2):
        kind = "same" if a.split(".")[0] == b.split(".")[0] else "other"
        if len(errors[kind]) < pairs and rng.random() < 0.2:
            tables = [
                np.bincount(codes[a][i] * 200 + codes[b][i], minlength=40_000) for i in (0, 1)
            ]
            shares = [table[:40_000] / table.sum() for table in tables]
            errors[kind].append(float(np.abs(shares[0] - shares[1]).sum() / 2))
    return {f"tv2_{kind}": round(float(np.mean(values)), 5) for kind, values in errors.items()}


def main() -> None:
    """Build, run, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--method", default="glaze")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, schema = side_by_side(options.data, options.columns, options.rows)
        pq.write_table(table, folder / "wide.parquet")
        (folder / "schema.json").write_text(json.dumps(schema))
        output = folder / "synthetic.parquet"
        files = [str(folder / "wide.parquet"), str(folder / "schema.json")]
        arguments = [*files, options.method, str(options.epsilon), str(output), str(folder / "l")]
        start = time.time()
        process = subprocess.Popen([sys.executable, "-c", RUN, *arguments], env=dict(os.environ))
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.time() - start
        if status:
            raise SystemExit("the run failed")
        errors = pair_errors(table, pq.read_table(output), 500)
    report = {
        "command": f"python benchmarks/wide.py DATA --columns {options.columns} "
        f"--rows {options.rows} --method {options.method} --epsilon {options.epsilon}",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "wall_s": round(wall, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
        **errors,
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
