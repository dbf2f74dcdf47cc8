"""Planted coordinates, with and without privacy: the demonstration of commercial products, with controls.

Usage:
    python benchmarks/canaries.py escooter.parquet [--epsilon 1] [--runs 5] [--share 0.01] [--out FILE]
        [--page docs/canaries.md]
    python benchmarks/canaries.py --page docs/canaries.md [--out FILE]

The table is examples/data/uber_scooter_rides_1day.csv of github.com/gretelai/gretel-synthetics, as Parquet
with the columns hour, bike_id, src_lat, src_lon, dst_lat, dst_lon. Steps:

1. At most three rides of each bike are kept, drawn at random; then the bike is dropped. It is the privacy
   unit, and the schema says ``max_rows: 3``.
2. Four secret places are drawn near real ones, to six digits. In one row of a hundred, among those
   that start near a secret, the start is replaced by it, with shares 5, 15, 30 and 50 %. Places drawn
   in the same way and never inserted are the controls.
3. Generators are run on that table, and rows of their output whose start is exactly a secret are counted.

The generator without privacy is the one that statistical offices know from the R package synthpop: columns
one after the other, each by a regression tree on the ones before, values drawn from the tree's leaves (at
least five rows each). Its filters are `Similar` (exact copies of training rows) and `Outlying` of
tronie.filters, which compare with real rows. The private one is tronie at its defaults.

4. The memorisation ladder (tronie.audit.ladder) is climbed with both generators, with places in the
   same manner as secrets.

``--page`` writes the tables between the marks of a page; without a table to read it takes the results
from the file.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from efficacy import machine

import tronie
from tronie.audit.ladder import ladder
from tronie.filters.against_real import Outlying, Similar
from tronie.filters.applying import apply_filters

HERE = Path(__file__).parent
SCHEMA = HERE / "schemas" / "escooter.yaml"
RESULT = HERE / "results" / "canaries.json"

RIDES = 3
"""Rides of a bike that are kept, at most."""

WEIGHTS = (0.05, 0.15, 0.30, 0.50)
"""Shares of the planted rows that the four secrets get."""

CONTROLS = 100
"""Secrets that are never inserted."""

PLACE = ("src_lat", "src_lon")
NEAR = 500
"""A secret replaces the start of one of the nearest so many rides."""

LEAF = 5
"""Rows of a leaf of the trees, at least; synthpop's default."""

SPREAD = 0.01
"""Degrees that a secret may lie away from a real start."""

MARKS = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)

Generator = Callable[[pa.Table, int], pa.Table]
"""A private table and a seed in, a synthetic table out."""


def bounded(rows: pa.Table, rng: np.random.Generator) -> pa.Table:
    """At most three rides of each bike, and no bike."""
    shuffled = rows.take(pa.array(rng.permutation(rows.num_rows)))
    seen: dict[str, int] = {}
    kept: list[int] = []
    for place, bike in enumerate(shuffled["bike_id"].to_pylist()):
        seen[bike] = seen.get(bike, 0) + 1
        if seen[bike] <= RIDES:
            kept.append(place)
    return shuffled.take(pa.array(kept)).drop_columns(["bike_id"]).replace_schema_metadata(None)


def places(rows: pa.Table, count: int, rng: np.random.Generator) -> pa.Table:
    """Places near real starts, to six digits."""
    chosen = rng.integers(0, rows.num_rows, count)
    return pa.table(
        {
            name: np.round(rows[name].to_numpy()[chosen] + rng.uniform(-SPREAD, SPREAD, count), 6)
            for name in PLACE
        }
    )


def starts(rows: pa.Table) -> np.ndarray:
    """Starts of rides in whole millionths of a degree, shape (rows, 2)."""
    return np.stack([np.rint(rows[n].to_numpy() * 1e6).astype(np.int64) for n in PLACE], axis=1)


def planted(
    rows: pa.Table, secrets: pa.Table, share: float, rng: np.random.Generator
) -> tuple[pa.Table, list[int]]:
    """The table with secrets in it, and how often each is."""
    total = round(share * rows.num_rows)
    counts = rng.multinomial(total, WEIGHTS).tolist()
    at, spots = starts(rows), starts(secrets)
    values = {name: rows[name].to_numpy().copy() for name in PLACE}
    free = np.ones(rows.num_rows, bool)
    for secret, count in enumerate(counts):
        distance = np.abs(at - spots[secret]).sum(axis=1)
        near = np.argsort(np.where(free, distance, np.iinfo(np.int64).max), kind="stable")[:NEAR]
        chosen = rng.choice(near, count, replace=False)
        free[chosen] = False
        for name in PLACE:
            values[name][chosen] = secrets[name][secret].as_py()
    for name, column in values.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(column))
    return rows, counts


def replays(rows: pa.Table, secrets: pa.Table) -> list[int]:
    """Rows that start exactly at each secret."""
    written = starts(rows)
    return [int((written == spot).all(axis=1).sum()) for spot in starts(secrets)]


def trees(rows: pa.Table, seed: int) -> pa.Table:
    """Sequential regression trees: each column drawn from the leaf that the columns before it lead to."""
    from sklearn.tree import DecisionTreeRegressor  # noqa: PLC0415, an extra of this study alone

    rng = np.random.default_rng(seed)
    real = {name: rows[name].to_numpy() for name in rows.column_names}
    names = list(real)
    drawn = {names[0]: rng.choice(real[names[0]], rows.num_rows)}
    for place, name in enumerate(names[1:], 1):
        before = np.stack([real[n] for n in names[:place]], axis=1)
        tree = DecisionTreeRegressor(min_samples_leaf=LEAF, random_state=seed)
        tree.fit(before, real[name])
        leaves = tree.apply(before)
        order = np.argsort(leaves, kind="stable")
        reached = tree.apply(np.stack([drawn[n] for n in names[:place]], axis=1))
        first = np.searchsorted(leaves[order], reached, side="left")
        last = np.searchsorted(leaves[order], reached, side="right")
        drawn[name] = real[name][order[rng.integers(first, last)]]
    return pa.table(drawn, schema=rows.schema)


def filtered(rows: pa.Table, seed: int) -> pa.Table:
    """The same, then the filters that compare with real rows."""
    found = apply_filters(trees(rows, seed), [Similar(rows), Outlying(rows)], voids_guarantee=True)
    return found.rows.table


def private(epsilon: float) -> Generator:
    """The private one: tronie at its defaults."""
    schema = tronie.Schema.read(SCHEMA)

    def generate(rows: pa.Table, seed: int) -> pa.Table:
        with tempfile.TemporaryDirectory() as folder:
            book = Path(folder) / "ledger.sqlite"
            model = tronie.fit(rows, schema, epsilon=epsilon, ledger=book)
        return model.sample(rows.num_rows, seed=seed).table

    return generate


def counted(
    generate: Generator, rows: pa.Table, secrets: pa.Table, controls: pa.Table, runs: int
) -> dict[str, Any]:
    """Replays of each secret in each run, and of all controls together."""
    begun = time.process_time()
    outputs = [generate(rows, seed) for seed in range(runs)]
    cpu = time.process_time() - begun
    return {
        "replays": [replays(output, secrets) for output in outputs],
        "controls": [sum(replays(output, controls)) for output in outputs],
        "rows": [output.num_rows for output in outputs],
        "cpu_s": round(cpu / runs, 2),
    }


def climbed(generate: Generator, rows: pa.Table, epsilon: float | None) -> dict[str, Any]:
    """The memorisation ladder."""
    schema = tronie.Schema.read(SCHEMA)
    found = ladder(
        lambda table: generate(table, 0),
        rows,
        schema=schema,
        columns=PLACE,
        secrets=lambda count, rng: places(rows, count, rng),
        epsilon=epsilon,
        claim="gaussian" if epsilon else "any",
        seed=0,
    )
    return found.to_dict()


def study(options: argparse.Namespace) -> dict[str, Any]:
    """All of it."""
    rng = np.random.default_rng(options.seed)
    rows = bounded(pyarrow.parquet.read_table(options.table), rng)
    spots = places(rows, len(WEIGHTS) + CONTROLS, rng)
    secrets, controls = spots.slice(0, len(WEIGHTS)), spots.slice(len(WEIGHTS))
    contaminated, counts = planted(rows, secrets, options.share, rng)
    generators: Mapping[str, Generator] = {
        "trees": trees,
        "trees, filtered": filtered,
        "private": private(options.epsilon),
    }
    return {
        "command": f"python benchmarks/canaries.py {options.table.name} --epsilon {options.epsilon:g} "
        f"--runs {options.runs} --share {options.share:g} --seed {options.seed}",
        "machine": machine(),
        "rows": rows.num_rows,
        "epsilon": options.epsilon,
        "runs": options.runs,
        "controls": CONTROLS,
        "secrets": [
            {"place": [secrets[n][i].as_py() for n in PLACE], "inserted": count}
            for i, count in enumerate(counts)
        ],
        "generators": {
            name: counted(generate, contaminated, secrets, controls, options.runs)
            for name, generate in generators.items()
        },
        "ladder": {
            name: climbed(generate, rows, options.epsilon if name == "private" else None)
            for name, generate in generators.items()
        },
    }


def replay_table(found: Mapping[str, Any]) -> str:
    """Secret by insertions and replays."""
    names = list(found["generators"])
    lines = [
        f"| secret place | inserted | {' | '.join(names)} |",
        "|---|---|" + "---|" * len(names),
    ]
    for i, secret in enumerate(found["secrets"]):
        means = [np.mean([r[i] for r in found["generators"][n]["replays"]]) for n in names]
        place = ", ".join(f"{x:.6f}" for x in secret["place"])
        cells = " | ".join(f"{mean:.1f}" for mean in means)
        lines.append(f"| {place} | {secret['inserted']} | {cells} |")
    chance = [np.mean(found["generators"][n]["controls"]) for n in names]
    cells = " | ".join(f"{mean:.1f}" for mean in chance)
    lines.append(f"| {found['controls']} controls together | 0 | {cells} |")
    kept = [np.mean(found["generators"][n]["rows"]) for n in names]
    lines.append(f"| *synthetic rows* | | {' | '.join(f'{n:,.0f}' for n in kept)} |")
    return "\n".join(lines) + "\n"


def ladder_table(found: Mapping[str, Any]) -> str:
    """Rung by replay rate."""
    names = list(found["ladder"])
    head = f"| copies | {' | '.join(names)} | the claim allows at most |"
    lines = [head, "|---|" + "---|" * (len(names) + 1)]
    rungs = {name: found["ladder"][name]["details"]["rungs"] for name in names}
    controls = {name: found["ladder"][name]["details"]["control"] for name in names}
    cells = " | ".join(f"{c['replayed']} of {c['secrets']}" for c in controls.values())
    lines.append(f"| 0 (controls) | {cells} | |")
    for i, rung in enumerate(rungs["private"]):
        cells = " | ".join(
            f"{r[i]['replayed']} of {r[i]['inserted']} ({r[i]['low']:.0%} to {r[i]['high']:.0%})"
            for r in rungs.values()
        )
        lines.append(f"| {rung['copies']} | {cells} | {rung['allowed']:.1%} |")
    verdicts = " | ".join(
        f"{found['ladder'][n]['lower']:.2f}, {found['ladder'][n]['verdict']}" for n in names
    )
    lines.append(f"| *epsilon of one row, at least; verdict* | {verdicts} | |")
    return "\n".join(lines) + "\n"


def filled(page: str, found: Mapping[str, Any]) -> str:
    """A page with its tables written anew."""
    tables = {"replays": replay_table(found), "ladder": ladder_table(found)}
    return MARKS.sub(lambda m: m[1] + tables.get(m[2], "") + m[3], page)


def main() -> None:
    """Plant, generate, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if options.table is not None:
        options.out.write_text(json.dumps(study(options), indent=1) + "\n")
    found = json.loads(options.out.read_text())
    print(replay_table(found))
    print(ladder_table(found))
    if options.page is not None:
        options.page.write_text(filled(options.page.read_text(), found))


if __name__ == "__main__":
    main()
