"""The fitted joint distribution: a Markov random field, held as calibrated clique marginals."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tronie.errors import BundleError, ConditionError, SchemaError
from tronie.models.elimination import MAX_TABLE, tree_marginals
from tronie.models.factor import Factor
from tronie.models.junction import JunctionTree, check_clique
from tronie.models.propagation import IMPOSSIBLE, Propagation
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats

AGREEMENT = 1e-6
"""How far the marginals of two cliques of a stored model may differ on their separator."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """How well an estimate solved its problem.

    Attributes:
        rms: Root mean square of the gradient, in noise sds of the measurements.
        iterations: Steps taken.
        converged: Whether the rms went below the tolerance that was asked for.
    """

    rms: float
    iterations: int
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class MarkovRandomField:
    """A joint distribution of coded columns that factorises over a junction tree.

    Args:
        tree: The cliques and how they hang together.
        total: Number of rows that the model stands for.
        beliefs: Marginal probabilities of each clique, in the order of its columns; cliques agree
            on their separators. Together they are the whole distribution: the product of the
            cliques' marginals over the product of the separators'.
        convergence: How well it was estimated, if it was.
        duals: Dual variables of the estimate, from which another may start.

    >>> from tronie.models.junction import junction_tree
    >>> tree = junction_tree(Domain({"a": 2, "b": 2}), [("a", "b")])
    >>> model = MarkovRandomField(tree, 10.0, (np.array([[0.1, 0.2], [0.3, 0.4]]),))
    >>> model.marginal(["b"]).values.round(9).tolist()
    [4.0, 6.0]
    >>> model.condition({"a": np.array([False, True])}).marginal(["b"]).values.round(9).tolist()
    [3.0, 4.0]
    """

    tree: JunctionTree
    total: float
    beliefs: tuple[Floats, ...]
    convergence: Convergence | None = None
    duals: tuple[Factor, ...] = ()

    @property
    def domain(self) -> Domain:
        """The columns."""
        return self.tree.domain

    def belief(self, i: int) -> Factor:
        """Marginal probabilities of one clique."""
        return Factor(self.domain.project(self.tree.cliques[i]), self.beliefs[i])

    def marginal(self, columns: Iterable[str], *, max_cells: int = MAX_TABLE) -> Factor:
        """Expected counts of any columns, in the given order; they sum to `total`.

        Args:
            columns: Any set of columns, whether or not one clique contains them.
            max_cells: Most cells of the result and of every table on the way to it.

        Raises:
            DomainTooLarge: If a table would have more cells.
            SchemaError: If a column is unknown or named twice.
        """
        return self.marginals([tuple(columns)], max_cells=max_cells)[0]

    def marginals(self, cliques: Iterable[Clique], *, max_cells: int = MAX_TABLE) -> list[Factor]:
        """Expected counts of several sets of columns, sharing what they have in common.

        Raises:
            DomainTooLarge: If a table would have more than `max_cells` cells.
            SchemaError: If a column is unknown or named twice.
        """
        wanted = list(cliques)
        for clique in wanted:
            check_clique(self.domain, clique)
        beliefs = [self.belief(i) for i in range(len(self.beliefs))]
        return [
            factor * self.total for factor in tree_marginals(self.tree, beliefs, wanted, max_cells)
        ]

    def condition(self, given: Mapping[str, NDArray[Any]]) -> MarkovRandomField:
        """The distribution of the rows that have some values, exactly.

        Args:
            given: Column -> which of its codes are allowed, shape (size,); or, where a code holds
                wanted and unwanted values, the probability of a wanted one given each code.

        Returns:
            A model of the same columns whose total is the expected number of such rows.

        Raises:
            ConditionError: If a column is unknown, a mask does not fit it, or no row is left.
        """
        tables = [_log(table) for table in self._conditionals()]
        homes = self.tree.homes
        for column, evidence in given.items():
            likelihood = _likelihood(self.domain, column, evidence)
            clique = self.tree.cliques[homes[column]]
            shape = [len(likelihood) if other == column else 1 for other in clique]
            tables[homes[column]] += _log(likelihood).reshape(shape)
        log_probability = Propagation(self.tree).calibrate(tables)
        share = math.exp(min(log_probability, 0.0))
        if share == 0.0:
            raise ConditionError(
                f"no row of the model satisfies the condition on {', '.join(given)}.",
                "Allow more values, or condition on fewer columns.",
            )
        return MarkovRandomField(self.tree, self.total * share, tuple(tables))

    def _conditionals(self) -> list[Floats]:
        """Probabilities of each clique's new columns given its separator."""
        tables: list[Floats] = []
        for i, belief in enumerate(self.beliefs):
            axes = tuple(range(len(self.tree.new_columns(i))))
            mass = belief.sum(axis=axes) if self.tree.parents[i] >= 0 else np.ones(())
            tables.append(belief / np.where(mass > 0, mass, 1.0))
        return tables

    def structure(self) -> dict[str, Any]:
        """Everything but the numbers in the tables, as plain data for JSON."""
        stored = _Structure(
            domain=dict(self.domain.sizes),
            total=self.total,
            cliques=list(self.tree.cliques),
            parents=list(self.tree.parents),
            convergence=self.convergence,
        )
        return stored.model_dump(mode="json")

    def to_arrays(self) -> dict[str, Floats]:
        """The tables, by name, for safetensors."""
        return {f"belief.{i}": np.ascontiguousarray(b) for i, b in enumerate(self.beliefs)}

    @classmethod
    def from_arrays(
        cls, structure: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> MarkovRandomField:
        """The model that `structure` and `to_arrays` described.

        Raises:
            BundleError: If they are not a model: wrong shapes, numbers that are no probabilities,
                cliques that form no tree or that disagree with one another.
        """
        try:
            stored = _Structure.model_validate_json(json.dumps(structure))
            domain = Domain(stored.domain)
            tree = JunctionTree(domain, tuple(stored.cliques), tuple(stored.parents))
        except (ValidationError, SchemaError) as error:
            raise _corrupt("its structure is not that of a junction tree") from error
        if not (math.isfinite(stored.total) and stored.total > 0):
            raise _corrupt("its number of rows is not positive")
        names = [f"belief.{i}" for i in range(len(tree.cliques))]
        if sorted(names) != sorted(arrays):
            raise _corrupt("tables are missing, or there are too many")
        beliefs = tuple(np.array(arrays[name], dtype=np.float64) for name in names)
        model = cls(tree, stored.total, beliefs, stored.convergence)
        for i in range(len(beliefs)):
            model._check(i)
        return model

    def _check(self, i: int) -> None:
        """Refuse a table that is no distribution or disagrees with the parent's."""
        table, clique = self.beliefs[i], self.tree.cliques[i]
        if table.shape != self.domain.project(clique).shape:
            raise _corrupt(f"table {i} has shape {table.shape}, which does not fit its columns")
        if not (np.isfinite(table).all() and (table >= 0).all()):
            raise _corrupt(f"table {i} holds numbers that are no probabilities")
        separator = self.tree.separator(i)
        above = np.ones(())
        if separator:
            above = self.belief(self.tree.parents[i]).project(separator).values
        if np.abs(self.belief(i).project(separator).values - above).max() > AGREEMENT:
            raise _corrupt(f"table {i} does not agree with its parent in the tree")


class _Structure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    domain: dict[str, int]
    total: float
    cliques: list[tuple[str, ...]]
    parents: list[int]
    convergence: Convergence | None


def _likelihood(domain: Domain, column: str, evidence: NDArray[Any]) -> Floats:
    if column not in domain:
        raise ConditionError(
            f"column {column!r} is not in the model.", f"Its columns: {', '.join(domain)}."
        )
    likelihood = evidence.astype(np.float64)
    if likelihood.shape != (domain[column],) or not ((likelihood >= 0) & (likelihood <= 1)).all():
        raise ConditionError(
            f"the condition on column {column!r} is no evidence over its {domain[column]} codes.",
            "Give one boolean, or one probability, per code.",
        )
    return likelihood


def _log(table: Floats) -> Floats:
    return np.log(table, out=np.full(table.shape, IMPOSSIBLE), where=table > 0)


def _corrupt(why: str) -> BundleError:
    return BundleError(f"the stored model is corrupt: {why}.", "Fetch or make the file again.")
