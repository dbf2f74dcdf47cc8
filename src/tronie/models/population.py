"""Marginals of a model that knows them as counts of rows which were drawn once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tronie.models.factor import Factor
from tronie.models.junction import check_clique
from tronie.models.systematic import Codes
from tronie.schema.domain import Domain


def counted(
    population: Mapping[str, Codes], domain: Domain, columns: Iterable[str], total: float
) -> Factor:
    """Expected counts of some columns, from the rows of a population.

    Args:
        population: Column -> codes of rows.
        domain: All columns.
        columns: Those that are asked for.
        total: What the counts sum to.

    Raises:
        SchemaError: If a column is unknown or named twice.

    >>> rows = {"a": np.array([0, 1, 1, 1])}
    >>> counted(rows, Domain({"a": 2}), ["a"], 8.0).values.tolist()
    [2.0, 6.0]
    """
    clique = tuple(columns)
    check_clique(domain, clique)
    asked = domain.project(clique)
    rows = len(next(iter(population.values())))
    places = np.zeros(rows, np.int64)
    for column in clique:
        places = places * asked[column] + population[column]
    counts = np.bincount(places, minlength=asked.size()).astype(np.float64)
    return Factor(asked, counts.reshape(asked.shape) * (total / rows))
