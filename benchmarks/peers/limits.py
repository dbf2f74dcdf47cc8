"""Run one command under limits; print its CPU seconds and peak memory as JSON.

Usage:
    python limits.py CPU_SECONDS WALL_SECONDS MEMORY_MIB ERRORS COMMAND...

A process of its own, small, because a child's peak memory as the kernel reports it is at least that of the
process that started it. CPU seconds are user and system time of the command and of all processes that it
waited for. The CPU limit holds for each process (by the kernel) and for their sum (by this watch, twice a
second); a session of its own makes sure that none is left behind. ERRORS is a file for what the command
writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20


def tree(session: int) -> tuple[float, float]:
    """CPU seconds and resident MiB of all processes of a session."""
    cpu = memory = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (OSError, ValueError):
                continue
            if int(fields[3]) == session:
                cpu += sum(map(int, fields[11:15])) / TICKS
                memory += int(fields[21]) * PAGE
    return cpu, memory


def limited(seconds: int) -> None:
    """In the child: no more CPU than that."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Start, watch, report."""
    cpu_limit, wall_limit, memory_limit = (int(a) for a in sys.argv[1:4])
    begun = time.monotonic()
    broken = ""
    with Path(sys.argv[4]).open("wb") as log:
        child = subprocess.Popen(
            sys.argv[5:],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: limited(cpu_limit),  # noqa: PLW1509 - no threads here
        )
        signal.signal(
            signal.SIGTERM, lambda *_: (os.killpg(child.pid, signal.SIGKILL), sys.exit(1))
        )
        watched = (0.0, 0.0)
        while True:
            done, status, usage = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            watched = tuple(map(max, watched, tree(child.pid)))
            over = {
                "cpu": watched[0] > cpu_limit,
                "wall": time.monotonic() - begun > wall_limit,
                "memory": watched[1] > memory_limit,
            }
            if any(over.values()):
                broken = next(name for name, is_over in over.items() if is_over)
                os.killpg(child.pid, signal.SIGKILL)
                _, status, usage = os.wait4(child.pid, 0)
                break
            time.sleep(0.5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    if code in {-signal.SIGXCPU, -signal.SIGKILL} and not broken:
        broken = "cpu" if usage.ru_utime + usage.ru_stime >= cpu_limit - 1 else "killed"
    print(
        json.dumps(
            {
                "code": code,
                "limit": broken,
                "cpu_s": round(
                    max(usage.ru_utime + usage.ru_stime, watched[0] if broken else 0.0), 2
                ),
                "peak_mib": round(max(usage.ru_maxrss / 1024, watched[1])),
                "wall_s": round(time.monotonic() - begun, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
