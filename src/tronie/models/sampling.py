"""Low-variance sampling of rows from a Markov random field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import InputError
from tronie.models.markov import MarkovRandomField
from tronie.models.systematic import Codes, Labels, draw_column
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats

BLOCK = 2**18
"""Rows that are drawn at once; more are drawn in several independent blocks of equal size."""

KEYS = 8
"""Other columns that a column is balanced against, within each cell of those it depends on.

They are chosen at random: columns with the same keys would be drawn in the same order, and in step."""


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """How one column is drawn.

    Attributes:
        column: Its name.
        parents: Drawn columns that it depends on; those of few codes first, for what rounding carries
            from cell to cell is right for the first ones.
        others: Drawn columns that it does not depend on.
        cumulative: Cumulative probabilities of its codes given each cell of the parents, shape
            (cells of the parents, codes).
    """

    column: str
    parents: Clique
    others: Clique
    cumulative: Floats


def sample(
    model: MarkovRandomField,
    n: int,
    rng: np.random.Generator,
    given: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, Codes]:
    """Draw rows whose marginals are closer to the model's than those of independent rows.

    Every row has the model's distribution, but rows are not independent of one another: each column
    is drawn by systematic sampling within each cell of the columns that it depends on, in an order
    that spreads its codes evenly over other columns too. The order of the rows is random.

    Args:
        model: The joint distribution.
        n: Number of rows.
        rng: Source of randomness; equal states give equal rows.
        given: Column -> evidence about its codes, as in `MarkovRandomField.condition`; rows are drawn
            from the model given that.

    Returns:
        Column -> codes, shape (n,), in the smallest unsigned integer type that holds them.

    Raises:
        ConditionError: If no row of the model satisfies the condition.
        InputError: If the number of rows is negative.

    >>> from tronie.models.junction import junction_tree
    >>> tree = junction_tree(Domain({"a": 2}), [])
    >>> model = MarkovRandomField(tree, 1.0, (np.array([0.25, 0.75]),))
    >>> int(sample(model, 1000, np.random.default_rng(0))["a"].sum())
    750
    """
    blocks = list(sample_blocks(model, n, rng, given))
    return {column: np.concatenate([block[column] for block in blocks]) for column in model.domain}


def sample_blocks(
    model: MarkovRandomField,
    n: int,
    rng: np.random.Generator,
    given: Mapping[str, NDArray[Any]] | None = None,
) -> Iterator[dict[str, Codes]]:
    """Like `sample`, but a block of at most `BLOCK` rows at a time, in constant memory."""
    if n < 0:
        raise InputError(f"{n} rows cannot be drawn.", "Ask for 0 or more.")
    steps = _steps(model.condition(given) if given else model)
    count = max(math.ceil(n / BLOCK), 1)
    for i in range(count):
        rows = n * (i + 1) // count - n * i // count
        yield _draw(model.domain, steps, rows, rng)


def _steps(model: MarkovRandomField) -> list[_Step]:
    """Columns in the order of drawing: clique after clique from the roots down."""
    tree, steps = model.tree, list[_Step]()
    for i, clique in enumerate(tree.cliques):
        belief = model.belief(i)
        new = len(tree.new_columns(i))
        for k in reversed(range(new)):
            column = clique[k]
            parents = tuple(sorted(clique[k + 1 :], key=model.domain.__getitem__))
            joint = belief.project((*parents, column)).values
            others = tuple(s.column for s in steps if s.column not in parents)
            steps.append(_Step(column, parents, others, _cumulative(joint)))
    return steps


def _cumulative(joint: Floats) -> Floats:
    """Cumulative conditional probabilities of the last axis; the last one is exactly 1."""
    sums = np.cumsum(joint.reshape(-1, joint.shape[-1]), axis=1)
    mass = sums[:, -1:]
    return np.divide(sums, mass, out=np.ones_like(sums), where=mass > 0)


def _draw(
    domain: Domain, steps: Sequence[_Step], rows: int, rng: np.random.Generator
) -> dict[str, Codes]:
    """One block of rows, in random order."""
    labels = Labels(rows, rng)
    drawn: dict[str, Codes] = {}
    for step in steps:
        parents = [(drawn[column], domain[column]) for column in step.parents]
        places: list[int] = rng.permutation(len(step.others))[:KEYS].tolist()
        chosen = [step.others[i] for i in places]
        keys = [(drawn[column], domain[column]) for column in chosen]
        drawn[step.column] = draw_column(parents, keys, step.cumulative, labels, rng)
    order = rng.permutation(rows)
    return {column: drawn[column][order] for column in domain}
