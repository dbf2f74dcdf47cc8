"""Methods that train networks, beside marginal ones: errors, classifiers, time; and tables of high order.

Usage:
    python benchmarks/learned.py codes CODES.csv DOMAIN.json EVALUATION.py EFFICACY.py LABEL
        [--python PYTHON] [--methods glaze,transformer] [--runs 3] [--out FILE]
    python benchmarks/learned.py tables DATA_FOLDER EFFICACY.py [--tables airline,diabetes130]
        [--python PYTHON] [--methods glaze,transformer] [--runs 1] [--out FILE]
    python benchmarks/learned.py show FILE
    python benchmarks/learned.py order [--rows 50000] [--methods glaze,transformer] [--runs 3] [--out FILE]

`codes` fits integer codes twice in each run, at epsilon 1 and delta 1e-5. The model of all rows is
evaluated by the function ``evaluate(real, synthetic, domain)`` of EVALUATION.py (mean total variation over
columns, pairs and 200 triples). For classifiers 30 % of the rows are held out before the other model is
fitted; the rest is as in `efficacy.py`, with unordered columns as text. Each fit is a process of its own;
its CPU seconds are those from its start to the fitted model, libraries included.

`tables` fits 70 % of the rows of raw tables. Errors are those of `peers.py` against these rows (mean total
variation, numbers in 32 equal-mass and in 50 equal-width bins); classifiers are tested on the other rows.

Results are written after every run, and what is in the file already is not run again.

`order` makes two tables in which what matters shows in no pair. `parity`: four even bits and their parity.
`thermostat`: a wanted and an actual temperature, a mode (heat, cool, off) and whether it runs, which
follows from all three. What counts is the part of synthetic rows that obey the rule.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

sys.path.insert(0, str(Path(__file__).parent))

from adult_discrete import ORDERED, schema_of
from efficacy import evaluated, machine
from peers.errors import Measure
from peers.tables import SCHEMAS, TABLES, Table, prepare

EPSILON, DELTA = 1.0, 1e-5

RUN = """
import json, sys, time, tronie
source, schema, epsilon, delta, method, rows, output, ledger = sys.argv[1:]
budget = {"epsilon": float(epsilon), "delta": float(delta)}
model = tronie.fit(source, schema, method=method, ledger=ledger, **budget)
fitted = time.process_time()
rows = model.sample(int(rows))
speed = len(rows) / (time.process_time() - fitted)
print(json.dumps({"fit_cpu_s": fitted, "rows_per_cpu_s": speed}))
rows.write(output)
"""


def run(
    table: pa.Table, schema: Mapping[str, Any], method: str, rows: int, folder: Path
) -> tuple[dict[str, float], pa.Table]:
    """Fit and sample in a process of its own, with one thread."""
    source, facts, output = (folder / n for n in ("table.parquet", "schema.json", "rows.parquet"))
    pyarrow.parquet.write_table(table, source)
    facts.write_text(json.dumps(schema))
    with tempfile.TemporaryDirectory() as book:
        given = [source, facts, EPSILON, DELTA, method, rows, output, Path(book) / "ledger.sqlite"]
        answer = subprocess.run(
            [sys.executable, "-c", RUN, *map(str, given)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    numbers = {name: round(value, 1) for name, value in json.loads(answer.stdout).items()}
    return numbers, pyarrow.parquet.read_table(output)


def module(path: Path) -> Any:
    """A module from its file."""
    spec = importlib.util.spec_from_file_location("evaluation", path)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def as_text(table: pa.Table) -> pa.Table:
    """Codes of columns without an order as text, so that classifiers take them for categories."""
    columns = {
        name: table[name]
        if name in ORDERED
        else pa.array([f"c{code}" for code in table[name].to_pylist()])
        for name in table.column_names
    }
    return pa.table(columns)


def left(options: argparse.Namespace, **which: Any) -> list[str]:
    """Methods that have not been run yet on what is named."""
    done = [one["method"] for one in options.found if which.items() <= one.items()]
    return [method for method in options.methods.split(",") if method not in done]


def codes(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """Runs on a table of codes."""
    domain: dict[str, int] = json.loads(options.domain.read_text())
    evaluation = module(options.evaluation)
    real = evaluation.load(str(options.codes), domain)
    table = pyarrow.csv.read_csv(options.codes).select(list(domain))
    schema = schema_of(domain, ordinal=True)
    for number in range(options.runs):
        order = np.random.default_rng(number).permutation(len(table))
        held = round(0.3 * len(table))
        test, train = table.take(order[:held]), table.take(order[held:])
        for method in left(options, run=number):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                numbers, rows = run(table, schema, method, len(table), folder)
                synthetic = {c: rows[c].to_numpy().astype(np.int64) for c in domain}
                errors = evaluation.evaluate(real, synthetic, domain)
                tv = {f"tv{k}": errors[f"tv_{k}way_mean"] for k in (1, 2, 3)}
                _, learned = run(train, schema, method, len(train), folder)
                for part, content in (("synthetic", learned), ("test", test)):
                    pyarrow.parquet.write_table(as_text(content), folder / f"{part}.parquet")
                paths = (folder / "synthetic.parquet", folder / "test.parquet")
                found = evaluated(options.python, options.efficacy, *paths, options.label)
            scores = {name: round(found[name], 2) for name in ("auc", "f1")}
            yield {"method": method, "run": number, **tv, **scores, **numbers}


RAW = {name: TABLES[name] for name in ("airline", "bank_marketing", "california_housing")} | {
    "diabetes130": Table(
        "diabetes130", "diabetes130/diabetes130.parquet", SCHEMAS / "diabetes130.yaml"
    )
}

LABELS = {"airline": "satisfaction", "bank_marketing": "y", "diabetes130": "diabetesMed"}
"""Columns that classifiers predict, where there is one of two values."""


def tables(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """Runs on raw tables."""
    for number in range(options.runs):
        for name in options.tables.split(","):
            prepared = prepare(RAW[name], options.data)
            order = np.random.default_rng(number).permutation(len(prepared.rows))
            held = round(0.3 * len(order))
            test, train = prepared.rows.take(order[:held]), prepared.rows.take(order[held:])
            measure = Measure(train, prepared.facts)
            for method in left(options, run=number, table=name):
                with tempfile.TemporaryDirectory() as place:
                    folder = Path(place)
                    numbers, rows = run(train, prepared.schema, method, len(train), folder)
                    found: dict[str, Any] = {"table": name, "method": method, "run": number}
                    for bins, errors in measure(rows).items():
                        found |= {f"{k}_{bins}": round(v, 5) for k, v in errors.items()}
                    if label := LABELS.get(name):
                        pyarrow.parquet.write_table(rows, folder / "synthetic.parquet")
                        pyarrow.parquet.write_table(test, folder / "test.parquet")
                        paths = (folder / "synthetic.parquet", folder / "test.parquet")
                        scores = evaluated(options.python, options.efficacy, *paths, label)
                        found |= {name: round(scores[name], 2) for name in ("auc", "f1")}
                yield found | numbers


def parity(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Four even bits and their parity."""
    bits = rng.integers(2, size=(rows, 4))
    return {**{f"bit{i}": bits[:, i] for i in range(4)}, "parity": bits.sum(axis=1) % 2}


def right_parity(rows: Mapping[str, Any]) -> Any:
    """Rows whose last column is the parity of the others."""
    return sum(rows[f"bit{i}"] for i in range(4)) % 2 == rows["parity"]


def running(wanted: Any, actual: Any, mode: Any) -> Any:
    """Whether a thermostat runs: modes are 0 for off, 1 to heat, 2 to cool."""
    return ((mode == 1) & (actual < wanted) | (mode == 2) & (actual > wanted)).astype(np.int64)


def thermostat(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Temperatures from 0 to 9, a mode, and whether it runs."""
    wanted, actual = rng.integers(10, size=(2, rows))
    mode = rng.choice(3, rows, p=[0.1, 0.45, 0.45])
    runs = running(wanted, actual, mode)
    return {"wanted": wanted, "actual": actual, "mode": mode, "running": runs}


def right_thermostat(rows: Mapping[str, Any]) -> Any:
    """Rows that a thermostat could have made."""
    return running(rows["wanted"], rows["actual"], rows["mode"]) == rows["running"]


Maker = Callable[[np.random.Generator, int], dict[str, Any]]

HIGH_ORDER: Mapping[str, tuple[Maker, Callable[[Mapping[str, Any]], Any]]] = {
    "parity": (parity, right_parity),
    "thermostat": (thermostat, right_thermostat),
}


def order(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """Runs on tables of high order."""
    for number in range(options.runs):
        for name, (make, right) in HIGH_ORDER.items():
            made = make(np.random.default_rng(number), options.rows)
            sizes = {column: int(values.max()) + 1 for column, values in made.items()}
            columns = {
                c: {"kind": "category", "values": list(range(size)), "nullable": False}
                for c, size in sizes.items()
            }
            schema = {"name": name, "columns": columns}
            for method in left(options, run=number, table=name):
                with tempfile.TemporaryDirectory() as folder:
                    numbers, rows = run(pa.table(made), schema, method, options.rows, Path(folder))
                obeyed = right({c: rows[c].to_numpy() for c in made}).mean()
                found = {"table": name, "method": method, "run": number}
                yield {**found, "obey": round(float(obeyed), 4), **numbers}


def summary(runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over runs, per table and method."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for one in runs:
        named = {k: str(one[k]) for k in ("table", "method") if k in one}
        groups.setdefault(tuple(named.values()), []).append(one)
    means: list[dict[str, Any]] = []
    for group in groups.values():
        labels = {k: v for k, v in group[0].items() if isinstance(v, str)}
        numbers = [k for k, v in group[0].items() if isinstance(v, float)]
        means.append(
            {**labels, **{k: round(statistics.mean(one[k] for one in group), 5) for k in numbers}}
        )
    return means


def as_markdown(report: Mapping[str, Any]) -> str:
    """Means as a table for a page."""
    means = report["means"]
    names = list(dict.fromkeys(name for one in means for name in one))
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for one in means:
        cells = [
            str(one.get(n, "")) if isinstance(one.get(n, ""), str) else f"{one[n]:.4g}"
            for n in names
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_subparsers(required=True)
    coded = what.add_parser("codes")
    for name in ("codes", "domain", "evaluation", "efficacy"):
        coded.add_argument(name, type=Path)
    coded.add_argument("label")
    coded.add_argument("--python", default="python3", help="has pandas, scikit-learn and xgboost")
    coded.set_defaults(runs_of=codes)
    raw = what.add_parser("tables")
    raw.add_argument("data", type=Path)
    raw.add_argument("efficacy", type=Path)
    raw.add_argument("--python", default="python3", help="has pandas, scikit-learn and xgboost")
    raw.add_argument("--tables", default=",".join(RAW))
    raw.set_defaults(runs_of=tables)
    high = what.add_parser("order")
    high.add_argument("--rows", type=int, default=50_000)
    high.set_defaults(runs_of=order)
    shown = what.add_parser("show", help="print the means of a file of results")
    shown.add_argument("results", type=Path)
    for part in (coded, raw, high):
        part.add_argument("--methods", default="mst,glaze,transformer,lstm,hybrid")
        part.add_argument("--runs", type=int, default=3)
        part.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    """Run, evaluate, print; the file is written after every run."""
    options = arguments()
    if "results" in options:
        sys.stdout.write(as_markdown(json.loads(options.results.read_text())))
        return
    options.found = []
    if options.out and options.out.exists():
        options.found = json.loads(options.out.read_text())["runs"]
    for one in options.runs_of(options):
        options.found.append(one)
        print(json.dumps(one), flush=True)
        report = {
            "command": "python benchmarks/learned.py "
            + " ".join(Path(argument).name for argument in sys.argv[1:]),
            "epsilon": EPSILON,
            "delta": DELTA,
            "machine": machine(),
            "means": summary(options.found),
            "runs": options.found,
        }
        if options.out:
            options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
