"""tronie and its peers on the same tables: errors, CPU seconds and peak memory, side by side.

Usage:
    python benchmarks/peers.py DATA_FOLDER [--peers tronie-glaze,mbi-aim,...] [--tables ...]
        [--epsilons 1,10,0.1] [--runs 1] [--envs FOLDER] [--evaluation FILE.py] [--out FOLDER]
        [--redo PEER_OR_STATUS,...]
    python benchmarks/peers.py --table [--out FOLDER]

Each fit is one process from its start to the written synthetic table, with one thread; all peers get the
same public facts (benchmarks/peers/tables.py) and spend the same epsilon and delta in all. Peers run in
environments of their own, made here from the pinned benchmarks/peers/requirements-*.txt. A fit that takes
more than 15 minutes of CPU is recorded as such. Cells go into FOLDER/TABLE.json as they finish, and
finished ones are not run again, except those of a peer, status or limit named by ``--redo``. ``--table``
prints all cells as Markdown. ``--evaluation`` names a file with ``evaluate(real, synthetic, sizes)`` for
coded tables, in place of the same measure here.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from peers import errors, facts, report
from peers.tables import TABLES, Prepared, Table, bootstrap, prepare

HERE = Path(__file__).parent
DELTA = 1e-9
CPU_LIMIT = 900
WALL_LIMIT = 5400  # only against hanging: a shared machine may give a fit a quarter of a core
MEMORY_LIMIT = 14_000
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}

Cell = dict[str, Any]
Errors = Callable[[pa.Table], dict[str, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One method of one package.

    Args:
        name: Its name here.
        environment: The environment it runs in; none for the checkout's own.
        method: What its runner calls it.
        note: What a reader must know to judge its numbers.
    """

    name: str
    environment: str | None
    method: str
    note: str = ""

    @property
    def runner(self) -> Path:
        """The script that runs it."""
        return HERE / "peers" / f"run_{self.environment or 'tronie'}.py"


CODES = "Wide numbers in 32 bins of equal width over the public range, decoded uniformly."
LOOP = "Loop: ours, after the paper, on the package's inference and sampling (float64). "
AIM = "All pairs; 2 rounds per column; model at most 80 MB. "
AIM_16 = "All pairs; 16 rounds per column, as in the paper; model at most 80 MB. "
DPMM = "Wide numbers in its own PrivTree bins, for a tenth of epsilon; compress=True. "
SMARTNOISE = (
    "Wide numbers in its own bins of equal width over the public range (32; its default is 10), "
    "returned at their middle. "
)
OPENDP = "Half the budget on single columns, its default. No compression. "

PEERS = {
    peer.name: peer
    for peer in (
        Peer("tronie-glaze", None, "glaze"),
        Peer("tronie-mst", None, "mst"),
        Peer("tronie-gibbs", None, "gibbs"),
        Peer("tronie-independent", None, "independent"),
        Peer("mbi-aim", "mbi", "aim", LOOP + AIM + CODES),
        Peer("mbi-aim-16", "mbi", "aim-16", LOOP + AIM_16 + CODES),
        Peer("mbi-mst", "mbi", "mst", LOOP + CODES),
        Peer("dpmm-aim", "dpmm", "aim", DPMM + AIM),
        Peer("dpmm-mst", "dpmm", "mst", DPMM),
        Peer("dpmm-privbayes", "dpmm", "privbayes", DPMM),
        Peer(
            "smartnoise-aim",
            "smartnoise",
            "aim",
            SMARTNOISE + AIM + "This version's limit does not see the junction tree.",
        ),
        Peer(
            "smartnoise-mst",
            "smartnoise",
            "mst",
            SMARTNOISE
            + "This version scales the count of merged rare values and fits it unscaled.",
        ),
        Peer("opendp-aim", "opendp", "aim", OPENDP + AIM + CODES),
        Peer("opendp-mst", "opendp", "mst", OPENDP + CODES),
    )
}


def interpreter(peer: Peer, environments: Path) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there."""
    if peer.environment is None:
        return Path(sys.executable)
    folder = environments / peer.environment
    python = folder / "bin" / "python"
    made = folder / "made"
    if not made.exists():
        wanted = HERE / "peers" / f"requirements-{peer.environment}.txt"
        subprocess.run(["python3.11", "-m", "venv", "--clear", str(folder)], check=True)  # noqa: S607
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(wanted)], check=True)
        made.touch()
    return python


def run(peer: Peer, python: Path, epsilon: float, folder: Path) -> tuple[Cell, Path]:
    """One fit: what it took, and where the synthetic table should be."""
    output, log = folder / "synthetic.parquet", folder / "log.txt"
    output.unlink(missing_ok=True)
    limits = [str(HERE / "peers" / "limits.py")]
    limits += [str(n) for n in (CPU_LIMIT, WALL_LIMIT, MEMORY_LIMIT)]
    command = [str(python), str(peer.runner), peer.method, str(folder / "table.parquet")]
    command += [str(folder / "facts.json"), str(epsilon), str(DELTA), str(output)]
    watched = subprocess.run(
        [sys.executable, "-S", *limits, str(log), *command],
        env=os.environ | ONE_THREAD,
        stdout=subprocess.PIPE,
        check=True,
    )
    cell: Cell = json.loads(watched.stdout)
    code, limit = cell.pop("code"), cell.pop("limit")
    if limit:
        cell |= {"status": "failed" if limit in {"memory", "killed"} else "timeout", "limit": limit}
    elif code or not output.exists():
        cell |= {"status": "failed", "error": last_line(log)}
    else:
        cell |= {"status": "ok"}
    return cell, output


def last_line(log: Path) -> str:
    """The last line that a run wrote, cut to a sentence's length."""
    lines = [x.strip() for x in log.read_text(errors="replace").splitlines() if x.strip()]
    return lines[-1][:300] if lines else ""


def version(python: Path, environment: str | None) -> str:
    """Which state of a package ran."""
    if environment is None:
        command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    package = {"smartnoise": "smartnoise-synth"}.get(environment, environment)
    ask = f"import importlib.metadata as m; print(m.version({package!r}))"
    shown = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    return f"{package} {shown.stdout.strip()}"


def errors_on(table: Table, prepared: Prepared, evaluation: Path | None) -> Errors:
    """How synthetic tables are compared with this one."""
    if not table.coded:
        return errors.Measure(prepared.rows, prepared.facts)
    sizes = {n: facts.points(c) for n, c in prepared.facts.items()}
    real = coded(prepared.rows, sizes)
    if evaluation is None:
        return lambda rows: {"codes": errors.mean_variations(real, coded(rows, sizes))}
    spec = importlib.util.spec_from_file_location("evaluation", evaluation)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def evaluate(rows: pa.Table) -> dict[str, dict[str, float]]:
        found = module.evaluate(real, coded(rows, sizes), sizes)
        return {"codes": {f"tv{k}": found[f"tv_{k}way_mean"] for k in (1, 2, 3)}}

    return evaluate


def coded(rows: pa.Table, sizes: dict[str, int]) -> errors.Codes:
    """A coded table's columns.

    Raises:
        ValueError: If a code is outside its column's domain.
    """
    codes = {n: rows[n].to_numpy().astype("int64") for n in sizes}
    if any(c.min() < 0 or c.max() >= sizes[n] for n, c in codes.items()):
        raise ValueError("a code is outside its domain")
    return codes


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def key(cell: Cell) -> tuple[str, float, int]:
    """What makes a cell of a table unique."""
    return cell["peer"], cell["epsilon"], cell["run"]


def record(path: Path, about: dict[str, Any], cell: Cell) -> None:
    """Add one cell, in place of an earlier one of its kind."""
    with locked(path.parent):
        cells = json.loads(path.read_text())["cells"] if path.exists() else []
        cells = [c for c in cells if key(c) != key(cell)] + [cell]
        cells.sort(key=lambda c: (c["epsilon"], list(PEERS).index(c["peer"]), c["run"]))
        used = {c["peer"]: PEERS[c["peer"]].note for c in cells}
        notes = {name: note for name, note in sorted(used.items()) if note}
        text = json.dumps(about | {"notes": notes, "cells": cells}, indent=1) + "\n"
        partial = path.with_suffix(".partial")
        partial.write_text(text)
        partial.rename(path)


def done(path: Path, redo: set[str]) -> set[tuple[str, float, int]]:
    """Cells that need not be run."""
    cells = json.loads(path.read_text())["cells"] if path.exists() else []
    return {key(c) for c in cells if not {c["peer"], c["status"], c.get("limit")} & redo}


def benchmark(table: Table, options: argparse.Namespace) -> None:
    """All wanted cells of one table, peers side by side."""
    path: Path = options.out / f"{table.name}.json"
    finished = done(path, set(options.redo))
    wanted = [
        (peer, epsilon, number)
        for epsilon in options.epsilons
        for number in range(options.runs)
        for peer in (PEERS[name] for name in options.peers)
        if (peer.name, epsilon, number) not in finished
    ]
    if not wanted:
        return
    prepared = prepare(table, options.data)
    measure = errors_on(table, prepared, options.evaluation)
    about = {
        "table": table.name,
        "rows": prepared.rows.num_rows,
        "columns": prepared.rows.num_columns,
        "delta": DELTA,
        "limits": {"cpu_s": CPU_LIMIT, "wall_s": WALL_LIMIT, "memory_mib": MEMORY_LIMIT},
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
        },
        "bootstrap": measure(bootstrap(prepared.rows)),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pyarrow.parquet.write_table(prepared.rows, folder / "table.parquet")
        (folder / "facts.json").write_text(json.dumps(prepared.facts))
        (folder / "schema.json").write_text(json.dumps(prepared.schema))
        for peer, epsilon, number in wanted:
            python = interpreter(peer, options.envs)
            taken, output = run(peer, python, epsilon, folder)
            cell = {"peer": peer.name, "epsilon": epsilon, "run": number}
            cell |= {"version": version(python, peer.environment)} | taken
            if cell["status"] == "ok":
                cell |= compare(measure, output)
            record(path, about, cell)
            print(table.name, json.dumps(cell), flush=True)


def compare(measure: Errors, output: Path) -> Cell:
    """Errors of a written table; a table that cannot be compared is a failed cell."""
    try:
        rows = pyarrow.parquet.read_table(output)
        return {"rows": rows.num_rows, "errors": measure(rows)}
    except (ValueError, KeyError, pa.ArrowException) as error:
        return {"status": "failed", "error": f"{type(error).__name__}: {error}"[:300]}


def names(known: dict[str, Any]) -> Callable[[str], list[str]]:
    """A list of known names, separated by commas."""

    def parse(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := [name for name in wanted if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {unknown}; known: {list(known)}")
        return wanted

    return parse


def main() -> None:
    """Run what is missing, or show what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="the folder of tables")
    parser.add_argument("--peers", type=names(PEERS), default=list(PEERS))
    parser.add_argument("--tables", type=names(TABLES), default=list(TABLES))
    parser.add_argument(
        "--epsilons",
        type=lambda text: [float(e) for e in text.split(",")],
        default=[1.0, 10.0, 0.1],
    )
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--envs", type=Path, default=HERE / ".peers-envs")
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--redo", type=lambda text: text.split(","), default=[])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "peers")
    parser.add_argument("--table", action="store_true", help="print what there is, run nothing")
    options = parser.parse_args()
    if options.table:
        paths = [options.out / f"{name}.json" for name in options.tables]
        print(report.markdown([json.loads(p.read_text()) for p in paths if p.exists()]))
        return
    if options.data is None:
        parser.error("DATA_FOLDER is needed")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.tables:
        benchmark(TABLES[name], options)


if __name__ == "__main__":
    main()
