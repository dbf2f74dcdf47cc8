"""Reports made by hand, as large and as nasty as is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from tronie.audit.result import Audit
from tronie.evaluate.dependence import Dependence
from tronie.evaluate.distances import ColumnDistance, Distributions, MarginalDistance, RareGroups
from tronie.evaluate.evaluation import Evaluation
from tronie.evaluate.gretel import GretelScore
from tronie.evaluate.headline import Headline
from tronie.evaluate.kmarginal import KMarginal
from tronie.evaluate.likelihood import Likelihood
from tronie.evaluate.range_queries import RangeQueries
from tronie.evaluate.score import Score
from tronie.evaluate.structure import Projection, Structure, TwoSample
from tronie.evaluate.use import Task, Use
from tronie.reports.methods import methods_of
from tronie.reports.profiles import Profile
from tronie.reports.result import Claim, Report, Spent

HOSTILE = (
    "</script><script>alert(1)</script>",
    "\"quoted' & <b>bold</b>",
    "\u05e2\u05de\u05d5\u05d3\u05d4 \u202e\u05de\u05d9\u05de\u05d9\u05df",
    "x" * 200,
    "🦉 owl | pipe",
    "line\nbreak\x00\x1b[31m",
    "age",
)
"""Names that break what does not escape them."""

KINDS = ("integer", "category", "decimal", "boolean", "date", "category")


def hostile_report() -> Report:
    return example(HOSTILE, tables=("</title><img src=x onerror=alert(2)>", "b`|*_\x1b[0m"))


def example(
    columns: Sequence[str] | int = 6,
    tables: Sequence[str] = ("epsilon 1",),
    *,
    learn: bool = True,
    triples: int = 30,
    codes: int = 16,
) -> Report:
    """A report on a table with some columns, beside synthetic ones with some names."""
    names = [f"column {n}" for n in range(columns)] if isinstance(columns, int) else [*columns]
    found = tuple(
        evaluation(names, table, n, learn, triples, codes) for n, table in enumerate(tables)
    )
    return Report(
        "internal",
        f"{names[0]} and others",
        "2026-11-22",
        tuple(claim(table, n) for n, table in enumerate(tables)),
        found,
        audits=(audit("violation"), audit("consistent"), audit("inconclusive")),
        budget=tuple(
            Spent(table, step, part, f"to {step}")
            for table in tables
            for step, part in (("count", 0.05), ("columns", 0.3), ("pairs", 0.65))
        ),
        methods=methods_of(found),
        omitted=("Something was left out.",),
        profiles={
            c.name: profile(n, len(tables), codes)
            for n, c in enumerate(found[0].distributions.columns)
            if c.ks is not None
        },
    )


def claim(table: str, place: int) -> Claim:
    if place:
        return Claim(table, "nothing is claimed about this table")
    return Claim(
        table,
        "epsilon 1 at delta 1e-09",
        "one row",
        1.0,
        1e-9,
        0.18,
        "people",
        "glaze",
        "operating system entropy, discrete",
        True,
        (),
        ("The odds change by at most a factor of 2.72.",),
        ("Side channels.", "Groups."),
    )


def audit(verdict: str) -> Audit:
    return Audit(
        f"replay, {verdict}",
        1.0,
        1e-9,
        "add or remove one row",
        "sees the synthetic rows only",
        1000,
        0.95,
        {"violation": 2.4, "consistent": 0.2, "inconclusive": 0.0}[verdict],
        3.1,
        verdict,  # type: ignore[arg-type]
        f"The finding is {verdict}.",
    )


def evaluation(
    columns: Sequence[str], table: str, place: int, learn: bool, triples: int, codes: int
) -> Evaluation:
    rng = np.random.default_rng(place)
    found = Distributions(
        _worst_first([_column(name, n, rng, codes) for n, name in enumerate(columns)]),
        _worst_first([_marginal(pair, rng) for pair in itertools.combinations(columns, 2)]),
        _worst_first(
            [
                _marginal(triple, rng)
                for triple in itertools.islice(itertools.combinations(columns, 3), triples)
            ]
        ),
        (
            RareGroups(1, 4, 1200, 0.45, 0.9, -0.31, 0.7),
            RareGroups(5, 24, 800, 0.1, 0.4, 0.05, 1.02),
            RareGroups(25, None, 300, 0.0, 0.06, 0.001, 1.0),
        ),
        48_000 + place,
        48_842,
    )
    score = 87.3 - 9 * place
    parts = tuple(
        Score(name, 0.97 - 0.05 * n - 0.02 * place, 0.6, 0.99 - 0.02 * n, f"Overlap of {name}.")
        for n, name in enumerate(("columns", "pairs", "triples"))
    )
    use, test = (_use(columns[-1]), _two_sample(columns)) if learn else (None, None)
    return Evaluation(
        name=table,
        rows=48_000 + place,
        real_rows=48_842,
        headline=Headline(
            Score("score", score, 0.0, 100.0, "How close the synthetic rows are to the real ones."),
            parts,
            "The mean of three parts.",
        ),
        distributions=found,
        kmarginal=KMarginal(954.0 - place, 0.2 / (place + 1), ((0.01, 823.0), (1.0, 1000.0))),
        dependence=_dependence(columns, rng),
        structure=Structure(_projection(rng), test, (_score("projection", 0.91),)),
        use=use,
        gretel=GretelScore(9.1, 8.7, 8.2, 8.6, "Excellent"),
        likelihood=None
        if place
        else Likelihood(12.3, 12.4, dict.fromkeys(columns, 1.0), {"values": 3.4}),
        queries=_queries(),
        skipped=(),
    )


def profile(seed: int, tables: int, bins: int) -> Profile:
    rng = np.random.default_rng(seed)
    shapes = [rng.dirichlet(np.full(bins, 30.0)) for _ in range(tables + 1)]
    if seed % 4 == 0:  # a spike
        shapes = [np.append([0.9], s[1:] * 0.1 / s[1:].sum()) for s in shapes]
    drawn = [tuple(float(v) for v in shape) for shape in shapes]
    gone = tuple(0.02 for _ in drawn)
    return Profile(("17", "53", "90"), drawn[0], tuple(drawn[1:]), gone, gone)


def _column(name: str, place: int, rng: np.random.Generator, codes: int) -> ColumnDistance:
    kind = KINDS[place % len(KINDS)]
    size = 2 if kind == "boolean" else codes
    everyone = np.random.default_rng(place)  # real rows are the same for all tables
    real, synthetic = (each.dirichlet(np.linspace(1, 20, size)) for each in (everyone, rng))
    distance = float(np.abs(real - synthetic).sum() / 2)
    ordered = kind not in {"category", "boolean"}
    labels = tuple(f"{name[:20]} value {n}" for n in range(size))
    return ColumnDistance(
        name,
        kind,
        distance,
        0.004,
        distance / 2 if ordered else None,
        3.25 if ordered else None,
        labels,
        tuple(float(v) for v in real),
        tuple(float(v) for v in synthetic),
    )


def _marginal(columns: tuple[str, ...], rng: np.random.Generator) -> MarginalDistance:
    distance = float(rng.uniform(0.01, 0.2)) * len(columns)
    return MarginalDistance(columns, distance, 0.01, distance * 1.5)


def _worst_first(found: list) -> tuple:
    return tuple(sorted(found, key=lambda each: -each.distance))


def _dependence(columns: Sequence[str], rng: np.random.Generator) -> Dependence:
    n = len(columns)
    real = np.random.default_rng(1).uniform(-1, 1, (n, n))
    noise = rng.normal(0, 0.05, (n, n))
    real, noise = (real + real.T) / 2, (noise + noise.T) / 2
    np.fill_diagonal(real, 1.0)
    synthetic = np.clip(real + noise, -1, 1)
    one, two = (tuple(tuple(float(v) for v in line) for line in m) for m in (real, synthetic))
    return Dependence(tuple(columns), one, two, 0.04, 0.9, (_score("associations", 0.96),))


def _projection(rng: np.random.Generator) -> Projection:
    edges = tuple(float(v) for v in np.linspace(-3, 3, 33))
    x, y = np.meshgrid(edges[:-1], edges[:-1])
    shapes = []
    for shift in (0.0, 0.4):
        shape = np.exp(-((x - shift) ** 2) / 2 - y**2)
        shapes.append(tuple(tuple(float(v) for v in line) for line in shape / shape.sum()))
    return Projection(edges, edges, shapes[0], shapes[1], (0.23, 0.11), 0.86)


def _two_sample(columns: Sequence[str]) -> TwoSample:
    giveaways = tuple((name, 0.1) for name in columns[:2])
    return TwoSample(0.71, 0.499, 10_000, giveaways, _score("two-sample test", 0.58))


def _use(target: str) -> Use:
    tasks = tuple(
        Task(target, "classification", learner, metric, 0.88, 0.92, 0.5)
        for learner in ("logistic regression", "boosted trees")
        for metric in ("AUC", "F1")
    )
    return Use(tasks, 0.87, _queries(), (_score("training", 0.9),))


def _queries() -> RangeQueries:
    return RangeQueries(500, 0.0021, 0.034, 0.02, _score("range counts", 0.98))


def _score(name: str, value: float) -> Score:
    return Score(name, value, 0.5, 1.0, f"What the {name} is worth.")
