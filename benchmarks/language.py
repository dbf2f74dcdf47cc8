"""The method `llm`: what a step of a base takes, what a tiny one takes on Adult, and how valid rows are.

Usage:
    python benchmarks/language.py step [--base FOLDER] [--rank 8] [--rows 16] [--serial sentence]
    python benchmarks/language.py adult CODES.csv DOMAIN.json EVALUATION.py [--rows 10000] [--epsilon 1]
        [--methods glaze,llm]

`step` needs no table: it writes made-up rows in the words of Adult's columns, and reports CPU seconds of a
private step for each row, peak memory, what Adult would take with the default settings, and rows drawn per
CPU second. Without a folder it takes a model of the sizes of SmolLM2-135M with random weights; times and
memory are the same.

`adult` fits some rows of coded Adult and reports CPU seconds, mean total variations (by the function
``evaluate`` of EVALUATION.py), rows per CPU second, and how many of 10,000 rows are valid.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import torch

sys.path.insert(0, str(Path(__file__).parent))

from adult_discrete import schema_of
from learned import machine, module

import tronie
from tronie.measure.clipping import ClippedGradients
from tronie.models.estimation import estimate
from tronie.models.lm.drawing import Writer, draw_rows
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.lm_field import writing_steps
from tronie.models.lm.loading import TinyBase, fastest_precision, open_base, rebuilt
from tronie.models.lm.network import LanguageNetwork
from tronie.models.lm.reading import CausalReader
from tronie.schema.domain import Domain

ADULT_ROWS, EPOCHS = 48_842, 5

COLUMNS: dict[str, tuple[str, ...]] = {
    "sex": ("Female", "Male"),
    "income": ("<=50K", ">50K"),
    "race": ("White", "Black", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other"),
    "relationship": ("Husband", "Wife", "Own-child", "Not-in-family", "Unmarried", "Other"),
    "marital-status": ("Married-civ-spouse", "Divorced", "Never-married", "Separated", "Widowed"),
    "workclass": ("Private", "Self-emp-inc", "Self-emp-not-inc", "Federal-gov", "Local-gov"),
    "native-country": ("United-States", "Mexico", "Germany", "Canada", "India", "missing"),
    "occupation": ("Sales", "Craft-repair", "Exec-managerial", "Tech-support", "Adm-clerical"),
    "education": ("Bachelors", "HS-grad", "11th", "Masters", "Some-college", "Doctorate"),
    "education-num": tuple(str(n) for n in range(1, 17)),
    "capital-gain": ("0", "2000", "5000", "10000", "50000"),
    "capital-loss": ("0", "1500", "2000"),
    "hours-per-week": tuple(str(n) for n in range(5, 100, 5)),
    "age": tuple(str(n) for n in range(17, 90, 2)),
}
"""Words like those of Adult's codes."""


def peak() -> float:
    """Most memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def base_of(options: argparse.Namespace) -> Any:
    """The model and its tokenizer: of a folder, or of SmolLM2-135M's sizes with random weights."""
    if options.base:
        base = open_base(options.base, fastest_precision())
        return base.encode, base.start, base.model
    words = [f" {name} is {text}," for name, texts in COLUMNS.items() for text in texts]
    tiny = TinyBase.of(words)
    sizes = {
        "model_type": "llama",
        "vocab_size": 49_152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    }
    return tiny.encode, tiny.start, lambda positions: rebuilt(sizes)


def step(options: argparse.Namespace) -> dict[str, Any]:
    """One private step on made-up rows, and rows drawn."""
    encode, start, model = base_of(options)
    grammar = Grammar.of(list(COLUMNS), COLUMNS, encode, options.serial, start=start)
    rng = np.random.default_rng(0)
    network = LanguageNetwork(model(grammar.longest), grammar, rng=rng, rank=options.rank)
    core = ClippedGradients(network)
    codes = torch.tensor(rng.integers(0, grammar.sizes, size=(options.rows, len(COLUMNS))))
    core.sum(codes[:1], 1.0)
    begun = time.process_time()
    core.sum(codes, 1.0)
    each = (time.process_time() - begun) / options.rows
    learned = peak()
    network.merge()
    tree = estimate(Domain({name: len(texts) for name, texts in COLUMNS.items()}), [], 1.0)
    writer = Writer(CausalReader(network), grammar)
    begun = time.process_time()
    rows = draw_rows(writer, writing_steps(tree, grammar, {}), options.drawn, rng)
    return {
        "base": str(options.base or "SmolLM2-135M's sizes"),
        "trained parameters": core.size,
        "longest row": grammar.longest,
        "step, CPU seconds per row": round(each, 3),
        "peak GiB in training": round(learned, 2),
        "Adult, 5 epochs, CPU hours": round(each * ADULT_ROWS * EPOCHS / 3600, 1),
        "valid rows": f"{int((rows < np.array(grammar.sizes)).all(axis=1).sum())} of {len(rows)}",
        "rows per CPU second": round(len(rows) / (time.process_time() - begun), 2),
        "peak GiB": round(peak(), 2),
    }


def adult(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Fits of coded Adult."""
    domain: dict[str, int] = json.loads(options.domain.read_text())
    evaluation = module(options.evaluation)
    table = pyarrow.csv.read_csv(options.codes).select(list(domain))
    table = table.take(np.random.default_rng(0).permutation(len(table))[: options.rows])
    real = {name: table[name].to_numpy() for name in domain}
    schema = tronie.Schema.model_validate(schema_of(domain, ordinal=True))
    found: list[dict[str, Any]] = []
    for method in options.methods.split(","):
        with tempfile.TemporaryDirectory() as book:
            begun = time.process_time()
            fitted = tronie.fit(
                table,
                schema,
                epsilon=options.epsilon,
                delta=1e-5,
                method=method,
                ledger=Path(book) / "ledger.sqlite",
            )
        taken = time.process_time() - begun
        begun = time.process_time()
        rows = fitted.sample(10_000, seed=0).table
        speed = len(rows) / (time.process_time() - begun)
        drawn = fitted.sample(len(table), seed=1).table
        synthetic = {name: drawn[name].to_numpy().astype(np.int64) for name in domain}
        errors = evaluation.evaluate(real, synthetic, domain)
        codes = {name: rows[name].to_numpy(zero_copy_only=False) for name in domain}
        valid = np.all([(codes[n] >= 0) & (codes[n] < size) for n, size in domain.items()], axis=0)
        found.append(
            {
                "method": method,
                "fit, CPU seconds": round(taken, 1),
                **{f"tv{k}": round(errors[f"tv_{k}way_mean"], 4) for k in (1, 2, 3)},
                "rows per CPU second": round(speed),
                "valid rows": f"{int(valid.sum())} of {len(rows)}",
            }
        )
    return found


def main() -> None:
    """Run one of the studies."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("step")
    one.add_argument("--base", type=Path)
    one.add_argument("--rank", type=int, default=8)
    one.add_argument("--rows", type=int, default=16)
    one.add_argument("--drawn", type=int, default=64)
    one.add_argument("--serial", default="sentence")
    one.set_defaults(run=step)
    other = commands.add_parser("adult")
    for name in ("codes", "domain", "evaluation"):
        other.add_argument(name, type=Path)
    other.add_argument("--rows", type=int, default=10_000)
    other.add_argument("--epsilon", type=float, default=1.0)
    other.add_argument("--methods", default="glaze,llm")
    other.set_defaults(run=adult)
    options = parser.parse_args()
    print(json.dumps({"machine": machine(), "found": options.run(options)}, indent=2))


if __name__ == "__main__":
    main()
