"""Clipped gradients of single rows: this core, plain training, Opacus and vmap on the same networks.

Usage:
    python benchmarks/dp_sgd.py [--python PYTHON] [--out benchmarks/results/dp_sgd.json]

PYTHON is the interpreter of an environment with torch, Opacus and what tronie needs:

    python3.11 -m venv opacus && opacus/bin/pip install '.[neural]' opacus==1.6.0

Without it Opacus is left out. Each engine runs in a process of its own, on one thread. Engines take turns,
step by step, so that a busy machine slows all of them alike: a round is one batch with each engine, and
ratios are taken within rounds. Sums of clipped gradients are compared with those of this core, and those of
16 rows with plain autograd row by row in double precision. Memory is what a process needs for a step beyond
what it held before. Networks are those of the methods; codes are random, as many as coded Adult has.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
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

import tronie as tronie_package
from tronie.measure.clipping import ClippedGradients
from tronie.measure.lattice import Lattice, coins
from tronie.measure.noise import OperatingSystemNoise
from tronie.models.nets.network import ColumnNetwork, initial
from tronie.models.nets.shape import Shape
from tronie.privacy.budget import Budget
from tronie.privacy.calibration import noise_multiplier

SIZES = (9, 100, 16, 16, 7, 15, 6, 5, 2, 100, 99, 96, 42, 2)
ROWS, PHYSICAL, ROUNDS, CHECKED = 1024, 512, 5, 16
ENGINES = ("plain", "tronie", "opacus ghost", "opacus hooks", "vmap")
BODIES = ("transformer", "lstm")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(
        [str(Path(tronie_package.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    ),
}


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


def for_opacus(network: Any) -> tuple[Any, list[Any]]:
    """The same network with Opacus's own LSTM, and indices in memory as its embeddings need them.

    Returns:
        The network, and its parameters in the order in which they were.
    """
    from opacus.layers import DPLSTM  # noqa: PLC0415

    names = [name for name, _ in network.named_parameters()]
    for layer in network.body:
        if hasattr(layer, "lstm"):
            size = layer.lstm.input_size
            own = DPLSTM(size, size, batch_first=True)
            own.load_state_dict(layer.lstm.state_dict())
            layer.lstm = own
    network.targets.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    named = dict(network.named_parameters())
    return network, [named[name] for name in names]


def opacus_hooks(network: Any, codes: Any) -> Callable[[], Any]:
    """All gradients, row by row, by layers."""
    from opacus import GradSampleModule  # noqa: PLC0415, an engine of its own

    network, parameters = for_opacus(network)
    wrapped = GradSampleModule(network, loss_reduction="sum")

    def step() -> Any:
        total = 0
        for rows in codes.split(PHYSICAL):
            wrapped.zero_grad()
            wrapped(rows).sum().backward()
            units = [p.grad_sample.reshape(len(rows), -1) for p in parameters]
            total = total + clipped(torch.cat(units, 1))
        return total

    return step


def opacus_ghost(network: Any, codes: Any) -> Callable[[], Any]:
    """Ghost norms and a second backward pass."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping  # noqa: PLC0415

    network, parameters = for_opacus(network)
    wrapped = GradSampleModuleFastGradientClipping(network, loss_reduction="sum", max_grad_norm=1.0)

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
            total = total + torch.cat([p.grad.reshape(-1) for p in parameters])
        return total

    return step


def memory(field: str) -> float:
    """What the system says about this process's memory, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def work(engine: str, body: str, out: Path) -> None:
    """One engine, in this process: a step for every line that comes in."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    network, codes = network_and_codes(body)
    make = globals()[engine.replace(" ", "_")]
    step = make(network, codes)
    held = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    vector = step().detach().double().numpy()
    peak = memory("VmHWM")
    few = make(*network_and_codes(body)[:1], codes[:CHECKED])().detach().double().numpy()
    np.save(out, np.stack([vector, few]))
    print(json.dumps({"held_mib": held, "peak_mib": peak}), flush=True)
    for _ in sys.stdin:
        begun = time.process_time()
        step()
        print(time.process_time() - begun, flush=True)


def exact(body: str) -> Any:
    """Clipped gradients of some rows by plain autograd, row by row, in double precision."""
    network, codes = network_and_codes(body)
    network.double()
    parameters = list(network.parameters())
    total = 0
    for row in codes[:CHECKED].split(1):
        parts = torch.autograd.grad(network(row).sum(), parameters)
        total = total + clipped(torch.cat([part.reshape(-1) for part in parts])[None])
    return total.numpy()


class Worker:
    """A process that does one engine's steps."""

    def __init__(self, python: str, engine: str, body: str, folder: Path) -> None:
        self.engine, self.times = engine, list[float]()
        self._out = folder / f"{body}-{engine.replace(' ', '-')}.npy"
        command = [python, __file__, "--engine", engine, "--body", body, "--out", str(self._out)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        self.memory: dict[str, float] = json.loads(self._line())
        self.vector, self.few = np.load(self._out)

    def step(self) -> None:
        """One more batch, timed by the process itself."""
        print("go", file=self._process.stdin, flush=True)
        self.times.append(float(self._line()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{self.engine} has failed")
        return line


def apart(found: Any, expected: Any) -> float:
    """Relative distance of two vectors."""
    return float(f"{np.linalg.norm(found - expected) / np.linalg.norm(expected):.2g}")


def compare(python: str | None) -> dict[str, Any]:
    """Engines take turns; each is compared with plain training and with this core."""
    results: dict[str, Any] = {}
    engines = [engine for engine in ENGINES if python or "opacus" not in engine]
    with tempfile.TemporaryDirectory() as folder:
        for body in BODIES:
            workers = {
                engine: Worker(python or sys.executable, engine, body, Path(folder))
                for engine in engines
            }
            for _ in range(ROUNDS):
                for worker in workers.values():
                    worker.step()
            for worker in workers.values():
                worker.close()
            truth = exact(body)
            results[body] = {}
            for engine, worker in workers.items():
                base = np.array(workers["plain"].times), np.array(workers["tronie"].times)
                numbers = {
                    "cpu_ms_a_batch": round(1000 * float(np.median(worker.times))),
                    "times_plain": round(float(np.median(worker.times / base[0])), 2),
                    "times_tronie": round(float(np.median(worker.times / base[1])), 2),
                    "held_mib": round(worker.memory["held_mib"]),
                    "step_mib": round(worker.memory["peak_mib"] - worker.memory["held_mib"]),
                }
                if engine != "plain":
                    ours = workers["tronie"].vector
                    numbers["apart_from_tronie"] = apart(worker.vector, ours)
                    numbers["apart_from_autograd"] = apart(worker.few, truth)
                results[body][engine] = numbers
                print(body, engine, numbers, flush=True)
    return results


def noise() -> dict[str, float]:
    """CPU seconds of coins and noise for 120 steps of 143,000 parameters and 48,842 units."""
    lattice, vector = Lattice.of(143_000, 1.0, 2.0), np.zeros(143_000)
    source = OperatingSystemNoise()
    lattice.blur(vector, source)

    def of_steps(what: Callable[[], Any], repeats: int = 20) -> float:
        begun = time.process_time()
        for _ in range(repeats):
            what()
        return round(120 / repeats * (time.process_time() - begun), 2)

    return {
        "lattice_noise_cpu_s": of_steps(lambda: lattice.blur(vector, source)),
        "float_noise_cpu_s": of_steps(lambda: torch.randn(143_000)),
        "coins_cpu_s": of_steps(lambda: coins(1 / 24, 48_842, source)),
    }


RUNS = (
    (1.0, 1e-5, 1 / 24, 120),
    (8.0, 1e-5, 1 / 24, 120),
    (1.0, 1e-9, 1 / 24, 400),
    (8.0, 1e-9, 1 / 24, 400),
    (0.1, 1e-9, 1 / 24, 120),
    (1.0, 1e-9, 0.001, 10_000),
)
"""Epsilon, delta, rate and steps of some trainings."""


def calibration(python: str | None) -> list[dict[str, Any]]:
    """CPU seconds to find the noise of a run, alone and beside other events, and what Opacus finds."""
    found: list[dict[str, Any]] = []
    begun = time.process_time()
    noise_multiplier(Budget(1.0, 1e-5), 0.5, 2)
    started = round(time.process_time() - begun, 2)
    for epsilon, delta, rate, steps in RUNS:
        budget = Budget(epsilon, delta)
        numbers: dict[str, Any] = {"epsilon": epsilon, "delta": delta, "rate": rate, "steps": steps}
        for name, share in (("alone", 0.0), ("beside_others_of_an_eighth", 0.125)):
            begun = time.process_time()
            noise = noise_multiplier(budget, rate, steps, mu=budget.mu * share**0.5)
            cpu = round(time.process_time() - begun, 2)
            numbers[name] = {"noise_multiplier": round(noise, 4), "cpu_s": cpu}
        found.append(numbers)
    found[0]["cpu_s_to_load_the_accountant"] = started
    if python:
        command = [python, __file__, "--engine", "opacus accounting"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
        for numbers, theirs in zip(found, json.loads(done.stdout), strict=True):
            numbers["opacus"] = theirs
    return found


def account_by_opacus() -> None:
    """What Opacus's two accountants find for the same runs, to the same precision in epsilon."""
    from opacus.accountants.utils import get_noise_multiplier  # noqa: PLC0415

    warnings.simplefilter("ignore")
    found: list[dict[str, Any]] = []
    for epsilon, delta, rate, steps in RUNS:
        numbers: dict[str, Any] = {}
        for accountant in ("rdp", "prv"):
            begun = time.process_time()
            try:
                noise = get_noise_multiplier(
                    target_epsilon=epsilon,
                    target_delta=delta,
                    sample_rate=rate,
                    steps=steps,
                    accountant=accountant,
                    epsilon_tolerance=2e-4 * epsilon,
                )
                numbers[accountant] = {
                    "noise_multiplier": round(noise, 4),
                    "cpu_s": round(time.process_time() - begun, 2),
                }
            except Exception as error:  # noqa: BLE001, what fails is a result
                numbers[accountant] = f"{type(error).__name__}: {error}"[:120]
        found.append(numbers)
    print(json.dumps(found))


def versions(python: str | None) -> dict[str, str]:
    """What was compared."""
    asked = "import opacus, torch; print(opacus.__version__, torch.__version__)"
    if python is None:
        return {"torch": torch.__version__}
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    return dict(zip(("opacus", "torch"), done.stdout.split(), strict=True))


def main() -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python")
    parser.add_argument("--engine", choices=(*ENGINES, "opacus accounting"), help=argparse.SUPPRESS)
    parser.add_argument("--body", choices=BODIES, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.engine == "opacus accounting":
        account_by_opacus()
        return
    if options.engine:
        work(options.engine, options.body, options.out)
        return
    report = {
        "command": "python benchmarks/dp_sgd.py --python opacus/bin/python --out "
        "benchmarks/results/dp_sgd.json",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "threads": 1,
            **versions(options.python),
        },
        "batch": {"rows": ROWS, "physical": PHYSICAL, "columns": len(SIZES), "rounds": ROUNDS},
        "parameters": {
            body: sum(p.numel() for p in network_and_codes(body)[0].parameters()) for body in BODIES
        },
        "engines": compare(options.python),
        "noise_of_120_steps": noise(),
        "calibration": calibration(options.python),
    }
    text = json.dumps(report, indent=1) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
