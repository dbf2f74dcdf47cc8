"""What the audits find in other people's synthesizers, and in ours.

Usage:
    python benchmarks/third_party_audit.py [--envs FOLDER] [--peers tronie,smartnoise-mst,...]
        [--epsilon 1] [--delta 1e-5] [--rows 3000] [--out FILE]
    python benchmarks/third_party_audit.py --table [--out FILE]

Each synthesizer is called as its documentation shows it, in an environment of its own below FOLDER, made
from benchmarks/peers/requirements-NAME.txt as benchmarks/peers.py makes them, by a runner in
benchmarks/audited. Five columns of Adult's first rows. Three runs each: on a random half (replay with a
control group), with one odd row (domain canary; everything that the run wrote or printed is searched), and
with secrets in it (memorisation ladder). Results are
written as they come, and peers that are not named keep theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from efficacy import machine

import tronie
from tronie.audit.result import Audit
from tronie.audit.third_party import audit_synthesizer

HERE = Path(__file__).parent
ADULT = Path(tronie.__file__).parent / "data" / "adult.parquet"
RESULT = HERE / "results" / "third_party_audit.json"
COLUMNS = ["age", "workclass", "education", "hours-per-week", "capital-gain"]
RUNGS = {1: 256, 2: 128, 4: 64, 8: 32}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

PEERS = {
    "smartnoise-mst": ("smartnoise", "mst", "Nothing declared."),
    "dpmm-mst": ("dpmm", "mst", "Nothing declared; it warns that domains are imputed."),
    "dpmm-mst-declared": ("dpmm", "mst-declared", "Domain declared; the pipeline is stored."),
}
"""Name -> environment, what the runner calls it, and how it was called."""

NOTES = {
    "tronie": "Nothing declared (`--discover`); the release folder is searched.",
    "copy": "The table itself.",
    **{name: note for name, (_, _, note) in PEERS.items()},
}

Pipeline = Callable[[pa.Table, Path], Any]
"""A table and a folder for what is left behind; returns the output and what was printed."""


def peer(name: str, options: argparse.Namespace) -> Pipeline:
    """A synthesizer of another package, in a process of its own."""
    environment, method, _ = PEERS[name]
    python = options.envs / environment / "bin" / "python"
    runner = HERE / "audited" / f"run_{environment}.py"

    def run(table: pa.Table, folder: Path) -> Any:
        with tempfile.TemporaryDirectory() as scratch:
            given, output = Path(scratch) / "table.parquet", Path(scratch) / "output.parquet"
            pyarrow.parquet.write_table(table, given)
            command = [str(python), str(runner), method, str(given)]
            command += [str(options.epsilon), str(options.delta), str(output), str(folder)]
            done = subprocess.run(
                command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
            return pyarrow.parquet.read_table(output), done.stdout, done.stderr

    return run


def ours(options: argparse.Namespace) -> Pipeline:
    """tronie with nothing declared."""  # noqa: D403, its name is written so

    def run(table: pa.Table, folder: Path) -> Any:
        with tempfile.TemporaryDirectory() as scratch:
            release = tronie.synthesize(
                table,
                output=folder / "release",
                epsilon=options.epsilon,
                delta=options.delta,
                discover=True,
                name="adult",
                ledger=Path(scratch) / "ledger.sqlite",
            )
        return release.rows.table, release.report.text()

    return run


def copy(table: pa.Table, folder: Path) -> Any:  # noqa: ARG001, it writes nothing
    """What no synthesizer should be."""
    return table, "", ""


def audited(pipeline: Pipeline, table: pa.Table, options: argparse.Namespace) -> list[Audit]:
    """The three audits."""

    def synthesize(rows: pa.Table) -> pa.Table:
        with tempfile.TemporaryDirectory() as folder:
            return pipeline(rows, Path(folder))[0]

    return list(
        audit_synthesizer(
            synthesize,
            table,
            run=pipeline,
            rungs=RUNGS,
            epsilon=options.epsilon,
            delta=options.delta,
            seed=1,
        )
    )


def shown(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| synthesizer | replay | domain canary | ladder | found in |",
        "|---|---|---|---|---|",
    ]
    for name, cell in results["peers"].items():
        if "error" in cell:
            lines.append(f"| {name} | error: {cell['error']} | | | |")
            continue
        audits = cell["audits"]
        verdicts = " | ".join(f"{a['verdict']} ({a['lower']:.2f})" for a in audits)
        hits = {(h["column"], h["form"]) for h in audits[1]["details"]["hits"]}
        where = ", ".join(f"{column}: {form}" for column, form in sorted(hits))
        lines.append(f"| {name} | {verdicts} | {where} |")
    return "\n".join(lines)


def main() -> None:
    """Audit what is named, write, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=HERE / ".peers-envs")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(NOTES))
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print what there is, run nothing")
    options = parser.parse_args()
    results = json.loads(options.out.read_text()) if options.out.exists() else {"peers": {}}
    if not options.table:
        table = pyarrow.parquet.read_table(ADULT, columns=COLUMNS).slice(0, options.rows)
        table = table.replace_schema_metadata(None)
        results |= {
            "command": "python benchmarks/third_party_audit.py "
            f"--epsilon {options.epsilon:g} --delta {options.delta:g} --rows {options.rows}",
            "machine": machine(),
            "epsilon": options.epsilon,
            "delta": options.delta,
            "rows": table.num_rows,
        }
        for name in options.peers:
            builtin: dict[str, Pipeline] = {"tronie": ours(options), "copy": copy}
            pipeline = builtin.get(name) or peer(name, options)
            begun = time.monotonic()
            try:
                found = [audit.to_dict() for audit in audited(pipeline, table, options)]
                cell: dict[str, Any] = {"audits": found}
            except RuntimeError as error:
                cell = {"error": str(error).strip().splitlines()[-1][:300]}
            cell |= {"note": NOTES[name], "wall_s": round(time.monotonic() - begun, 1)}
            results["peers"][name] = cell
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            print(name, json.dumps({k: v for k, v in cell.items() if k != "audits"}), flush=True)
    print(shown(results))


if __name__ == "__main__":
    sys.exit(main())
