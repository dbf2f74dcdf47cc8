"""Curators with journals, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neighbours import CODINGS, LOOSE, records

from tronie.measure.journal import Journal, JournaledCurator, JournaledMeter
from tronie.measure.journal_file import open_journal
from tronie.measure.noise import InsecureNoise, Noise
from tronie.measure.records import Records
from tronie.privacy.budget import Budget
from tronie.privacy.ledger import Ledger, Reservation

ROWS = [{"a": "xyz"[i % 3], "b": i % 10, "c": i % 2 == 0} for i in range(60)]


class Killed(BaseException):
    """Stands for a process that dies here."""


@contextmanager
def opened(
    place: Path,
    rows: Records | None = None,
    *,
    folder: str = "journal",
    budget: Budget = LOOSE,
    noise: Noise | None = None,
    made_for: dict[str, str] | None = None,
    **options: Any,
) -> Iterator[tuple[JournaledCurator, JournaledMeter, Reservation]]:
    """A curator as a process has it that begins, or begins again."""
    ledger = Ledger(place / "ledger.sqlite")
    with open_journal(place / folder, made_for or {"data set": "t"}) as file:
        mark = (file.token, file.start)
        reservation = ledger.find(file.token, "t", budget) or ledger.reserve(
            "t", budget, journal=mark
        )
        meter = JournaledMeter(
            budget,
            Journal(file, reservation),
            reservation.mark_touched,
            on_sampling=reservation.mark_sampled,
            reservation=str(reservation.id),
        )
        private = records(ROWS) if rows is None else rows
        noise = noise or InsecureNoise(0)
        curator = JournaledCurator(private, meter, noise=noise, **options)
        curator.recode(CODINGS)
        yield curator, meter, reservation


def killed_after(call: Callable[[], object]) -> Callable[..., None]:
    """What does as a call does, and then dies."""

    def die(*arguments: Any, **options: Any) -> None:
        call(*arguments, **options)
        raise Killed

    return die
