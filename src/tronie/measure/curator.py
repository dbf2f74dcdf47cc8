"""The curator: holds the private table, charges first, answers with noise."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tronie.errors import BudgetError, BudgetExceeded
from tronie.measure.noise import Noise, OperatingSystemNoise, discrete_gaussian, exponential_choice
from tronie.measure.queries import CountQuery, Ints, Selection
from tronie.measure.tables import require_sigma
from tronie.measure.training_state import Receipt, TrainingState
from tronie.privacy.accounting import fits
from tronie.privacy.budget import Budget
from tronie.privacy.events import Event, SampledGaussian
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema
from tronie.tables.counting import require_countable

if TYPE_CHECKING:
    from torch import nn

    from tronie.measure.comparisons import Overlaps
    from tronie.measure.descent import Descent
    from tronie.measure.discovery import Keys, RawQuery
    from tronie.measure.records import Records, TextCoder


class Meter:
    """What one release has been charged, and the most it may be charged.

    Args:
        budget: The most that all events together may cost.
        on_first_answer: Called once, just before the first answer is given; a ledger notes there
            that the reservation can no longer be cancelled.
        on_sampling: Called before the first event that samples units is charged; a ledger notes
            there that no mu is known for the release until it ends.
        reservation: Name of what the events are charged to; one of its own if not given.
        resumed: What an earlier process charged to the same reservation before it died in the
            middle of a training.

    Raises:
        BudgetError: If what is resumed was charged to another reservation.
    """

    def __init__(
        self,
        budget: Budget,
        on_first_answer: Callable[[], None] | None = None,
        *,
        on_sampling: Callable[[], None] | None = None,
        reservation: str | None = None,
        resumed: Receipt | None = None,
    ) -> None:
        self.budget = budget
        self.reservation = uuid.uuid4().hex if reservation is None else reservation
        self._events: list[Event] = []
        self._on_first_answer = on_first_answer
        self._on_sampling = on_sampling
        self._answered = False
        self._used: dict[int, int] = {}
        if resumed is not None:
            self._require_own(resumed)
            self._events = list(resumed.events)
            self._used[resumed.run] = resumed.used

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
        sampling = any(isinstance(event, SampledGaussian) for event in events)
        if sampling and self._on_sampling is not None:
            self._on_sampling()
        self._events = after

    def begin(self, event: SampledGaussian) -> int:
        """Charge a whole training before its first step.

        Returns:
            Its place among the events.

        Raises:
            BudgetExceeded: If it does not fit.
        """
        self.charge([event])
        run = len(self._events) - 1
        self._used[run] = 0
        return run

    def resume(self, receipt: Receipt, event: SampledGaussian) -> int:
        """Go on with a training that was charged here.

        Returns:
            Its place among the events.

        Guarantee:
            No step is answered twice: what `receipt` does not know to be used must be unused.

        Raises:
            BudgetError: If it was charged to another reservation, for other settings, or steps were
                answered since.
        """
        self._require_own(receipt)
        known = receipt.run in self._used and self._events[receipt.run] == event
        if not known or self._used[receipt.run] > receipt.used:
            raise BudgetError(
                "this state cannot be resumed: its training was never charged here, has other "
                "settings, or went on since.",
                "Use the latest state, with the same settings; or begin anew, which is charged.",
            )
        self._used[receipt.run] = receipt.used
        return receipt.run

    def use(self, run: int, step: int) -> None:
        """Note that a step of a training is about to be answered.

        Raises:
            BudgetExceeded: If it was answered before, or was never charged.
        """
        event = self._events[run]
        if (
            not isinstance(event, SampledGaussian)
            or not self._used.get(run, event.steps) <= step < event.steps
        ):
            raise BudgetExceeded(
                "a step of training would be answered twice.", "Please report this as a fault."
            )
        self._used[run] = step + 1

    def receipt(self, run: int, used: int) -> Receipt:
        """What was charged so far, for a state of a training."""
        return Receipt(self.reservation, self.events, run, used)

    def _require_own(self, receipt: Receipt) -> None:
        if receipt.reservation != self.reservation:
            raise BudgetError(
                "this state belongs to another reservation of the ledger.",
                "Begin anew; that is charged again.",
            )

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

    def tell(self, stage: str) -> None:
        """Say what a method does between questions; it may stop the run.

        Guarantee:
            Nothing is read. What is said must rest on public facts and released numbers.

        Edge cases:
            Whoever follows the run may raise `Cancelled`.
        """
        self._checkpoint(stage)

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

    def overlap(self, query: Overlaps) -> Ints:
        """Answer how private rows and some public ones overlap, row by row.

        Guarantee and edge cases: as for `ask`.

        Raises:
            BudgetExceeded: If the query does not fit the budget; nothing was answered.
        """
        _require_drawable([query])
        self._meter.charge([query.event(self._rows_per_unit)])
        self._checkpoint("comparing rows")
        exact = self._records.overlap(query)
        self._meter.answering()
        return self._blur(exact, query.sigma)

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

    def train(
        self,
        network: nn.Module,
        columns: Sequence[str],
        descent: Descent,
        *,
        state: TrainingState | None = None,
        keep: Callable[[TrainingState], None] | None = None,
        keep_every: int = 0,
        after_step: Callable[[int], None] | None = None,
        remark: Callable[[int], str] = lambda step: "",
        texts: TextCoder | None = None,
    ) -> TrainingState:
        """Fit a network to the rows by private gradient descent.

        Args:
            network: Maps codes, shape (rows, columns), to each row's own loss, shape (rows,); its
                parameters are changed.
            columns: The columns, in the order in which the network gets them; by the codes of
                `recode`.
            descent: Settings.
            state: Where an earlier call on the same reservation was stopped; nothing is charged.
            keep: Given states to go on from; see `tronie.measure.gradients.descend`.
            keep_every: After how many steps, besides the end; 0 for the end only.
            after_step: Told the number of each step after it; see `tronie.measure.gradients.descend`.
            remark: Given the number of each step as it begins, says what is shown beside it: what a clock
                and public numbers tell.
            texts: Columns of free text that the network gets after the others, as numbers.

        Returns:
            The state after the last step.

        Guarantee:
            All steps are charged before a row is read, as one `SampledGaussian` event, and each is
            answered at most once. A unit of several rows is charged as whole, though its rows are
            sampled and clipped one by one (`Descent.for_rows`). The network sees private rows only
            inside clipped, noisy sums. `after_step` sees no row and no sum before its noise: what it
            changes in the network is chosen by noisy answers, as any later question may be.
            Progress names steps, never losses or parts that were clipped: these are private.

        Edge cases:
            An empty table is answered like any other, by noise. The network is checked on random
            public rows before anything is charged.

        Raises:
            InputError: If a loss depends on other rows, or a layer cannot be clipped.
            BudgetError: If the state cannot be resumed.
            BudgetExceeded: If training does not fit the budget; nothing was answered.

        Source: Abadi et al. 2016, arXiv 1607.00133.
        """
        from tronie.measure.gradients import descend, require_row_losses

        sizes = [self._codings[column].size for column in columns]
        named = [*columns]
        if texts is not None:
            sizes += [size for part in texts.sizes for size in part]
            named += texts.columns
        require_row_losses(network, sizes)
        event = descent.event(named)
        run = (
            self._meter.begin(event) if state is None else self._meter.resume(state.receipt, event)
        )
        self._checkpoint("reading rows for training")
        codes = self._records.codes(columns, self._codings, texts)
        self._meter.answering()

        def signed(reached: TrainingState) -> TrainingState:
            return replace(reached, receipt=self._meter.receipt(run, reached.next))

        def watch(step: int) -> None:
            self._checkpoint(f"training, step {step + 1} of {descent.steps}{remark(step)}")
            self._meter.use(run, step)

        ended = descend(
            network,
            codes,
            None,
            descent.for_rows(self._rows_per_unit),
            self._noise,
            watch,
            state=state,
            keep=None if keep is None else lambda reached: keep(signed(reached)),
            keep_every=keep_every,
            after_step=after_step,
        )
        return signed(ended)

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


def _require_drawable(queries: Sequence[CountQuery | RawQuery | Overlaps]) -> None:
    for query in queries:
        require_sigma(query.sigma)
