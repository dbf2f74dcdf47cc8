"""A curator that answers exactly: no noise, no price, no privacy; to compare private answers with.

It stands behind the same wall and takes the same questions, so that every method runs on it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tronie.errors import BudgetError
from tronie.measure.curator import Curator, Meter
from tronie.measure.noise import Noise
from tronie.measure.queries import Ints, Selection
from tronie.measure.training_state import TrainingState
from tronie.privacy.budget import NoPrivacy
from tronie.privacy.events import Event
from tronie.schema.columns import Value
from tronie.schema.domain import Clique
from tronie.tables.counting import require_countable

if TYPE_CHECKING:
    from torch import nn

    from tronie.measure.descent import Descent
    from tronie.measure.discovery import Keys
    from tronie.measure.records import Records, TextCoder


class Unmetered(Meter):
    """Charges nothing and records nothing, so that nothing can be claimed.

    Guarantee:
        None. Its budget is `NoPrivacy`, which no certificate and no ledger takes, and it has no events.
    """

    def __init__(self) -> None:
        super().__init__(NoPrivacy())

    def charge(self, events: Sequence[Event]) -> None:
        """Let them pass."""


class ExactCurator(Curator):
    """Holds the private table and tells all: whatever was asked, without noise.

    Args:
        records: The private rows.
        meter: One that certifies nothing.
        rows_per_unit: Most rows of one privacy unit; it makes no difference.
        noise: Source of randomness for drawing batches.
        checkpoint: As for `Curator`.

    Guarantee:
        None: every answer is private, and so is all that rests on it.

    Edge cases:
        Answers are integers and have the errors of integers: methods take them to be off by
        `tronie.privacy.events.MIN_SIGMA` rows, the least noise that they know.

    Raises:
        BudgetError: If the meter is one that a certificate could be made from.
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
        if not isinstance(meter, Unmetered):
            raise BudgetError("exact answers cannot be charged to a budget.", "Use `Unmetered`.")
        super().__init__(
            records, meter, rows_per_unit=rows_per_unit, noise=noise, checkpoint=checkpoint
        )

    def select(self, query: Selection) -> Clique:
        """The candidate that is farthest from its reference; the first of several."""
        require_countable(self._sizes(), query.cliques)
        self._count(query.cliques)
        return query.cliques[int(np.argmax(query.scores(self._counts)))]

    def keys(self, query: Keys) -> tuple[tuple[Value, ...], Ints]:
        """All values of an open category, in sorted order, and their counts."""
        self._validate()
        self._checkpoint("looking for categories")
        counts = self._records.key_counts(query.column)
        values = sorted(counts, key=lambda value: (str(type(value)), value))
        return tuple(values), np.array([counts[value] for value in values], np.int64)

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
        """Fit a network to the rows by ordinary gradient descent.

        Nothing is clipped and no noise is added; the noise multiplier and the largest norm of `descent`
        are not used.

        Raises:
            BudgetError: If a state is given or wished for: only what was paid for is worth going on
                with.
        """
        from tronie.measure.gradients import descend_exactly

        if state is not None or keep is not None:
            raise BudgetError("training without privacy cannot be resumed.", "Begin anew.")
        self._checkpoint("reading rows for training")
        codes = self._records.codes(columns, self._codings, texts)

        def watch(step: int) -> None:
            self._checkpoint(f"training, step {step + 1} of {descent.steps}{remark(step)}")

        return descend_exactly(network, codes, descent, self._noise, watch, after_step=after_step)

    def _blur(self, exact: Ints, sigma: float) -> Ints:
        return exact
