"""Which marginals matter, and how much: what a user says about the use of the synthetic table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tronie.errors import InputError, SchemaError
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
        data = _load(place)
        try:
            stored = _File.model_validate(data)
        except ValidationError as error:
            raise InputError(
                f"{place.name} is no workload: {_first_fault(error)}.",
                "Give `marginals: [{columns: [a, b], weight: 2}, {all: 2}]`.",
            ) from None
        weights: dict[Clique, float] = {}
        for entry in stored.marginals:
            for clique in entry.cliques(columns):
                weights[clique] = weights.get(clique, 0.0) + entry.weight
        return cls(_counted(weights))

    @classmethod
    def of(cls, weights: Mapping[Clique, float], columns: Sequence[str]) -> Workload:
        """A workload from weights by sets of columns.

        Raises:
            InputError: If a column is unknown or named twice, or a weight is not positive and finite.
        """
        if not all(0 < weight <= MOST_WEIGHT for weight in weights.values()):
            raise InputError(
                "the weights of a workload are not all positive.",
                f"Give weights above 0 and up to {MOST_WEIGHT:g}.",
            )
        place = _places(columns)
        ordered: dict[Clique, float] = {}
        for clique, weight in weights.items():
            known = _in_order(clique, place)
            ordered[known] = ordered.get(known, 0.0) + weight
        return cls(_counted(ordered))

    def over(self, schema: Schema) -> Workload:
        """The same for the columns that are modelled: one that another determines stands for that other."""
        derived = schema.derived
        origin = {name: name for name in schema.modelled}
        place = _places(list(origin))
        for name, rule in derived.items():
            of = rule.of
            while of in derived:
                of = derived[of].of
            origin[name] = of
        weights: dict[Clique, float] = {}
        for clique, weight in self.weights.items():
            columns = {origin[column] for column in clique if column in origin}
            known = tuple(sorted(columns & place.keys(), key=place.__getitem__))
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


class _Entry(BaseModel):
    """Some columns, or all sets of so many; either with a weight."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    columns: list[str] | None = Field(None, min_length=1)
    all: Literal[1, 2, 3] | None = None
    holding: str | None = Field(None, alias="with")
    weight: Weight = 1.0

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if (self.columns is None) == (self.all is None):
            raise ValueError("give either `columns` or `all`")
        if self.holding is not None and self.all is None:
            raise ValueError("`with` belongs to `all`")
        return self

    def cliques(self, columns: Sequence[str]) -> Iterable[Clique]:
        """The sets of columns that are meant, each in the table's order."""
        place = _places(columns)
        if self.all is None:
            return [_in_order(self.columns or [], place)]
        held = [] if self.holding is None else [self.holding]
        if held:
            _in_order(held, place)
        others = [column for column in columns if column not in held]
        more = self.all - len(held)
        if math.comb(len(others), more) > MOST_MARGINALS:
            raise _too_many(f"all marginals of {self.all} columns, which are")
        return [_in_order([*held, *rest], place) for rest in itertools.combinations(others, more)]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    marginals: list[_Entry] = Field(min_length=1)


def _load(path: Path) -> object:
    """Plain data from a file, YAML or JSON by its name."""
    try:
        form = format_of(path)
        text = read_text(path)
    except SchemaError as error:
        reason = error.what.replace("the schema ", "the workload ")
        raise InputError(reason, error.remedy.replace("a schema", "a workload")) from None
    try:
        return load(text, form)
    except SchemaError as error:
        raise InputError(f"{path.name}: {error.what}", error.remedy) from None


def _first_fault(error: ValidationError) -> str:
    """Where in a file something is wrong first, and what."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole file"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def _counted(weights: Mapping[Clique, float]) -> Mapping[Clique, float]:
    """The same, unless there are none or too many of them."""
    if not weights:
        raise InputError(
            "a workload names no marginal of the table's columns.", "Give at least one."
        )
    if len(weights) > MOST_MARGINALS:
        raise _too_many(f"{len(weights):,} marginals,")
    return weights


def _too_many(what: str) -> InputError:
    return InputError(
        f"the workload asks for {what} too many.",
        f"Name those that matter, at most {MOST_MARGINALS:,}.",
    )


def _places(columns: Sequence[str]) -> dict[str, int]:
    return {column: i for i, column in enumerate(columns)}


def _in_order(named: Sequence[str], place: Mapping[str, int]) -> Clique:
    """A set of columns in the table's order."""
    known = not isinstance(named, str) and set(named) <= place.keys()
    if not named or not known or len(set(named)) < len(named):
        given = repr(named) if isinstance(named, str) else ", ".join(map(repr, named))
        raise InputError(
            f"a workload names {given or 'an empty set'}, which is no set of columns to model.",
            f"Choose from {', '.join(place)}; each once.",
        )
    return tuple(sorted(named, key=place.__getitem__))
