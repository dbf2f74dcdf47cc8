"""How fast rows are drawn from a model, values and types included.

Usage:
    python benchmarks/sampling.py MODEL.tronie [--rows 1000000] [--runs 3] [--out FILE]

Each run is a process of its own: it loads the model, draws the rows and holds them as an Arrow table.
Loading and drawing are timed apart; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

RUN = """
import json, resource, sys, time
import tronie
model = tronie.Model.load(sys.argv[1])
model.sample(1000, seed=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
wall, cpu = time.perf_counter(), time.process_time()
rows = model.sample(int(sys.argv[2]), seed=1)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({
    "rows": len(rows), "columns": rows.table.num_columns, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2),
    "rows_per_second": round(len(rows) / wall), "rows_per_cpu_second": round(len(rows) / cpu),
    "peak_mib": round(peak), "peak_mib_before": round(before),
}))
"""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    command = [sys.executable, "-c", RUN, str(options.model), str(options.rows)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(options.runs)
    ]
    report = {
        "command": f"python benchmarks/sampling.py {options.model.name} --rows {options.rows} "
        f"--runs {options.runs}",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
        },
        "median_rows_per_second": round(statistics.median(r["rows_per_second"] for r in runs)),
        "runs": runs,
    }
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
