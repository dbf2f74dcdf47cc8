"""White-box games of every kind of access and every method: bound and power at several epsilons.

Usage:
    python benchmarks/audit.py [--runs 20000] [--seconds 150] [--epsilons 1 4 8] [--only NAME ...] \
        [--out benchmarks/results/audit.json]

Each game is played `--runs` times a side; methods that fit a model between accesses are slow, and are
played as often as `--seconds` of CPU time allow. The same runs, divided, are also 200 small audits, to see
how often correct code is called a violation. Noise is the operating system's. Results are written as they
come, and games that are in the file already are not played again.

Methods that train a network take seconds a run, too long for games. They are audited in one run with 1,000
canaries each, through the whole method: every noisy sum of gradients is weighed for every canary.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
from scipy.stats import binom

from tronie.audit.games import neighbours
from tronie.audit.mechanisms import MECHANISMS, mechanism_game
from tronie.audit.onerun import one_run_of
from tronie.audit.power import best_guesses, game_power, one_run_power
from tronie.audit.whitebox import Game, method_game
from tronie.measure import curator
from tronie.privacy.accounting import fits
from tronie.privacy.budget import Budget
from tronie.privacy.events import sigma_for
from tronie.schema.schema import Schema
from tronie.synth import plan
from tronie.synth.learning import TRAIN
from tronie.synth.methods import METHODS

DELTA = 1e-5
AUDITS = 200
ALL_STEPS = 10**6
ONE_RUNS = (
    ("independent", 1000, 1000, 1),
    ("independent", 5000, 5000, 1),
    ("mst", 1000, 40, 3),
    ("glaze", 1000, 40, 3),
    ("transformer", 1000, 40, 3),
    ("lstm", 1000, 40, 3),
)
"""Method, canaries, values of each column, and columns."""
TRIAL = 40


def play(game: Game, kind: str, most: int, seconds: float) -> dict[str, Any]:
    """One game: the bound of all runs together, and how many small audits were wrong."""
    started = time.process_time()
    game.observe(TRIAL)
    each = (time.process_time() - started) / (2 * TRIAL)
    runs = max(min(most, int(seconds / (2 * each))) // AUDITS, 1) * AUDITS
    started = time.process_time()
    without, included = game.observe(runs)
    cpu = time.process_time() - started
    audit = game.judge(without, included)
    size = runs // AUDITS
    blocks = [slice(i * size, (i + 1) * size) for i in range(AUDITS)]
    small = [game.judge(without.take(b), included.take(b)) for b in blocks]
    return {
        "kind": kind,
        "name": game.name,
        "neighbours": game.pair.name,
        "epsilon": game.budget.epsilon,
        "runs_a_side": runs,
        "bound": round(audit.lower, 3),
        "bound_any_mechanism": round(audit.details["lower_any_mechanism"], 3),
        "power": round(audit.power, 3),
        "verdict": audit.verdict,
        "leak": game.leak(),
        "cpu_ms_a_run": round(1000 * cpu / (2 * runs), 3),
        "small_audits": {
            "audits": AUDITS,
            "runs_a_side": size,
            "violations": sum(a.verdict == "violation" for a in small),
            "allowed": int(binom.ppf(0.95, AUDITS, 0.05)),
            "largest_bound": round(max(a.lower for a in small), 3),
        },
    }


@contextmanager
def remembered() -> Iterator[None]:
    """Work out public numbers once: what events cost, and how much noise a part of a budget buys.

    They are the same in every run, and take most of its time.
    """
    cost = lru_cache(maxsize=2**16)(lambda events, budget: fits(list(events), budget))
    with (
        mock.patch.object(curator, "fits", lambda events, budget: cost(tuple(events), budget)),
        mock.patch.object(plan, "sigma_for", lru_cache(maxsize=2**12)(sigma_for)),
    ):
        yield


def trains(method: str) -> bool:
    """Whether a method trains a network on rows."""
    schema = neighbours("ones").schema
    settings = neighbours("ones").settings(method)
    plan = METHODS[method].plan(schema, Budget(1.0, DELTA), settings)
    return any(step.name == TRAIN for step in plan.steps)


def one_run(
    method: str, canaries: int, values: int, columns: int, epsilon: float
) -> dict[str, Any]:
    """One run with canaries of random values."""
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(columns)]
    column = {"kind": "category", "values": list(range(values)), "nullable": False}
    schema = Schema.model_validate({"name": "canaries", "columns": dict.fromkeys(names, column)})
    if columns == 1:
        marked = pa.table({"c0": np.arange(canaries)})
    else:
        marked = pa.table({name: rng.integers(0, values, canaries) for name in names})
    rows = pa.table({name: rng.integers(0, values, canaries // 2) for name in names})
    started = time.process_time()
    audit = one_run_of(method, rows, marked, schema, epsilon, DELTA, steps=ALL_STEPS)
    return {
        "method": method,
        "canaries": canaries,
        "columns": columns,
        "values": values,
        "epsilon": epsilon,
        "cpu_s": round(time.process_time() - started, 1),
        "bound": round(audit.lower, 3),
        "bound_any_mechanism": round(audit.details["lower_any_mechanism"], 3),
        "power": round(audit.power, 3),
        "guessed": audit.details["guessed"],
        "correct": audit.details["correct"],
        "verdict": audit.verdict,
    }


def power_table(epsilons: list[float]) -> dict[str, Any]:
    """What ideal attacks would show."""
    runs = (300, 1000, 5000, 20_000, 50_000)
    canaries = (500, 1000, 5000, 20_000)

    def one(epsilon: float, count: int, claim: Any) -> float:
        guesses = best_guesses(epsilon, DELTA, count, claim=claim)
        return round(one_run_power(epsilon, DELTA, count, guesses, claim=claim), 3)

    return {
        f"{claim} claim": {
            "game, by runs a side": {
                str(n): {str(e): round(game_power(e, DELTA, n, claim=claim), 3) for e in epsilons}
                for n in runs
            },
            "one run, by canaries": {
                str(m): {str(e): one(e, m, claim) for e in epsilons} for m in canaries
            },
        }
        for claim in ("gaussian", "any")
    }


def main() -> None:
    """Play all games, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--epsilons", type=float, nargs="+", default=[1.0, 4.0, 8.0])
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/audit.json"))
    options = parser.parse_args()
    report = json.loads(options.out.read_text()) if options.out.exists() else {}
    report |= {
        "command": f"python benchmarks/audit.py --runs {options.runs} --seconds {options.seconds:g}",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "delta": DELTA,
        "confidence": 0.95,
        "power": report.get("power") or power_table(options.epsilons),
    }
    games = report.setdefault("games", [])
    done = {(game["kind"], game["name"], game["epsilon"]) for game in games}
    played = [name for name in METHODS if not trains(name)]
    wanted = [("method", name) for name in played] + [("access", name) for name in MECHANISMS]

    def save() -> None:
        options.out.write_text(json.dumps(report, indent=1) + "\n")

    save()
    with remembered():
        for kind, name in wanted:
            for epsilon in options.epsilons:
                if (kind, name, epsilon) in done or (options.only and name not in options.only):
                    continue
                make = mechanism_game if kind == "access" else method_game
                games.append(play(make(name, epsilon, DELTA), kind, options.runs, options.seconds))
                print(json.dumps(games[-1]), flush=True)
                save()
    runs = report.setdefault("one_run", [])
    audited = {(run["method"], run["canaries"], run["epsilon"]) for run in runs}
    for method, canaries, values, columns in ONE_RUNS:
        for epsilon in options.epsilons:
            known = (method, canaries, epsilon) in audited
            if not known and (not options.only or method in options.only):
                runs.append(one_run(method, canaries, values, columns, epsilon))
                print(json.dumps(runs[-1]), flush=True)
                save()


if __name__ == "__main__":
    main()
