"""Tables over named columns, and their algebra."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tronie.errors import SchemaError
from tronie.schema.domain import Domain
from tronie.schema.grid import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A number for each cell of some columns' cross product.

    Args:
        domain: The columns; one axis each, in order.
        values: The numbers, shape ``domain.shape``; kept as a read-only float64 view.

    Raises:
        SchemaError: If the shape of the values is not that of the domain.

    >>> counts = Factor(Domain({"sex": 2, "race": 3}), [[1, 2, 3], [4, 5, 6]])
    >>> counts.project(["race"]).values.tolist()
    [5.0, 7.0, 9.0]
    >>> (counts / counts.project(["sex"])).project(["sex"]).values.tolist()
    [1.0, 1.0]
    >>> counts.project(["race", "sex"]).values.shape
    (3, 2)
    """

    domain: Domain
    values: Floats

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64).view()
        if values.shape != self.domain.shape:
            raise SchemaError(
                f"a table over {self.domain.columns} has shape {values.shape}, "
                f"but its domain has shape {self.domain.shape}.",
                "Give one axis per column, in the domain's order.",
            )
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @classmethod
    def full(cls, domain: Domain, value: float) -> Factor:
        """The same number in every cell."""
        return cls(domain, np.broadcast_to(np.float64(value), domain.shape))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the axes."""
        return self.domain.columns

    def sum(self) -> float:
        """Sum of all cells."""
        return float(self.values.sum())

    def project(self, columns: Iterable[str]) -> Factor:
        """Sum out all other columns; axes come in the given order."""
        kept = tuple(columns)
        target = self.domain.project(kept)
        axes = tuple(i for i, column in enumerate(self.columns) if column not in target)
        summed = self.values.sum(axis=axes) if axes else self.values
        left = [column for column in self.columns if column in target]
        return Factor(target, summed.transpose([left.index(column) for column in kept]))

    def logsumexp(self, columns: Iterable[str]) -> Factor:
        """Like `project`, for logarithms; cells of minus infinity add nothing.

        >>> logs = Factor(Domain({"a": 2, "b": 2}), [[0.0, 0.0], [1000.0, -np.inf]])
        >>> logs.logsumexp(["a"]).values.round(3).tolist()
        [0.693, 1000.0]
        """
        kept = tuple(columns)
        axes = tuple(i for i, column in enumerate(self.columns) if column not in kept)
        peak = self.values.max(axis=axes, keepdims=True)
        peak = np.where(np.isfinite(peak), peak, 0.0)
        left = self.domain.project([column for column in self.columns if column in kept])
        total = Factor(self.domain, np.exp(self.values - peak)).project(left)
        return Factor(left, total.log().values + peak.reshape(left.shape)).project(kept)

    def exp(self) -> Factor:
        """E to the power of each cell."""
        return Factor(self.domain, np.exp(self.values))

    def log(self) -> Factor:
        """Natural logarithm of each cell; that of 0 is minus infinity."""
        with np.errstate(divide="ignore"):
            return Factor(self.domain, np.log(self.values))

    def expand(self, domain: Domain) -> Factor:
        """The same numbers over more columns: constant along the new ones, without a copy.

        >>> Factor(Domain({"b": 2}), [1, 2]).expand(Domain({"a": 2, "b": 2})).values.tolist()
        [[1.0, 2.0], [1.0, 2.0]]
        """
        return Factor(domain, np.broadcast_to(self._aligned(domain), domain.shape))

    def normalise(self, total: float = 1.0) -> Factor:
        """Scaled so that the cells sum to `total`."""
        return Factor(self.domain, self.values * (total / self.values.sum()))

    def __add__(self, other: Factor | float) -> Factor:
        domain, one, two = self._operands(other)
        return Factor(domain, one + two)

    def __sub__(self, other: Factor | float) -> Factor:
        domain, one, two = self._operands(other)
        return Factor(domain, one - two)

    def __mul__(self, other: Factor | float) -> Factor:
        domain, one, two = self._operands(other)
        return Factor(domain, one * two)

    def __truediv__(self, other: Factor | float) -> Factor:
        """Quotient; 0 wherever the divisor is 0, as conditional probabilities need it."""
        domain, one, two = self._operands(other)
        quotient = np.zeros(domain.shape)
        np.divide(one, two, out=quotient, where=np.broadcast_to(two != 0, domain.shape))
        return Factor(domain, quotient)

    def contract(self, other: Factor, keep: Iterable[str]) -> Factor:
        """Multiply, and sum out all columns but some, without building the product.

        Axes of the result come as columns common to both, then this factor's, then the other's.

        >>> joint = Factor(Domain({"a": 2, "b": 2}), [[0.1, 0.3], [0.2, 0.4]])
        >>> given_b = Factor(Domain({"b": 2, "c": 2}), [[0.5, 0.5], [0.0, 1.0]])
        >>> joint.contract(given_b, ["a", "c"]).values.round(2).tolist()
        [[0.05, 0.35], [0.1, 0.5]]
        """
        kept = set(keep)
        common = [column for column in self.columns if column in other.domain]
        batch = [column for column in common if column in kept]
        shared = [column for column in common if column not in kept]
        mine = [c for c in self.columns if c in kept and c not in other.domain]
        theirs = [c for c in other.columns if c in kept and c not in self.domain]
        left, right = self.project(batch + mine + shared), other.project(batch + shared + theirs)
        size = left.domain.size
        product = np.matmul(
            left.values.reshape(size(batch), size(mine), size(shared)),
            right.values.reshape(size(batch), size(shared), right.domain.size(theirs)),
        )
        domain = Domain(
            {**left.domain.project(batch + mine).sizes, **right.domain.project(theirs).sizes}
        )
        return Factor(domain, product.reshape(domain.shape))

    def _aligned(self, domain: Domain) -> Floats:
        """The values with the axes of a larger domain, of length 1 where columns are missing."""
        ordered = self.project([column for column in domain if column in self.domain])
        shape = [size if c in self.domain else 1 for c, size in domain.sizes.items()]
        return ordered.values.reshape(shape)

    def _operands(self, other: Factor | float) -> tuple[Domain, Floats, Floats]:
        if not isinstance(other, Factor):
            return self.domain, self.values, np.asarray(other, dtype=np.float64)
        domain = Domain({**self.domain.sizes, **other.domain.sizes})
        for factor in (self, other):
            _require_within(factor.domain, domain)
        return domain, self._aligned(domain), other._aligned(domain)


def _require_within(part: Domain, whole: Domain) -> None:
    for column, size in part.sizes.items():
        if whole[column] != size:
            raise SchemaError(
                f"column {column!r} has {size} codes in one table and {whole[column]} in another.",
                "Combine tables of the same coding only.",
            )
