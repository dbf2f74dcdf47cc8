"""Ours beside the published outputs of commercial synthesizers: the same training rows, the same holdout.

Usage:
    python benchmarks/commercial.py TRAIN.parquet HOLDOUT.parquet SCHEMA.yaml LABEL EVALUATION.py
        --epsilon 1.6 [--peers MOSTLYAI_DP.parquet ...] [--published metrics_2024-12.csv] [--runs 3]
        [--samples 1] [--qa-python PYTHON] [--python PYTHON] [--method glaze] [--target] [--out FILE]

The tables are those of github.com/mostly-ai/paper-fidelity-accuracy, folder 2024-12/data. Two scores:

* The accuracy of mostlyai-qa, by that package's own functions (1.10.11), run by ``--qa-python``, a
  Python of an environment with ``pip install --no-deps mostlyai-qa==1.10.11`` and ``pip install pandas
  pyarrow scikit-learn phik plotly jinja2 pydantic xxhash networkx packaging``. Only what the accuracy
  needs is called: columns are cut into 10 bins by the training rows, and one minus the total variation
  is averaged over all columns, all pairs and all triples. The whole report would also load a sentence
  model for its scores of similarity and distance, which are not used here, and a tokenizer for columns
  of free text, which these tables lack. ``overall`` is the mean of columns and pairs, as published in
  2024; version 1.10.11 averages the triples too, and that is ``overall_with_triples``.
* EVALUATION.py, as in efficacy.py, against the holdout, run by ``--python``.

The peers' files are scored in the same run, beside the scores that were published for them; the holdout
is scored by mostlyai-qa like a synthetic table.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import efficacy
import pyarrow.parquet

import tronie

QA = """
import json, sys
import pandas as pd
from mostlyai.qa import _sampling
from mostlyai.qa._accuracy import (
    bin_data, calculate_bivariates, calculate_trivariates, calculate_univariates
)
from mostlyai.qa.random_state import set_random_state

_sampling.load_tokenizer = lambda: None  # for columns of free text only; it would fail, not pass
set_random_state(0)
train, synthetic = (pd.read_parquet(path) for path in sys.argv[1:])
real = _sampling.prepare_data_for_accuracy(df_tgt=train, setup="1:1")
other = _sampling.prepare_data_for_accuracy(
    df_tgt=synthetic[train.columns], setup="1:1", ori_dtypes=real.dtypes.to_dict()
)
real, bins = bin_data(real, 10)
other, _ = bin_data(other, bins)
parts = [f(real, other) for f in (calculate_univariates, calculate_bivariates, calculate_trivariates)]
names = ("univariate", "bivariate", "trivariate")
print(json.dumps({
    **{n: float(p.accuracy.mean()) for n, p in zip(names, parts)},
    **{n + "_max": float(p.accuracy_max.mean()) for n, p in zip(names, parts)},
}))
"""

ACCURACIES = ("overall", "univariate", "bivariate", "trivariate", "overall_with_triples")
NUMBERS = (*ACCURACIES, *efficacy.NUMBERS)
PUBLISHED = ("overall", "univariate", "bivariate", "overall_max")


def accuracy(python: str, train: Path, synthetic: Path) -> dict[str, float]:
    """The accuracy of one table, and its ceiling from sampling alone."""
    command = [python, "-c", QA, str(train), str(synthetic)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    for end in ("", "_max"):
        one, two, three = (found[name + end] for name in ("univariate", "bivariate", "trivariate"))
        found["overall" + end] = (one + two) / 2
        found["overall_with_triples" + end] = (one + two + three) / 3
    return {name: round(found[name], 4) for name in sorted(found)}


def published(path: Path) -> dict[str, dict[str, float]]:
    """File stem -> the scores that its makers published."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["file"].removesuffix(".csv.gz").removesuffix(".csv"): {
            name: float(row[name]) for name in PUBLISHED
        }
        for row in rows
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("holdout", type=Path)
    parser.add_argument("schema", type=Path)
    parser.add_argument("label")
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--peers", type=Path, nargs="*", default=[])
    parser.add_argument("--published", type=Path)
    parser.add_argument("--qa-python", default="python3", help="has mostlyai-qa")
    parser.add_argument("--python", default="python3", help="has pandas, scikit-learn and xgboost")
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--method", default="glaze")
    parser.add_argument("--effort", default="normal")
    parser.add_argument("--target", action="store_true", help="tell the fit that LABEL matters")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def command(options: argparse.Namespace) -> str:
    """The command that repeats a run."""
    return (
        f"python benchmarks/commercial.py {options.train.name} {options.holdout.name} "
        f"{options.schema.name} {options.label} {options.evaluation.name} "
        f"--epsilon {options.epsilon:g} --delta {options.delta:g} --method {options.method} "
        f"--effort {options.effort} --runs {options.runs} --samples {options.samples}"
        + (" --target" if options.target else "")
        + (" --peers " + " ".join(path.name for path in options.peers) if options.peers else "")
        + (f" --published {options.published.name}" if options.published else "")
    )


def scored(options: argparse.Namespace, synthetic: Path) -> dict[str, Any]:
    """Both scores of one table."""
    result = efficacy.evaluated(
        options.python, options.evaluation, synthetic, options.holdout, options.label
    )
    return accuracy(options.qa_python, options.train, synthetic) | efficacy.scores(result)


def ours(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Fit, sample and score."""
    schema = tronie.Schema.read(options.schema)
    wishes = efficacy.spending(options, options.label if options.target else None)
    output = folder / "synthetic.parquet"
    rows = pyarrow.parquet.read_metadata(options.train).num_rows
    runs: list[dict[str, Any]] = []
    for number in range(options.runs):
        model, cpu = efficacy.fitted(options.train, schema, wishes)
        for sample in range(options.samples):
            pyarrow.parquet.write_table(model.sample(rows).table, output)
            runs.append({"run": number, "sample": sample, "fit_cpu_s": round(cpu, 2)})
            runs[-1] |= scored(options, output)
            print(json.dumps(runs[-1]), flush=True)
    return runs


def theirs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The peers' files, scored now, beside what was published for them."""
    known = published(options.published) if options.published else {}
    found: list[dict[str, Any]] = []
    for path in options.peers:
        name = path.stem.removeprefix("2024_")
        found.append({"file": path.name, "published": known.get(name), **scored(options, path)})
        print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    """Fit, sample, score ours and theirs, print."""
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        runs = ours(options, Path(folder))
    report = {
        "command": command(options),
        "machine": efficacy.machine(),
        "label": options.label,
        "epsilon": options.epsilon,
        "target": options.target,
        "means": efficacy.mean(runs, [*NUMBERS, "overall_max", "fit_cpu_s"]),
        "runs": runs,
        "holdout": {"accuracy": accuracy(options.qa_python, options.train, options.holdout)},
        "peers": theirs(options),
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["means"], indent=1))


if __name__ == "__main__":
    main()
