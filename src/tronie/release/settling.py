"""How a road from private rows ends in the ledger, whether or not it gets there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tronie.measure.curator import Meter
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
