"""Noisy marginals: what was measured, and how precisely."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tronie.errors import SchemaError
from tronie.schema.domain import Clique
from tronie.schema.grid import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Marginal:
    """Noisy counts of some columns' contingency table.

    Args:
        clique: The columns, at least one.
        values: Noisy counts, one axis per column; negative ones and a sum that disagrees with other
            marginals are as they should be.
        sd: Standard deviation of each cell's noise, positive; broadcast to the values' shape.

    Raises:
        SchemaError: If axes and columns differ, the noise does not fit the counts, or a number is not
            finite, or an sd not positive.

    >>> Marginal(("sex",), np.array([10.0, -1.0]), np.array(2.0)).sd.tolist()
    [2.0, 2.0]
    """

    clique: Clique
    values: Floats
    sd: Floats

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        columns = len(self.clique)
        if not columns or columns != len(set(self.clique)) or columns != values.ndim:
            raise SchemaError(
                f"a marginal of columns {self.clique} has {values.ndim} axes.",
                "Give one axis per column, and name each column once.",
            )
        try:
            sd = np.broadcast_to(np.asarray(self.sd, dtype=np.float64), values.shape)
        except ValueError as error:
            raise SchemaError(
                f"the noise of a marginal of columns {self.clique} has another shape than its counts.",
                "Give one standard deviation, or one per cell.",
            ) from error
        if not (np.isfinite(values).all() and np.isfinite(sd).all() and (sd > 0).all()):
            raise SchemaError(
                f"the marginal of columns {self.clique} has counts or noise that are no numbers.",
                "Counts must be finite, standard deviations positive and finite.",
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "sd", sd)

    def reorder(self, columns: Clique) -> Marginal:
        """The same marginal with its axes in another order."""
        axes = [self.clique.index(column) for column in columns]
        return Marginal(columns, self.values.transpose(axes), self.sd.transpose(axes))


def combine(marginals: Iterable[Marginal]) -> Marginal:
    """The best estimate from several measurements of the same columns: weights are 1 / variance.

    >>> twice = [Marginal(("a",), np.array([x]), np.array(1.0)) for x in (3.0, 5.0)]
    >>> combine(twice).values.tolist(), combine(twice).sd.round(3).tolist()
    ([4.0], [0.707])
    """
    first, *others = marginals
    if not others:
        return first
    same = [first, *(m.reorder(first.clique) for m in others)]
    weights = [m.sd**-2 for m in same]
    precision = np.sum(weights, axis=0)
    weighted = np.sum([w * m.values for w, m in zip(weights, same, strict=True)], axis=0)
    return Marginal(first.clique, weighted / precision, precision**-0.5)
