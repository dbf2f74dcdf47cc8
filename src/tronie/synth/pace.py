"""How fast a training goes, in words, while it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pace:
    """Tokens per second and the time that is left, by a clock and by public numbers alone.

    Attributes:
        steps: Number of steps.
        tokens: Tokens of a step: the expected ones where it is drawn from private rows.
        clock: Tells the time, in seconds.

    >>> times = iter([0.0, 2.0, 4.0])
    >>> pace = Pace(steps=60, tokens=1000, clock=lambda: next(times))
    >>> pace(0), pace(1)
    ('', ': 500 tokens a second, about 2 minutes left')
    """

    steps: int
    tokens: float
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(default=0.0, init=False)
    _first: int = field(default=-1, init=False)

    def __call__(self, step: int) -> str:
        """What to say as a step begins, counted from 0; nothing as the first one does."""
        now = self.clock()
        if self._first < 0:
            self._begun, self._first = now, step
        taken, done = now - self._begun, step - self._first
        if taken <= 0 or not done:
            return ""
        speed = self.tokens * done / taken
        left = in_words((self.steps - step) * taken / done)
        return f": {speed:,.0f} tokens a second, about {left} left"


def in_words(seconds: float) -> str:
    """A time to wait for, roughly.

    >>> in_words(12.3), in_words(90), in_words(60 * 95), in_words(1)
    ('12 seconds', '2 minutes', '1.6 hours', '1 second')
    """
    if seconds < 90 - 0.5:
        count = max(round(seconds), 1)
        return f"{count} second{'s' if count > 1 else ''}"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
