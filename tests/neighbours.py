"""Neighbouring tables, and a check of what one unit can move."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from tronie.measure import curator as curator_module
from tronie.measure import noise as noise_module
from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import InsecureNoise, Noise
from tronie.measure.queries import Marginal, Selection, Total
from tronie.measure.records import Records
from tronie.privacy.accounting import total_mu
from tronie.privacy.budget import Budget
from tronie.schema.grid import Coding, Grid
from tronie.schema.schema import Schema
from tronie.tables.sources import Source, open_source

SCHEMA = Schema.model_validate(
    {
        "name": "neighbours",
        "columns": {
            "a": {"kind": "category", "values": ["x", "y", "z"]},
            "b": {"kind": "integer", "min": 0, "max": 9},
            "c": {"kind": "boolean"},
        },
    }
)

LOOSE = Budget(1e6, 1e-9)
"""A budget that stands in no test's way."""

rows_of_a_table = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.sampled_from(["x", "y", "z", None]),
            "b": st.one_of(st.none(), st.integers(-3, 12)),
            "c": st.sampled_from([True, False, None]),
        }
    ),
    max_size=25,
)


@dataclass(frozen=True)
class Neighbours:
    """Two tables that differ by one unit of at most `k` rows."""

    with_unit: list[dict[str, Any]]
    without_unit: list[dict[str, Any]]
    k: int


@st.composite
def neighbours(draw: st.DrawFn, most: int = 4) -> Neighbours:
    """Any table, and the same table without some rows."""
    k = draw(st.integers(1, most))
    rest, unit = draw(rows_of_a_table), draw(rows_of_a_table.filter(lambda rows: len(rows) >= 1))
    return Neighbours(rest + unit[:k], rest, k)


def records(rows: Sequence[dict[str, Any]], schema: Schema = SCHEMA) -> Records:
    """The rows as a private table."""
    types = pa.schema([("a", pa.string()), ("b", pa.int64()), ("c", pa.bool_())])
    return Records(open_source(pa.Table.from_pylist(list(rows), schema=types)), schema)


class Watched:
    """A source that says how often it was read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.passes = 0

    @property
    def schema(self) -> pa.Schema:
        return self.source.schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        self.passes += 1
        return self.source.batches(columns)


class Spy(Curator):
    """A curator that adds no noise and keeps what it would have said."""

    def __init__(self, rows: Sequence[dict[str, Any]], k: int) -> None:
        self.meter = Meter(LOOSE)
        super().__init__(records(rows), self.meter, rows_per_unit=k, noise=InsecureNoise(0))
        self.said: list[tuple[np.ndarray, float]] = []

    def _blur(self, exact: np.ndarray, sigma: float) -> np.ndarray:
        self.said.append((exact, sigma))
        return exact


def moved(ask: Callable[[Curator], object], tables: Neighbours) -> tuple[float, float]:
    """How far one unit moves all Gaussian answers together, in noise sds, and what was charged."""
    spies = [Spy(rows, tables.k) for rows in (tables.with_unit, tables.without_unit)]
    for spy in spies:
        ask(spy)
    pairs = zip(spies[0].said, spies[1].said, strict=True)
    squares = sum(float(((one - two) ** 2).sum()) / sigma**2 for (one, sigma), (two, _) in pairs)
    return squares**0.5, total_mu(spies[0].meter.events)


def check_charged(ask: Callable[[Curator], object], tables: Neighbours) -> None:
    """Fail if one unit moves the answers further than what was charged for them."""
    distance, charged = moved(ask, tables)
    assert distance <= charged * (1 + 1e-12), f"moved {distance}, charged {charged}"


CODINGS = {name: Coding.identity(Grid.of(c, 4)) for name, c in SCHEMA.modelled.items()}
"""One code per cell of each column."""


def ask_counts(curator: Curator, sigma: float, cliques: list[tuple[str, ...]]) -> None:
    """The total and some marginals, each with noise of its own."""
    curator.recode(CODINGS)
    marginals = [Marginal(clique, sigma * (1 + i)) for i, clique in enumerate(cliques)]
    curator.ask([Total(sigma), *marginals])


def references(level: int) -> dict[tuple[str, ...], np.ndarray]:
    """Some public tables to compare with."""
    sizes = {name: coding.size for name, coding in CODINGS.items()}
    return {
        pair: np.full((sizes[pair[0]], sizes[pair[1]]), level)
        for pair in itertools.combinations(CODINGS, 2)
    }


def selection_log_odds(query: Selection, rows: list[dict[str, Any]], k: int) -> np.ndarray:
    """Log weights with which the curator really chooses."""
    seen: list[np.ndarray] = []

    def choice(scores: np.ndarray, epsilon: float, sensitivity: int, noise: Noise) -> int:
        weights = noise_module.exponential_weights(scores, epsilon, sensitivity)
        seen.append(np.array([math.log(weight) for weight in weights]))
        return 0

    spy = Spy(rows, k)
    spy.recode(CODINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator_module, "exponential_choice", choice)
        spy.select(query)
    return seen[0]


def check_bounded_range(query: Selection, tables: Neighbours) -> None:
    """Fail if one unit moves the log ratio of two candidates by more than the query's epsilon."""
    change = selection_log_odds(query, tables.with_unit, tables.k) - selection_log_odds(
        query, tables.without_unit, tables.k
    )
    spread = change.max() - change.min()
    assert spread <= query.epsilon * (1 + 1e-9), f"log odds moved {spread}, charged {query.epsilon}"
