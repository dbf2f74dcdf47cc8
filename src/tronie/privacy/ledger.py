"""What each data set has spent over all its releases.

One SQLite file holds one row per release, under the data set's declared name. A release is reserved
here, on disk, before a private row is read, and counts in full from then on. Only a release that
ends well may replace the reservation by what it really asked; one that was cut off keeps it. Nobody
who can write the file is stopped from deleting it: the ledger guards against mistakes, not against
its owner.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tronie.errors import BudgetError, BudgetExceeded
from tronie.privacy.accounting import Spent, epsilon_of, samples, spent, total_delta, total_mu
from tronie.privacy.budget import DEFAULT_DELTA, SAMPLER_DELTA, Budget
from tronie.privacy.events import Event
from tronie.privacy.ledger_entries import (
    Entry,
    Mark,
    State,
    Total,
    add_up,
    read_entry,
    write_events,
)
from tronie.privacy.ledger_file import LedgerFile, Rows

_ROUNDING = 1.0 + 1e-9


def default_path() -> Path:
    """Where the ledger is: TRONIE_LEDGER, or `tronie/ledger.sqlite` in the XDG data home."""
    if named := os.environ.get("TRONIE_LEDGER"):
        return Path(named)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "tronie" / "ledger.sqlite"


class Reservation:
    """Budget that is set aside for one release.

    Used as a context manager it cancels itself when the block fails before `mark_touched`; in all
    other cases it stays as it is, and counts.

    Attributes:
        id: Number of its entry in the ledger.
        dataset: Declared name of the data set.
        budget: What the release may cost.
    """

    def __init__(self, file: LedgerFile, number: int, dataset: str, budget: Budget) -> None:
        self._file = file
        self.id = number
        self.dataset = dataset
        self.budget = budget

    @property
    def entry(self) -> Entry:
        """What is on disk now."""
        with self._file.read() as rows:
            return self._entry(rows)

    @property
    def state(self) -> State:
        """The state that is on disk now."""
        return self.entry.state

    @property
    def touched(self) -> bool:
        """Whether answers may have been given, so that it can no longer be cancelled."""
        return self.state != "reserved"

    def mark_touched(self) -> None:
        """Note on disk, before the first answer is given, that budget can no longer come back.

        Raises:
            BudgetError: If the reservation has ended.
        """
        with self._file.write() as rows:
            self._require(rows, "reserved", "touched")
            rows.set_state(self.id, "touched")

    def mark_sampled(self) -> None:
        """Note on disk, before units are sampled, that no mu is known until the release ends.

        The same follows from ``reserve(..., sampled=True)``, which also holds the release to caps.

        Raises:
            BudgetError: If the reservation has ended.
        """
        with self._file.write() as rows:
            self._require(rows, "reserved", "touched")
            rows.set_mu(self.id, math.inf)

    @property
    def mark(self) -> Mark:
        """How far its journal has got.

        Raises:
            BudgetError: If it has no journal.
        """
        with self._file.write() as rows:
            return self._mark(rows)

    def advance(self, before: Mark, after: Mark) -> None:
        """Note on disk that its journal has got further, before anything is answered for it.

        Args:
            before: How far the journal had got, in the eyes of whoever holds it.
            after: How far it has got now.

        Guarantee:
            Of all copies of a journal, in any process, one goes on: the first. The others, and an
            older copy that was put back, are refused from then on.

        Raises:
            BudgetError: If the journal had not got as far, or farther, or the reservation has ended.
        """
        with self._file.write() as rows:
            self._require(rows, "reserved", "touched")
            if self._mark(rows) != before:
                raise BudgetError(
                    f"release {self.id} of {self.dataset!r} went on with another copy of its journal.",
                    "Go on with that copy; what was charged in it cannot be asked again.",
                )
            rows.set_mark(self.id, after.length, after.digest)

    def commit(self, events: Sequence[Event]) -> Spent:
        """Replace the reservation by what was really asked.

        Args:
            events: Every event of the release, in any order.

        Returns:
            What they cost, at the budget's delta.

        Guarantee:
            What was asked is stored even where it is more than was reserved.

        Raises:
            BudgetError: If the reservation has ended.
            BudgetExceeded: If the events cost more than was reserved; they are stored all the same.
        """
        cost, fixed = spent(events, self.budget.delta), total_delta(events)
        values = {
            "epsilon": cost.epsilon,
            "mu": cost.mu,
            "fixed_delta": fixed,
            "events": write_events(events),
        }
        with self._file.write() as rows:
            before = self._require(rows, "reserved", "touched")
            rows.set_cost(self.id, values)
        if cost.epsilon > before.epsilon * _ROUNDING:
            raise BudgetExceeded(
                f"release {self.id} of {self.dataset!r} cost more than was reserved for it.",
                "All of it was entered in the ledger; please report this as a fault.",
            )
        return cost

    def cancel(self) -> None:
        """Give the budget back, as long as nothing was answered.

        Raises:
            BudgetError: If answers may have been given, or the reservation has ended.
        """
        with self._file.write() as rows:
            self._require(rows, "reserved")
            rows.set_state(self.id, "cancelled")

    def __enter__(self) -> Self:
        """Nothing is done on entry: the reservation is already on disk."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel if the block failed before anything was answered."""
        if error is not None and not self.touched:
            self.cancel()

    def _entry(self, rows: Rows) -> Entry:
        row = rows.entry(self.id)
        if row is None:
            raise BudgetError(
                f"the ledger knows no release {self.id}.",
                "The ledger was replaced during the run; restore the one that the run began with.",
            )
        return read_entry(row)

    def _mark(self, rows: Rows) -> Mark:
        found = rows.mark(self.id)
        if found is None:
            raise BudgetError(
                f"release {self.id} of {self.dataset!r} has no journal.", "Begin a new release."
            )
        return Mark(*found)

    def _require(self, rows: Rows, *states: State) -> Entry:
        entry = self._entry(rows)
        if entry.state not in states:
            raise BudgetError(
                f"release {self.id} of {self.dataset!r} is {entry.state} already.",
                "Reserve budget for a new release.",
            )
        return entry


class Ledger:
    """What each data set has spent.

    Args:
        path: The file; `default_path` when not given. It is made, readable by its owner alone, on
            the first write. Locks on network file systems are not always kept: use a local disk.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = default_path() if path is None else Path(path)
        self._file = LedgerFile(self.path)

    def reserve(
        self,
        dataset: str,
        budget: Budget,
        *,
        events: Sequence[Event] = (),
        sampled: bool = False,
        max_epsilon: float | None = None,
        note: str = "",
        journal: tuple[str, Mark] | None = None,
    ) -> Reservation:
        """Set budget aside for one release, before a private row is read.

        Args:
            dataset: Declared name of the data set.
            budget: What the release may cost.
            events: Events that are known beforehand, among them all that have a threshold.
                What they leave of the budget is reserved as well, for events without a delta.
            sampled: Whether the release may sample units. No mu is known for it then until it has
                ended; as long as it has not, its epsilon and its delta are added to the total of the
                others.
            max_epsilon: Refuse if the data set's total, this release included, would exceed it; a
                stored cap (`set_cap`) holds besides.
            note: Free text for the entry.
            journal: Name of the journal that the release writes, with which `find` finds the
                reservation again when this process has died, and how far it has got.

        Guarantee:
            On return the reservation is on disk, and it counts in full until it is committed or
            cancelled. Two processes never both get the last of a budget. The cap holds if the
            release stays within budget, and its thresholds are those that were announced.

        Raises:
            BudgetError: If the name is empty, or the events do not fit the budget.
            BudgetExceeded: If a cap would be exceeded; nothing was reserved.
            BundleError: If the file is not a ledger.
            OutputError: If the file cannot be written.
        """
        planned = _plan(dataset, budget, events, note, sampled=sampled)
        limits: list[tuple[float, float | None]] = []
        if max_epsilon is not None:
            limits.append((_require_cap(max_epsilon), None))
        with self._file.write() as rows:
            after = [*map(read_entry, rows.entries(dataset)), planned]
            if stored := rows.cap(dataset):
                limits.append(stored)
            for cap, delta in limits:
                _require_below(cap, add_up(dataset, after, delta, cap))
            number = rows.insert({**asdict(planned), "events": write_events(events)})
            if journal is not None:
                token, mark = journal
                rows.insert_mark(number, token, mark.length, mark.digest)
        return Reservation(self._file, number, dataset, budget)

    def find(self, journal: str, dataset: str, budget: Budget) -> Reservation | None:
        """The reservation that an earlier process made for a journal.

        Args:
            journal: Name of the journal.
            dataset: Declared name of the data set.
            budget: What the release may cost.

        Returns:
            The reservation, in whatever state it is; None if none was made in this ledger.

        Guarantee:
            Nothing is reserved and nothing is changed: the release goes on within what was reserved
            for it then.

        Raises:
            BudgetError: If it was made for another data set, or with less budget.
            BundleError: If the file is not a ledger.
            OutputError: If the file cannot be written.
        """
        with self._file.write() as rows:
            number = rows.journal(journal)
            if number is None:
                return None
        found = Reservation(self._file, number, dataset, budget)
        entry = found.entry
        open_still = entry.state in ("reserved", "touched")
        if (
            entry.dataset != dataset
            or entry.delta != budget.delta
            or (open_still and entry.epsilon != budget.epsilon)
        ):
            raise BudgetError(
                f"release {number} was reserved for another data set, or with another budget.",
                "Give the data set's name and the budget that the journal began with.",
            )
        return found

    def spent(self, dataset: str, delta: float | None = None) -> Total:
        """What a data set has spent over all releases.

        Args:
            dataset: Declared name of the data set.
            delta: Where to state epsilon; by default the largest delta that a release claimed, and
                that of each release besides which may sample units and has not ended.

        Guarantee:
            The releases together are (epsilon, delta)-DP for adding or removing one unit. Epsilon
            is the smaller of two totals: that of mu, composed in squares, or of Renyi divergences
            where units were sampled, which are valid also when releases are chosen from earlier
            ones; and the sum of the claims, where their deltas sum to at most delta. If budgets
            were chosen from earlier releases in such a way that the data decides which of the two
            is smaller, delta counts twice.

        Edge cases:
            An unknown data set has spent 0. A reservation that never ended counts in full.

        Raises:
            BudgetError: If delta is not a probability.
            BundleError: If the file is not a ledger.

        Source: Smith and Thakurta 2022, arXiv 2210.17520; Renyi: Feldman and Zrnic 2021,
            arXiv 2008.11193; Rogers et al. 2016, arXiv 1605.08294.
        """
        with self._file.read() as rows:
            held = [read_entry(row) for row in rows.entries(dataset)]
            cap = rows.cap(dataset)
        return add_up(dataset, held, delta, cap[0] if cap else None)

    def entries(self, dataset: str | None = None) -> tuple[Entry, ...]:
        """All releases, of one data set or of all, oldest first.

        Raises:
            BundleError: If the file is not a ledger.
        """
        with self._file.read() as rows:
            return tuple(read_entry(row) for row in rows.entries(dataset))

    def set_cap(self, dataset: str, max_epsilon: float | None, delta: float | None = None) -> None:
        """Store the most that a data set may ever spend; None removes the cap.

        Args:
            dataset: Declared name of the data set.
            max_epsilon: The cap.
            delta: The delta at which totals are compared with it; the largest that a release
                claims when not given, so that a release with a larger delta loosens the cap.

        Edge cases:
            A cap below what is spent already refuses every further release.

        Raises:
            BudgetError: If the cap or its delta is out of range.
            OutputError: If the file cannot be written.
        """
        _require_name(dataset)
        if max_epsilon is not None:
            Budget(_require_cap(max_epsilon), DEFAULT_DELTA if delta is None else delta)
        with self._file.write() as rows:
            rows.set_cap(dataset, max_epsilon, delta)


def _plan(
    dataset: str, budget: Budget, events: Sequence[Event], note: str, *, sampled: bool
) -> Entry:
    """The entry of a release that has not read a row yet."""
    _require_name(dataset)
    if epsilon_of(events, budget.delta) > budget.epsilon * _ROUNDING:
        raise BudgetError(
            f"the events planned for {dataset!r} cost more than epsilon {budget.epsilon:g} at "
            f"delta {budget.delta:g}.",
            "Raise the budget, or plan fewer or noisier questions.",
        )
    thresholds = math.fsum(event.delta for event in events)
    left = Budget(budget.epsilon, budget.delta - thresholds)
    known = not sampled and not samples(events)
    return Entry(
        id=0,
        dataset=dataset,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        state="reserved",
        epsilon=budget.epsilon,
        delta=budget.delta,
        mu=max(left.mu, total_mu(events)) if known else math.inf,
        fixed_delta=thresholds + SAMPLER_DELTA,
        events=tuple(events),
        note=note,
    )


def _require_below(cap: float, after: Total) -> None:
    if after.epsilon > cap:
        raise BudgetExceeded(
            f"the data set {after.dataset!r} may spend epsilon {cap:g} in all; with this release "
            f"it would be {after.epsilon:.4g} at delta {after.delta:g}.",
            "Nothing was read. Lower this release's epsilon, or raise the cap on purpose.",
        )


def _require_cap(max_epsilon: float) -> float:
    if not 0.0 < max_epsilon < math.inf:
        raise BudgetError(
            f"the cap on epsilon is {max_epsilon}.", "Give a positive, finite number."
        )
    return max_epsilon


def _require_name(dataset: str) -> None:
    if not dataset.strip():
        raise BudgetError("the data set has no name.", "Give the schema a name.")
