"""What a journal is bound to, and the reservation that belongs to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tronie.errors import BundleError
from tronie.measure.fingerprint import fingerprint
from tronie.measure.journal import Journal
from tronie.measure.journal_file import JournalFile, open_journal
from tronie.measure.noise import Noise
from tronie.privacy.budget import Budget
from tronie.privacy.ledger import Ledger, Reservation
from tronie.privacy.ledger_entries import Entry, Mark
from tronie.schema.schema import Schema
from tronie.synth.plan import Plan

if TYPE_CHECKING:
    from tronie.tables.sources import Source

FORECASTS = frozenset({"forecast", "queries", "reason"})
"""Parts of a plan that decide nothing, and may depend on how fast the machine is."""


def made_for(
    schema: Schema, plan: Plan, noise: Noise, *, table: str | None, public: Source | None
) -> dict[str, str]:
    """What a journal's run was asked for; all of it is public.

    Args:
        schema: Public facts.
        plan: What was decided before a row was read; its settings are the user's.
        noise: Source of randomness: a run on test noise is none on any other.
        table: Name of the table in its file.
        public: Rows that the user says are public.

    Returns:
        Name of a part -> the part itself, or its digest.
    """
    decided = {name: part for name, part in plan.to_dict().items() if name not in FORECASTS}
    settings, other = decided.pop("settings"), plan.settings.other
    return {
        "data set": schema.name,
        "table": table or "",
        "method": plan.method,
        "epsilon": repr(float(plan.budget.epsilon)),
        "delta": repr(float(plan.budget.delta)),
        "noise": noise.label,
        "schema": fingerprint(schema).hex(),
        "settings": _told(settings),
        "split of the budget": _told(decided),
        "public rows": "" if public is None else _digest(public),
        "other table": "" if other is None else fingerprint(other).hex(),
    }


def reservation_of(
    file: JournalFile,
    book: Ledger,
    schema: Schema,
    plan: Plan,
    reserve: Callable[[tuple[str, Mark]], Reservation],
) -> Reservation:
    """The reservation that an earlier process made for a journal, or a new one.

    Args:
        file: The journal.
        book: The ledger.
        schema: Public facts.
        plan: What the release may cost.
        reserve: Makes a reservation that can be found by a journal.

    Raises:
        BundleError: If the journal's reservation is in another ledger.
        BudgetError: If it was made for something else.
        BudgetExceeded: If there is none yet, and a cap forbids the release.
    """
    found = book.find(file.token, schema.name, plan.budget)
    if found is not None and found.state == "cancelled":
        file.restart()
        found = None
    if found is None and file.lines:
        raise _unknown(file, book)
    return found or reserve((file.token, file.start))


def give_up(journal: str | Path, book: Ledger) -> Entry:
    """End a fit that died and shall not go on: its release costs what was charged, no longer all it might.

    Args:
        journal: Folder of its journal.
        book: The ledger that it began with.

    Returns:
        What the ledger has of it now. A release that had ended stays as it is; one that was never answered
        is cancelled.

    Guarantee:
        The charges are those of the journal, which the ledger knows to be all (`Journal`); a training that
        had begun counts with all its steps. Nothing is asked in it any more.

    Raises:
        InputError: If the folder is no journal, or another run has it.
        BundleError: If it is damaged, a copy of it went on, or the ledger does not know it.
    """
    with open_journal(journal, None) as file:
        made = file.made_for
        budget = Budget(float(made["epsilon"]), float(made["delta"]))
        reservation = book.find(file.token, made["data set"], budget)
        if reservation is None:
            raise _unknown(file, book)
        if reservation.state == "reserved":
            reservation.cancel()
        elif reservation.state == "touched":
            reservation.commit(Journal(file, reservation).events)
        return reservation.entry


def _unknown(file: JournalFile, book: Ledger) -> BundleError:
    return BundleError(
        f"the ledger {book.path} does not know the journal {file.folder}.",
        "Name the ledger that its run began with.",
    )


def _told(plain: Any) -> str:
    """A digest of plain data in which 1 is the same as 1.0."""
    numbers = json.loads(json.dumps(plain), parse_int=float)
    return fingerprint(numbers).hex()


class _Sink:
    """A file that only keeps a digest of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, part: Any) -> int:
        """Take some bytes."""
        self.digest.update(part)
        return len(part)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def _digest(source: Source) -> str:
    """A digest of public rows."""
    import pyarrow as pa

    sink = _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), source.schema) as writer:  # type: ignore[no-untyped-call]
        for batch in source.batches(source.schema.names):
            writer.write_batch(batch)
    return sink.digest.hexdigest()
