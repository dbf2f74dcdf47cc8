"""A joint distribution of coded columns that is known by a network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from tronie.errors import BundleError, InputError
from tronie.models.factor import Factor
from tronie.models.junction import check_clique
from tronie.models.markov import Convergence, MarkovRandomField
from tronie.models.nets.decoding import Decoder, Parameters, Singles
from tronie.models.nets.drawing import Predictor, Step, Ties, draw_given, draw_rows
from tronie.models.nets.shape import Shape
from tronie.models.propagation import IMPOSSIBLE
from tronie.models.systematic import Codes
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class NetField:
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

    @property
    def domain(self) -> Domain:
        """The columns."""
        return self.tree.domain

    @property
    def total(self) -> float:
        """Number of rows that the model stands for."""
        return self.tree.total

    @property
    def convergence(self) -> Convergence | None:
        """How well it was estimated: training says nothing of that."""
        return None

    def marginal(self, columns: Iterable[str]) -> Factor:
        """Expected counts of any columns, in the given order; they sum to `total`.

        Raises:
            SchemaError: If a column is unknown or named twice.
        """
        clique = tuple(columns)
        check_clique(self.domain, clique)
        domain = self.domain.project(clique)
        rows = len(self.population[self.order[0]])
        places = np.zeros(rows, np.int64)
        for column in clique:
            places = places * domain[column] + self.population[column]
        counts = np.bincount(places, minlength=domain.size()).astype(np.float64)
        return Factor(domain, counts.reshape(domain.shape) * (self.total / rows))

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
            raise _corrupt("its structure is not that of a network") from error
        kinds = ("tree", "net", "guide", "tie", "population")
        parts: dict[str, dict[str, NDArray[Any]]] = {kind: {} for kind in kinds}
        for name, array in arrays.items():
            group, _, rest = name.partition(".")
            if group not in parts:
                raise _corrupt("there are too many tables")
            parts[group][rest] = array
        tree = MarkovRandomField.from_arrays(stored.tree, parts["tree"])
        if sorted(stored.order) != sorted(tree.domain) or not _keeps_rules(tree, stored.order):
            raise _corrupt("its columns are in no order in which they can be drawn")
        sizes = tuple(tree.domain[column] for column in stored.order)
        if stored.width % stored.heads:
            raise _corrupt("its attention heads do not divide its width")
        shape = Shape(stored.body, sizes, stored.width, stored.depth, stored.heads)
        _check_parameters(shape, parts["net"])
        _check_parameters(shape, parts["guide"])
        ties = _ties(shape, parts["tie"])
        population = _population(stored.order, sizes, parts["population"])
        if not _obeys(tree, population):
            raise _corrupt("its population has rows that it rules out")
        return cls(tree, stored.order, shape, parts["net"], ties, parts["guide"], population)


def drawing_order(tree: MarkovRandomField) -> Clique:
    """An order of columns in which each one's possible codes follow from those before.

    Small columns come first: many rows begin alike then, and are predicted once.
    """
    waiting = {column: set(parents) for column, (parents, _) in _possible(tree).items()}
    order: list[str] = []
    while waiting:
        ready = [column for column, parents in waiting.items() if parents <= set(order)]
        order.append(min(ready, key=tree.domain.__getitem__))
        del waiting[order[-1]]
    return tuple(order)


def drawing_steps(
    tree: MarkovRandomField, order: Sequence[str], given: Mapping[str, NDArray[Any]]
) -> list[Step]:
    """How the columns are drawn.

    Args:
        tree: What is possible.
        order: The columns, in the network's order.
        given: Column -> evidence about its codes. These columns come first, and with them the columns on
            which it depends what is possible in them.

    Raises:
        ConditionError: If no row of the model satisfies the condition.
    """
    rules = _possible(tree)
    after = _possible(tree.condition(given)) if given else rules
    first = _with_parents(rules, given)
    numbers = {column: number for number, column in enumerate(order)}
    steps: list[Step] = []
    for column in sorted(order, key=lambda name: (name not in first, numbers[name])):
        parents, possible = rules[column]
        chances = None
        if column in first:
            mask = after[column][1] > 0
            chances = _log(np.where(mask, given.get(column, 1.0), 0.0))
        shifted = np.where(possible > 0, 0.0, IMPOSSIBLE).astype(np.float32)
        steps.append(Step(numbers[column], tuple(numbers[p] for p in parents), shifted, chances))
    return steps


def as_codes(order: Sequence[str], shape: Shape, rows: Ints) -> dict[str, Codes]:
    """Column -> codes in the smallest unsigned type, from rows in the network's order."""
    return {
        column: rows[:, number].astype(np.min_scalar_type(shape.sizes[number] - 1))
        for number, column in enumerate(order)
    }


def _possible(tree: MarkovRandomField) -> dict[str, tuple[Clique, Floats]]:
    """Column -> the columns on which it depends what is possible in it, and the mass of each cell.

    Cells are those of the parents, in lines; a cell without mass leaves no possible row.
    """
    found: dict[str, tuple[Clique, Floats]] = {}
    for i, clique in enumerate(tree.tree.cliques):
        belief = tree.belief(i)
        for k in reversed(range(len(tree.tree.new_columns(i)))):
            column, parents = clique[k], clique[k + 1 :]
            mass = belief.project((*parents, column)).values
            found[column] = parents, mass.reshape(-1, mass.shape[-1])
    return found


def _with_parents(rules: Mapping[str, tuple[Clique, Floats]], columns: Iterable[str]) -> set[str]:
    found, waiting = set[str](), list(columns)
    while waiting:
        column = waiting.pop()
        if column not in found:
            found.add(column)
            waiting += rules[column][0]
    return found


def _keeps_rules(tree: MarkovRandomField, order: Sequence[str]) -> bool:
    place = {column: number for number, column in enumerate(order)}
    rules = _possible(tree).items()
    return all(place[p] < place[column] for column, (parents, _) in rules for p in parents)


def _obeys(tree: MarkovRandomField, rows: Mapping[str, Codes]) -> bool:
    """Whether all rows are possible."""
    for column, (parents, mass) in _possible(tree).items():
        cells = np.zeros(len(rows[column]), np.int64)
        for parent in parents:
            cells = cells * tree.domain[parent] + rows[parent]
        if not mass[cells, rows[column]].all():
            return False
    return True


def _log(values: Floats) -> Singles:
    logs = np.full(values.shape, IMPOSSIBLE)
    np.log(values, out=logs, where=values > 0)
    return logs.astype(np.float32)


class _Structure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tree: dict[str, Any]
    order: tuple[str, ...]
    body: Literal["transformer", "lstm"]
    width: PositiveInt
    depth: PositiveInt
    heads: PositiveInt


def _check_parameters(shape: Shape, arrays: Mapping[str, NDArray[Any]]) -> None:
    wanted = dict(shape.parameters())
    if set(wanted) != set(arrays):
        raise _corrupt("parameters are missing, or there are too many")
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.shape != wanted[name]:
            raise _corrupt(f"the parameter {name} does not fit the network")
        if not np.isfinite(array).all():
            raise _corrupt(f"the parameter {name} holds what is no number")


def _ties(shape: Shape, arrays: Mapping[str, NDArray[Any]]) -> dict[tuple[int, int], Singles]:
    places = {f"{one}.{two}": (one, two) for two in range(shape.columns) for one in range(two)}
    if not set(arrays) <= set(places):
        raise _corrupt("it ties columns that are none, or not in their order")
    for name, array in arrays.items():
        one, two = places[name]
        if array.dtype != np.float32 or array.shape != (shape.sizes[one], shape.sizes[two]):
            raise _corrupt(f"the tie {name} does not fit its columns")
        if not np.isfinite(array).all():
            raise _corrupt(f"the tie {name} holds what is no number")
    return {places[name]: array for name, array in arrays.items()}


def _population(
    order: Sequence[str], sizes: Sequence[int], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Codes]:
    if set(arrays) != {str(number) for number in range(len(order))}:
        raise _corrupt("its population lacks columns, or has too many")
    columns = [arrays[str(number)] for number in range(len(order))]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise _corrupt("its population has columns of different lengths")
    for column, size in zip(columns, sizes, strict=True):
        if column.dtype.kind != "u" or not len(column) or (column >= size).any():
            raise _corrupt("its population holds codes that are none")
    return dict(zip(order, columns, strict=True))


def _corrupt(why: str) -> BundleError:
    return BundleError(f"the stored model is corrupt: {why}.", "Fetch or make the file again.")
