"""A joint distribution of coded columns that is known by a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from tronie.errors import InputError
from tronie.models.markov import MarkovRandomField
from tronie.models.nets.decoding import Decoder, Parameters, Singles
from tronie.models.nets.drawing import Predictor, Ties, draw_given, draw_rows, row_logs
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
from tronie.models.nets.shape import Shape
from tronie.models.systematic import Codes
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class NetField(Populated):
    """A network that predicts the columns of a row one after another.

    Args:
        tree: A rougher model of the same columns that holds what is impossible, exactly.
        order: The columns, in the order of drawing.
        shape: Sizes of the network.
        parameters: Its parameters.
        ties: Numbers, in that order, of two columns -> what is added to predictions of the later one.
        guide: Parameters of a network of the same shape that can begin with any columns; it proposes rows
            that something is given of.
        population: Column -> codes of rows of the model; marginals are counts of them.

    Marginals have a Monte-Carlo error, as rows are drawn by chance: its standard deviation is at most the
    root of ``count * total / rows`` for a cell, and far less for pairs and single columns.
    """

    tree: MarkovRandomField
    order: Clique
    shape: Shape
    parameters: Parameters
    ties: Ties
    guide: Parameters
    population: Mapping[str, Codes]

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        given: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, Codes]:
        """Draw rows, column after column.

        Counts of single columns and of pairs are closer to the model's than those of independent rows,
        unless something is given: then see `tronie.models.nets.drawing.draw_given`.

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
        predictor = Predictor(Decoder(self.shape, self.parameters), self.ties)
        steps = drawing_steps(self.tree, self.order, {})
        if given:
            guide = Predictor(Decoder(self.shape, self.guide))
            guided = drawing_steps(self.tree, self.order, given)
            rows = draw_given(predictor, steps, guide, guided, n, rng)
        else:
            rows = draw_rows(predictor, steps, n, rng)
        drawn = as_codes(self.order, self.shape, rows)
        return {column: drawn[column] for column in self.domain}

    def log_likelihoods(self, codes: Mapping[str, Ints]) -> dict[str, Floats]:
        """Log probability of each code of some rows, given the columns that are drawn before it.

        Args:
            codes: Column -> codes, shape (rows,).

        Returns:
            Column -> shape (rows,), in the order of drawing; minus infinity for what is impossible.
        """
        predictor = Predictor(Decoder(self.shape, self.parameters), self.ties)
        steps = drawing_steps(self.tree, self.order, {})
        rows = np.stack([codes[column] for column in self.order], axis=1)
        return dict(zip(self.order, row_logs(predictor, steps, rows).T, strict=True))

    def structure(self) -> dict[str, Any]:
        """Everything but the numbers in the tables, as plain data for JSON."""
        stored = _Structure(
            tree=self.tree.structure(),
            order=self.order,
            body=self.shape.body,
            width=self.shape.width,
            depth=self.shape.depth,
            heads=self.shape.heads,
        )
        return stored.model_dump(mode="json")

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Parameters, tables and the population, by name, for safetensors."""
        tree = self.tree.to_arrays().items()
        return {
            **{f"tree.{name}": table for name, table in tree},
            **{f"net.{name}": np.ascontiguousarray(p) for name, p in self.parameters.items()},
            **{f"guide.{name}": np.ascontiguousarray(p) for name, p in self.guide.items()},
            **{f"tie.{one}.{two}": tie for (one, two), tie in self.ties.items()},
            **{f"population.{n}": self.population[name] for n, name in enumerate(self.order)},
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
            raise corrupt("its structure is not that of a network") from error
        kinds = ("tree", "net", "guide", "tie", "population")
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
        if stored.width % stored.heads:
            raise corrupt("its attention heads do not divide its width")
        shape = Shape(stored.body, sizes, stored.width, stored.depth, stored.heads)
        wanted = dict(shape.parameters())
        check_parameters(wanted, parts["net"])
        check_parameters(wanted, parts["guide"])
        ties = _ties(shape, parts["tie"])
        population = stored_population(stored.order, sizes, parts["population"])
        if not obeys(tree, population):
            raise corrupt("its population has rows that it rules out")
        return cls(tree, stored.order, shape, parts["net"], ties, parts["guide"], population)


class _Structure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tree: dict[str, Any]
    order: tuple[str, ...]
    body: Literal["transformer", "lstm"]
    width: PositiveInt
    depth: PositiveInt
    heads: PositiveInt


def _ties(shape: Shape, arrays: Mapping[str, NDArray[Any]]) -> dict[tuple[int, int], Singles]:
    places = {f"{one}.{two}": (one, two) for two in range(shape.columns) for one in range(two)}
    if not set(arrays) <= set(places):
        raise corrupt("it ties columns that are none, or not in their order")
    for name, array in arrays.items():
        one, two = places[name]
        if array.dtype != np.float32 or array.shape != (shape.sizes[one], shape.sizes[two]):
            raise corrupt(f"the tie {name} does not fit its columns")
        if not np.isfinite(array).all():
            raise corrupt(f"the tie {name} holds what is no number")
    return {places[name]: array for name, array in arrays.items()}
