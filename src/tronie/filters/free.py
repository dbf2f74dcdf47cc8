"""Filters that cost nothing: they read synthetic rows, the schema or released numbers only.

What is done with a release without a further look at the private rows has the same guarantee
(post-processing). These filters make a table tidier, and rare synthetic people rarer; the guarantee does
not need them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tronie.errors import InputError
from tronie.filters.result import Reads
from tronie.models.gibbs import GibbsField
from tronie.models.likelihood import code_log_likelihoods
from tronie.models.markov import MarkovRandomField
from tronie.models.rules import Rules, within
from tronie.release.model import Model
from tronie.schema.columns import Category, Modelled, Ordered
from tronie.schema.grid import Coding, Floats, Ints
from tronie.schema.points import function_points
from tronie.schema.schema import Schema
from tronie.tables.arrays import Bools
from tronie.tables.matching import comparable, read_points, row_keys

FEW_VALUES = 64
"""Columns with at most so many values are combined, where none are named."""

MOST_COMBINATIONS = 5_000
"""Sets of columns, at most."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Rows that occur more than so many times; the first ones stay.

    Attributes:
        at_most: How often a row may occur.
        columns: Rows are equal if they are in these; in all, when not given.
    """

    at_most: int = 1
    columns: tuple[str, ...] | None = None
    name: str = "repeated rows"
    reads: Reads = "synthetic rows"

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,)."""
        if self.at_most < 1:
            raise InputError(
                f"rows may occur {self.at_most} times.", "Give a number of at least 1."
            )
        (keys,) = row_keys(comparable([rows], columns=self.columns).tables)
        return _place_among_equals(keys) < self.at_most


@dataclass(frozen=True, slots=True)
class RareCombinations:
    """Rows with a combination of values that few synthetic rows have.

    Attributes:
        size: Number of columns that are combined; all sets of so many are looked at.
        fewer_than: A combination that fewer rows have is rare.
        columns: Columns that are combined; those with at most `FEW_VALUES` values, when not given.
    """

    size: int = 2
    fewer_than: int = 2
    columns: tuple[str, ...] | None = None
    name: str = "rare combinations"
    reads: Reads = "synthetic rows"

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,).

        Raises:
            InputError: If there are fewer columns than are combined, or too many sets of them.
        """
        (table,) = comparable([rows], columns=self.columns).tables
        names = [n for n in table if self.columns or len(np.unique(table[n])) <= FEW_VALUES]
        sets = list(
            itertools.islice(itertools.combinations(names, self.size), MOST_COMBINATIONS + 1)
        )
        if not sets or len(sets) > MOST_COMBINATIONS:
            raise InputError(
                f"{len(names)} columns have {'no' if not sets else 'too many'} sets of {self.size}.",
                "Name the columns that matter.",
            )
        kept = np.ones(rows.num_rows, np.bool_)
        for some in sets:
            (keys,) = row_keys([{name: table[name] for name in some}])
            kept &= np.bincount(keys)[keys] >= self.fewer_than if len(keys) else True
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Unlikely:
    """Rows that the released model thinks least likely.

    The likelihood is that of a row's codes. A model of the kind that `gibbs` makes is asked for its
    junction tree's.

    Attributes:
        model: The model.
        share: Part of the rows that is dropped, at most: those with the least likelihood.
        least: Drop all rows whose natural log-likelihood is below this instead.
    """

    model: Model
    share: float = 0.01
    least: float | None = None
    name: str = "unlikely rows"
    reads: Reads = "released model"

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,).

        Raises:
            InputError: If the share is not between 0 and 1.
            SchemaMismatch: If the rows are not those of the model's schema.
        """
        if not 0.0 <= self.share < 1.0:
            raise InputError(f"the share is {self.share}.", "Give a number from 0 to below 1.")
        found = log_likelihood(self.model, _codes(self.model, rows))
        if self.least is not None:
            return found >= self.least
        return found >= np.sort(found)[int(self.share * len(found))] if len(found) else found >= 0


@dataclass(frozen=True, slots=True, eq=False)
class RareCells:
    """Rows in a cell of a measured marginal whose released, noisy count is small.

    Attributes:
        model: The released model, with what was measured.
        least: Rows that a cell must hold by the noisy count.
    """

    model: Model
    least: float = 5.0
    name: str = "rare cells"
    reads: Reads = "released model"

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,).

        Raises:
            InputError: If the model does not say what was measured.
            SchemaMismatch: If the rows are not those of the model's schema.
        """
        if not self.model.measurements.marginals:
            raise InputError(
                "the model does not say what was measured.",
                "Fit it again: models of earlier versions do not hold their measurements.",
            )
        codes = _codes(self.model, rows)
        kept = np.ones(rows.num_rows, np.bool_)
        for marginal in self.model.measurements.marginals:
            cells = tuple(codes[name] for name in marginal.clique)
            kept &= marginal.values[cells] >= self.least
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class BrokenRules:
    """Rows that contradict the schema: its domains or its constraints.

    Attributes:
        schema: Public facts, nothing unknown.
    """

    schema: Schema
    name: str = "broken rules"
    reads: Reads = "schema"

    def keep(self, rows: pa.Table) -> Bools:
        """Which rows are kept, shape (rows,).

        Raises:
            SchemaMismatch: If the rows lack a column of the schema, or cannot be read as its kind.
        """
        strict = {name: _strict(column) for name, column in self.schema.lattices.items()}
        points = read_points(rows, strict)
        found = comparable([rows], columns=list(strict))
        kept = np.ones(rows.num_rows, np.bool_)
        for name, column in self.schema.lattices.items():
            missing = found.tables[0][name] == found.missing[name]
            unknown = points[name] == column.points + 1
            kept &= missing == unknown
            kept &= ~missing | column.nullable
        return kept & self._obeys(points)

    def _obeys(self, points: Mapping[str, Ints]) -> Bools:
        """Which rows obey the constraints."""
        rules = Rules.of(self.schema)
        kept = np.ones(len(next(iter(points.values()))), np.bool_)
        for combination in rules.impossible:
            met = [within(points[name], part) for name, part in combination.items()]
            kept &= ~np.logical_and.reduce(met)
        for rule in rules.rankings:
            kept &= _in_order(self.schema, points, rule.low, rule.high, strict=rule.strict)
        for name, function in self.schema.derived.items():
            kept &= function_points(self.schema, function)[points[function.of]] == points[name]
        return kept


def log_likelihood(model: Model, codes: Mapping[str, Ints]) -> Floats:
    """Natural logarithm of the probability of some rows' codes under a model.

    Args:
        model: The model.
        codes: Column -> codes, shape (rows,).

    Returns:
        Shape (rows,); minus infinity for rows that the model thinks impossible.
    """
    field = model.field
    tree = field.tree if isinstance(field, GibbsField) else field
    assert isinstance(tree, MarkovRandomField)
    return np.sum(list(code_log_likelihoods(tree, codes).values()), axis=0)


def _codes(model: Model, rows: pa.Table) -> dict[str, Ints]:
    """The model's codes of some rows."""
    columns = {name: model.schema.modelled[name] for name in model.codings}
    codings: Mapping[str, Coding] = model.codings
    return {n: codings[n].code_of(points) for n, points in read_points(rows, columns).items()}


def _place_among_equals(keys: Ints) -> Ints:
    """How many equal keys stand before each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.searchsorted(ordered, ordered, side="left")
    places = np.empty(len(keys), np.int64)
    places[order] = np.arange(len(keys)) - first
    return places


def _strict(column: Modelled) -> Modelled:
    """The same column, in which what is outside its domain becomes missing."""
    outside = {"outside": "missing"} if isinstance(column, Category | Ordered) else {}
    return column.model_copy(update={**outside, "nullable": True})


def _in_order(
    schema: Schema, points: Mapping[str, Ints], low: str, high: str, *, strict: bool
) -> Bools:
    """Which rows obey a comparison, or lack one of the two values."""
    axes = Rules.of(schema).axes
    below, above = (axes[name].origin + axes[name].step * points[name] for name in (low, high))
    absent = np.zeros(len(points[low]), np.bool_)
    for name in (low, high):
        absent |= points[name] >= schema.modelled[name].points
    return absent | (below < above if strict else below <= above)
