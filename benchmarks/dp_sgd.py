"""Clipped gradients of single rows: this core, plain training, Opacus and vmap on the same networks.

Usage:
    python benchmarks/dp_sgd.py [--opacus FOLDER] [--out FILE]

FOLDER holds Opacus and what it needs beside torch (`pip install --target FOLDER --no-deps opacus==1.6.0
opt_einsum`); without it Opacus is left out. Each engine runs in a process of its own, on one thread: three
batches of 2,048 rows, 512 at a time; the fastest counts. Sums of clipped gradients are compared with
those of this core. Networks and codes are random, and of the size that Adult needs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tronie.measure.clipping import ClippedGradients
from tronie.measure.lattice import Lattice, coins
from tronie.measure.noise import OperatingSystemNoise
from tronie.models.nets.network import ColumnNetwork, initial
from tronie.models.nets.shape import Shape
from tronie.privacy.budget import Budget
from tronie.privacy.calibration import noise_multiplier

SIZES = (85, 9, 100, 16, 16, 7, 15, 6, 5, 2, 100, 99, 96, 42, 2)[1:]
ROWS, PHYSICAL, REPEATS = 2048, 512, 3
ENGINES = ("plain", "tronie", "opacus ghost", "opacus hooks", "vmap")
BODIES = ("transformer", "lstm")


def network_and_codes(body: Any) -> tuple[Any, Any]:
    """A network that is the same in every process, and a batch."""
    shape = Shape(body, SIZES, 64, 2)
    network = ColumnNetwork(shape, initial(shape, {}, np.random.default_rng(0)))
    codes = np.random.default_rng(1).random((ROWS, len(SIZES))) * SIZES
    return network, torch.from_numpy(codes.astype(np.int64))


def plain(network: Any, codes: Any) -> Callable[[], Any]:
    """The gradient of the sum of all losses: what training costs without privacy."""
    parameters = list(network.parameters())

    def step() -> Any:
        parts = [
            torch.autograd.grad(network(rows).sum(), parameters) for rows in codes.split(PHYSICAL)
        ]
        return torch.cat([sum(p).reshape(-1) for p in zip(*parts, strict=True)])

    return step


def tronie(network: Any, codes: Any) -> Callable[[], Any]:
    """Ghost norms and book-keeping."""
    core = ClippedGradients(network)
    return lambda: sum(core.sum(rows, 1.0) for rows in codes.split(PHYSICAL))


def vmap(network: Any, codes: Any) -> Callable[[], Any]:
    """All gradients, row by row, in memory together."""
    values = {name: p.detach() for name, p in network.named_parameters()}

    def loss(values: Any, row: Any) -> Any:
        return torch.func.functional_call(network, values, (row[None],))[0]

    def step() -> Any:
        total = 0
        for rows in codes.split(PHYSICAL):
            grads = torch.func.vmap(torch.func.grad(loss), (None, 0))(values, rows)
            units = torch.cat([g.reshape(len(rows), -1) for g in grads.values()], 1)
            total = total + clipped(units)
        return total

    return step


def clipped(units: Any) -> Any:
    """Sum of gradients that are shortened to norm 1."""
    return (1 / units.norm(dim=1).clamp_min(1.0)) @ units


def for_opacus(network: Any) -> Any:
    """The same network with Opacus's own LSTM."""
    from opacus.layers import DPLSTM  # noqa: PLC0415

    for layer in network.body:
        if hasattr(layer, "lstm"):
            size = layer.lstm.input_size
            own = DPLSTM(size, size, batch_first=True)
            own.load_state_dict(layer.lstm.state_dict())
            layer.lstm = own
    return network


def opacus_hooks(network: Any, codes: Any) -> Callable[[], Any]:
    """All gradients, row by row, by layers."""
    from opacus import GradSampleModule  # noqa: PLC0415, an engine of its own

    wrapped = GradSampleModule(for_opacus(network), loss_reduction="sum")

    def step() -> Any:
        total = 0
        for rows in codes.split(PHYSICAL):
            wrapped.zero_grad()
            wrapped(rows).sum().backward()
            units = [p.grad_sample.reshape(len(rows), -1) for p in network.parameters()]
            total = total + clipped(torch.cat(units, 1))
        return total

    return step


def opacus_ghost(network: Any, codes: Any) -> Callable[[], Any]:
    """Ghost norms and a second backward pass."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping  # noqa: PLC0415

    wrapped = GradSampleModuleFastGradientClipping(
        for_opacus(network), loss_reduction="sum", max_grad_norm=1.0
    )

    def step() -> Any:
        total = 0
        for rows in codes.split(PHYSICAL):
            wrapped.enable_hooks()
            losses = wrapped(rows)
            wrapped.zero_grad()
            losses.sum().backward(retain_graph=True)
            factors = 1 / wrapped.get_norm_sample().clamp_min(1.0)
            wrapped.zero_grad()
            wrapped.disable_hooks()
            (factors * losses).sum().backward()
            total = total + torch.cat([p.grad.reshape(-1) for p in network.parameters()])
        return total

    return step


def run(engine: str, body: str, out: Path) -> None:
    """One engine, in this process."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    network, codes = network_and_codes(body)
    step = globals()[engine.replace(" ", "_")](network, codes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = step().detach()
    times = []
    for _ in range(REPEATS):
        begun = time.process_time()
        step()
        times.append(time.process_time() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.save(out, found.double().numpy())
    numbers = {
        "cpu_s": round(min(times), 3),
        "peak_mib": round(peak),
        "peak_mib_before": round(before),
    }
    (out.with_suffix(".json")).write_text(json.dumps(numbers))


def compare(opacus: Path | None) -> dict[str, Any]:
    """Each engine in a process of its own, compared with plain training and with this core."""
    results: dict[str, Any] = {}
    paths = [str(opacus)] if opacus else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    engines = [engine for engine in ENGINES if opacus or "opacus" not in engine]
    with tempfile.TemporaryDirectory() as folder:
        for body in BODIES:
            results[body] = {}
            for engine in engines:
                out = Path(folder) / f"{body}-{engine.replace(' ', '-')}.npy"
                command = [
                    sys.executable,
                    __file__,
                    "--engine",
                    engine,
                    "--body",
                    body,
                    "--out",
                    str(out),
                ]
                done = subprocess.run(
                    command, capture_output=True, text=True, env=environment, check=False
                )
                if done.returncode:
                    results[body][engine] = {"failed": done.stderr.strip().splitlines()[-1][:200]}
                    continue
                numbers = json.loads(out.with_suffix(".json").read_text())
                numbers["times_plain"] = round(
                    numbers["cpu_s"] / results[body].get("plain", numbers)["cpu_s"], 2
                )
                if engine not in ("plain", "tronie"):
                    ours = np.load(Path(folder) / f"{body}-tronie.npy")
                    apart = np.linalg.norm(np.load(out) - ours) / np.linalg.norm(ours)
                    numbers["relative_difference_from_tronie"] = float(f"{apart:.2g}")
                results[body][engine] = numbers
    return results


def noise() -> dict[str, float]:
    """CPU seconds of coins and noise for 400 steps of 143,000 parameters and 48,842 units."""
    lattice, vector = Lattice.of(143_000, 1.0, 2.0), np.zeros(143_000)
    source = OperatingSystemNoise()
    lattice.blur(vector, source)
    begun = time.process_time()
    for _ in range(40):
        lattice.blur(vector, source)
    drawn = time.process_time()
    for _ in range(40):
        coins(1 / 24, 48_842, source)
    ended = time.process_time()
    return {
        "noise_cpu_s": round(10 * (drawn - begun), 2),
        "coins_cpu_s": round(10 * (ended - drawn), 2),
    }


def calibration() -> list[dict[str, float]]:
    """CPU seconds to find the noise of a run."""
    found = []
    noise_multiplier(Budget(1.0, 1e-5), 0.5, 2)
    for epsilon, delta, rate, steps, share in (
        (1.0, 1e-5, 1 / 24, 120, 0.25),
        (1.0, 1e-9, 1 / 24, 400, 0.25),
        (8.0, 1e-9, 1 / 24, 400, 0.25),
        (0.1, 1e-9, 1 / 24, 120, 0.25),
        (1.0, 1e-9, 0.001, 10_000, 0.2),
    ):
        budget = Budget(epsilon, delta)
        begun = time.process_time()
        noise = noise_multiplier(budget, rate, steps, mu=budget.mu * share**0.5)
        found.append(
            {
                "epsilon": epsilon,
                "delta": delta,
                "rate": round(rate, 4),
                "steps": steps,
                "share_of_others": share,
                "noise_multiplier": round(noise, 4),
                "cpu_s": round(time.process_time() - begun, 2),
            }
        )
    return found


def main() -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opacus", type=Path)
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--body", choices=BODIES)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.engine:
        run(options.engine, options.body, options.out)
        return
    report = {
        "command": "python benchmarks/dp_sgd.py --opacus FOLDER",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "threads": 1,
        },
        "batch": {"rows": ROWS, "physical": PHYSICAL, "columns": len(SIZES)},
        "engines": compare(options.opacus),
        "noise_of_400_steps": noise(),
        "calibration": calibration(),
    }
    text = json.dumps(report, indent=1) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
