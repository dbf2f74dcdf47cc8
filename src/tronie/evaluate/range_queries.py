"""Random counts, as an analyst would ask for, answered from both tables. INTERNAL: it reads real rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.evaluate.score import Score
from tronie.evaluate.tables import Coded, Tables
from tronie.schema.columns import Modelled, is_nominal
from tronie.schema.grid import Floats, Ints

QUERIES = 500
"""Queries of a workload."""

SANITY = 0.001
"""Relative errors of smaller shares than this are taken relative to it."""

Bools: TypeAlias = NDArray[np.bool_]

Condition: TypeAlias = tuple[int, int] | Bools
"""Of an ordered column the first and last lattice point; of a nominal one whether each is meant."""

Query: TypeAlias = Mapping[str, Condition]
"""Column -> condition; all must hold."""


@dataclass(frozen=True, slots=True)
class RangeQueries:
    """How well random counts are answered from the synthetic table.

    Attributes:
        queries: Number of queries.
        mean_error: Mean absolute difference between the synthetic and the real share of the rows.
        relative_error: Median of the difference relative to the real share, or to `SANITY` where that
            is larger.
        worst: Largest difference.
        score: 1 less the mean error.
    """

    queries: int
    mean_error: float
    relative_error: float
    worst: float
    score: Score


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Queries, and what they give on the real rows; for several synthetic tables.

    Attributes:
        queries: The queries.
        real: Share of the real rows that each counts, shape (queries,).
        independent: The same, were the columns independent.
    """

    queries: tuple[Query, ...]
    real: Floats
    independent: Floats

    @classmethod
    def of(cls, tables: Tables, *, queries: int = QUERIES, seed: int = 0) -> Workload:
        """Draw queries and answer them on the real rows."""
        drawn = draw_queries(tables.columns, queries, seed)
        alone = [
            math.prod(answer({name: part}, tables.real) for name, part in query.items())
            for query in drawn
        ]
        return cls(drawn, answers(drawn, tables.real), np.array(alone))


def range_queries(
    tables: Tables, name: str, workload: Workload | None = None, *, seed: int = 0
) -> RangeQueries:
    """Answer random range counts from a synthetic table.

    Args:
        tables: The tables.
        name: Which synthetic table.
        workload: Queries and their real answers, to work them out once for several tables.
        seed: Of the queries, where none are given.
    """
    workload = workload or Workload.of(tables, seed=seed)
    rows = tables.synthetic[name]
    real = workload.real
    errors = np.abs(answers(workload.queries, rows) - real)
    mean = float(errors.mean())
    n, m = tables.real.rows, rows.rows
    chance = np.sqrt(2 / np.pi * real * (1 - real) * (1 / n + 1 / m)).mean()
    score = Score(
        "range queries",
        1.0 - mean,
        1.0 - float(np.abs(workload.independent - real).mean()),
        1.0 - float(chance),
        f"A count over two or three columns is off by {100 * mean:.2f} % of all rows on average.",
    )
    relative = float(np.median(errors / np.maximum(real, SANITY)))
    return RangeQueries(len(errors), mean, relative, float(errors.max()), score)


def draw_queries(columns: Mapping[str, Modelled], queries: int, seed: int) -> tuple[Query, ...]:
    """Random queries, from public facts only.

    Each is about two or three columns, as far as there are so many. Of an ordered column it means the
    values between two random ones, of a nominal one a random half of the values, others and missing
    ones included, but at least one.

    Args:
        columns: Column -> what it is.
        queries: How many.
        seed: Equal seeds give equal queries.
    """
    rng = np.random.default_rng(seed)
    names = list(columns)
    drawn: list[Query] = []
    for _ in range(queries):
        count = min(int(rng.integers(2, 4)), len(names))
        chosen = sorted(rng.permutation(len(names))[:count].tolist())
        drawn.append({names[i]: _condition(columns[names[i]], rng) for i in chosen})
    return tuple(drawn)


def answers(queries: tuple[Query, ...], rows: Coded) -> Floats:
    """Share of a table's rows that each query counts, shape (queries,)."""
    return np.array([answer(query, rows) for query in queries])


def answer(query: Query, rows: Coded) -> float:
    """Share of a table's rows that a query counts."""
    inside = np.ones(rows.rows, bool)
    for name, condition in query.items():
        inside &= _holds(condition, rows.points[name])
    return int(np.count_nonzero(inside)) / rows.rows


def _holds(condition: Condition, points: Ints) -> Bools:
    if isinstance(condition, tuple):
        return (points >= condition[0]) & (points <= condition[1])
    return condition[points]


def _condition(column: Modelled, rng: np.random.Generator) -> Condition:
    if is_nominal(column):
        chosen = rng.random(column.points + 2) < 0.5
        chosen[rng.integers(max(column.points, 1))] = True
        return chosen
    low, high = sorted(rng.integers(0, column.points, 2).tolist())
    return low, high
