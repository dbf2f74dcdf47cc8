"""Free text drawn from a language model, token by token, for rows whose other columns are drawn already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.models.lm.drawing import BLOCK, MEMORY, Memory, Writer
from tronie.models.lm.grammar import PADDING, TokenRows
from tronie.models.lm.prose import END, FIRST, MISSING, Prose, ProseColumn
from tronie.models.nets.balance import choose
from tronie.models.nets.decoding import Singles
from tronie.models.nets.drawing import blocks
from tronie.schema.grid import Ints

SCORES = 2**25
"""Scores of letters that are held at once, at most."""

CROWDED = 0.7
"""Rows whose text has ended are let go once fewer than this part of the others is left."""


def draw_texts(
    writer: Writer,
    prose: Prose,
    codes: Ints,
    rng: np.random.Generator,
    *,
    block: int | None = None,
) -> Ints:
    """Draw the texts of some rows.

    What comes before a text is read once, and once only for rows that are equal so far.

    Args:
        writer: The model.
        prose: How texts are written.
        codes: The rows, shape (rows, columns), columns in the grammar's order.
        rng: Source of randomness.
        block: Rows that are drawn at once; by default as many as memory holds.

    Returns:
        Numbers of the texts, shape (rows, `Prose.width`). A text ends where its characters, or its
        tokens, reach the column's limit.
    """
    numbers = np.zeros((len(codes), prose.width), np.int64)
    for start, end in blocks(len(codes), block or _block(writer, prose)):
        rows, part = codes[start:end], numbers[start:end]
        begin = 0
        for place, column in enumerate(prose.columns):
            text = _Text.after(writer, prose, rows, part, place)
            part[:, begin : begin + column.limit] = text.to_the_end(rng)
            begin += column.limit
    return numbers


def _block(writer: Writer, prose: Prose) -> int:
    """Rows that are drawn at once."""
    each = writer.reader.bytes_of(writer.grammar.longest + prose.longest)
    fit = min(MEMORY // max(each, 1), SCORES // len(prose.alphabet))
    return int(min(max(fit, 1), BLOCK))


@dataclass(slots=True, eq=False)
class _Text:
    """One column's texts on their way, of all rows of a block.

    Attributes:
        writer: The model.
        prose: How texts are written.
        column: The column.
        memory: What was read, one entry for each row that is followed.
        known: What the model knows of these rows, shape (entries, width).
        entries: Number of the row of each entry.
        rows: Number of all rows.
    """

    writer: Writer
    prose: Prose
    column: ProseColumn
    memory: Memory
    known: Singles
    entries: Ints
    rows: int

    @classmethod
    def after(cls, writer: Writer, prose: Prose, codes: Ints, numbers: Ints, place: int) -> _Text:
        """Read what comes before a text."""
        whole = np.concatenate([codes, numbers], axis=1)
        distinct, begun = np.unique(whole, axis=0, return_inverse=True)
        columns = codes.shape[1]
        first = writer.grammar.rows(distinct[:, :columns])
        before: TokenRows = prose.up_to(first, distinct[:, columns:], place)
        memory = writer.reader.start().take(np.zeros(len(distinct), np.int64))
        known = writer.reader.read(memory, before.ids, before.kinds != PADDING)
        rows = np.arange(len(codes))
        begun = begun.reshape(-1)
        return cls(
            writer, prose, prose.columns[place], memory.take(begun), known[begun], rows, len(rows)
        )

    def to_the_end(self, rng: np.random.Generator) -> Ints:
        """Write the texts; numbers, shape (rows, limit)."""
        alphabet = self.prose.alphabet
        head, begun = self.writer.reader.head(alphabet.ids), alphabet.begun
        numbers = np.full((self.rows, self.column.limit), END)
        characters = np.zeros(self.rows, np.int64)
        going = np.ones(len(self.entries), np.bool_)
        for place in range(self.column.limit):
            shares = self._shares(head, opening=place == 0)
            chosen = choose(shares, rng.random(len(shares), np.float32))
            chosen[~going] = END
            numbers[self.entries, place] = chosen
            characters[self.entries] += begun[chosen]
            # One more than the limit: most tokenizers begin a text with a space.
            going &= (chosen >= FIRST) & (characters[self.entries] <= self.column.limit + 1)
            if not going.any() or place + 1 == self.column.limit:
                break
            if going.mean() < CROWDED:
                chosen, going = self._keep(going, chosen)
            self._read(alphabet.ids[chosen], going)
        return numbers

    def _shares(self, head: Singles, *, opening: bool) -> Singles:
        """What each letter weighs in each entry."""
        logs: Singles = self.known @ head.T
        logs /= np.float32(self.writer.temperature)
        if not (opening and self.column.nullable):
            logs[:, MISSING] = -np.inf
        logs -= logs.max(axis=1, keepdims=True)
        return np.exp(logs, out=logs)

    def _keep(self, going: NDArray[np.bool_], chosen: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Follow those rows only whose texts go on."""
        left = np.flatnonzero(going)
        self.memory = self.memory.take(left)
        self.known, self.entries = self.known[left], self.entries[left]
        return chosen[left], going[left]

    def _read(self, ids: Ints, going: NDArray[np.bool_]) -> None:
        known = self.writer.reader.read(self.memory, ids[:, None], going[:, None])
        self.known = np.where(going[:, None], known, self.known)
