"""Names and sizes of coded columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from tronie.errors import SchemaError

Clique: TypeAlias = tuple[str, ...]
"""Names of the columns that a marginal or a potential is about."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Names and sizes of coded columns, in order.

    Args:
        sizes: Number of codes of each column; codes run from 0 to size - 1.

    Raises:
        SchemaError: If a size is not at least 1.

    >>> domain = Domain({"sex": 2, "age": 85, "race": 5})
    >>> domain.project(["age", "sex"]).shape
    (85, 2)
    >>> domain.size(), domain.size(["sex", "race"])
    (850, 10)
    """

    sizes: Mapping[str, int]

    def __post_init__(self) -> None:
        for column, size in self.sizes.items():
            if size < 1:
                raise SchemaError(
                    f"column {column!r} has a domain of size {size}.",
                    "Give it at least one value, or drop it from the schema.",
                )
        object.__setattr__(self, "sizes", MappingProxyType(dict(self.sizes)))

    @property
    def columns(self) -> Clique:
        """Column names, in order."""
        return tuple(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, in order."""
        return tuple(self.sizes.values())

    def __getitem__(self, column: str) -> int:
        return self.sizes[column]

    def __contains__(self, column: object) -> bool:
        return column in self.sizes

    def __iter__(self) -> Iterator[str]:
        return iter(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def project(self, columns: Iterable[str]) -> Domain:
        """The domain of the given columns, in the given order."""
        return Domain({column: self.sizes[column] for column in columns})

    def size(self, columns: Iterable[str] | None = None) -> int:
        """Number of cells of the full cross product, or of that of some columns."""
        return math.prod(self.sizes[c] for c in (self.sizes if columns is None else columns))
