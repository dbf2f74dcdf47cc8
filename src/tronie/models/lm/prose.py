"""Columns of free text: how they follow a row's other columns, and how letters are numbered.

A text is a list of numbers: of pieces of an alphabet, and of its end, which no text can hold. Whatever the
numbers, they say a text; so nothing that a language model writes, and no made-up row, is ever wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tronie.errors import BundleError, InputError
from tronie.models.lm.grammar import KEY, OTHER, PADDING, VALUE, Grammar, Ids, Serial, TokenRows
from tronie.schema.columns import LONGEST_TEXT, Text
from tronie.schema.grid import Ints

END, MISSING, FIRST = 0, 1, 2
"""Numbers of the end of a text, of a missing text, and of the first piece of the alphabet."""

MOST_TRAINED = 4096
"""Pieces of an alphabet whose vectors are trained, at most: each is looked up for every row."""

ROW_BYTES = 2**30
"""Bytes that the scores, or the vectors, of texts may take at once, about."""


class Speller(Protocol):
    """What knows the tokens of texts."""

    def spell(self, text: str) -> Ids:
        """Tokens of a text; of an empty one, none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Alphabet:
    """The tokens that texts are made of.

    Attributes:
        ids: Tokens of the end, of a missing text, and of each piece; distinct, shape (2 + pieces,).
        pieces: What each piece stands for, in UTF-8; it may be a part of a character.

    >>> alphabet = Alphabet(np.array([0, 1, 7, 8]), (b"h", b"i"))
    >>> alphabet.text([2, 3]), len(alphabet)
    ('hi', 4)
    """

    ids: Ints
    pieces: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def text(self, numbers: Sequence[int]) -> str:
        """The text of some pieces; bytes that are no character are left out."""
        content = b"".join(self.pieces[number - FIRST] for number in numbers)
        return content.decode("utf-8", "ignore")

    @property
    def begun(self) -> Ints:
        """How many characters begin in each piece, shape (2 + pieces,)."""
        counts = [sum(byte & 0xC0 != 0x80 for byte in piece) for piece in self.pieces]
        return np.array([0, 0, *counts], np.int64)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it, by name, for safetensors."""
        return {
            "ids": self.ids,
            "bytes": np.frombuffer(b"".join(self.pieces), np.uint8),
            "lengths": np.array([len(piece) for piece in self.pieces], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `to_arrays` gave.

        Raises:
            BundleError: If it is no alphabet.
        """
        ids, content, lengths = (arrays.get(name) for name in ("ids", "bytes", "lengths"))
        if ids is None or content is None or lengths is None:
            raise _damaged()
        sound = (
            (ids.dtype, content.dtype, lengths.dtype) == (np.int64, np.uint8, np.int64)
            and ids.ndim == content.ndim == lengths.ndim == 1
            and len(ids) == len(lengths) + FIRST
            and len(np.unique(ids)) == len(ids)
            and int(ids.min()) >= 0
            and bool((lengths > 0).all())
            and int(lengths.sum()) == len(content)
        )
        if not sound:
            raise _damaged()
        ends = np.cumsum(lengths).tolist()
        data = content.tobytes()
        starts = [0, *ends[:-1]]
        return cls(ids, tuple(data[a:b] for a, b in zip(starts, ends, strict=True)))


class ProseColumn(BaseModel):
    """How one column of free text is written.

    Attributes:
        name: Its name.
        key: Tokens of its name.
        between: Tokens between that and the text.
        limit: Most characters of a text; it has at most as many tokens, too.
        nullable: Whether a text may be missing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    key: tuple[int, ...]
    between: tuple[int, ...]
    limit: int = Field(ge=1, le=LONGEST_TEXT)
    nullable: bool


class _Structure(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[ProseColumn, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True, eq=False)
class TextRows:
    """Rows as tokens, their texts included.

    Attributes:
        rows: All tokens.
        places: Position of each token of a text, its end included, shape (rows, tokens); 0 for none.
        targets: Its number, shape (rows, tokens); -1 where there is none.
        openings: Whether a missing text may stand there, shape (rows, tokens).
    """

    rows: TokenRows
    places: Ints
    targets: Ints
    openings: NDArray[np.bool_]


@dataclass(frozen=True)
class Prose:
    """Columns of free text, which follow all others.

    Attributes:
        columns: The columns, in the order in which they are written.
        alphabet: What they are made of.

    A row's texts are given as numbers, shape (rows, `width`): for each column as many as its limit. A
    text ends with the first `END`, or where it fills all its places.
    """

    columns: tuple[ProseColumn, ...]
    alphabet: Alphabet

    @classmethod
    def of(
        cls, texts: Mapping[str, Text], base: Any, serial: Serial, *, alphabet: Alphabet
    ) -> Self:
        """How some columns are written.

        Args:
            texts: Name -> column; the length of each is limited.
            base: The language model; its `encode` gives the tokens of names.
            serial: How a row is written.
            alphabet: What texts are made of.
        """
        sentence = serial == "sentence"
        columns = [
            ProseColumn(
                name=name,
                key=tuple(base.encode(f" {name}")) if sentence else (),
                between=tuple(base.encode(" is")) if sentence else (),
                limit=column.max_length or 0,
                nullable=column.nullable,
            )
            for name, column in texts.items()
        ]
        return cls(tuple(columns), alphabet)

    def structure(self) -> dict[str, Any]:
        """All but the alphabet, as plain data for JSON."""
        return _Structure(columns=self.columns).model_dump(mode="json")

    @classmethod
    def from_structure(
        cls, structure: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """What `structure`, and the alphabet's `to_arrays`, described.

        Raises:
            BundleError: If they describe no columns of text.
        """
        try:
            stored = _Structure.model_validate(structure)
        except ValidationError as error:
            raise _damaged() from error
        return cls(stored.columns, Alphabet.from_arrays(arrays))

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def width(self) -> int:
        """Numbers of a row's texts."""
        return sum(column.limit for column in self.columns)

    @property
    def longest(self) -> int:
        """Tokens that the longest texts add to a row."""
        names = sum(len(column.key) + len(column.between) + 1 for column in self.columns)
        return self.width + names

    @cached_property
    def tokens(self) -> Ints:
        """All ids that occur, ascending."""
        names = [one for column in self.columns for one in (*column.key, *column.between)]
        return np.unique(np.concatenate([self.alphabet.ids, np.array(names, np.int64)]))

    def rows_at_once(self, grammar: Grammar, *, trained: bool) -> int:
        """Rows of a training step that fit in `ROW_BYTES`, at least 1.

        Args:
            grammar: How the other columns are written.
            trained: Whether vectors of tokens are trained: then norms of their gradients compare all the
                places at which one is looked up. Else scores of all letters at all places are kept.
        """
        if trained:
            looked_up = len(self.alphabet) + int(grammar.allowed.lengths.sum())
            bytes_each = 8 * (grammar.longest + self.longest + looked_up) ** 2
        else:
            bytes_each = 16 * (self.width + len(self.columns)) * len(self.alphabet)
        return max(ROW_BYTES // bytes_each, 1)

    def parts(self, numbers: Ints) -> list[Ints]:
        """The numbers of each column, shape (rows, limit)."""
        ends = np.cumsum([column.limit for column in self.columns])[:-1]
        return np.split(numbers, ends, axis=1)

    def append(self, rows: TokenRows, numbers: Ints) -> TextRows:
        """Rows and their texts.

        Args:
            rows: The other columns.
            numbers: Shape (rows, `width`).
        """
        blocks = [_Block.of(rows)]
        for column, part in zip(self.columns, self.parts(numbers), strict=True):
            blocks += [self._name(column, len(part)), self._text(column, part)]
        return _joined(rows, blocks)

    def up_to(self, rows: TokenRows, numbers: Ints, place: int) -> TokenRows:
        """Rows, the texts of the first columns, and what comes before the text of the next.

        Args:
            rows: The other columns.
            numbers: Shape (rows, `width`).
            place: Number of that column.
        """
        blocks = [_Block.of(rows)]
        columns = zip(self.columns[: place + 1], self.parts(numbers), strict=False)
        for number, (column, part) in enumerate(columns):
            blocks.append(self._name(column, len(part)))
            if number < place:
                blocks.append(self._text(column, part))
        return _joined(rows, blocks).rows

    def texts(self, numbers: Ints) -> dict[str, list[str | None]]:
        """Column -> the text of each row; None where it is missing."""
        return {
            column.name: [self._decoded(column, row) for row in part]
            for column, part in zip(self.columns, self.parts(numbers), strict=True)
        }

    def _decoded(self, column: ProseColumn, numbers: Ints) -> str | None:
        if column.nullable and numbers[0] == MISSING:
            return None
        ends = np.flatnonzero(numbers < FIRST)
        text = self.alphabet.text(numbers[: ends[0] if len(ends) else None].tolist())
        line = Text(max_length=column.limit).line(text)
        return line or (None if column.nullable else "")

    def _name(self, column: ProseColumn, rows: int) -> _Block:
        ids = np.array([*column.key, *column.between], np.int64)
        counts = [len(column.key), len(column.between)]
        kinds = np.repeat(np.array([KEY, OTHER], np.int8), counts)
        shape = (rows, len(ids))
        return _Block(
            np.broadcast_to(ids, shape),
            np.broadcast_to(kinds, shape),
            np.full(shape, -1),
            np.zeros(shape, np.bool_),
        )

    def _text(self, column: ProseColumn, numbers: Ints) -> _Block:
        """A text and its end, which is there however long the text is."""
        end: Ints = np.full((len(numbers), 1), END)
        whole: Ints = np.concatenate([numbers, end], axis=1)
        missing = (whole[:, 0] == MISSING) & column.nullable
        whole = np.where(whole == MISSING, END, whole)
        whole[:, 0] = np.where(missing, MISSING, whole[:, 0])
        last: Ints = np.argmax(whole < FIRST, axis=1)
        there: NDArray[np.bool_] = np.arange(whole.shape[1], dtype=np.int64) <= last[:, None]
        openings = np.zeros(whole.shape, np.bool_)
        openings[:, 0] = column.nullable
        return _Block(
            np.where(there, self.alphabet.ids[whole], 0),
            np.where(there, VALUE, PADDING).astype(np.int8),
            np.where(there, whole, -1),
            openings,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Tokens beside each other, with holes; all of shape (rows, places)."""

    ids: Ints
    kinds: NDArray[np.int8]
    targets: Ints
    openings: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: TokenRows) -> _Block:
        shape = rows.ids.shape
        return cls(rows.ids, rows.kinds, np.full(shape, -1), np.zeros(shape, np.bool_))


def _joined(rows: TokenRows, blocks: Sequence[_Block]) -> TextRows:
    """Blocks one after another, without the holes between them."""
    kinds = np.concatenate([block.kinds for block in blocks], axis=1)
    order = np.argsort(kinds == PADDING, axis=1, kind="stable")
    order = order[:, : int((kinds != PADDING).sum(axis=1).max(initial=0))]
    ids, targets, openings = (
        np.take_along_axis(np.concatenate(parts, axis=1), order, axis=1)
        for parts in zip(*((b.ids, b.targets, b.openings) for b in blocks), strict=True)
    )
    written = TokenRows(
        ids=ids,
        kinds=np.take_along_axis(kinds, order, axis=1),
        places=rows.places,
        nodes=rows.nodes,
        choices=rows.choices,
    )
    places = np.argsort(targets < 0, axis=1, kind="stable")
    places = places[:, : int((targets >= 0).sum(axis=1).max(initial=0))]
    targets = np.take_along_axis(targets, places, axis=1)
    openings = np.take_along_axis(openings, places, axis=1)
    return TextRows(written, np.where(targets >= 0, places, 0), targets, openings)


@dataclass(frozen=True)
class ProseCoder:
    """Writes texts as numbers, each by itself. See `tronie.measure.records.TextCoder`.

    Args:
        prose: How texts are written.
        base: What knows the tokens of texts.
    """

    prose: Prose
    base: Speller

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.prose.order

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """For each column, how many different numbers can stand at each of its places."""
        letters = len(self.prose.alphabet)
        return tuple((letters,) * column.limit for column in self.prose.columns)

    def encode(self, column: str, text: str | None) -> Sequence[int]:
        """The numbers of a text, without tokens beyond the limit, or of no letter of the alphabet."""
        if text is None:
            return [MISSING]
        known = self._numbers
        found = [known[one] for one in self.base.spell(text) if one in known]
        return found[: self._limits[column]]

    @cached_property
    def _numbers(self) -> Mapping[int, int]:
        ids = self.prose.alphabet.ids[FIRST:].tolist()
        return {one: number for number, one in enumerate(ids, FIRST)}

    @cached_property
    def _limits(self) -> Mapping[str, int]:
        return {column.name: column.limit for column in self.prose.columns}


def require_trainable(alphabet: Alphabet, *, trained: bool) -> None:
    """Refuse to train the vectors of very many letters.

    Raises:
        InputError: If there are more than `MOST_TRAINED`.
    """
    if trained and len(alphabet) > MOST_TRAINED:
        raise InputError(
            f"free text is made of {len(alphabet):,} tokens, too many for each of their vectors to be "
            "trained.",
            "Train changes of the base (a LoRA rank of 1 or more), or take the base tiny.",
        )


def _damaged() -> BundleError:
    return BundleError("what the model says about free text is damaged.", "Fit it again.")
