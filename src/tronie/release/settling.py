"""How a road from private rows ends in the ledger, whether or not it gets there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tronie.measure.curator import Meter
from tronie.measure.journal import JournaledMeter
from tronie.privacy.ledger import Reservation

Result = TypeVar("Result")


def settle(reservation: Reservation, meter: Meter, run: Callable[[], Result]) -> Result:
    """Run something; then write down what it spent, or give back what it never touched.

    Args:
        reservation: Budget that was set aside for the run.
        meter: What the run was charged.
        run: Asks the curator.

    Raises:
        BaseException: Whatever `run` raises, after the ledger was told.
    """
    try:
        result = run()
    except BaseException:
        if reservation.state == "touched":
            reservation.commit(meter.events)
        else:
            reservation.cancel()
        raise
    reservation.commit(meter.events)
    return result


def settle_later(
    reservation: Reservation, meter: JournaledMeter, run: Callable[[], Result]
) -> Result:
    """Run something that can go on another time; write down what it spent when it has ended well.

    Args:
        reservation: Budget that was set aside for the run, perhaps by an earlier process.
        meter: What the run was charged, by all processes together.
        run: Asks the curator.

    Raises:
        BaseException: Whatever `run` raises. If nothing was ever answered the reservation was cancelled;
            else it stays as it is, and counts in full, until the run has gone on to its end.
        BundleError: If the run ended in an earlier process, and asked something else by the ledger.
    """
    try:
        result = run()
    except BaseException:
        if not reservation.touched:
            reservation.cancel()
        raise
    if reservation.state == "committed":
        meter.journal.require_ended_as(meter.events)
    else:
        reservation.commit(meter.events)
    return result
