"""Codes drawn so that counts of columns and of pairs stay near what the rows' probabilities sum to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tronie.models.nets.decoding import Singles
from tronie.schema.grid import Ints

PART = 256
"""Rows that are drawn at once, towards the counts that those before them lack."""

GAIN = 1.0
"""How strongly: log odds for a lack of as many rows as a cell expects of the part, shared by all earlier
columns. Twice as much gained nothing on coded Adult."""

STEEPEST = 2.0
"""Largest change of log odds."""

PAIRED = 4096
"""Codes of all columns together up to which pairs are balanced, and beyond which single columns are."""


class Balance:
    """What counts lack, as rows are drawn part after part.

    Every row's code is drawn from its own probabilities, tilted by what the codes of earlier rows, alone
    and with each earlier column's codes, came to differ from their expectation. Over many rows the tilts
    cancel, so expectations stay as they are to first order, and chance differences of counts fade.

    Args:
        sizes: Number of codes of each column, in the order of drawing.

    Source: the feedback is that of herding (Welling 2009), drawn rather than maximised.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._paired = sum(sizes) <= PAIRED
        # The first line is for all rows; then one for each code of each earlier column.
        lines = [1 + sum(sizes[:i]) if self._paired else 1 for i in range(len(sizes))]
        self._excess = [np.zeros((n, s), np.float32) for n, s in zip(lines, sizes, strict=True)]
        self._expected = [np.zeros_like(table) for table in self._excess]
        self._before = 0
        self._block = 0
        self._hot = np.zeros((0, 1), np.float32)

    def begin(self, rows: int) -> None:
        """Start a block of rows whose columns are drawn one after another."""
        self._before += self._block
        self._block = rows
        width = 1 + sum(self._sizes[:-1]) if self._paired else 1
        self._hot = np.zeros((rows, width), np.float32)
        self._hot[:, 0] = 1

    def draw(self, column: int, shares: Singles, rng: np.random.Generator) -> Ints:
        """Draw a column of the block.

        Args:
            column: Its place in the order of drawing.
            shares: Probabilities of its codes, shape (rows, codes).
            rng: Source of randomness.
        """
        excess, expected = self._excess[column], self._expected[column]
        codes = np.empty(len(shares), np.int64)
        order = rng.permutation(len(shares))
        chances = rng.random(len(shares), np.float32)
        for start in range(0, len(shares), PART):
            part = order[start : start + PART]
            hot, own = self._hot[part, : len(excess)], shares[part]
            share = len(part) / max(self._before + start, len(part))
            pull = hot @ (excess / (expected * share + 1))
            pull *= GAIN / (column + 1 if self._paired else 1)
            np.clip(pull, -STEEPEST, STEEPEST, out=pull)
            drawn = choose(own * np.exp(-pull), chances[part])
            codes[part] = drawn
            moved = -own
            moved[np.arange(len(part)), drawn] += 1
            excess += hot.T @ moved
            expected += hot.T @ own
        self.note(column, codes)
        return codes

    def note(self, column: int, codes: Ints) -> None:
        """Take note of a column that was drawn, here or otherwise."""
        if self._paired and column < len(self._sizes) - 1:
            place = 1 + sum(self._sizes[:column])
            self._hot[np.arange(len(codes)), place + codes] = 1


def choose(shares: Singles, chances: Singles) -> Ints:
    """A code for each row, by the inverse of the distribution function.

    Codes without probability are never chosen, whatever the rounding.

    Args:
        shares: In proportion to the codes' probabilities, shape (rows, codes).
        chances: A number in [0, 1) for each row.

    >>> shares = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]], np.float32)
    >>> choose(shares, np.array([0.99, 0.4], np.float32)).tolist()
    [1, 0]
    """
    upto = np.cumsum(shares, axis=1)
    mass = upto[:, -1]
    aim = np.minimum(chances * mass, np.nextafter(mass, np.float32(0)))
    return (upto[:, :-1] <= aim[:, None]).sum(axis=1)
