"""What a model rests on, as members of its file: measurements and released distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.models.marginal import Marginal
from tronie.models.uncertainty import Measurements, Misfit
from tronie.schema.domain import Domain

PREFIX = "measured."
"""How the names of the arrays begin."""


def basis_structure(basis: Measurements) -> dict[str, Any]:
    """Everything but the numbers in the tables, as plain data for JSON."""
    return {
        "cliques": [list(marginal.clique) for marginal in basis.marginals],
        "total_sd": basis.total_sd,
        "misfits": [list(misfit.columns) for misfit in basis.misfits],
    }


def basis_arrays(basis: Measurements) -> dict[str, NDArray[Any]]:
    """The tables, by name."""
    arrays: dict[str, NDArray[Any]] = {}
    for i, marginal in enumerate(basis.marginals):
        arrays[f"{PREFIX}{i}.values"] = marginal.values
        arrays[f"{PREFIX}{i}.sd"] = np.asarray(marginal.sd, np.float64)
    numbers = [(m.distance, m.sd, m.moved, float(m.round)) for m in basis.misfits]
    arrays[f"{PREFIX}misfits"] = np.array(numbers, np.float64).reshape(-1, 4)
    return arrays


def read_basis(
    structure: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], domain: Domain
) -> Measurements:
    """The measurements that `basis_structure` and `basis_arrays` described.

    Raises:
        ValueError: If they do not belong together, or to a model of these columns.
        SchemaError: If a table is no measurement.
    """
    cliques = [tuple(clique) for clique in structure["cliques"]]
    pairs = [tuple(pair) for pair in structure["misfits"]]
    numbers = arrays[f"{PREFIX}misfits"]
    total_sd = float(structure["total_sd"])
    if (
        numbers.shape != (len(pairs), 4)
        or not np.isfinite(numbers).all()
        or not 0 <= total_sd < np.inf
        or not {column for clique in [*cliques, *pairs] for column in clique} <= set(domain)
    ):
        raise ValueError
    marginals: list[Marginal] = []
    for i, clique in enumerate(cliques):
        values, sd = (arrays[f"{PREFIX}{i}.{part}"] for part in ("values", "sd"))
        if values.shape != domain.project(clique).shape or not np.isfinite(values).all():
            raise ValueError
        marginals.append(Marginal(clique, values, sd))
    misfits = [
        Misfit(pair, distance, sd, moved, int(number))
        for pair, (distance, sd, moved, number) in zip(pairs, numbers.tolist(), strict=True)
    ]
    return Measurements(tuple(marginals), total_sd, tuple(misfits))
