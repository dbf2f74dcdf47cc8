"""A joint distribution of coded columns that a generator makes from points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from tronie.errors import InputError
from tronie.models.markov import MarkovRandomField
from tronie.models.nets.decoding import Parameters, Singles
from tronie.models.nets.frame import (
    Populated,
    as_codes,
    check_parameters,
    corrupt,
    drawing_steps,
    keeps_rules,
    obeys,
    stored_population,
)
from tronie.models.nets.latent import LatentShape, Mixture
from tronie.models.nets.mixing import mix_given, mix_rows, mixture_logs
from tronie.models.systematic import Codes
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class LatentField(Populated):
    """A generator with some points: a mixture of rows whose columns are independent.

    Args:
        tree: A rougher model of the same columns that holds what is impossible, exactly.
        order: The columns, in the order of drawing.
        shape: Sizes of the generator.
        parameters: Its parameters.
        points: One for each component of the mixture, shape (components, latent).
        population: Column -> codes of rows of the model; marginals are counts of them.

    Marginals have a Monte-Carlo error, as rows are drawn by chance: its standard deviation is at most the
    root of ``count * total / rows`` for a cell, and far less for pairs and single columns.
    """

    tree: MarkovRandomField
    order: Clique
    shape: LatentShape
    parameters: Parameters
    points: Singles
    population: Mapping[str, Codes]

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        given: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, Codes]:
        """Draw rows: a component for each, then its columns.

        Counts of single columns and of pairs are closer to the model's than those of independent rows,
        unless something is given: then see `tronie.models.nets.mixing.mix_given`.

        Args:
            n: Number of rows.
            rng: Source of randomness; equal states give equal rows.
            given: Column -> evidence about its codes, as in `MarkovRandomField.condition`.

        Raises:
            ConditionError: If no row of the model satisfies the condition.
            InputError: If the number of rows is negative.
        """
        if n < 0:
            raise InputError(f"{n} rows cannot be drawn.", "Ask for 0 or more.")
        mixture = Mixture(self.shape, self.parameters, self.points)
        steps = drawing_steps(self.tree, self.order, {})
        if given:
            guided = drawing_steps(self.tree, self.order, given)
            rows = mix_given(mixture, steps, guided, n, rng)
        else:
            rows = mix_rows(mixture, steps, n, rng)
        drawn = as_codes(self.order, self.shape, rows)
        return {column: drawn[column] for column in self.domain}

    def log_likelihoods(self, codes: Mapping[str, Ints]) -> dict[str, Floats]:
        """Log probability of each code of some rows, given the columns that are drawn before it.

        Args:
            codes: Column -> codes, shape (rows,).

        Returns:
            Column -> shape (rows,), in the order of drawing; minus infinity for what is impossible.
        """
        mixture = Mixture(self.shape, self.parameters, self.points)
        steps = drawing_steps(self.tree, self.order, {})
        rows = np.stack([codes[column] for column in self.order], axis=1)
        return dict(zip(self.order, mixture_logs(mixture, steps, rows).T, strict=True))

    def structure(self) -> dict[str, Any]:
        """Everything but the numbers in the tables, as plain data for JSON."""
        stored = _Structure(
            tree=self.tree.structure(),
            order=self.order,
            latent=self.shape.latent,
            width=self.shape.width,
            depth=self.shape.depth,
        )
        return stored.model_dump(mode="json")

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Parameters, points, tables and the population, by name, for safetensors."""
        tree = self.tree.to_arrays().items()
        return {
            **{f"tree.{name}": table for name, table in tree},
            **{f"net.{name}": np.ascontiguousarray(p) for name, p in self.parameters.items()},
            **{f"population.{n}": self.population[name] for n, name in enumerate(self.order)},
            "points.all": np.ascontiguousarray(self.points),
        }

    @classmethod
    def from_arrays(cls, structure: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The model that `structure` and `to_arrays` described.

        Raises:
            BundleError: If they are not a model: wrong shapes, parameters that are no numbers, an order in
                which rules cannot be kept, rows that the domain rules out.
        """
        try:
            stored = _Structure.model_validate_json(json.dumps(structure))
        except ValidationError as error:
            raise corrupt("its structure is not that of a generator") from error
        kinds = ("tree", "net", "points", "population")
        parts: dict[str, dict[str, NDArray[Any]]] = {kind: {} for kind in kinds}
        for name, array in arrays.items():
            group, _, rest = name.partition(".")
            if group not in parts:
                raise corrupt("there are too many tables")
            parts[group][rest] = array
        tree = MarkovRandomField.from_arrays(stored.tree, parts["tree"])
        if sorted(stored.order) != sorted(tree.domain) or not keeps_rules(tree, stored.order):
            raise corrupt("its columns are in no order in which they can be drawn")
        sizes = tuple(tree.domain[column] for column in stored.order)
        shape = LatentShape(sizes, stored.latent, stored.width, stored.depth)
        check_parameters(dict(shape.parameters()), parts["net"])
        count = max(parts["points"].get("all", np.zeros(0)).size // shape.latent, 1)
        check_parameters({"all": (count, shape.latent)}, parts["points"])
        population = stored_population(stored.order, sizes, parts["population"])
        if not obeys(tree, population):
            raise corrupt("its population has rows that it rules out")
        points = parts["points"]["all"]
        return cls(tree, stored.order, shape, parts["net"], points, population)


class _Structure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tree: dict[str, Any]
    order: tuple[str, ...]
    latent: PositiveInt
    width: PositiveInt
    depth: PositiveInt
