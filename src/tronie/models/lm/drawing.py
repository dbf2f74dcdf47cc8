"""Rows drawn from a language model: it is asked only where a row can go on in more than one way.

All rows of a block go through the columns together. Tokens that are forced are read in one piece; where
values part, a token is drawn among those that lead to a possible value. So every text is a row, and nothing
is ever drawn and thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.models.lm.grammar import Column, Grammar, Ragged
from tronie.models.nets.balance import choose
from tronie.models.nets.decoding import Singles
from tronie.models.nets.drawing import Step, blocks
from tronie.models.propagation import IMPOSSIBLE
from tronie.schema.grid import Floats, Ints

BLOCK = 8192
"""Rows that are drawn at once, at most."""

MEMORY = 2**29
"""Bytes that a model may remember of the rows that are drawn at once."""

MOST_CANDIDATES = 16
"""Rows that are begun for each one that is kept, at most, if something is given."""

ALONE = 0.7
"""Rows are followed one by one once this part of them differs in the columns so far."""

EVEN = 0.5
"""Weights are as good as even if they are worth this part of as many even ones."""

PART = 256
"""Rows that are drawn at once, towards the counts that those before them lack."""

STEEPEST = 2.0
"""Largest change of log odds for the sake of counts."""

PAIRED = 4096
"""Codes of all columns together up to which counts of pairs are heeded; beyond, single columns' are."""

ROUNDS, CLOSE, RAREST = 100, 1e-5, 1e-9
"""Rounds of raking one node, at most; total variation at which to stop; least share."""

ENOUGH = 4096
"""Rows from which a bias is found."""

LARGEST = 30.0
"""Largest difference of two changes of log odds by raking."""

Place: TypeAlias = tuple[int, int]
"""Where a token is decided: number of the column, and of its node."""

Biases: TypeAlias = Mapping[Place, Singles]
"""Place -> what is added to the log odds of its choices, shape (choices,)."""


class Memory(Protocol):
    """What was read so far, one entry for each beginning of rows."""

    def take(self, rows: Ints) -> Memory:
        """Some of the entries, each any number of times."""
        ...


class Reader(Protocol):
    """A language model that reads tokens."""

    @property
    def width(self) -> int:
        """Units of what it knows."""
        ...

    def head(self, tokens: Ints) -> Singles:
        """A vector for each of some tokens, shape (tokens, width)."""
        ...

    def start(self) -> Memory:
        """The memory of one row of which nothing was read."""
        ...

    def read(self, memory: Memory, ids: Ints, there: NDArray[np.bool_]) -> Singles:
        """Read on; the memory is extended.

        Args:
            memory: What was read so far.
            ids: Next tokens, padded at the end, shape (entries, length).
            there: Which of them are tokens.

        Returns:
            What the model knows after the last token of each entry, shape (entries, width); its product
            with a token's vector is that token's log odds. Anything where there was no token.
        """
        ...

    def bytes_of(self, length: int) -> int:
        """Bytes of the memory of one row of so many tokens."""
        ...


class Silent:
    """What reads rows of columns that have one value each: nothing needs to be known."""

    width = 1

    def head(self, tokens: Ints) -> Singles:
        """Zeros."""
        return np.zeros((len(tokens), 1), np.float32)

    def start(self) -> Silent:
        """Nothing."""
        return self

    def take(self, rows: Ints) -> Silent:
        """Nothing."""
        return self

    def read(self, memory: Memory, ids: Ints, there: NDArray[np.bool_]) -> Singles:
        """Zeros."""
        return np.zeros((len(ids), 1), np.float32)

    def bytes_of(self, length: int) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Writer:
    """A language model that writes rows.

    Attributes:
        reader: The model.
        grammar: What may follow what.
        biases: What is added to its log odds.
        temperature: What its log odds are divided by.
    """

    reader: Reader
    grammar: Grammar
    biases: Biases = field(default_factory=dict[Place, Singles])
    temperature: float = 1.0

    @property
    def block(self) -> int:
        """Rows that are drawn at once."""
        fit = MEMORY // max(self.reader.bytes_of(self.grammar.longest), 1)
        return int(min(max(fit, 1), BLOCK))


Chooser: TypeAlias = Callable[[Place, Ints, Singles], Ints]
"""Choices at a place, for rows given by number, from the probabilities of its choices in each."""

Shifter: TypeAlias = Callable[[Place, Singles, Floats], Singles]
"""What to add to log odds at a place, from those of some beginnings and the rows that have each."""


def draw_rows(
    writer: Writer,
    steps: Sequence[Step],
    n: int,
    rng: np.random.Generator,
    *,
    shift: Shifter | None = None,
    block: int | None = None,
) -> Ints:
    """Draw rows.

    Rows with the same columns so far are read once. Rows are not independent: see `Feedback`.

    Args:
        writer: The model.
        steps: What is possible in each column, in the grammar's order; nothing is given.
        n: Number of rows, at least 0.
        rng: Source of randomness.
        shift: Changes log odds instead of the writer's biases.
        block: Rows that are drawn at once; by default as many as memory holds.

    Returns:
        Codes, shape (n, columns), columns in the grammar's order; rows in random order.
    """
    sizes = writer.grammar.sizes
    feedback = Feedback(sizes)
    rows = np.empty((n, len(sizes)), np.int64)
    for start, end in blocks(n, block or writer.block):
        feedback.begin(end - start)
        walk = Walk(
            writer,
            steps,
            end - start,
            lambda place, which, shares: feedback.draw(place, which, shares, rng),
            shift=shift,
            note=feedback.note,
        )
        rows[start:end] = walk.to_the_end()
    return rng.permutation(rows)


def draw_given(
    writer: Writer,
    steps: Sequence[Step],
    n: int,
    rng: np.random.Generator,
    *,
    candidates: int = 4,
    block: int | None = None,
) -> Ints:
    """Draw rows given something.

    Several rows are begun for each one that is kept. Where something is given of a column, its choices are
    those that what is given leaves, and each row weighs as much as the model gave to these; rows are then
    taken in proportion to their weights, and go on. So rows are those of the model, up to chance: a row
    whose beginning made likely what is given may be taken more than once.

    Args:
        writer: The model.
        steps: What is possible and given in each column, in the grammar's order.
        n: Number of rows, at least 0.
        rng: Source of randomness.
        candidates: Rows that are begun for each one.
        block: Rows that are begun at once; by default as many as memory holds.

    Returns:
        Codes, shape (n, columns), columns in the grammar's order; rows in random order.

    Source: sequential importance resampling, Gordon, Salmond, Smith 1993; systematic, Kitagawa 1996.
    """
    rows = np.empty((n, len(steps)), np.int64)
    most = max((block or writer.block) // candidates, 1)
    for start, end in blocks(n, most):
        walk = Walk(
            writer,
            steps,
            (end - start) * candidates,
            lambda _, which, shares: choose(shares, rng.random(len(which), np.float32)),
        )
        rows[start:end] = walk.to_the_end(end - start, rng)
    return rng.permutation(rows)


def written_logs(
    writer: Writer, steps: Sequence[Step], rows: Ints, *, block: int | None = None
) -> Floats:
    """Log probability of each code of some rows, given the columns that are written before it.

    Biases, temperature and rules count, as they do when rows are drawn.

    Args:
        writer: The model.
        steps: What is possible in each column, in the grammar's order; nothing is given.
        rows: Codes, shape (rows, columns), columns in the grammar's order.
        block: Rows that are read at once; by default as many as memory holds.

    Returns:
        Shape (rows, columns); minus infinity for what is impossible.
    """
    parts = [
        _block_logs(writer, steps, rows[start:end])
        for start, end in blocks(len(rows), block or writer.block)
    ]
    return np.concatenate(parts)


def _block_logs(writer: Writer, steps: Sequence[Step], rows: Ints) -> Floats:
    columns = writer.grammar.columns
    places = [np.argsort(column.leaves) for column in columns]
    after: list[Floats] = []

    def choose_known(place: Place, which: Ints, _: Singles) -> Ints:
        column, node = place
        leaves = places[column][rows[which, column]]
        return columns[column].nodes[node].starts.searchsorted(leaves, side="right") - 1

    def note(_: int, __: Ints) -> None:
        after.append(walk.logs.copy())

    walk = Walk(writer, steps, len(rows), choose_known, note=note)
    walk.to_the_end()
    found = np.diff([np.zeros(len(rows)), *after], axis=0).T
    return np.where(found > IMPOSSIBLE / 2, found, -np.inf)


def candidates_for(chance: float) -> int:
    """Rows to begin for each one that is kept, if what is given has some probability.

    >>> candidates_for(0.9), candidates_for(0.2), candidates_for(0.0)
    (3, 10, 16)
    """
    return min(math.ceil(2 / max(chance, 1 / MOST_CANDIDATES)), MOST_CANDIDATES)


class Walk:
    """Rows on their way through the columns, together.

    What was read is held once for all rows that begin alike.

    Args:
        writer: The model.
        steps: What is possible, and what is given, in each column, in the grammar's order.
        rows: Number of rows.
        chooser: Makes the choices.
        shift: Changes log odds instead of the writer's biases.
        note: Told the number and the codes of each column once it is written.

    Attributes:
        logs: Log probability of each row so far, given what is given of its columns.
        weights: Log probability of what is given in each row, as far as its columns are known.
    """

    def __init__(
        self,
        writer: Writer,
        steps: Sequence[Step],
        rows: int,
        chooser: Chooser,
        *,
        shift: Shifter | None = None,
        note: Callable[[int, Ints], None] = lambda column, codes: None,
    ) -> None:
        self._writer, self._grammar, self._steps = writer, writer.grammar, steps
        self._chooser, self._shift, self._note = chooser, shift, note
        self._chunks, self._forced, self._choices = _chunks(writer.grammar)
        self._memory = writer.reader.start()
        self._waiting: list[Ints] = [np.zeros(1, np.int64)]
        self._known: Singles = np.zeros((1, writer.reader.width), np.float32)
        self._codes: dict[int, Ints] = {}
        self._begun = np.zeros(rows, np.int64)
        self._alone = False
        self._rows = np.zeros((rows, len(steps)), np.int64)
        self.logs: Floats = np.zeros(rows)
        self.weights: Floats = np.zeros(rows)

    def to_the_end(self, keep: int | None = None, rng: np.random.Generator | None = None) -> Ints:
        """Write all columns.

        Args:
            keep: Rows that are taken by weight, once all that is given has been written.
            rng: Source of randomness for that.

        Returns:
            Codes, shape (rows, columns), columns in the grammar's order.
        """
        given = [place for place, step in enumerate(self._steps) if step.given is not None]
        for place, column in enumerate(self._grammar.columns):
            self._write(place, column)
            if keep is not None and rng is not None and place in given:
                self._select(keep, rng, last=place == given[-1])
        return self._rows

    def _write(self, place: int, column: Column) -> None:
        """Write one column."""
        step = self._steps[place]
        self._wait(np.full(self._entries, self._forced[place]))
        nodes = np.full(self._entries, 0 if column.nodes else -1)
        codes = np.full(self._entries, column.leaves[0])
        while (nodes >= 0).any():
            self._read(nodes >= 0)
            choices = np.zeros(len(self._rows), np.int64)
            for node in _numbers(nodes):
                rows = np.flatnonzero(nodes[self._begun] == node)
                choices[rows] = self._decide(place, node, np.flatnonzero(nodes == node), rows)
            origin, chosen = self._part(choices, column)
            nodes, codes = nodes[origin], codes[origin]
            nodes, codes = self._follow(place, column, nodes, codes, chosen)
        self._codes[place] = codes
        written = codes[self._begun]
        self._rows[:, place] = written
        if step.given is not None:
            self.weights += step.given[self._cells(step)[self._begun], written]
        self._note(place, written)

    @property
    def _entries(self) -> int:
        return len(self._known)

    def _decide(self, place: int, node: int, entries: Ints, rows: Ints) -> Ints:
        """Choices at a node, of all rows that are there, given by their beginnings and their numbers."""
        column, step = self._grammar.columns[place], self._steps[place]
        inverse = np.zeros(self._entries, np.int64)
        inverse[entries] = np.arange(len(entries))
        begun = inverse[self._begun[rows]]
        cells = self._cells(step)[entries]
        logs = self._odds(place, node, entries)
        logs = logs + _log(column.open(node, step.possible > IMPOSSIBLE / 2))[cells]
        if self._shift is not None:
            counts = np.bincount(begun, minlength=len(entries)).astype(np.float64)
            logs = logs + self._shift((place, node), logs, counts)
        elif (place, node) in self._writer.biases:
            logs = logs + self._writer.biases[place, node]
        logs -= _mass(logs)
        if step.given is not None:
            possible = (step.given > IMPOSSIBLE / 2) & (step.possible > IMPOSSIBLE / 2)
            logs = logs + _log(column.open(node, possible))[cells]
            mass = _mass(logs)
            logs -= mass
            self.weights[rows] += mass[begun, 0]
        choices = self._chooser((place, node), rows, np.exp(logs)[begun])
        self.logs[rows] += logs[begun, choices]
        return choices

    def _odds(self, place: int, node: int, entries: Ints) -> Singles:
        """The model's log odds of the choices of a node."""
        tokens = self._grammar.columns[place].nodes[node].tokens
        odds: Singles = self._known[entries] @ self._writer.reader.head(tokens).T
        return odds / np.float32(self._writer.temperature)

    def _cells(self, step: Step) -> Ints:
        """The cell of a column's parents, in each beginning."""
        cells = np.zeros(self._entries, np.int64)
        for parent in step.parents:
            cells = cells * self._grammar.sizes[parent] + self._codes[parent]
        return cells

    def _part(self, choices: Ints, column: Column) -> tuple[Ints, Ints]:
        """Tell beginnings apart by the choices of their rows.

        Returns:
            For each new beginning, the number of the one that it was, and its choice.
        """
        if self._alone:
            return np.arange(len(choices)), choices
        size = max(len(node.tokens) for node in column.nodes)
        ends, begun = np.unique(self._begun * size + choices, return_inverse=True)
        origin, chosen = np.divmod(ends, size)
        self._alone = len(ends) > ALONE * len(begun)
        if self._alone:
            origin, chosen, begun = origin[begun], chosen[begun], np.arange(len(begun))
        self._take(origin)
        self._begun = begun
        return origin, chosen

    def _follow(
        self, place: int, column: Column, nodes: Ints, codes: Ints, chosen: Ints
    ) -> tuple[Ints, Ints]:
        """Where the choices lead: nodes, -1 at the end of the column, and then codes."""
        after, ends = nodes.copy(), codes.copy()
        chunks = np.full(len(nodes), -1)
        for number in _numbers(nodes):
            here, node = np.flatnonzero(nodes == number), column.nodes[number]
            after[here] = node.children[chosen[here]]
            ends[here] = column.leaves[node.starts[chosen[here]]]
            chunks[here] = self._choices[place][number] + chosen[here]
        self._wait(chunks)
        return after, ends

    def _wait(self, chunks: Ints) -> None:
        """Have a chunk of tokens to be read in each beginning, given by its number; -1 for none."""
        self._waiting.append(chunks)

    def _read(self, wanted: NDArray[np.bool_]) -> None:
        """Read what waits in some of the beginnings."""
        numbers = np.stack(self._waiting, axis=1)
        ids, there = self._chunks.take(np.where(wanted[:, None], numbers, -1))
        if there.any():
            known = self._writer.reader.read(self._memory, ids, there)
            self._known = np.where(there.any(axis=1, keepdims=True), known, self._known)
        left = np.where(wanted[:, None], -1, numbers)
        self._waiting = [part for part in left.T if (part >= 0).any()]
        if not self._waiting:
            self._waiting = [np.full(self._entries, -1)]

    def _take(self, entries: Ints) -> None:
        """Go on with some of the beginnings."""
        self._memory = self._memory.take(entries)
        self._known = self._known[entries]
        self._waiting = [part[entries] for part in self._waiting]
        self._codes = {place: known[entries] for place, known in self._codes.items()}

    def _select(self, keep: int, rng: np.random.Generator, *, last: bool) -> None:
        """Take rows by weight: as many as are kept if all is known that is given."""
        shares = np.exp(self.weights - self.weights.max(initial=-math.inf))
        if not last:
            worth = float(shares.sum()) ** 2 / max(float(np.square(shares).sum()), 1e-300)
            if worth >= EVEN * len(shares):
                return
        rows = _systematic(shares, keep if last else len(shares), rng)
        self._rows, self.logs, begun = self._rows[rows], self.logs[rows], self._begun[rows]
        self.weights = np.zeros(len(rows))
        entries, self._begun = np.unique(begun, return_inverse=True)
        self._alone = False
        self._take(entries)


def _systematic(shares: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Rows by systematic sampling, in proportion to some weights."""
    if not count:
        return np.empty(0, np.int64)
    upto: Floats = np.cumsum(shares)
    aims = (np.arange(count) + rng.random()) * (float(upto[-1]) / count)
    return np.minimum(upto.searchsorted(aims, side="right"), len(shares) - 1)


def _chunks(grammar: Grammar) -> tuple[Ragged, list[int], list[list[int]]]:
    """All chunks that are ever read: the start, each column's forced one, each choice's.

    Returns:
        The chunks, the number of each column's forced one, and of the first choice of each node.
    """
    chunks: list[tuple[int, ...]] = [grammar.start]
    forced: list[int] = []
    choices: list[list[int]] = []
    for column in grammar.columns:
        forced.append(len(chunks))
        chunks.append(column.forced)
        choices.append([])
        for node in column.nodes:
            choices[-1].append(len(chunks))
            chunks += node.chunks
    return Ragged.of(chunks), forced, choices


def _numbers(nodes: Ints) -> list[int]:
    """The different nodes, without the end of the column."""
    return [int(node) for node in np.unique(nodes[nodes >= 0])]


def _log(possible: NDArray[np.bool_]) -> Singles:
    logs = np.zeros(possible.shape, np.float32)
    logs[~possible] = IMPOSSIBLE
    return logs


def _mass(logs: Singles) -> Singles:
    """Logarithm of the sum of each row's exponentials, shape (rows, 1)."""
    peak = logs.max(axis=1, keepdims=True)
    return peak + np.log(np.exp(logs - peak).sum(axis=1, keepdims=True))


class Feedback:
    """What counts lack, as rows are drawn part after part, node by node.

    Every row's choice is drawn from its own probabilities, tilted by what the choices of earlier rows at
    the same node, alone and with each earlier column's codes, came to differ from their expectation. Over
    many rows the tilts cancel, so expectations stay as they are to first order, and chance differences
    of counts fade. This is `tronie.models.nets.balance.Balance` for choices of a trie.

    Args:
        sizes: Number of codes of each column, in the order of drawing.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._paired = sum(sizes) <= PAIRED
        self._tables: dict[Place, tuple[Singles, Singles]] = {}
        self._seen: dict[Place, int] = {}
        self._hot = np.zeros((0, 1), np.float32)

    def begin(self, rows: int) -> None:
        """Start a block of rows."""
        width = 1 + sum(self._sizes[:-1]) if self._paired else 1
        self._hot = np.zeros((rows, width), np.float32)
        self._hot[:, 0] = 1

    def draw(self, place: Place, rows: Ints, shares: Singles, rng: np.random.Generator) -> Ints:
        """Choices at a place.

        Args:
            place: Where.
            rows: Numbers of the rows in their block.
            shares: Probabilities of the choices in each, shape (rows, choices).
            rng: Source of randomness.
        """
        column = place[0]
        lines = 1 + sum(self._sizes[:column]) if self._paired else 1
        if place not in self._tables:
            empty = np.zeros((lines, shares.shape[1]), np.float32)
            self._tables[place] = empty, empty.copy()
        excess, expected = self._tables[place]
        before = self._seen.get(place, 0)
        choices = np.empty(len(rows), np.int64)
        order = rng.permutation(len(rows))
        chances = rng.random(len(rows), np.float32)
        for start in range(0, len(rows), PART):
            part = order[start : start + PART]
            hot, own = self._hot[rows[part], :lines], shares[part]
            share = len(part) / max(before + start, len(part))
            pull = hot @ (excess / (expected * share + 1))
            pull /= column + 1 if self._paired else 1
            np.clip(pull, -STEEPEST, STEEPEST, out=pull)
            drawn = choose(own * np.exp(-pull), chances[part])
            choices[part] = drawn
            moved = -own
            moved[np.arange(len(part)), drawn] += 1
            excess += hot.T @ moved
            expected += hot.T @ own
        self._seen[place] = before + len(rows)
        return choices

    def note(self, column: int, codes: Ints) -> None:
        """Take note of a column that was written."""
        if self._paired and column < len(self._sizes) - 1:
            place = 1 + sum(self._sizes[:column])
            self._hot[np.arange(len(codes)), place + codes] = 1


@dataclass(slots=True, eq=False)
class Raking:
    """Biases with which single columns come out as they should.

    They are found node by node as rows are drawn, from the first `ENOUGH` rows that come there.

    Args:
        grammar: What may follow what.
        shares: Column's number -> wanted probability of each code.

    Source: iterative proportional fitting, Deming and Stephan 1940, of conditional probabilities.
    """

    grammar: Grammar
    shares: Mapping[int, Floats]
    biases: dict[Place, Singles] = field(default_factory=dict[Place, Singles])
    _seen: dict[Place, tuple[Singles, Floats]] = field(
        default_factory=dict[Place, tuple[Singles, Floats]]
    )

    def shift(self, place: Place, logs: Singles, counts: Floats) -> Singles:
        """What to add to the log odds at a place."""
        before = self._seen.get(place)
        if before is None or before[1].sum() < ENOUGH:
            if before is not None:
                logs = np.concatenate([before[0], logs])
                counts = np.concatenate([before[1], counts])
            self._seen[place] = logs, counts
            column, node = place
            wanted = self.grammar.columns[column].below(node, self.shares[column])
            self.biases[place] = _shift(logs, counts, wanted)
        return self.biases[place]


def _shift(logs: Singles, counts: Floats, shares: Floats) -> Singles:
    """What to add to each choice's log odds, for the mean over rows to be as wanted.

    A choice that no row here may make has no finite shift; its log odds are left alone.
    """
    weights = (counts / counts.sum()).astype(np.float32)
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    free = np.asarray(weights @ odds) > 0
    wanted = np.where(free, np.maximum(shares / max(float(shares.sum()), RAREST), RAREST), 0.0)
    wanted /= wanted.sum()
    shift = np.zeros(len(wanted))
    for _ in range(ROUNDS):
        tilted = odds * np.exp(shift).astype(np.float32)
        mean = weights @ (tilted / tilted.sum(axis=1, keepdims=True))
        if np.abs(mean - wanted).sum() < 2 * CLOSE:
            break
        shift[free] += np.log(wanted[free] / np.maximum(mean[free], RAREST))
        shift = np.clip(shift - shift[free].max(), -LARGEST, 0.0)
    shift[free] -= shift[free].mean()
    shift[~free] = 0.0
    return shift.astype(np.float32)
