"""The experiment of DP-2Stage (arXiv 2412.02467): generators of Adult and Airline rows at epsilon 1.

Usage:
    python benchmarks/dp2stage.py DATA_FOLDER EFFICACY.py [--python PYTHON] [--tables adult,airline]
        [--ways glaze,transformer,llm] [--fits 3] [--samples 2] [--out FILE]
    python benchmarks/dp2stage.py --page FILE [--images docs/images] > docs/dp-2stage.md

Rows are split as in `efficacy.py`. Each way is fitted to the training rows several times, each in a
process of its own, at epsilon 1 and delta 1e-5, and as many rows are drawn from each model, several
times. EFFICACY.py prints F1 and AUC (means of XGBoost and balanced logistic regression, tested on the
held-out rows), Hist and Pair. CorAcc is `tronie.evaluate.dependence.correlation_accuracy` against the
training rows. Results are written after every fit, and fits that are in the file already are not run
again.

Ways whose names begin with `dp2stage` repeat the paper's method with a language model of this machine:
sentences, the paper's weighted loss, all parameters trained, and a first stage on even rows (`u`) or on the
other of the two tables, taken to be public (`o`); on 4,000 of the training rows, since no GPU is assumed.
`llm` is ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

sys.path.insert(0, str(Path(__file__).parent))

from efficacy import SEED, evaluated, machine, mean, read, split, without

from tronie.evaluate.dependence import DependenceReference, dependence
from tronie.evaluate.tables import read_tables

EPSILON, DELTA = 1.0, 1e-5

NUMBERS = ("f1", "auc", "coracc", "pair", "hist")

SCHEMAS = Path(__file__).parent / "schemas"


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the paper's tables."""

    files: tuple[str, ...]
    schema: str
    label: str
    train: int
    drop: tuple[str, ...] = ()


SETTINGS = {
    "adult": Setting(("adult/adult.parquet",), "adult.yaml", "income", 30_932),
    "airline": Setting(
        ("airline/airline_train.parquet", "airline/airline_test.parquet"),
        "airline.yaml",
        "satisfaction",
        103_904,
        ("id",),
    ),
}


@dataclass(frozen=True, slots=True)
class Way:
    """How rows are made: a method and its settings.

    Attributes:
        method: Its name.
        language: Wishes for a language model.
        rows: Training rows that are used; all if None.
        note: What a reader should know.
    """

    method: str
    language: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rows: int | None = None
    note: str = ""


PAPERS = {"serial": "sentence", "loss": "weighted", "lora_rank": 0, "stage1": "uniform"}

WAYS = {
    "glaze": Way("glaze", note="ours, marginals: the default"),
    "mst": Way("mst", note="ours, marginals of a tree"),
    "hybrid": Way("hybrid", note="ours: `glaze`, then a network"),
    "transformer": Way("transformer", note="ours, DP-SGD"),
    "lstm": Way("lstm", note="ours, DP-SGD"),
    "vae": Way("vae", note="ours, DP-SGD"),
    "gan": Way("gan", note="ours, DP-SGD"),
    "marginal_net": Way("marginal_net", note="ours: a network fitted to marginals"),
    "llm": Way("llm", note="ours: a language model from nothing, first stage on rows of `glaze`"),
    "llm-uniform": Way(
        "llm", {"stage1": "uniform"}, note="ours: the same, first stage on even rows"
    ),
    "dp2stage-u": Way(
        "llm", PAPERS, 4000, "DP-2Stage-U, by us, from nothing, on 4,000 training rows"
    ),
    "dp2stage-o": Way(
        "llm",
        PAPERS | {"stage1": "other"},
        4000,
        "DP-2Stage-O, by us: the other table first, from nothing, on 4,000 training rows",
    ),
    "llm-4000": Way("llm", {}, 4000, "ours: `llm` on the same 4,000 rows"),
}

PAPER: Mapping[str, Mapping[str, Sequence[float]]] = {
    "adult": {
        "real rows": (69.9, 91.7, 97.3, 97.5, 99.1),
        "AIM": (59.6, 86.8, 86.4, 77.1, 88.4),
        "MST": (39.6, 76.8, 70.0, 74.6, 87.0),
        "DP-CTGAN": (42.2, 78.0, 51.3, 59.2, 75.7),
        "DP-GAN": (33.5, 67.7, 39.9, 41.2, 63.7),
        "DP-VAE": (0.0, 50.0, 48.8, 40.3, 61.8),
        "GPT-2, DP-SGD alone": (27.8, 58.5, 55.0, 68.4, 85.7),
        "DP-2Stage-U": (21.2, 48.9, 55.0, 76.1, 86.7),
        "DP-2Stage-O (airline)": (30.4, 61.6, 55.4, 72.3, 88.5),
        "DP-2Stage-O (texas)": (31.6, 60.5, 55.6, 71.3, 86.9),
    },
    "airline": {
        "real rows": (90.6, 96.2, 97.2, 98.4, 99.4),
        "AIM": (77.3, 88.9, 91.8, 46.7, 68.1),
        "MST": (72.2, 83.4, 72.7, 46.3, 68.2),
        "DP-CTGAN": (67.1, 76.7, 31.7, 62.2, 78.7),
        "DP-GAN": (40.2, 63.9, 37.4, 22.2, 44.7),
        "DP-VAE": (26.5, 57.9, 46.6, 20.6, 41.8),
        "GPT-2, DP-SGD alone": (60.5, 65.3, 64.0, 77.0, 90.3),
        "DP-2Stage-U": (68.5, 77.8, 65.3, 80.8, 90.7),
        "DP-2Stage-O (adult)": (55.2, 62.5, 66.8, 80.1, 92.5),
        "DP-2Stage-O (texas)": (52.5, 61.0, 66.1, 78.7, 90.4),
    },
}
"""The paper's own rows at epsilon 1: F1, AUC, CorAcc, Pair and Hist, in percent (means of 5 x 4 runs)."""

RUN = """
import json, resource, sys, time, tronie
table, schema, method, language, samples, rows, folder = sys.argv[1:]
wishes = tronie.LanguageSettings(**json.loads(language))
started = time.process_time()
model = tronie.fit(table, schema, epsilon=1.0, delta=1e-5, method=method, language=wishes,
                   ledger=folder + "/ledger.sqlite")
fitted = time.process_time() - started
started = time.process_time()
for number in range(int(samples)):
    model.sample(int(rows), seed=number).write(f"{folder}/sample{number}.parquet")
drawn = time.process_time() - started
print(json.dumps({
    "fit_cpu_s": round(fitted, 1),
    "rows_per_cpu_s": round(int(samples) * int(rows) / drawn),
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def one(
    name: str, setting: Setting, way: Way, data: Path, options: argparse.Namespace
) -> Iterable[dict[str, Any]]:
    """Fit one way, draw, and evaluate each sample."""
    table = read([data / file for file in setting.files], setting.drop)
    schema = without(SCHEMAS / setting.schema, setting.drop)
    chosen, kept = split(len(table), setting.train, 1000, SEED)
    train, test = table.take(chosen), table.take(kept)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        used = train.slice(0, way.rows) if way.rows else train
        pyarrow.parquet.write_table(used, folder / "train.parquet")
        pyarrow.parquet.write_table(test, folder / "test.parquet")
        schema.write(folder / "schema.yaml")
        given = (folder / "train.parquet", folder / "schema.yaml", way.method)
        language = dict(way.language)
        if language.get("stage1") == "other":
            language |= other_than(name, data, folder)
        wishes = (json.dumps(language), options.samples, len(train), folder)
        answer = subprocess.run(
            [sys.executable, "-c", RUN, *map(str, (*given, *wishes))],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        numbers = json.loads(answer.stdout)
        for number in range(options.samples):
            path = folder / f"sample{number}.parquet"
            found = evaluated(
                options.python, options.efficacy, path, folder / "test.parquet", setting.label
            )
            scores = {k: round(found[k], 2) for k in NUMBERS if k != "coracc"}
            scores["coracc"] = round(100 * correlation_accuracy(train, path, schema), 2)
            yield {"table": name, "sample": number, "used_rows": len(used)} | scores | numbers


def other_than(name: str, data: Path, folder: Path) -> dict[str, str]:
    """The paper's other table with its schema, written to a folder: wishes for a language model."""
    (setting,) = (each for other, each in SETTINGS.items() if other != name)
    table = read([data / file for file in setting.files], setting.drop)
    pyarrow.parquet.write_table(table, folder / "other.parquet")
    without(SCHEMAS / setting.schema, setting.drop).write(folder / "other.yaml")
    return {"other": str(folder / "other.parquet"), "other_schema": str(folder / "other.yaml")}


def correlation_accuracy(real: pa.Table, synthetic: Path, schema: Any) -> float:
    """Share of pairs of columns whose association is in the same of four levels."""
    tables = read_tables(real, {"rows": pyarrow.parquet.read_table(synthetic)}, schema)
    return dependence(tables, "rows", DependenceReference.of(tables)).correlation_accuracy


def experiment(options: argparse.Namespace) -> None:
    """Run what is not in the file yet."""
    runs: list[dict[str, Any]] = []
    if options.out and options.out.exists():
        runs = json.loads(options.out.read_text())["runs"]
    done = {(run["table"], run["way"], run["fit"]) for run in runs}
    wanted = product(options.tables.split(","), range(options.fits), options.ways.split(","))
    for name, fit, way in wanted:
        if (name, way, fit) in done:
            continue
        for found in one(name, SETTINGS[name], WAYS[way], options.data, options):
            runs.append({"way": way, "fit": fit} | found)
            print(json.dumps(runs[-1]), flush=True)
        if options.out:
            options.out.write_text(json.dumps(report(runs), indent=1) + "\n")


def report(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is written to a file."""
    return {
        "command": "python benchmarks/dp2stage.py DATA_FOLDER EFFICACY.py",
        "epsilon": EPSILON,
        "delta": DELTA,
        "machine": machine(),
        "notes": {way: WAYS[way].note for way in dict.fromkeys(run["way"] for run in runs)},
        "means": summary(runs),
        "runs": list(runs),
    }


def summary(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over all tables that were drawn from all models."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["table"], run["way"]), []).append(run)
    names = (*NUMBERS, "fit_cpu_s", "rows_per_cpu_s", "peak_mib")
    return [
        {
            "table": table,
            "way": way,
            "fits": len({run["fit"] for run in group}),
            "used_rows": group[0]["used_rows"],
        }
        | mean(group, names)
        for (table, way), group in groups.items()
    ]


INTRODUCTION = """# The DP-2Stage experiment

[DP-2Stage](https://arxiv.org/abs/2412.02467) (Afonja et al. 2024) fine-tunes a language model on
rows in two stages, and compares it with other generators at epsilon 1, delta 10⁻⁵. Here is the same
experiment with ours: rows of the paper's sizes and split, its classifiers (XGBoost and balanced
logistic regression, learning from synthetic rows, tested on real ones), its histogram intersections
(Hist for columns, Pair for pairs) and its correlation accuracy (CorAcc). Rows marked *the paper*
are the paper's own numbers, means of 5 models with 4 tables each; ours are means of {samples}
tables of each of so many models as the column *fits* says. All in percent. `dp2stage-u` and
`dp2stage-o` are the paper's method by our code: a first stage on even rows, or on the other of the
two tables, which is taken to be public.

Two things differ. The paper's language models take ranges, categories and, for prompts, label
frequencies from private rows without noise; ours take them from a public schema or pay for them. And
its GPT-2 needs a GPU; ours were trained on two processor cores, from nothing, where the table says
`llm`.

One command makes it:

```text
python benchmarks/dp2stage.py DATA_FOLDER EFFICACY.py --out benchmarks/results/dp2stage.json
```
"""


def page(path: Path, images: Path | None) -> str:
    """The page of the results, as Markdown."""
    results = json.loads(path.read_text())
    samples = max(run["sample"] for run in results["runs"]) + 1
    lines = [INTRODUCTION.format(samples=samples)]
    for name, paper in PAPER.items():
        means = [found for found in results["means"] if found["table"] == name]
        if not means:
            continue
        means.sort(key=lambda one: -one["f1"])
        lines += [f"## {name.capitalize()}", ""]
        if images:
            draw(means, paper, images / f"dp2stage-{name}.svg")
            picture = f"images/dp2stage-{name}.svg"
            lines += [f"![F1 of classifiers on {name}, ours and the paper's]({picture})", ""]
        lines += [
            "| rows by | F1 | AUC | CorAcc | Pair | Hist | CPU s | fits | |",
            "|---" * 9 + "|",
        ]
        for found in means:
            cells = " | ".join(f"{found[number]:.1f}" for number in NUMBERS)
            note = results["notes"][found["way"]]
            shown = f"{found['fit_cpu_s']:.0f} | {found['fits']}"
            lines.append(f"| `{found['way']}` | {cells} | {shown} | {note} |")
        for label, numbers in paper.items():
            cells = " | ".join(f"{number:.1f}" for number in numbers)
            lines.append(f"| {label} | {cells} | | 5 | the paper |")
        lines.append("")
    return "\n".join(lines)


def draw(
    means: Sequence[Mapping[str, Any]], paper: Mapping[str, Sequence[float]], path: Path
) -> None:
    """F1 of every way, ours and the paper's, as a picture."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tronie"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    bars = [(found["way"], found["f1"], "#1f6f8b") for found in means]
    bars += [(f"{label} (paper)", numbers[0], "#b8b8b8") for label, numbers in paper.items()]
    bars.sort(key=lambda bar: bar[1])
    figure, axes = plt.subplots(figsize=(7, 0.26 * len(bars) + 0.7), layout="constrained")
    names, values, colours = zip(*bars, strict=True)
    axes.barh(names, values, color=colours)
    axes.set_xlabel("F1 of the rarer label, percent")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Run the experiment, or print the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("efficacy", type=Path, nargs="?")
    parser.add_argument("--python", default="python3", help="has pandas, scikit-learn and xgboost")
    parser.add_argument("--tables", default=",".join(SETTINGS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--fits", type=int, default=3)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", type=Path, help="print the page of these results, run nothing")
    parser.add_argument("--images", type=Path, help="draw the page's pictures here (matplotlib)")
    options = parser.parse_args()
    if options.page:
        sys.stdout.write(page(options.page, options.images))
    else:
        experiment(options)


if __name__ == "__main__":
    main()
