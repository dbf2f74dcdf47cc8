"""How well classifiers learn from synthetic rows, in the setting of DP-2Stage (arXiv 2412.02467).

Usage:
    python benchmarks/efficacy.py TABLE.parquet [MORE.parquet] SCHEMA.yaml LABEL EVALUATION.py
        [--python PYTHON] [--train 30932] [--valid 1000] [--splits 3] [--samples 3] [--epsilon 1]
        [--delta 1e-5] [--method glaze] [--effort normal] [--target] [--drop id] [--out FILE]

The tables are joined, exact duplicates dropped, and the rows split as DP-2Stage's
``download_dataset.py`` does it: from all distinct rows it draws the training rows with
``pandas.sample(30932, random_state=1000)``, then 1,000 rows for validation, which nobody uses here; the
rest is the test table (16,858 rows of Adult). It had shuffled the rows before, without a seed, so its
very rows cannot be drawn again: sizes and manner are the same, rows are not. Further splits take the
next seeds. One model is fitted for each split, and several samples as large as the training table are
drawn from it.

EVALUATION.py is run as a process, ``PYTHON EVALUATION.py SYNTHETIC TEST LABEL``, by a Python that has
pandas, scikit-learn and xgboost; it prints as JSON F1 and AUC (means of XGBoost and balanced logistic
regression), and Hist and Pair (against the test table), in percent. The training rows themselves are
evaluated like a sample, as the ceiling.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

import tronie

SEED = 1000
"""The published seed; splits count up from it."""

NUMBERS = ("f1", "auc", "hist", "pair")


def machine() -> dict[str, Any]:
    """What the numbers were made on."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def read(paths: Iterable[Path], drop: Iterable[str]) -> pa.Table:
    """One table of all distinct rows, in the order of the files."""
    tables = [pyarrow.parquet.read_table(path) for path in paths]
    tables = [t.drop_columns([c for c in drop if c in t.column_names]) for t in tables]
    table = pa.concat_tables([t.cast(tables[0].schema) for t in tables])
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    first: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row, number)
    return table.take(sorted(first.values())).replace_schema_metadata(None)


def split(rows: int, train: int, valid: int, seed: int) -> tuple[list[int], list[int]]:
    """Row numbers of the training and of the test table."""
    chosen = np.random.RandomState(seed).choice(rows, train, replace=False)
    rest = np.setdiff1d(np.arange(rows), chosen)
    unused = np.random.RandomState(seed).choice(rest, valid, replace=False)
    return chosen.tolist(), np.setdiff1d(rest, unused).tolist()


def fitted(source: Any, schema: tronie.Schema, wishes: Mapping[str, Any]) -> tuple[Any, float]:
    """A fitted model, and the CPU seconds of its fit."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        model = tronie.fit(source, schema, ledger=Path(folder) / "ledger.sqlite", **wishes)
        return model, time.process_time() - begun


def without(schema: Path, drop: Iterable[str]) -> tronie.Schema:
    """The schema of a table some of whose columns were left out."""
    plain = json.loads(tronie.Schema.read(schema).to_json())
    plain["columns"] = {n: c for n, c in plain["columns"].items() if n not in set(drop)}
    return tronie.Schema.parse(json.dumps(plain), "json")


def evaluated(python: str, script: Path, synthetic: Path, test: Path, label: str) -> dict[str, Any]:
    """What the evaluation prints for one synthetic table."""
    command = [python, str(script), str(synthetic), str(test), label]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def scores(result: Mapping[str, Any]) -> dict[str, Any]:
    """The four numbers, then those of each classifier."""
    short = {name: round(result[name], 3) for name in NUMBERS}
    return short | {k: {n: round(v, 3) for n, v in result[k].items()} for k in ("xgb", "lr")}


def mean(runs: Iterable[Mapping[str, Any]], names: Iterable[str]) -> dict[str, float]:
    """Means of some numbers over runs."""
    runs = list(runs)
    return {name: round(statistics.mean(run[name] for run in runs), 4) for name in names}


def spending(options: argparse.Namespace, target: str | None) -> dict[str, Any]:
    """What `tronie.fit` is told beside the table and its schema."""
    wishes: dict[str, Any] = {
        "epsilon": options.epsilon,
        "delta": options.delta,
        "method": options.method,
        "effort": options.effort,
    }
    return wishes | ({"target": target} if target else {})


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("schema", type=Path)
    parser.add_argument("label")
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--python", default="python3", help="has pandas, scikit-learn and xgboost")
    parser.add_argument("--train", type=int, default=30932)
    parser.add_argument("--valid", type=int, default=1000)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--method", default="glaze")
    parser.add_argument("--effort", default="normal")
    parser.add_argument("--target", action="store_true", help="tell the fit that LABEL matters")
    parser.add_argument("--drop", default="", help="columns left out, with commas")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def command(options: argparse.Namespace) -> str:
    """The command that repeats a run."""
    named = " ".join(path.name for path in [*options.tables, options.schema])
    return (
        f"python benchmarks/efficacy.py {named} {options.label} {options.evaluation.name} "
        f"--train {options.train} --valid {options.valid} --splits {options.splits} "
        f"--samples {options.samples} --epsilon {options.epsilon:g} --delta {options.delta:g} "
        f"--method {options.method} --effort {options.effort}"
        + (" --target" if options.target else "")
        + (f" --drop {options.drop}" if options.drop else "")
    )


def one_split(
    options: argparse.Namespace, table: pa.Table, schema: tronie.Schema, number: int, folder: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The ceiling of one split, and the runs on it."""
    chosen, kept = split(len(table), options.train, options.valid, SEED + number)
    train, test, output = (folder / f"{n}.parquet" for n in ("train", "test", "synthetic"))
    pyarrow.parquet.write_table(table.take(chosen), train)
    pyarrow.parquet.write_table(table.take(kept), test)
    evaluate = (options.python, options.evaluation)
    where = {"split": number, "train_rows": len(chosen), "test_rows": len(kept)}
    ceiling = where | scores(evaluated(*evaluate, train, test, options.label))
    wishes = spending(options, options.label if options.target else None)
    model, cpu = fitted(train, schema, wishes)
    runs: list[dict[str, Any]] = []
    for sample in range(options.samples):
        pyarrow.parquet.write_table(model.sample(len(chosen)).table, output)
        result = scores(evaluated(*evaluate, output, test, options.label))
        runs.append({"split": number, "sample": sample, "fit_cpu_s": round(cpu, 2)} | result)
        print(json.dumps(runs[-1]), flush=True)
    return ceiling, runs


def main() -> None:
    """Split, fit, sample, evaluate, print."""
    options = arguments()
    drop = [name for name in options.drop.split(",") if name]
    table = read(options.tables, drop)
    schema = without(options.schema, drop)
    ceilings: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for number in range(options.splits):
        with tempfile.TemporaryDirectory() as folder:
            ceiling, found = one_split(options, table, schema, number, Path(folder))
        ceilings.append(ceiling)
        runs += found
    report = {
        "command": command(options),
        "machine": machine(),
        "label": options.label,
        "epsilon": options.epsilon,
        "target": options.target,
        "distinct_rows": len(table),
        "means": mean(runs, [*NUMBERS, "fit_cpu_s"]),
        "means_of_real_rows": mean(ceilings, NUMBERS),
        "runs": runs,
        "real_rows": ceilings,
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({k: report[k] for k in ("means", "means_of_real_rows")}, indent=1))


if __name__ == "__main__":
    main()
