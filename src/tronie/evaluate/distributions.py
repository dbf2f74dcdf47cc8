"""How far a synthetic table's distributions are from the real one's. INTERNAL: it reads real rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tronie.errors import SchemaMismatch
from tronie.schema.columns import Listed, Modelled
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding, Grid, Ints
from tronie.schema.schema import Schema
from tronie.tables.codec import encode
from tronie.tables.counting import count_marginals
from tronie.tables.sources import open_source

BINS = 32
"""Codes of equal mass that an ordered column is cut into."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Total variation between a real and a synthetic table; not differentially private.

    Attributes:
        columns: Column -> total variation of its distribution, from 0 (equal) to 1 (disjoint).
        pairs: Pair of columns -> total variation of their joint distribution.
    """

    columns: Mapping[str, float]
    pairs: Mapping[Clique, float]

    @property
    def mean_column(self) -> float:
        """Mean over all columns."""
        return float(np.mean(list(self.columns.values())))

    @property
    def mean_pair(self) -> float:
        """Mean over all pairs of columns; 0 if there is no pair."""
        return float(np.mean(list(self.pairs.values()))) if self.pairs else 0.0


def compare(real: Any, synthetic: Any, schema: Schema) -> Comparison:
    """Compare all columns and all pairs of columns of two tables.

    Numbers and dates are cut at quantiles of the real table, so the result is INTERNAL: it is not
    differentially private and must not be published.

    Args:
        real: The private table, as for `tronie.fit`.
        synthetic: The synthetic table.
        schema: The schema of the model, its unknowns found.

    Raises:
        SchemaMismatch: If a table lacks a column, or holds values outside its domain.
    """
    columns = schema.lattices
    points = [
        {name: _points(table, name, column) for name, column in columns.items()}
        for table in (real, synthetic)
    ]
    codings = {name: _coding(column, points[0][name]) for name, column in columns.items()}
    cliques: list[Clique] = [(name,) for name in columns]
    cliques += list(itertools.combinations(columns, 2))
    sizes = {name: coding.size for name, coding in codings.items()}
    one, two = (
        count_marginals([{n: codings[n].code_of(p) for n, p in table.items()}], sizes, cliques)
        for table in points
    )
    distances = {clique: _total_variation(one[clique], two[clique]) for clique in cliques}
    return Comparison(
        {clique[0]: d for clique, d in distances.items() if len(clique) == 1},
        {clique: d for clique, d in distances.items() if len(clique) == 2},
    )


def _points(table: Any, name: str, column: Modelled) -> Ints:
    source = open_source(table)
    if name not in source.schema.names:
        raise SchemaMismatch(
            f"a table lacks the column {name!r}.", "Compare tables that have the schema's columns."
        )
    batches = source.batches([name])
    parts = [encode(name, column, batch.column(0)).astype(np.int64) for batch in batches]
    return np.concatenate([*parts, np.empty(0, np.int64)])


def _coding(column: Modelled, points: Ints) -> Coding:
    if isinstance(column, Listed):
        return Coding.identity(Grid.of(column, column.points))
    present = points[points < column.points]
    grid = Grid(np.array([0, column.points], np.int64), null=column.nullable)
    if len(present):
        cuts = np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1])
        grid = grid.split_at(np.ceil(cuts).astype(np.int64).tolist())
    return Coding.identity(grid)


def _total_variation(one: Ints, two: Ints) -> float:
    """Half the L1 distance of two tables of counts, each scaled to sum to 1."""
    scaled = [table / max(int(table.sum()), 1) for table in (one, two)]
    return float(np.abs(scaled[0] - scaled[1]).sum() / 2)
