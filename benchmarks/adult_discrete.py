"""Error and cost of our methods on the coded Adult table, by the measure that peers were run with.

Usage:
    python benchmarks/adult_discrete.py CODES.csv DOMAIN.json EVALUATION.py [--runs 3] [--effort normal]
        [--out FILE]

CODES.csv holds integer codes, DOMAIN.json their domain sizes, and EVALUATION.py the function
``evaluate(real, synthetic, domain)`` of the shared evaluation. Each run is a process of its own, from its
start to the written file; its CPU seconds and peak memory are the operating system's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet

ORDERED = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}

RUN = """
import sys, tronie
source, schema, method, epsilon, effort, output, ledger = sys.argv[1:]
release = tronie.fit(source, schema, epsilon=float(epsilon), delta=1e-9, method=method, effort=effort,
                     ledger=ledger)
release.sample().write(output)
"""


def schema_of(domain: dict[str, int], *, ordinal: bool) -> dict[str, Any]:
    """The public schema: domain sizes, and which columns are ordered."""
    return {
        "name": "adult_discrete",
        "columns": {
            name: {"kind": "integer", "min": 0, "max": size - 1, "nullable": False}
            if ordinal and name in ORDERED
            else {"kind": "category", "values": list(range(size)), "nullable": False}
            for name, size in domain.items()
        },
    }


def run(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU seconds and peak memory (MiB) of one process."""
    process = subprocess.Popen([sys.executable, "-c", RUN, *arguments], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"a run failed: {arguments}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Run, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", type=Path)
    parser.add_argument("domain", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--methods", default="independent,mst")
    parser.add_argument("--epsilons", default="1")
    parser.add_argument("--effort", default="normal")
    parser.add_argument("--nominal", action="store_true", help="declare no column as ordered")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    domain: dict[str, int] = json.loads(options.domain.read_text())
    spec = importlib.util.spec_from_file_location("evaluation", options.evaluation)
    assert spec
    assert spec.loader
    evaluation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evaluation)
    real = evaluation.load(str(options.codes), domain)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "codes.parquet"
        codes = pyarrow.csv.read_csv(options.codes).select(list(domain))
        pyarrow.parquet.write_table(codes, table)
        schema = folder / "schema.json"
        schema.write_text(json.dumps(schema_of(domain, ordinal=not options.nominal)))
        for number in range(options.runs):
            for method in options.methods.split(","):
                for epsilon in options.epsilons.split(","):
                    output = folder / "synthetic.parquet"
                    wishes = [method, epsilon, options.effort]
                    arguments = [str(table), str(schema), *wishes, str(output)]
                    ledger = str(folder / f"ledger-{number}-{method}-{epsilon}.sqlite")
                    cpu, memory = run([*arguments, ledger], dict(os.environ))
                    synthetic = evaluation.load(str(output), domain)
                    errors = evaluation.evaluate(real, synthetic, domain)
                    results.append(
                        {
                            "method": method,
                            "epsilon": float(epsilon),
                            "run": number,
                            "cpu_s": round(cpu, 2),
                            "peak_mib": round(memory),
                            **{f"tv{k}": errors[f"tv_{k}way_mean"] for k in (1, 2, 3)},
                        }
                    )
                    print(json.dumps(results[-1]), flush=True)
    report = {
        "command": "python benchmarks/adult_discrete.py CODES.csv DOMAIN.json EVALUATION.py "
        f"--runs {options.runs} --methods {options.methods} --epsilons {options.epsilons}"
        f" --effort {options.effort}" + (" --nominal" if options.nominal else ""),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "means": summary(results),
        "runs": results,
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["means"], indent=1))


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over runs, per method and epsilon."""
    groups: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["method"], result["epsilon"]), []).append(result)
    numbers = ("cpu_s", "peak_mib", "tv1", "tv2", "tv3")
    return [
        {
            "method": method,
            "epsilon": epsilon,
            **{k: round(statistics.mean(r[k] for r in group), 5) for k in numbers},
        }
        for (method, epsilon), group in groups.items()
    ]


if __name__ == "__main__":
    main()
