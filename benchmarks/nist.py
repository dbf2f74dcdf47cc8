"""NIST's k-marginal score of our rows, and the sub-sample of the real rows that scores as much.

Usage:
    python benchmarks/nist.py FOLDER ma2019|tx2019 SCHEMA.yaml [--sdnist-python PYTHON] [--runs 3]
        [--epsilon 1] [--delta 1e-5] [--method glaze] [--draws 5] [--out FILE]

FOLDER holds NIST's excerpt of the American Community Survey as NIST publishes it (`ma2019.csv`,
`ma2019.json`, `data_dictionary.json`, `mappings.json`) and the same rows as `ma2019.parquet`. The ten
columns are the feature set that NIST calls "demographic-focused"; its reports give AIM at epsilon 1 a
score of 976 and MST one of 958 with it, on its national table (github.com/usnistgov/SDNist,
sample-reports).

The score is SDNist's own: PyPI's sdnist 2.4 (``pip install sdnist==2.4``, Python 3.11 or older), its
classes ``Dataset`` and ``KMarginal``, run by ``--sdnist-python``. Ages are cut at twenty quantiles of
the real rows, other columns are taken as they are; over all 45 pairs of columns the L1 distance between
the two tables of shares is averaged to d, and the score is (2 - d) * 500: 1000 for equal tables.
Sub-samples are scored by the same class; each size is drawn several times and averaged, where SDNist
draws once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import efficacy
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

COLUMNS = (
    "AGEP",
    "SEX",
    "MSP",
    "RAC1P",
    "HOUSING_TYPE",
    "OWN_RENT",
    "EDU",
    "PINCP_DECILE",
    "DVET",
    "DEYE",
)
PLACES = {"ma2019": "massachusetts", "tx2019": "texas"}
SIZES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)

SCORE = """
import json, sys
from pathlib import Path
from sdnist.load import TestDatasetName
from sdnist.report.dataset import Dataset
from sdnist.metrics.kmarginal import KMarginal  # after the other: they import each other
from sdnist.utils import SimpleLogger

root, name, synthetic, sizes, draws = sys.argv[1:]
log = SimpleLogger()
log.msg("score", level=0)
data = Dataset(Path(synthetic), log, TestDatasetName[name], Path(root), download=False)

def score(rows):
    return float(KMarginal(data.d_target_data, rows, []).compute_score())

found = {"score": score(data.d_synthetic_data), "columns": sorted(data.features), "subsamples": {}}
for size in json.loads(sizes):
    scores = [
        score(data.d_target_data.sample(frac=size / 100, random_state=draw))
        for draw in range(int(draws))
    ]
    found["subsamples"][size] = sum(scores) / len(scores)
print()
print(json.dumps(found))
"""


def arranged(folder: Path, name: str, root: Path) -> None:
    """Copy NIST's files to where SDNist looks for them."""
    place = root / PLACES[name]
    place.mkdir()
    for suffix in (".csv", ".json"):
        shutil.copyfile(folder / f"{name}{suffix}", place / f"{name}{suffix}")
    for file in ("data_dictionary.json", "mappings.json"):
        shutil.copyfile(folder / file, root / file)
    (root / "config.json").write_text("{}")


def as_published(table: pa.Table) -> pa.Table:
    """Codes as text, and missing values as NIST writes them."""
    text = [
        pyarrow.compute.fill_null(column.cast(pa.int64()).cast(pa.string()), "N")
        for column in table.columns
    ]
    return pa.table(dict(zip(table.column_names, text, strict=True)))


def scored(
    options: argparse.Namespace, root: Path, synthetic: Path, sizes: tuple[int, ...]
) -> dict[str, Any]:
    """SDNist's score of one table, and of sub-samples of the real one."""
    command = [options.sdnist_python, "-W", "ignore", "-c", SCORE, str(root), options.name]
    command += [str(synthetic), json.dumps(sizes), str(options.draws)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    if answer.returncode:
        raise SystemExit(answer.stderr)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    if found["columns"] != sorted(COLUMNS):
        raise SystemExit(f"SDNist left columns out: {found['columns']}")
    return found


def equal_size(score: float, subsamples: Mapping[int, float]) -> float:
    """Size of the sub-sample, in percent, that scores as much; between sizes by a straight line."""
    sizes = sorted(subsamples)
    if score <= subsamples[sizes[0]]:
        return float(sizes[0])
    for low, high in itertools.pairwise(sizes):
        below, above = subsamples[low], subsamples[high]
        if below <= score <= above:
            return round(low + (high - low) * (score - below) / (above - below), 1)
    return float(sizes[-1])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", choices=sorted(PLACES))
    parser.add_argument("schema", type=Path, help="declares at least the ten columns")
    parser.add_argument("--sdnist-python", default="python3", help="has sdnist 2.4")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--method", default="glaze")
    parser.add_argument("--effort", default="normal")
    parser.add_argument("--draws", type=int, default=5, help="sub-samples of each size")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def command(options: argparse.Namespace) -> str:
    """The command that repeats a run."""
    return (
        f"python benchmarks/nist.py {options.folder.name} {options.name} {options.schema.name} "
        f"--epsilon {options.epsilon:g} --delta {options.delta:g} --method {options.method} "
        f"--effort {options.effort} --runs {options.runs} --draws {options.draws}"
    )


def main() -> None:
    """Fit, sample, score, print."""
    options = arguments()
    path = options.folder / f"{options.name}.parquet"
    real = pyarrow.parquet.read_table(path, columns=list(COLUMNS)).replace_schema_metadata(None)
    declared = json.loads(efficacy.without(options.schema, []).to_json())["columns"]
    schema = efficacy.without(options.schema, set(declared) - set(COLUMNS))
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        arranged(options.folder, options.name, root)
        output = root / "synthetic.csv"
        pyarrow.csv.write_csv(as_published(real), output)
        reference = scored(options, root, output, SIZES)
        subsamples = {int(k): round(v, 1) for k, v in reference["subsamples"].items()}
        for number in range(options.runs):
            model, cpu = efficacy.fitted(real, schema, efficacy.spending(options, None))
            pyarrow.csv.write_csv(as_published(model.sample().table), output)
            score = round(scored(options, root, output, ())["score"], 1)
            runs.append({"run": number, "fit_cpu_s": round(cpu, 2), "score": score})
            runs[-1]["equals_percent"] = equal_size(score, subsamples)
            print(json.dumps(runs[-1]), flush=True)
    means = efficacy.mean(runs, ("score", "fit_cpu_s"))
    report = {
        "command": command(options),
        "machine": efficacy.machine(),
        "rows": len(real),
        "columns": COLUMNS,
        "epsilon": options.epsilon,
        "means": means | {"equals_percent": equal_size(means["score"], subsamples)},
        "real_rows": round(reference["score"], 1),
        "subsamples": subsamples,
        "runs": runs,
    }
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({"means": report["means"], "subsamples": subsamples}, indent=1))


if __name__ == "__main__":
    main()
