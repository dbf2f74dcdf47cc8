"""What models made of networks share: an order of columns, a population of rows, and checks of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BundleError
from tronie.models.factor import Factor
from tronie.models.markov import Convergence, MarkovRandomField
from tronie.models.nets.decoding import Singles
from tronie.models.nets.drawing import Step
from tronie.models.nets.latent import LatentShape
from tronie.models.nets.shape import Shape
from tronie.models.population import counted
from tronie.models.propagation import IMPOSSIBLE
from tronie.models.systematic import Codes
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats, Ints


def drawing_order(tree: MarkovRandomField) -> Clique:
    """An order of columns in which each one's possible codes follow from those before.

    Small columns come first: many rows begin alike then, and are predicted once.
    """
    waiting = {column: set(parents) for column, (parents, _) in possible_codes(tree).items()}
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
    rules = possible_codes(tree)
    after = possible_codes(tree.condition(given)) if given else rules
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


def _with_parents(rules: Mapping[str, tuple[Clique, Floats]], columns: Iterable[str]) -> set[str]:
    found, waiting = set[str](), list(columns)
    while waiting:
        column = waiting.pop()
        if column not in found:
            found.add(column)
            waiting += rules[column][0]
    return found


def _log(values: Floats) -> Singles:
    logs = np.full(values.shape, IMPOSSIBLE)
    np.log(values, out=logs, where=values > 0)
    return logs.astype(np.float32)


def possible_codes(tree: MarkovRandomField) -> dict[str, tuple[Clique, Floats]]:
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


def keeps_rules(tree: MarkovRandomField, order: Sequence[str]) -> bool:
    """Whether columns can be drawn in an order, so that every row is possible."""
    place = {column: number for number, column in enumerate(order)}
    rules = possible_codes(tree).items()
    return all(place[p] < place[column] for column, (parents, _) in rules for p in parents)


def obeys(tree: MarkovRandomField, rows: Mapping[str, Codes]) -> bool:
    """Whether all rows are possible."""
    for column, (parents, mass) in possible_codes(tree).items():
        cells = np.zeros(len(rows[column]), np.int64)
        for parent in parents:
            cells = cells * tree.domain[parent] + rows[parent]
        if not mass[cells, rows[column]].all():
            return False
    return True


def as_codes(order: Sequence[str], shape: Shape | LatentShape, rows: Ints) -> dict[str, Codes]:
    """Column -> codes in the smallest unsigned type, from rows in the network's order."""
    return {
        column: rows[:, number].astype(np.min_scalar_type(shape.sizes[number] - 1))
        for number, column in enumerate(order)
    }


class Populated:
    """What every model offers that knows its marginals as counts of rows that were drawn once.

    Attributes:
        tree: A rougher model of the same columns that holds what is impossible, exactly.
        population: Column -> codes of these rows.
    """

    __slots__ = ()

    tree: MarkovRandomField
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
        return counted(self.population, self.domain, columns, self.total)


def check_parameters(
    wanted: Mapping[str, tuple[int, ...]], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse stored parameters that are not a network's.

    Args:
        wanted: Name -> shape of each parameter.
        arrays: What is stored.

    Raises:
        BundleError: If they have other names, shapes or types, or hold what is no number.
    """
    if set(wanted) != set(arrays):
        raise corrupt("parameters are missing, or there are too many")
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.shape != wanted[name]:
            raise corrupt(f"the parameter {name} does not fit the network")
        if not np.isfinite(array).all():
            raise corrupt(f"the parameter {name} holds what is no number")


def stored_population(
    order: Sequence[str], sizes: Sequence[int], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Codes]:
    """The population of a model: one array for each number of a column.

    Raises:
        BundleError: If columns are missing, or codes are none.
    """
    if set(arrays) != {str(number) for number in range(len(order))}:
        raise corrupt("its population lacks columns, or has too many")
    columns = [arrays[str(number)] for number in range(len(order))]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise corrupt("its population has columns of different lengths")
    for column, size in zip(columns, sizes, strict=True):
        if column.dtype.kind != "u" or not len(column) or (column >= size).any():
            raise corrupt("its population holds codes that are none")
    return dict(zip(order, columns, strict=True))


def corrupt(why: str) -> BundleError:
    """The error for a stored model that is none."""
    return BundleError(f"the stored model is corrupt: {why}.", "Fetch or make the file again.")
