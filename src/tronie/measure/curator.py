"""The curator: holds the private table, charges first, answers with noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tronie.errors import BudgetExceeded
from tronie.measure.noise import Noise, OperatingSystemNoise, discrete_gaussian, exponential_choice
from tronie.measure.queries import CountQuery, Ints, Selection
from tronie.measure.tables import require_sigma
from tronie.privacy.accounting import fits
from tronie.privacy.budget import Budget
from tronie.privacy.events import Event
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema
from tronie.tables.counting import require_countable

if TYPE_CHECKING:
    from tronie.measure.discovery import Keys, RawQuery
    from tronie.measure.records import Records


class Meter:
    """What one release has been charged, and the most it may be charged.

    Args:
        budget: The most that all events together may cost.
        on_first_answer: Called once, just before the first answer is given; a ledger notes there
            that the reservation can no longer be cancelled.
    """

    def __init__(self, budget: Budget, on_first_answer: Callable[[], None] | None = None) -> None:
        self.budget = budget
        self._events: list[Event] = []
        self._on_first_answer = on_first_answer
        self._answered = False

    @property
    def events(self) -> tuple[Event, ...]:
        """All events so far, in the order in which they were charged."""
        return tuple(self._events)

    def charge(self, events: Sequence[Event]) -> None:
        """Record events before the data is read for them.

        Guarantee:
            The events ever recorded cost at most the budget.

        Edge cases:
            Events that do not fit leave the record as it was.

        Raises:
            BudgetExceeded: If they do not fit.
        """
        after = [*self._events, *events]
        if not fits(after, self.budget):
            raise BudgetExceeded(
                f"{len(events)} more accesses would overdraw the budget of this release.",
                "Nothing was answered; the method's plan is at fault, please report it.",
            )
        self._events = after

    @property
    def answered(self) -> bool:
        """Whether any answer was given."""
        return self._answered

    def answering(self) -> None:
        """Note that an answer is about to be given."""
        if not self._answered and self._on_first_answer is not None:
            self._on_first_answer()
        self._answered = True


class Curator:
    """Holds the private table; answers only with noise; charges first.

    Args:
        records: The private rows.
        meter: Where each access is charged.
        rows_per_unit: Most rows of one privacy unit.
        noise: Source of randomness; the operating system's unless a test injects another.
        checkpoint: Told what is read next before each pass over the data; may raise `Cancelled`.
    """

    def __init__(
        self,
        records: Records,
        meter: Meter,
        *,
        rows_per_unit: int = 1,
        noise: Noise | None = None,
        checkpoint: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self._records = records
        self._meter = meter
        self._rows_per_unit = rows_per_unit
        self._noise = noise or OperatingSystemNoise()
        self._checkpoint = checkpoint
        self._codings: Mapping[str, Coding] = {}
        self._counts: dict[Clique, Ints] = {}

    @property
    def budget(self) -> Budget:
        """What the release may cost in all (public)."""
        return self._meter.budget

    @property
    def rows_per_unit(self) -> int:
        """Most rows of one privacy unit (public)."""
        return self._rows_per_unit

    def recode(self, codings: Mapping[str, Coding]) -> None:
        """Count columns by these codes from now on.

        Codings rest on public facts and released counts; the curator never makes one.
        """
        self._codings = dict(codings)
        self._counts = {}

    def adopt(self, schema: Schema) -> None:
        """Read rows by this schema from now on; its facts are declared or released."""
        self._records = self._records.under(schema)
        self.recode({})

    def ask(self, queries: Sequence[CountQuery]) -> list[Ints]:
        """Answer several queries with discrete Gaussian noise, in one pass over the data.

        Returns:
            One integer array per query, in the shape of its exact answer.

        Guarantee:
            Each answer is its query's exact value plus independent discrete Gaussian noise of the
            query's sigma on every entry. All are charged before the data is read.

        Edge cases:
            A table too large to count, or noise too large to draw, raises `DomainTooLarge` before
            anything is charged. A row that does not fit the schema raises `SchemaMismatch` before
            anything is answered.

        Raises:
            BudgetExceeded: If the queries do not fit the budget; nothing was answered.

        Source: Canonne, Kamath, Steinke 2020, arXiv 2004.00010.
        """
        cliques = [clique for query in queries for clique in query.cliques]
        require_countable(self._sizes(), cliques)
        _require_drawable(queries)
        self._meter.charge([query.event(self._rows_per_unit) for query in queries])
        self._count(cliques)
        self._meter.answering()
        return [self._blur(query.exact(self._counts), query.sigma) for query in queries]

    def select(self, query: Selection) -> Clique:
        """Name a candidate that is far from its reference.

        Guarantee:
            The exponential mechanism with the query's bounded-range epsilon, by integer weights;
            charged before the data is read.

        Edge cases:
            Ties are broken at random.

        Raises:
            BudgetExceeded: If the query does not fit the budget; nothing was answered.
        """
        require_countable(self._sizes(), query.cliques)
        self._meter.charge([query.event(self._rows_per_unit)])
        self._count(query.cliques)
        self._meter.answering()
        scores, sensitivity = query.scores(self._counts), query.sensitivity(self._rows_per_unit)
        return query.cliques[exponential_choice(scores, query.epsilon, sensitivity, self._noise)]

    def explore(self, queries: Sequence[RawQuery]) -> list[Ints]:
        """Answer questions about columns whose bounds or resolution are not known yet.

        Guarantee and edge cases: as for `ask`.

        Raises:
            BudgetExceeded: If the queries do not fit the budget; nothing was answered.
        """
        _require_drawable(queries)
        self._meter.charge([query.event(self._rows_per_unit) for query in queries])
        self._validate()
        self._checkpoint("looking for bounds")
        exact = self._records.tally(queries)
        self._meter.answering()
        return [self._blur(e, query.sigma) for query, e in zip(queries, exact, strict=True)]

    def keys(self, query: Keys) -> tuple[tuple[Value, ...], Ints]:
        """Find the frequent values of an open category.

        Returns:
            The values, in sorted order, and their noisy counts.

        Guarantee:
            Noise of the query's sigma on each value's count; a value is named only if its noisy
            count reaches the threshold, so a value held by one unit alone is named with
            probability at most the query's delta.

        Edge cases:
            An empty table, or one of rare values only, gives no values.

        Raises:
            BudgetExceeded: If the query does not fit the budget; nothing was answered.

        Source: Korolova et al. 2009; Gaussian noise: Swanberg et al. 2023, arXiv 2306.07884.
        """
        event = query.event(self._rows_per_unit)
        self._meter.charge([event])
        self._validate()
        self._checkpoint("looking for categories")
        counts = self._records.key_counts(query.column)
        self._meter.answering()
        values = sorted(counts, key=lambda value: (str(type(value)), value))
        noisy = self._blur(np.array([counts[value] for value in values], np.int64), query.sigma)
        found = noisy >= event.threshold
        return tuple(v for v, f in zip(values, found, strict=True) if f), noisy[found]

    def _validate(self) -> None:
        """Find rows that do not fit the schema before the first answer, while nothing is spent."""
        if not self._meter.answered:
            self._checkpoint("checking declared columns")
            self._records.validate()

    def _sizes(self) -> dict[str, int]:
        return {column: coding.size for column, coding in self._codings.items()}

    def _count(self, cliques: Sequence[Clique]) -> None:
        missing = [c for c in dict.fromkeys(cliques) if c not in self._counts]
        if missing:
            self._checkpoint(f"counting {len(missing)} tables")
            self._counts |= self._records.count(missing, self._codings)

    def _blur(self, exact: Ints, sigma: float) -> Ints:
        noise = discrete_gaussian(sigma, exact.size, self._noise)
        return exact + noise.reshape(exact.shape)


def _require_drawable(queries: Sequence[CountQuery | RawQuery]) -> None:
    for query in queries:
        require_sigma(query.sigma)
