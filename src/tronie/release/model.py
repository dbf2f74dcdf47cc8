"""The public artefact: a fitted model that samples rows without the private table.

One that was fitted without privacy is no public artefact. Its certificate is a `Disclaimer`, and all rows
that it gives are stamped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tronie.errors import ConditionError, InputError
from tronie.models.evidence import Evidence
from tronie.models.expansion import expand
from tronie.models.field import Field, draw, texts_of, write_texts
from tronie.models.markov import MarkovRandomField
from tronie.models.rules import Rules, regions
from tronie.models.uncertainty import Measurements, Replicas, error_bound, replicate
from tronie.privacy.disclaimer import Disclaimer, Statement
from tronie.release.rows import Rows
from tronie.schema.columns import Identifier, Text, Value
from tronie.schema.constraints import Range
from tronie.schema.grid import Coding, Floats, Ints
from tronie.schema.points import function_points
from tronie.schema.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

MODEL_SUFFIX = ".tronie"
"""How the names of models' files end."""

Condition: TypeAlias = Value | Sequence[Value | None] | Range | None
"""One value, several, or a range; ``None`` is a missing value."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted model: everything in it is public, unless it was fitted without privacy.

    Attributes:
        schema: Public facts, and what was found privately.
        types: Names and Arrow types of the synthetic table, in order.
        codings: Column -> its codes and released histogram.
        field: The joint distribution of the codes.
        column_errors: Column -> expected total variation of its codes, from noise alone.
        certificate: What the model cost, for anyone to recompute; or that nothing is claimed.
        plan: How the budget was split, as plain data.
        measurements: What the joint distribution was fitted to.
    """

    schema: Schema
    types: pa.Schema
    codings: Mapping[str, Coding]
    field: Field
    column_errors: Mapping[str, float]
    certificate: Statement
    plan: Mapping[str, Any]
    measurements: Measurements = dataclasses.field(default_factory=Measurements)
    _replicas: list[Replicas] = dataclasses.field(default_factory=list[Replicas], repr=False)

    @property
    def dp(self) -> bool:
        """Whether it is differentially private, by its certificate and its plan."""
        claimed = not isinstance(self.certificate, Disclaimer)
        return claimed and self.plan.get("dp", True) is True

    @property
    def rows(self) -> int:
        """Released estimate of the number of private rows, at least 1."""
        return max(round(self.field.total), 1)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns of the private table that are not in the synthetic one."""
        written = texts_of(self.field)
        columns = self.schema.columns.items()
        return tuple(n for n, column in columns if n not in written and is_dropped(column))

    def sample(
        self,
        n: int | None = None,
        *,
        given: Mapping[str, Condition] | None = None,
        seed: int | None = None,
    ) -> Rows:
        """Draw synthetic rows.

        Args:
            n: Number of rows; the released estimate of the private table's when not given.
            given: Column -> value, values or range that every row has; the other columns follow the
                model's conditional distribution.
            seed: Makes the rows repeatable; privacy does not rest on it.

        Raises:
            ConditionError: If a condition names no modelled column, or cannot be met.
            InputError: If the number of rows or the seed is negative.
        """
        n = self.rows if n is None else n
        require_drawable(n, seed)
        rng = np.random.default_rng(seed)
        evidence = self._evidence(given or {})
        likelihood = {name: e.likelihood for name, e in evidence.items()}
        codes = draw(self.field, n, rng, given=likelihood or None)
        texts = write_texts(self.field, codes, rng)
        codings = {**self.codings, **{name: e.coding for name, e in evidence.items()}}
        rules = Rules.of(self.schema)
        points = expand(codings, codes, rng, axes=rules.axes, rankings=rules.rankings)
        return self._stamped(Rows.decode(self.schema, self.types, self._derive(points), n, texts))

    def marginal(self, columns: Sequence[str], *, errors: bool = True) -> Rows:
        """Expected number of rows for each combination of some columns' codes, and its standard error.

        Ordered columns are given by their codes' intervals, listed ones by their values. The standard
        error is the effect of the measurements' noise, found by fitting the model again to fresh noise
        (see `tronie.models.uncertainty`); the first call takes as long as that. It is null where no
        measurement holds all the columns: then the estimate rests on the model's assumptions, and
        `error_bound` may know how far it is off. Without privacy there is no noise, and no error.

        Args:
            columns: One or more modelled columns.
            errors: Whether to work out standard errors.

        Raises:
            ConditionError: If a column is not modelled.
        """
        self._require_modelled(columns)
        clique = tuple(columns)
        error = None
        if errors and self.dp and self.measurements.supports(clique):
            error = self._standard_error(clique)
        expected = self.field.marginal(clique)
        return self._stamped(Rows.of_marginal(self.schema, self.codings, expected, error))

    def error_bound(self, columns: Sequence[str]) -> float | None:
        """Bound on the total variation between some columns' true and modelled shares, if one is known.

        It holds with probability 95 %, for pairs that were not measured but whose distance from the
        model was released while pairs were chosen; None for all others.

        Raises:
            ConditionError: If a column is not modelled.
        """
        self._require_modelled(columns)
        known = error_bound(self.measurements.misfits, self.field.total)
        return known.get(frozenset(columns))

    def _stamped(self, rows: Rows) -> Rows:
        """Rows that say whether they are private."""
        return rows if self.dp else rows.not_private()

    def _require_modelled(self, columns: Sequence[str]) -> None:
        unknown = [column for column in columns if column not in self.codings]
        if unknown or not columns:
            raise ConditionError(
                f"no modelled column {', '.join(map(repr, unknown)) or 'was named'}.",
                f"Choose among {', '.join(self.codings)}.",
            )

    def _standard_error(self, columns: tuple[str, ...]) -> Floats | None:
        """Standard error of each cell; None for a model that is no Markov random field."""
        if not isinstance(self.field, MarkovRandomField):
            return None
        if not self._replicas:
            zeros = Rules.of(self.schema).zeros(self.codings)
            basis = self.measurements
            self._replicas.append(
                replicate(self.field, basis.marginals, total_sd=basis.total_sd, zeros=zeros)
            )
        (found,) = self._replicas[0].uncertainty([columns])
        return found.standard_error

    def save(self, path: str | Path) -> Path:
        """Write the model to one file (see `tronie.release.bundle`).

        Only its owner may read the file of a model that is not private (mode 0600).
        """
        from tronie.release.bundle import write_bundle

        return write_bundle(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Read a model that `save` wrote; nothing in the file is executed.

        Raises:
            BundleError: If the file is not a model, is corrupt, or is too new.
        """
        from tronie.release.bundle import read_bundle

        return read_bundle(Path(path))

    def _evidence(self, given: Mapping[str, Condition]) -> dict[str, Evidence]:
        wanted = {name: _as_values(condition) for name, condition in given.items()}
        for name in wanted:
            if name not in self.codings and name not in self.schema.derived:
                raise ConditionError(
                    f"rows cannot be conditioned on {name!r}: it is not a modelled column.",
                    f"Choose among {', '.join([*self.codings, *self.schema.derived])}.",
                )
        found = regions(self.schema, wanted)
        return {name: Evidence.of(self.codings[name], region) for name, region in found.items()}

    def _derive(self, points: Mapping[str, Ints]) -> dict[str, Ints]:
        """Add the columns that a functional dependency computes."""
        complete = dict(points)
        waiting = dict(self.schema.derived)
        while waiting:
            name = next(name for name, rule in waiting.items() if rule.of in complete)
            rule = waiting.pop(name)
            complete[name] = function_points(self.schema, rule)[complete[rule.of]]
        return complete


def is_dropped(column: object) -> bool:
    """Whether a column is left out of the synthetic table, unless the model writes free text."""
    return isinstance(column, Text) or (isinstance(column, Identifier) and column.pattern is None)


def present(schema: Schema, names: Iterable[str]) -> Schema:
    """A schema without the identifiers and texts that a table of public rows lacks."""
    given = set(names)
    columns = {
        name: column
        for name, column in schema.columns.items()
        if name in given or not isinstance(column, Identifier | Text)
    }
    return schema.model_copy(update={"columns": columns})


def require_drawable(n: int | None, seed: int | None) -> None:
    """Refuse a negative number of rows or seed.

    Raises:
        InputError: If one of them is negative.
    """
    if n is not None and n < 0:
        raise InputError(f"cannot draw {n} rows.", "Ask for a number of at least 0.")
    if seed is not None and seed < 0:
        raise InputError(f"the seed is {seed}.", "Give a number of at least 0.")


def _as_values(condition: Condition) -> tuple[Value | None, ...] | Range:
    if isinstance(condition, Range):
        return condition
    if condition is None or isinstance(condition, str | int | float | bool):
        return (condition,)
    return tuple(condition)
