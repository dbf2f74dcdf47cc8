"""Which marginals matter, and how much: what a user says about the use of the synthetic table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tronie.errors import InputError
from tronie.schema.domain import Clique
from tronie.schema.io import format_of, load, read_text
from tronie.schema.schema import Schema

MOST_MARGINALS = 200_000
"""Marginals of one workload, at most."""

TARGET_WEIGHT = 4.0
"""Weight of a pair that holds the target, where other pairs weigh 1."""

MOST_WEIGHT = 1e6

Weight = Annotated[float, Field(gt=0, le=MOST_WEIGHT)]


@dataclass(frozen=True, slots=True)
class Workload:
    """Sets of columns with weights: the synthetic table should have their marginals right.

    Attributes:
        weights: Set of columns -> how much its marginal matters, relative to the others.

    >>> workload = Workload.of_pairs(["a", "b", "c"], target="c")
    >>> workload.weights[("a", "c")] / workload.weights[("a", "b")]
    4.0
    """

    weights: Mapping[Clique, float]

    @classmethod
    def of_pairs(cls, columns: Sequence[str], *, target: str | None = None) -> Workload:
        """All pairs alike; those with the target of a prediction task weigh `TARGET_WEIGHT` times more.

        Args:
            columns: All columns of the table.
            target: The column that will be predicted from the others, if any.
        """
        pairs = itertools.combinations(columns, 2)
        return cls({pair: TARGET_WEIGHT if target in pair else 1.0 for pair in pairs})

    @classmethod
    def read(cls, path: str | Path, columns: Sequence[str]) -> Workload:
        """A workload from a YAML or JSON file.

        The file holds ``marginals``, a list of entries. An entry is ``{columns: [a, b], weight: 2}``, or
        ``{all: 2, weight: 1}`` for all pairs, or ``{all: 2, with: income, weight: 4}`` for those that
        hold a column. Weights are 1 if not given; those of the same columns add up.

        Args:
            path: The file.
            columns: All columns of the table.

        Raises:
            InputError: If the file is no workload of these columns.
        """
        place = Path(path)
        try:
            stored = _File.model_validate(load(read_text(place), format_of(place)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole file"
            raise InputError(
                f"{place.name} is no workload: {where}: {first['msg']}.",
                "Give `marginals: [{columns: [a, b], weight: 2}, {all: 2}]`.",
            ) from None
        weights: dict[Clique, float] = {}
        for entry in stored.marginals:
            for clique in _cliques(entry, columns):
                weights[clique] = weights.get(clique, 0.0) + entry.weight
        return cls(weights)

    @classmethod
    def of(cls, weights: Mapping[Clique, float], columns: Sequence[str]) -> Workload:
        """A workload from weights by sets of columns.

        Raises:
            InputError: If a column is unknown or named twice, or a weight is not positive and finite.
        """
        if not weights or not all(0 < weight <= MOST_WEIGHT for weight in weights.values()):
            raise InputError(
                "the weights of a workload are not all positive.",
                f"Give at least one marginal, and weights above 0 and up to {MOST_WEIGHT:g}.",
            )
        ordered: dict[Clique, float] = {}
        for clique, weight in weights.items():
            known = _in_order(clique, columns)
            ordered[known] = ordered.get(known, 0.0) + weight
        return cls(ordered)

    def over(self, schema: Schema) -> Workload:
        """The same for the columns that are modelled: one that another determines stands for that other."""
        origin = {name: name for name in schema.modelled}
        for name, rule in schema.derived.items():
            of = rule.of
            while of in schema.derived:
                of = schema.derived[of].of
            origin[name] = of
        weights: dict[Clique, float] = {}
        for clique, weight in self.weights.items():
            columns = {origin[column] for column in clique if column in origin}
            known = tuple(column for column in schema.modelled if column in columns)
            if known:
                weights[known] = weights.get(known, 0.0) + weight
        return Workload(weights)

    def value(self, clique: Iterable[str]) -> float:
        """How much it would help to know one marginal: the summed weight of all pairs of columns in it.

        A marginal of more than two columns spreads its weight evenly over its pairs; one of a single
        column has no pair, and every column is measured anyway.

        >>> Workload({("a", "b", "c"): 3.0}).value(["a", "c"])
        1.0
        """
        known = frozenset(clique)
        return sum(
            weight * math.comb(len(known.intersection(c)), 2) / math.comb(len(c), 2)
            for c, weight in self.weights.items()
            if len(c) > 1
        )

    def pair_values(self) -> dict[frozenset[str], float]:
        """`value` of every pair of columns that some marginal holds."""
        values: dict[frozenset[str], float] = {}
        for clique, weight in self.weights.items():
            pairs = math.comb(len(clique), 2)
            for pair in itertools.combinations(clique, 2):
                key = frozenset(pair)
                values[key] = values.get(key, 0.0) + weight / pairs
        return values


class _Columns(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    columns: list[str] = Field(min_length=1)
    weight: Weight = 1.0


class _All(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    all: Literal[1, 2, 3]
    holding: str | None = Field(None, alias="with")
    weight: Weight = 1.0


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    marginals: list[_Columns | _All] = Field(min_length=1)


def _cliques(entry: _Columns | _All, columns: Sequence[str]) -> list[Clique]:
    """The sets of columns that an entry names, each in the table's order."""
    if isinstance(entry, _Columns):
        return [_in_order(entry.columns, columns)]
    if entry.holding is not None:
        _in_order([entry.holding], columns)
    if math.comb(len(columns), entry.all) > MOST_MARGINALS:
        raise InputError(
            f"the workload asks for all marginals of {entry.all} columns, which are too many.",
            "Name those that matter.",
        )
    cliques = itertools.combinations(columns, entry.all)
    return [c for c in cliques if entry.holding is None or entry.holding in c]


def _in_order(named: Sequence[str], columns: Sequence[str]) -> Clique:
    place = {column: i for i, column in enumerate(columns)}
    if not named or len(set(named)) < len(named) or not set(named) <= place.keys():
        raise InputError(
            f"a workload names {', '.join(map(repr, named))}, which is no set of columns to model.",
            f"Choose from {', '.join(columns)}; each once.",
        )
    return tuple(sorted(named, key=place.__getitem__))
