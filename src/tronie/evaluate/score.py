"""One number about a synthetic table, with all that is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """A number with its floor, its ceiling and its meaning.

    Attributes:
        name: What it measures, in a few words.
        value: The number.
        floor: What a table without the measured property gets.
        ceiling: What other rows of the same population get, for the sizes at hand; no synthetic table
            can be expected to do better.
        meaning: One sentence that a non-statistician understands.
        error: Standard deviation of the noise that privacy put on the value; 0 where there is none.

    >>> pairs = Score("pairs", 0.88, 0.8, 0.96, "Overlap of pairs of columns.")
    >>> round(pairs.points, 6)
    50.0
    """

    name: str
    value: float
    floor: float
    ceiling: float
    meaning: str
    error: float = 0.0

    @property
    def points(self) -> float:
        """Where the value lies between floor (0) and ceiling (100), cut off at both."""
        span = self.ceiling - self.floor
        part = (self.value - self.floor) / span if span else 1.0
        return 100.0 * min(max(part, 0.0), 1.0)
