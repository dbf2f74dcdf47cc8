"""A journal of what a release asked and was answered, so that a run that died can be taken up again.

Answers of the curator are noisy and paid for: public numbers. A run that begins again with the journal
asks the same questions in the same order, and gets the same answers, from the journal: no row is read and
nothing is charged again. The first new question goes to the curator, on the same reservation.

What must never happen is that a question is answered twice, with fresh noise, and charged once. So each
charge is on disk, in the journal and in the ledger, before its answer is, and before anyone gets it. A
charge whose answer is not in the journal stays charged; it is not answered again.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tronie.errors import BudgetError, BudgetExceeded, BundleError
from tronie.files import PRIVATE_MODE, atomic_write
from tronie.measure.curator import Curator, Meter
from tronie.measure.fingerprint import fingerprint
from tronie.measure.journal_file import Body, JournalFile, damaged
from tronie.measure.noise import Noise
from tronie.measure.queries import CountQuery, Ints, Selection
from tronie.measure.training_state import TrainingState
from tronie.privacy.budget import Budget
from tronie.privacy.events import Event, SampledGaussian
from tronie.privacy.ledger import Reservation
from tronie.privacy.ledger_entries import Mark
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.schema.grid import Coding
from tronie.schema.schema import Schema

if TYPE_CHECKING:
    from torch import nn

    from tronie.measure.comparisons import Overlaps
    from tronie.measure.descent import Descent
    from tronie.measure.discovery import Keys, RawQuery
    from tronie.measure.records import Records

CLAIM_SECONDS = 1.0
"""Steps of a training are claimed ahead for about so long; those of a process that is killed are lost."""

SAVE_PART = 20.0
"""Times as long is trained as it takes to save a state, at least, before the next is saved."""

_OWN_OPTIONS = frozenset({"state", "keep", "keep_every"})

_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])

_BEGIN_ANEW = "Begin anew with another journal; that is charged again."

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Asked:
    """A question that was charged.

    Attributes:
        kind: Which way it was asked, such as `ask`.
        question: Digest of it, and of the codes and the schema that rows were read by.
        events: What was charged.
        answered: Whether the answer was written down.
        answer: It, as plain data.
        used: Steps of a training that may have been answered.
        state: Where the training stands: the line that says so.
    """

    kind: str
    question: str
    events: tuple[Event, ...]
    answered: bool = False
    answer: Any = None
    used: int = 0
    state: Body | None = None


class Journal:
    """What a release asked, held against its reservation.

    Args:
        file: The open file.
        reservation: What the release is charged to; the ledger knows how far the journal has got.

    Guarantee:
        Every charge is in the file and in the ledger before its answer is written or given. Of a journal
        and its copies only that goes on which has every charge that the ledger knows of. A charge that the
        file has and the ledger has not was not answered to anybody; it is taken off the file.

    Raises:
        BundleError: If the ledger knows of charges that the file does not have, or of others.
    """

    def __init__(self, file: JournalFile, reservation: Reservation) -> None:
        self._file = file
        self._reservation = reservation
        self._place = 0
        self._kept: Body | None = None
        self._mark = self._reconciled(reservation.mark)
        self._asked = self._parsed()
        self._remove_leftovers()

    @property
    def events(self) -> tuple[Event, ...]:
        """All that was charged in it, in order."""
        return tuple(event for asked in self._asked for event in asked.events)

    def recorded(self, kind: str, question: str) -> Asked | None:
        """What is known of the next question; None if it was never asked.

        Raises:
            BundleError: If another question was asked then.
            BudgetError: If it was never asked, and the release has ended.
            BudgetExceeded: If it was charged, and the answer is lost. What else was charged then becomes
                the cost of the release.
        """
        if self._place == len(self._asked):
            self._require_open()
            return None
        found = self._asked[self._place]
        self._place += 1
        if (found.kind, found.question) != (kind, question):
            raise BundleError(
                f"question {self._place} of the journal {self._file.folder} was another one. "
                "Nothing was asked.",
                "Use the tronie, the machine and the public rows that its run began with. "
                f"Or: {_BEGIN_ANEW}",
            )
        if kind != "train" and not found.answered:
            self._give_up()
        return found

    def charge(self, kind: str, question: str, events: Sequence[Event]) -> None:
        """Write a charge down, here and in the ledger.

        Raises:
            BudgetError: If another copy of the journal went on meanwhile.
            OutputError: If it cannot be written.
        """
        charged = _EVENTS.dump_python(tuple(events), mode="json")
        self._anchor({"kind": "asked", "as": kind, "question": question, "events": charged})
        self._kept = None

    def record(self, kind: str, question: str, events: Sequence[Event], answer: object) -> None:
        """Write a charge down, and then its answer, before anyone gets it.

        Both are written by a thread of their own, which Ctrl-C does not stop in between.

        Raises:
            BudgetError: If another copy of the journal went on meanwhile.
            OutputError: If it cannot be written.
        """

        def write() -> None:
            self.charge(kind, question, events)
            self._file.append({"kind": "answered", "answer": answer})

        with ThreadPoolExecutor(1) as thread:
            thread.submit(write).result()

    def claim(self, upto: int) -> None:
        """Write down, here and in the ledger, that steps below a number may be answered from now on."""
        self._anchor({"kind": "steps", "upto": upto})

    def keep(self, state: TrainingState) -> None:
        """Save where the last question's training stands."""
        if self._kept is not None and self._kept["next"] == state.next:
            return
        content = state.to_bytes()
        name = f"training-{len(self._file.lines)}.safetensors"
        atomic_write(self._file.folder / name, content, mode=PRIVATE_MODE)
        digest = hashlib.sha256(content).hexdigest()
        line = {"kind": "state", "file": name, "sha256": digest, "next": state.next}
        self._file.append(line)
        before, self._kept = self._kept, line
        if before is not None:
            (self._file.folder / before["file"]).unlink(missing_ok=True)

    def kept(self, asked: Asked) -> TrainingState | None:
        """Where a training stands, if a state was saved.

        Raises:
            BundleError: If its file is missing or damaged.
        """
        self._kept = asked.state
        if asked.state is None:
            return None
        path = self._file.folder / asked.state["file"]
        try:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == asked.state["sha256"]
        except OSError:
            same = False
        if not same:
            raise damaged(self._file.folder, path.name)
        state = TrainingState.load(path)
        return replace(state, next=asked.used, receipt=replace(state.receipt, used=asked.used))

    def require_ended_as(self, events: Sequence[Event]) -> None:
        """Check that the ledger has what the journal says was asked.

        Raises:
            BundleError: If not.
        """
        if self._reservation.entry.events != tuple(events):
            raise BundleError(
                f"by the ledger the release of the journal {self._file.folder} asked something else.",
                "Restore both from the same backup.",
            )

    def _remove_leftovers(self) -> None:
        """Remove states that a dying process had saved, but not written down."""
        known = {asked.state["file"] for asked in self._asked if asked.state is not None}
        for path in self._file.folder.glob("*.safetensors"):
            if path.name not in known:
                path.unlink()

    def _anchor(self, body: Body) -> None:
        own = {**body, "nonce": secrets.token_hex(8)}  # two copies never write the same line
        after = Mark(self._mark.length + 1, self._file.append(own))
        self._reservation.advance(self._mark, after)
        self._mark = after

    def _reconciled(self, known: Mark) -> Mark:
        """How far it has got, if that is as far as the ledger says."""
        marks = [self._file.start]
        for body, digest in self._file.lines:
            if body["kind"] in ("asked", "steps"):
                marks.append(Mark(len(marks), digest))
        if len(marks) == known.length + 2 and self._file.lines[-1][1] == marks[-1].digest:
            self._file.drop()
            marks.pop()
        if marks[-1] != known:
            raise BundleError(
                f"the journal {self._file.folder} is not as far as its release: a copy of it went on, or "
                "its end is missing. Nothing was asked.",
                f"Use the copy that went on. {_BEGIN_ANEW}",
            )
        return known

    def _parsed(self) -> list[Asked]:
        found: list[Asked] = []
        try:
            for body, _ in self._file.lines:
                match body["kind"]:
                    case "asked":
                        events = _EVENTS.validate_python(body["events"])
                        found.append(Asked(body["as"], body["question"], events))
                    case "answered":
                        found[-1].answered, found[-1].answer = True, body["answer"]
                    case "steps":
                        found[-1].used = body["upto"]
                    case _:
                        found[-1].used, found[-1].state = body["next"], body
        except (KeyError, IndexError, ValidationError):
            raise damaged(self._file.folder, "a line that makes no sense") from None
        return found

    def _require_open(self) -> None:
        if self._reservation.state not in ("reserved", "touched"):
            raise BudgetError(
                f"the release of the journal {self._file.folder} has ended, and now there is more to ask.",
                f"Use the tronie and the machine that its run began with. Or: {_BEGIN_ANEW}",
            )

    def _give_up(self) -> NoReturn:
        """Give back what was not charged of a release that cannot go on."""
        if self._reservation.state == "touched":
            self._reservation.commit(self.events)
        raise BudgetExceeded(
            f"the run of the journal {self._file.folder} died in the moment between a charge and its "
            "answer. The answer is lost, stays charged, and is not given again.",
            f"The ledger counts what had been charged by then. {_BEGIN_ANEW}",
        )


class JournaledMeter(Meter):
    """A meter whose charges are on disk before they are answered.

    Args:
        budget: As for `Meter`.
        journal: Where they are written down.
        on_first_answer: As for `Meter`.
        on_sampling: As for `Meter`.
        reservation: As for `Meter`.

    Guarantee:
        That of `Meter`, over all processes that hold the journal one after another. No answer is given but
        for a question that was announced (`expect`), so a way to ask that the journal does not know is
        refused. What a training costs is written down before its first step, that of other questions
        together with their answers.
    """

    def __init__(
        self,
        budget: Budget,
        journal: Journal,
        on_first_answer: Callable[[], None] | None = None,
        *,
        on_sampling: Callable[[], None] | None = None,
        reservation: str | None = None,
    ) -> None:
        super().__init__(budget, on_first_answer, on_sampling=on_sampling, reservation=reservation)
        self.journal = journal
        self._expected: Callable[[], None] | None = None
        self._pace = Pace()

    def expect(self, at_answer: Callable[[], None] = lambda: None) -> None:
        """Announce a question.

        Args:
            at_answer: Called when the data was read, before noise is drawn.
        """
        self._expected = at_answer

    def replay(self, asked: Asked) -> int:
        """Note what was charged for a question that an earlier process asked.

        Returns:
            The place of its last event.
        """
        self._events += asked.events
        self._answered = True
        run = len(self._events) - 1
        if asked.kind == "train":
            self._used[run] = asked.used
            self._pace = Pace(asked.used)
        return run

    def used(self, run: int) -> int:
        """Steps of a training that may have been answered."""
        return self._used[run]

    def answering(self) -> None:
        """Note that an answer is about to be given.

        Raises:
            BudgetExceeded: If its question was not announced.
        """
        expected, self._expected = self._expected, None
        if expected is None:
            raise BudgetExceeded(
                "a question is to be answered that the journal does not know.",
                "Nothing was answered; please report this as a fault.",
            )
        super().answering()
        expected()

    def use(self, run: int, step: int) -> None:
        """Note, on disk too, that a step of a training is about to be answered."""
        super().use(run, step)
        event = self._events[run]
        assert isinstance(event, SampledGaussian)
        if step >= self._pace.claimed:
            self.journal.claim(self._pace.claim(step, event.steps))

    def is_due(self, state: TrainingState, run: int) -> bool:
        """Whether to save a state: at the end, when stopped, and when what was claimed is used up."""
        return state.next <= self.used(run) or self._pace.is_due(self.used(run))

    def saved(self, seconds: float) -> None:
        """Note how long it took to save a state."""
        self._pace.saved(seconds)


class Pace:
    """How many steps are claimed at once, and how often a state is saved.

    Args:
        claimed: Steps that were claimed before.
    """

    def __init__(self, claimed: int = 0) -> None:
        self.claimed = claimed
        self._block = 0
        self._since = self._saved = time.monotonic()
        self._pause = 0.0

    def claim(self, step: int, steps: int) -> int:
        """Claim the next steps: as many as take about `CLAIM_SECONDS`, one at first.

        Args:
            step: The first of them.
            steps: Number of all.

        Returns:
            The step up to which all are claimed.
        """
        now = time.monotonic()
        each = (now - self._since) / max(self._block, 1)
        most = min(2 * self._block, int(CLAIM_SECONDS / max(each, 1e-6)))
        self._block, self._since = max(most, 1), now
        self.claimed = min(step + self._block, steps)
        return self.claimed

    def is_due(self, used: int) -> bool:
        """Whether a state is worth its time."""
        return used >= self.claimed and time.monotonic() - self._saved >= self._pause

    def saved(self, seconds: float) -> None:
        """A state was saved just now."""
        self._saved = time.monotonic()
        self._pause = SAVE_PART * seconds


class JournaledCurator(Curator):
    """A curator that gives known answers from a journal, and writes new ones into it.

    Args:
        records: The private rows.
        meter: Where each access is charged; it has the journal.
        rows_per_unit: Most rows of one privacy unit.
        noise: As for `Curator`.
        checkpoint: As for `Curator`.

    Guarantee:
        That of `Curator` for every new answer. What is answered from the journal was answered and charged
        once, and reads no row. A question gets an answer of the journal only if it is the same as then: its
        kind, its numbers, the codes and the schema that rows are read by. If the table changed between two
        runs, each access kept its promise for the table that it read.

    Edge cases:
        A training is not the same if its columns, codes, settings, or anything in the network but its
        trained weights is not. Trained weights come from the last state that was saved. Steps after that
        state which may have been answered are given up.
    """

    def __init__(
        self,
        records: Records,
        meter: JournaledMeter,
        *,
        rows_per_unit: int = 1,
        noise: Noise | None = None,
        checkpoint: Callable[[str], None] = lambda stage: None,
    ) -> None:
        super().__init__(
            records, meter, rows_per_unit=rows_per_unit, noise=noise, checkpoint=checkpoint
        )
        self._journaled = meter
        self._schema_read = self._codes_read = b""

    def recode(self, codings: Mapping[str, Coding]) -> None:
        """Count columns by these codes from now on."""
        super().recode(codings)
        self._codes_read = fingerprint(codings)

    def adopt(self, schema: Schema) -> None:
        """Read rows by this schema from now on."""
        super().adopt(schema)
        self._schema_read = fingerprint(schema)

    def ask(self, queries: Sequence[CountQuery]) -> list[Ints]:
        """Answer several queries; see `Curator.ask`."""
        ask = super().ask
        return self._answer("ask", queries, lambda: ask(queries), _plain_tables, _tables)

    def select(self, query: Selection) -> Clique:
        """Name a candidate that is far from its reference; see `Curator.select`."""
        select = super().select
        return self._answer("select", query, lambda: select(query), list, tuple)

    def explore(self, queries: Sequence[RawQuery]) -> list[Ints]:
        """Answer questions about unknown columns; see `Curator.explore`."""
        explore = super().explore
        return self._answer("explore", queries, lambda: explore(queries), _plain_tables, _tables)

    def overlap(self, query: Overlaps) -> Ints:
        """Answer how private rows and public ones overlap; see `Curator.overlap`."""
        overlap = super().overlap
        return self._answer("overlap", query, lambda: overlap(query), _plain, _table)

    def keys(self, query: Keys) -> tuple[tuple[Value, ...], Ints]:
        """Find the frequent values of an open category; see `Curator.keys`."""
        keys = super().keys
        return self._answer("keys", query, lambda: keys(query), _plain_keys, _keys)

    def train(
        self, network: nn.Module, columns: Sequence[str], descent: Descent, **options: Any
    ) -> TrainingState:
        """Fit a network to the rows; see `Curator.train`. States are the journal's."""
        from tronie.measure.gradients import first_state, outline, put_state

        if _OWN_OPTIONS & options.keys():
            raise TypeError("states of a training are the journal's")
        meter, journal = self._journaled, self._journaled.journal
        named = {k: _public(value) for k, value in options.items() if not callable(value)}
        question = self._digest([tuple(columns), descent, outline(network), named])
        asked = journal.recorded("train", question)
        state = None
        if asked is None:
            run = len(meter.events)
            meter.expect(lambda: journal.charge("train", question, meter.events[run:]))
        else:
            run = meter.replay(asked)
            state = journal.kept(asked) or first_state(network, asked.used)
            state = replace(state, receipt=meter.receipt(run, asked.used))
            if asked.used == descent.steps:
                put_state(network, state)
                return state
            meter.expect()

        def keep(reached: TrainingState) -> None:
            self._keep(reached, run)

        return super().train(
            network, columns, descent, state=state, keep=keep, keep_every=1, **options
        )

    def _keep(self, state: TrainingState, run: int) -> None:
        """Save a state, unless that would take more time than it may save."""
        meter = self._journaled
        if meter.is_due(state, run):
            used = min(state.next, meter.used(run))
            begun = time.monotonic()
            meter.journal.keep(replace(state, next=used, receipt=meter.receipt(run, used)))
            meter.saved(time.monotonic() - begun)

    def _answer(
        self,
        kind: str,
        query: object,
        ask: Callable[[], Answer],
        write: Callable[[Answer], object],
        read: Callable[[Any], Answer],
    ) -> Answer:
        """The journal's answer, or a new one that is in the journal when this returns."""
        meter, question = self._journaled, self._digest(query)
        asked = meter.journal.recorded(kind, question)
        if asked is not None:
            meter.replay(asked)
            return read(asked.answer)
        start = len(meter.events)
        meter.expect()
        answer = ask()
        meter.journal.record(kind, question, meter.events[start:], write(answer))
        return answer

    def _digest(self, question: object) -> str:
        read = [self._schema_read, self._codes_read, self._rows_per_unit]
        return fingerprint([read, question]).hex()


def _public(option: Any) -> object:
    """What to say of an option of a training: of a coder of texts, what it makes of them."""
    if hasattr(option, "columns") and hasattr(option, "sizes"):
        return [type(option).__name__, option.columns, option.sizes]
    return option


def _plain(table: Ints) -> dict[str, Any]:
    """A table of integers as plain data."""
    packed = zlib.compress(np.ascontiguousarray(table, "<i8").tobytes(), 1)
    return {"shape": list(table.shape), "data": base64.b64encode(packed).decode()}


def _table(plain: Mapping[str, Any]) -> Ints:
    words = np.frombuffer(zlib.decompress(base64.b64decode(plain["data"])), "<i8")
    return words.astype(np.int64).reshape(plain["shape"])[()]  # a number where the shape is ()


def _plain_tables(tables: list[Ints]) -> list[dict[str, Any]]:
    return [_plain(table) for table in tables]


def _tables(plain: list[dict[str, Any]]) -> list[Ints]:
    return [_table(each) for each in plain]


def _plain_keys(found: tuple[tuple[Value, ...], Ints]) -> dict[str, Any]:
    return {"values": list(found[0]), "counts": _plain(found[1])}


def _keys(plain: Mapping[str, Any]) -> tuple[tuple[Value, ...], Ints]:
    return tuple(plain["values"]), _table(plain["counts"])
