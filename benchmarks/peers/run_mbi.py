"""AIM and MST on Private-PGM (PyPI: mbi).

Usage:
    python run_mbi.py aim|aim-16|mst TABLE FACTS EPSILON DELTA OUTPUT

The package holds inference and sampling; its mechanisms are scripts of its repository and not part of it.
Both loops here follow the papers: AIM, McKenna, Mullins, Sheldon and Miklau 2022 (arXiv 2201.12677); MST,
McKenna, Miklau and Sheldon 2021 (arXiv 2108.04978). The number after AIM's name is that of its planned
rounds per column: the paper's is 16, 2 when not given.
"""

from __future__ import annotations

import itertools
import math
import os
import sys

os.environ.setdefault("JAX_ENABLE_X64", "True")  # as the package advises for large tables
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "False")  # likewise

import facts
import jax
import mbi
import networkx as nx
import numpy as np
import pyarrow.parquet
from mbi import Dataset, Domain, LinearMeasurement
from mbi.estimation import MirrorDescent
from mbi.junction_tree import hypothetical_model_size
from mbi.marginal_loss import WeightedQuery
from mbi.marginal_oracles import variable_elimination
from scipy.special import softmax
from zcdp import rho_of

Clique = tuple[str, ...]

ROUNDS_PER_COLUMN = 2
MODEL_MB = 80
AIM_STEPS = 1000
MST_STEPS = 5000
SELECT = 0.1
BIAS = math.sqrt(2 / math.pi)


def choose(scores: np.ndarray, epsilon: float, sensitivity: float, rng: np.random.Generator) -> int:
    """The exponential mechanism for scores that a row may move either way."""
    return int(rng.choice(len(scores), p=softmax(0.5 * epsilon / sensitivity * scores)))


class Counts:
    """Exact counts of marginals, each counted once."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._known: dict[Clique, np.ndarray] = {}

    def __call__(self, clique: Clique) -> np.ndarray:
        """The flat table of counts."""
        if clique not in self._known:
            domain = self._data.domain.project(clique)
            columns = {c: self._data.data[c] for c in clique}
            self._known[clique] = Dataset(columns, domain).datavector()
        return self._known[clique]


def measure(
    counts: Counts, clique: Clique, sigma: float, rng: np.random.Generator
) -> LinearMeasurement:
    """One marginal with Gaussian noise."""
    true = counts(clique)
    return LinearMeasurement(true + rng.normal(0, sigma, true.size), clique, sigma)


def answer(model: mbi.MarkovRandomField, clique: Clique) -> np.ndarray:
    """A marginal of the model.

    Outside its cliques operation by operation: that is cheaper than to compile the elimination anew for
    every clique and round.
    """
    if model.marginals.supports(clique):
        return np.asarray(model.marginals.project(clique).datavector())
    with jax.disable_jit():
        found = variable_elimination(model.potentials, clique, float(model.total))
    return np.asarray(found.datavector())


def closure(cliques: list[Clique]) -> set[Clique]:
    """All non-empty subsets."""
    return {s for c in cliques for k in range(1, len(c) + 1) for s in itertools.combinations(c, k)}


def aim(
    data: Dataset, rho: float, rng: np.random.Generator, rounds_per_column: int
) -> mbi.MarkovRandomField:
    """Select what the model gets most wrong, measure it, fit again."""
    domain = data.domain
    columns = list(domain.attributes)
    workload = list(itertools.combinations(columns, 2))
    weights = {
        c: float(sum(len(set(c) & set(w)) for w in workload))
        for c in sorted(closure(workload), key=lambda c: (len(c), c))
    }
    weights = {tuple(a for a in columns if a in c): w for c, w in weights.items()}
    rounds = rounds_per_column * len(columns)
    sigma = math.sqrt(rounds / (2 * (1 - SELECT) * rho))
    epsilon = math.sqrt(8 * SELECT * rho / rounds)
    counts = Counts(data)
    measured = [measure(counts, (a,), sigma, rng) for a in columns]
    spent = len(columns) / (2 * sigma**2)
    model = MirrorDescent().estimate(domain, measured, iters=AIM_STEPS)
    last = False
    while not last:
        left = rho - spent
        if left < 2 * (0.5 / sigma**2 + epsilon**2 / 8):
            sigma = math.sqrt(1 / (2 * (1 - SELECT) * left))
            epsilon = math.sqrt(8 * SELECT * left)
            last = True
        spent += epsilon**2 / 8 + 0.5 / sigma**2
        cliques = list(model.cliques)
        free = closure(cliques)
        limit = MODEL_MB * min(spent / rho, 1)
        admitted = [
            c
            for c in weights
            if c in free or hypothetical_model_size(domain, [*cliques, c]) <= limit
        ]
        scores = np.array(
            [
                weights[c]
                * (np.abs(counts(c) - answer(model, c)).sum() - BIAS * sigma * domain.size(c))
                for c in admitted
            ]
        )
        sensitivity = max(weights[c] for c in admitted)
        chosen = admitted[choose(scores, epsilon, sensitivity, rng)]
        measured.append(measure(counts, chosen, sigma, rng))
        before = answer(model, chosen)
        model = MirrorDescent().estimate(domain, measured, iters=AIM_STEPS, warm_start=model)
        change = np.abs(answer(model, chosen) - before).sum()
        if change <= BIAS * sigma * domain.size(chosen):
            sigma, epsilon = sigma / 2, epsilon * 2
    return MirrorDescent().estimate(domain, measured, iters=AIM_STEPS, warm_start=model)


def compressed(
    domain: Domain, singles: list[LinearMeasurement]
) -> tuple[dict[str, np.ndarray], list[LinearMeasurement]]:
    """Merge the values of a column whose noisy counts are below three standard deviations.

    The merged cell's measurement is the sum divided by the root of the number of values, which has the
    noise of one.
    """
    mapping: dict[str, np.ndarray] = {}
    kept: list[LinearMeasurement] = []
    for single in singles:
        (name,) = single.clique
        noisy = np.asarray(single.noisy_measurement)
        rare = noisy < 3 * single.stddev
        if rare.sum() < 2:
            mapping[name] = np.arange(noisy.size)
            kept.append(single)
            continue
        common = int((~rare).sum())
        codes = np.full(noisy.size, common)
        codes[~rare] = np.arange(common)
        mapping[name] = codes
        root = math.sqrt(rare.sum())
        values = np.append(noisy[~rare], noisy[rare].sum() / root)
        scale = np.append(np.ones(common), 1 / root)
        kept.append(LinearMeasurement(values, (name,), single.stddev, WeightedQuery(scale)))
    return {n: m for n, m in mapping.items() if m.max() + 1 < domain[n]}, kept


def mst(data: Dataset, rho: float, rng: np.random.Generator) -> tuple[mbi.MarkovRandomField, dict]:
    """Single columns, then a tree of the strongest pairs, a third of the budget for each step."""
    columns = list(data.domain.attributes)
    sigma = math.sqrt(3 * len(columns) / (2 * rho))
    counts = Counts(data)
    singles = [measure(counts, (a,), sigma, rng) for a in columns]
    mapping, singles = compressed(data.domain, singles)
    data = data.compress(mapping)
    counts = Counts(data)
    domain = data.domain
    # The model that the pairs are compared with: independent columns.
    model = MirrorDescent().estimate(domain, singles, iters=MST_STEPS)
    shares = {a: np.maximum(answer(model, (a,)), 0) for a in columns}
    gain = {
        (a, b): np.abs(counts((a, b)) - np.outer(shares[a], shares[b]).ravel() / model.total).sum()
        for a, b in itertools.combinations(columns, 2)
    }
    epsilon = math.sqrt(8 * rho / 3 / (len(columns) - 1))
    tree = nx.Graph()
    tree.add_nodes_from(columns)
    for _ in columns[1:]:
        place = {a: i for i, part in enumerate(nx.connected_components(tree)) for a in part}
        joining = [pair for pair in gain if place[pair[0]] != place[pair[1]]]
        scores = np.array([gain[pair] for pair in joining])
        tree.add_edge(*joining[choose(scores, epsilon, 1.0, rng)])
    sigma = math.sqrt(3 * (len(columns) - 1) / (2 * rho))
    order = {a: i for i, a in enumerate(columns)}
    pairs = [
        measure(counts, tuple(sorted(e, key=order.__getitem__)), sigma, rng) for e in tree.edges
    ]
    return MirrorDescent().estimate(domain, singles + pairs, iters=MST_STEPS), mapping


def main() -> None:
    """Read, fit, write."""
    method, table, known, epsilon, delta, output = sys.argv[1:]
    columns = facts.read(known)
    rows = pyarrow.parquet.read_table(table)
    data = Dataset(facts.encode_table(rows, columns), Domain.fromdict(facts.sizes(columns)))
    rng = np.random.default_rng()
    rho = rho_of(float(epsilon), float(delta))
    name, _, rounds = method.partition("-")
    if name == "aim":
        planned = int(rounds or ROUNDS_PER_COLUMN)
        synthetic = aim(data, rho, rng, planned).synthetic_data()
    else:
        model, mapping = mst(data, rho, rng)
        synthetic = model.synthetic_data().decompress(mapping)
    codes = {column: np.asarray(synthetic.data[column]) for column in columns}
    pyarrow.parquet.write_table(facts.decode_table(codes, columns, rows.schema), output)


if __name__ == "__main__":
    main()
