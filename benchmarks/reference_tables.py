"""The score of tables whose worth is known, beside the scores of other tools.

Usage:
    python benchmarks/reference_tables.py ADULT.parquet SCHEMA.yaml [--peers FOLDER] [--splits 5]
        [--qa-python PYTHON] [--sdmetrics-python PYTHON] [--syntheval-python PYTHON] [--out FILE]
    python benchmarks/reference_tables.py ADULT.parquet SCHEMA.yaml --peers FOLDER --again FILE
        --out FILE
    python benchmarks/reference_tables.py --page

Five reference tables are made from a random half of ADULT (the training rows):

* ``holdout``: the other half. It is what the best synthesizer could make.
* ``copy``: the training rows, in another order. As close as can be, and no privacy at all.
* ``mix``: half of its rows from the holdout, half from ``independent``.
* ``independent``: the training rows, each column shuffled on its own.
* ``uniform``: each column drawn at random from its distinct values in the training rows.

FOLDER holds the published files of github.com/mostly-ai/paper-fidelity-accuracy: a ladder of training
rows with 10 % to 90 % of the cells permuted within their columns (``2021_adult_flip10.parquet`` ...), and
the outputs of several synthesizers, all against ``2021_adult_trn.parquet``.

Ours is the headline score, on several splits. Other tools score the first split's five tables and the
ladder, by their own code, each run by a Python of an environment with

* mostlyai-qa as for `commercial.py`: mean accuracy of columns, pairs and triples;
* ``pip install sdmetrics==0.32.0 pyarrow``: the quality report's score, and LogisticDetection, where 1
  means that a logistic regression cannot tell the tables apart;
* ``pip install syntheval==1.7.3``: the mean squared error of the propensity score, where 0 means that
  a logistic regression cannot tell the tables apart.

Gretel's score is computed by tronie from the published formulas, without its code. Splits are seeded, so
a second run makes the same tables; ``--again`` takes the other tools' scores from an earlier run's file and
computes ours anew.

``--page`` writes the tables of docs/scores.md anew from the committed results.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import commercial
import efficacy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import tronie
from tronie.evaluate.distances import DistanceReference, distributions
from tronie.evaluate.gretel import gretel
from tronie.evaluate.headline import headline
from tronie.evaluate.kmarginal import Subsamples, kmarginal
from tronie.evaluate.tables import read_tables

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "reference_tables.json"
PAGE = ROOT / "docs" / "scores.md"

REFERENCES = ("holdout", "copy", "mix", "independent", "uniform")
LADDER = tuple(f"flip{percent}" for percent in range(10, 100, 10))

SDMETRICS = """
import json, sys
import pandas as pd
from sdmetrics.reports.single_table import QualityReport
from sdmetrics.single_table import LogisticDetection
real, synthetic = (pd.read_parquet(path) for path in sys.argv[1:])
kinds = {c: "numerical" if real[c].dtype.kind in "if" else "categorical" for c in real}
metadata = {"columns": {c: {"sdtype": kind} for c, kind in kinds.items()}}
report = QualityReport()
report.generate(real, synthetic[real.columns], metadata, verbose=False)
detection = LogisticDetection.compute(real, synthetic[real.columns], metadata)
print(json.dumps({"quality": report.get_score(), "logistic_detection": detection}))
"""

SYNTHEVAL = """
import json, sys
import pandas as pd
from syntheval import SynthEval
real, synthetic = (pd.read_parquet(path) for path in sys.argv[1:])
kinds = [c for c in real if real[c].dtype.kind not in "if"]
evaluator = SynthEval(real, cat_cols=kinds, verbose=False)
evaluator.evaluate(synthetic[real.columns], None, p_mse={})
found = evaluator._raw_results["p_mse"]
print(json.dumps({"pmse": float(found["avg pMSE"])}))
"""


def shuffled(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Each column in a random order of its own."""
    columns = {name: table[name].take(rng.permutation(len(table))) for name in table.column_names}
    return pa.table(columns)


def uniform(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Each column drawn at random from its distinct values."""
    columns: dict[str, Any] = {}
    for name in table.column_names:
        values = table[name].unique()
        columns[name] = values.take(rng.integers(0, len(values), len(table)))
    return pa.table(columns)


def reference_tables(table: pa.Table, seed: int) -> tuple[pa.Table, dict[str, pa.Table]]:
    """The training rows, and the five tables."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    half = len(table) // 2
    train, holdout = table.take(order[:half]), table.take(order[half : 2 * half])
    independent = shuffled(train, rng)
    mix = pa.concat_tables([holdout.slice(0, half // 2), independent.slice(0, half - half // 2)])
    copy = train.take(rng.permutation(half))
    made = (holdout, copy, mix, independent, uniform(train, rng))
    return train, dict(zip(REFERENCES, made, strict=True))


def ours(real: pa.Table, synthetic: pa.Table, schema: tronie.Schema) -> dict[str, Any]:
    """Our scores of one table, and what they cost; Gretel's formulas beside them."""
    started = time.process_time()
    tables = read_tables(real, {"it": synthetic}, schema)
    reference = DistanceReference.of(tables)
    found = distributions(tables, "it", reference)
    made = headline(found)
    nist = kmarginal(found, Subsamples.of(reference, tables.real.rows))
    cpu = time.process_time() - started
    return {
        "score": round(made.score.value, 2),
        "parts": {
            part.name: {
                "overlap": round(part.value, 4),
                "floor": round(part.floor, 4),
                "ceiling": round(part.ceiling, 4),
                "points": round(part.points, 1),
            }
            for part in made.parts
        },
        "k_marginal": round(nist.score, 1),
        "subsample": round(nist.subsample, 3),
        "gretel": gretel(tables, "it").overall,
        "cpu_s": round(cpu, 2),
    }


def theirs(options: argparse.Namespace, train: Path, synthetic: Path) -> dict[str, Any]:
    """Scores of the tools whose Python was given."""
    found: dict[str, Any] = {}
    if options.qa_python:
        found["mostlyai_qa"] = commercial.accuracy(options.qa_python, train, synthetic)
    for name, program in (("sdmetrics", SDMETRICS), ("syntheval", SYNTHEVAL)):
        python = getattr(options, f"{name}_python")
        if python:
            command = [python, "-W", "ignore", "-c", program, str(train), str(synthetic)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            numbers = json.loads(answer.stdout.splitlines()[-1])
            found[name] = {key: round(value, 5) for key, value in numbers.items()}
    return found


def scored(
    options: argparse.Namespace,
    real: pa.Table,
    synthetic: pa.Table,
    schema: tronie.Schema,
    earlier: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Our scores of one table, and the others', which an earlier run may have computed."""
    if earlier is not None:
        return {**ours(real, synthetic, schema), "others": earlier["others"]}
    with tempfile.TemporaryDirectory() as folder:
        train, other = Path(folder) / "train.parquet", Path(folder) / "synthetic.parquet"
        pq.write_table(real, train)
        pq.write_table(synthetic, other)
        return {**ours(real, synthetic, schema), "others": theirs(options, train, other)}


def splits(
    options: argparse.Namespace, schema: tronie.Schema, earlier: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The five tables of each split; other tools score the first split's."""
    table = pq.read_table(options.table)
    known = earlier["splits"][0]["tables"] if earlier else {}
    found: list[dict[str, Any]] = []
    for seed in range(options.splits):
        train, made = reference_tables(table, seed)
        scores = {
            name: ours(train, rows, schema)
            if seed
            else scored(options, train, rows, schema, known.get(name))
            for name, rows in made.items()
        }
        found.append({"seed": seed, "rows": len(train), "tables": scores})
        print(seed, {name: each["score"] for name, each in scores.items()}, flush=True)
    return found


def published(
    options: argparse.Namespace, schema: tronie.Schema, earlier: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The ladder, scored by all tools, and the outputs of synthesizers, scored by ours."""
    known = earlier["published"]["ladder"] if earlier else {}
    real = pq.read_table(options.peers / "2021_adult_trn.parquet")
    found: dict[str, Any] = {"ladder": {}, "synthesizers": {}}
    for path in sorted(options.peers.glob("*_adult_*.parquet")):
        name = path.stem.replace("_adult_", " ").partition(" ")[2]
        rows = pq.read_table(path)
        if name in LADDER:
            found["ladder"][name] = scored(options, real, rows, schema, known.get(name))
        elif name not in {"trn", "val", "hol"}:
            found["synthesizers"][path.stem] = ours(real, rows, schema)
        print(path.stem, flush=True)
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("schema", type=Path, nargs="?")
    parser.add_argument("--peers", type=Path, help="folder of the published files")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--qa-python", help="has mostlyai-qa")
    parser.add_argument("--sdmetrics-python", help="has sdmetrics")
    parser.add_argument("--syntheval-python", help="has syntheval")
    parser.add_argument("--again", type=Path, help="file of an earlier run, for others' scores")
    parser.add_argument("--page", action="store_true", help="write the tables of docs/scores.md")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def command(options: argparse.Namespace) -> str:
    """The command that repeats a run."""
    given = [f"--peers {options.peers.name}"] if options.peers else []
    given += [
        f"--{name}-python {name}/bin/python"
        for name in ("qa", "sdmetrics", "syntheval")
        if getattr(options, f"{name}_python")
    ]
    return (
        f"python benchmarks/reference_tables.py {options.table.name} {options.schema.name} "
        f"--splits {options.splits} " + " ".join(given)
    ).strip()


# --- the page ----------------------------------------------------------------------------------------


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _numbers(found: Mapping[str, Any]) -> list[str]:
    others = found["others"]
    qa, sd = others.get("mostlyai_qa"), others.get("sdmetrics")
    pmse = others.get("syntheval")
    return [
        f"**{found['score']:.1f}**",
        f"{100 * sd['quality']:.1f}" if sd else "",
        f"{sd['logistic_detection']:.3f}" if sd else "",
        f"{100 * qa['overall_with_triples']:.1f}" if qa else "",
        f"{pmse['pmse']:.5f}" if pmse else "",
        f"{found['gretel']:.1f}",
        f"{found['k_marginal']:.0f}",
        f"{100 * found['subsample']:.0f} %",
    ]


_HEAD = [
    "tronie, 0 to 100",
    "SDMetrics quality, 0 to 100",
    "SDMetrics LogisticDetection, 0 to 1",
    "mostlyai-qa accuracy, 0 to 100",
    "SynthEval pMSE, 0 is best",
    "Gretel's formulas, 0 to 10",
    "k-marginal, 0 to 1000",
    "like a sub-sample of",
]


def references(results: Mapping[str, Any]) -> str:
    """The five tables."""
    first = results["splits"][0]["tables"]
    return _table(["table", *_HEAD], [[name, *_numbers(first[name])] for name in REFERENCES])


def spread(results: Mapping[str, Any]) -> str:
    """Ours on all splits."""
    rows: list[list[str]] = []
    for name in REFERENCES:
        scores = [split["tables"][name]["score"] for split in results["splits"]]
        parts = results["splits"][0]["tables"][name]["parts"]
        shown = [
            f"{p['overlap']:.3f} ({p['floor']:.3f} to {p['ceiling']:.3f})" for p in parts.values()
        ]
        rows.append([name, f"{min(scores):.1f} to {max(scores):.1f}", *shown])
    count = len(results["splits"])
    return _table(["table", f"score on {count} splits", "columns", "pairs", "triples"], rows)


def ladder(results: Mapping[str, Any]) -> str:
    """The ladder."""
    found = results["published"]["ladder"]
    rows = [[f"{name[4:]} %", *_numbers(found[name])] for name in LADDER]
    return _table(["cells permuted", *_HEAD], rows)


def synthesizers(results: Mapping[str, Any]) -> str:
    """Outputs of synthesizers, best first."""
    found = results["published"]["synthesizers"]
    rows = [
        [
            name.replace("_adult_", " "),
            f"{each['score']:.1f}",
            *(f"{part['points']:.0f}" for part in each["parts"].values()),
            f"{each['k_marginal']:.0f}",
        ]
        for name, each in sorted(found.items(), key=lambda item: -item[1]["score"])
    ]
    return _table(["file", "score", "columns", "pairs", "triples", "k-marginal"], rows)


SECTIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "references": references,
    "spread": spread,
    "ladder": ladder,
    "synthesizers": synthesizers,
}


def filled(text: str, results: Mapping[str, Any]) -> str:
    """The page with every table written anew.

    Raises:
        ValueError: If the page lacks a section.
    """
    for name, section in SECTIONS.items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the page must have {begin} and {end} once")
        body = f"{begin}\n{section(results)}\n{end}"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        text = re.sub(pattern, lambda _, body=body: body, text, flags=re.DOTALL)
    return text


def main() -> None:
    """Make the tables, score them, print; or write the page."""
    options = arguments()
    if options.page:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
        return
    schema = tronie.Schema.read(options.schema)
    earlier = json.loads(options.again.read_text(encoding="utf-8")) if options.again else None
    report = {
        "command": earlier["command"] if earlier else command(options),
        "machine": efficacy.machine(),
        "splits": splits(options, schema, earlier),
        "published": published(options, schema, earlier) if options.peers else None,
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
