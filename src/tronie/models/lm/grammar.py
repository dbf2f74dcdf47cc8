"""Rows as tokens: what may follow what, so that every text that a language model can write is a row.

A row is a start and then one segment for each column: ids that announce the column, ids of a value, ids
that end it. Values of a column form a trie. Where it branches, a token is decided; every other token is
forced, and neither needs to be predicted nor to be drawn.

Sources: Borisov et al. 2023, arXiv 2210.06280 (rows as sentences); Willard and Louf 2023, arXiv
2307.09702 (masking what a grammar forbids).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tronie.errors import BundleError, InputError
from tronie.schema.grid import Ints

Serial: TypeAlias = Literal["sentence", "compact"]
"""How a row is written.

``sentence``: `` age is 39, sex is Male,``. ``compact``: `` 39 Male``, without names, and with a comma
only where a column's values could not be told apart otherwise.
"""

SERIALS: tuple[Serial, ...] = get_args(Serial)

Encode: TypeAlias = Callable[[str], Sequence[int]]
"""The ids of a text, without any special ones before or after."""

Ids: TypeAlias = tuple[int, ...]

KEY, VALUE, OTHER, PADDING, START = 0, 1, 2, -1, -2
"""Kinds of tokens: of a column's name, of a value, of what stands between them, none, of the start."""

KINDS = ("key", "value", "other")
"""Names of the first three, by number."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A place where a column's values part: the next token is a choice.

    Attributes:
        tokens: What may come next, shape (choices,); distinct, ascending, two or more.
        chunks: For each choice, the ids to be read: the token, and those that it forces, up to the next
            node or the end of the column.
        children: For each choice, the number of the column's node that comes next, or -1 if the column
            ends, shape (choices,).
        starts: For each choice, where its codes begin in `Column.leaves`, shape (choices,).
        stops: Where they end. A choice that ends the column has one code: ``leaves[start]``.
    """

    tokens: Ints
    chunks: tuple[Ids, ...]
    children: Ints
    starts: Ints
    stops: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """How the values of one column are written.

    Attributes:
        name: Its name.
        forced: Ids that come before the first choice: those that announce the column and those with
            which all its values begin. The whole segment, if there is one code.
        nodes: Choices; the first is number 0. Empty if there is one code.
        leaves: All codes, in an order in which those below any choice stand together.
    """

    name: str
    forced: Ids
    nodes: tuple[Node, ...]
    leaves: Ints

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.leaves)

    def open(self, node: int, possible: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which choices lead to a code that is possible.

        Args:
            node: Number of the node.
            possible: Flag for each code, shape (..., codes).

        Returns:
            Shape (..., choices).
        """
        return self.below(node, possible.astype(np.int64)) > 0

    def below(self, node: int, weights: NDArray[Any]) -> NDArray[Any]:
        """Sums of the codes' weights below each choice.

        Args:
            node: Number of the node.
            weights: Of each code, shape (..., codes).

        Returns:
            Shape (..., choices).
        """
        here = self.nodes[node]
        low, high = here.starts[0], here.stops[-1]
        return np.add.reduceat(weights[..., self.leaves[low:high]], here.starts - low, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """Rows as tokens, padded at the end to the longest.

    Attributes:
        ids: Token ids; 0 where there is none, shape (rows, length).
        kinds: `KEY`, `VALUE` or `OTHER` of each token, or `PADDING` or `START`, shape (rows, length).
        places: Position of each decided token, shape (rows, decisions); 0 where there is none.
        nodes: Number of the node, counted through all columns, at which it is decided; -1 for none.
        choices: Number of the choice that was made there; 0 where there is none.
    """

    ids: Ints
    kinds: NDArray[np.int8]
    places: Ints
    nodes: Ints
    choices: Ints

    @property
    def decisions(self) -> NDArray[np.bool_]:
        """Whether each token was decided, not forced, shape (rows, length)."""
        flags = np.zeros(self.ids.shape, np.bool_)
        there = self.nodes >= 0
        flags[np.nonzero(there)[0], self.places[there]] = True
        return flags


class _Segments(BaseModel):
    """How one column is written, as plain data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    key: tuple[int, ...]
    between: tuple[int, ...]
    values: tuple[tuple[int, ...], ...]
    end: tuple[int, ...]


class _Structure(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    start: tuple[int, ...]
    columns: tuple[_Segments, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """How rows of codes are written as tokens.

    Make one with `of`, from texts, or with `from_structure`, from a model's file.

    Attributes:
        start: Ids before the first column; never empty.
        columns: The columns, in the order in which they are written.
        first_nodes: Number of each column's first node when nodes are counted through all columns.
        allowed: Tokens allowed at each node, so counted.

    Walking it writes a row: read `start`; for each column read `Column.forced`, then, from node 0 on,
    choose among `Node.tokens`, read the choice's chunk and go to its child, until the child is -1.

    >>> grammar = Grammar.of(
    ...     ["sex"], {"sex": ("F", "M")}, lambda text: list(text.encode()), "compact", start=[0]
    ... )
    >>> grammar.columns[0].forced, grammar.columns[0].nodes[0].tokens.tolist()
    ((32,), [70, 77])
    >>> grammar.rows(np.array([[1], [0]])).ids.tolist()
    [[0, 32, 77], [0, 32, 70]]
    """

    start: Ids
    columns: tuple[Column, ...]
    first_nodes: Ints
    allowed: Ragged
    _structure: _Structure
    _flat: _Flat

    @classmethod
    def of(
        cls,
        order: Sequence[str],
        texts: Mapping[str, Sequence[str]],
        encode: Encode,
        serial: Serial = "sentence",
        *,
        start: Sequence[int] = (),
    ) -> Self:
        """The grammar of some columns.

        Args:
            order: Names of the columns, in the order in which they are written.
            texts: For each column, the text of each code; public, and distinct.
            encode: The tokenizer.
            serial: How a row is written.
            start: Ids before the first column; those of a line break when not given.

        Raises:
            InputError: If two values of a column cannot be told apart, or there is no column.
        """
        if not order:
            raise InputError("there is no column to write.", "Name at least one.")
        columns = tuple(_segments(name, texts[name], encode, serial) for name in order)
        first = tuple(start) or _ids(encode, "\n")
        return cls._of(_Structure(start=first, columns=columns))

    @classmethod
    def from_structure(cls, structure: Mapping[str, Any]) -> Self:
        """The grammar that `structure` described.

        Raises:
            BundleError: If it describes none.
        """
        try:
            return cls._of(_Structure.model_validate(structure))
        except (ValidationError, InputError) as error:
            raise BundleError("the grammar of the model is damaged.", "Fit it again.") from error

    @classmethod
    def _of(cls, structure: _Structure) -> Self:
        if not structure.start or not structure.columns:
            raise InputError("a grammar needs a start and columns.", "Give both.")
        columns = tuple(_column(one) for one in structure.columns)
        first_nodes = _offsets([len(column.nodes) for column in columns])
        allowed = Ragged.of([node.tokens for column in columns for node in column.nodes])
        flat = _flat(structure.columns, columns, first_nodes)
        return cls(structure.start, columns, first_nodes, allowed, structure, flat)

    def structure(self) -> dict[str, Any]:
        """All of it, as plain data for JSON."""
        return self._structure.model_dump(mode="json")

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the columns, in the order in which they are written."""
        return tuple(column.name for column in self.columns)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each column."""
        return tuple(column.size for column in self.columns)

    @property
    def decides(self) -> bool:
        """Whether some column has more than one code."""
        return len(self.allowed.lengths) > 0

    @property
    def tokens(self) -> Ints:
        """All ids that occur, ascending."""
        parts = [np.asarray(self.start), self._flat.ids.values]
        return np.unique(np.concatenate(parts)).astype(np.int64)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        lengths = self._flat.ids.lengths
        offsets = self._flat.offsets
        ends = [*offsets[1:], len(lengths)]
        parts = [lengths[a:b].max() for a, b in zip(offsets, ends, strict=True)]
        return len(self.start) + int(sum(parts))

    def rows(self, codes: NDArray[np.integer[Any]], orders: Ints | None = None) -> TokenRows:
        """Write rows.

        Args:
            codes: Shape (rows, columns), columns in the grammar's order.
            orders: Numbers of the columns in the order in which each row is written, shape (rows,
                columns); the grammar's when not given.
        """
        flat = self._flat
        segments = codes + flat.offsets
        if orders is not None:
            segments = np.take_along_axis(segments, orders, axis=1)
        lengths = flat.ids.lengths[segments]
        begins = len(self.start) + np.cumsum(lengths, axis=1) - lengths
        ids, there = flat.ids.take(segments)
        kinds = np.where(there, flat.kinds.take(segments)[0], PADDING)
        start = np.broadcast_to(np.asarray(self.start), (len(codes), len(self.start)))
        nodes, decided = flat.nodes.take(segments)
        counts = flat.nodes.lengths[segments]
        shifts = spread(begins, counts)
        return TokenRows(
            ids=np.concatenate([start, ids], axis=1),
            kinds=np.concatenate([np.full_like(start, START), kinds], axis=1).astype(np.int8),
            places=np.where(decided, flat.places.take(segments)[0] + shifts, 0),
            nodes=np.where(decided, nodes, -1),
            choices=flat.choices.take(segments)[0],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Lists of whole numbers, one after another.

    Attributes:
        values: All numbers, shape (numbers,).
        starts: Where each list begins, shape (lists,).
        lengths: How long each is, shape (lists,).
    """

    values: Ints
    starts: Ints
    lengths: Ints

    @classmethod
    def of(cls, lists: Sequence[Sequence[int] | Ints]) -> Self:
        """Join lists."""
        lengths = np.array([len(one) for one in lists], np.int64)
        joined = [np.asarray(one, np.int64) for one in lists if len(one)]
        values = np.concatenate(joined) if joined else np.zeros(0, np.int64)
        return cls(values, np.cumsum(lengths) - lengths, lengths)

    def take(self, numbers: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Join some of the lists in each row.

        Args:
            numbers: Which lists, shape (rows, parts); a negative number stands for an empty list.

        Returns:
            The numbers, 0 where there is none, and whether there is one, both of shape (rows, longest).
        """
        lengths = np.where(numbers >= 0, self.lengths[numbers] if len(self.lengths) else 0, 0)
        starts = self.starts[numbers] if len(self.starts) else np.zeros_like(numbers)
        ends = np.cumsum(lengths, axis=1)
        longest = int(ends[:, -1].max(initial=0)) if numbers.shape[1] else 0
        there = np.arange(longest) < (ends[:, -1:] if numbers.shape[1] else 0)
        shifts = spread(starts - (ends - lengths), lengths)
        places = np.where(there, np.arange(longest) + shifts, 0)
        values = self.values[places] if len(self.values) else np.zeros_like(places)
        return np.where(there, values, 0), there


def spread(values: Ints, counts: Ints) -> Ints:
    """Repeat each value of a row as often as is said, shape (rows, longest), 0 at the end."""
    totals = counts.sum(axis=1)
    longest = int(totals.max(initial=0))
    spread = np.zeros((len(values), longest), np.int64)
    spread[np.arange(longest) < totals[:, None]] = np.repeat(values.ravel(), counts.ravel())
    return spread


@dataclass(frozen=True, slots=True, eq=False)
class _Flat:
    """Segments of all codes of all columns, one after another; a column's begin at its offset."""

    offsets: Ints
    ids: Ragged
    kinds: Ragged
    places: Ragged
    nodes: Ragged
    choices: Ragged


def _offsets(sizes: Sequence[int]) -> Ints:
    """Where each of some lists begins when they stand one after another."""
    return np.cumsum([0, *sizes[:-1]], dtype=np.int64)


def _flat(segments: Sequence[_Segments], columns: Sequence[Column], first_nodes: Ints) -> _Flat:
    """All segments of all columns."""
    ids: list[Ids] = []
    kinds: list[list[int]] = []
    steps: list[list[tuple[int, int, int]]] = []
    for one, column, first in zip(segments, columns, first_nodes, strict=True):
        paths = _paths(column)
        for code, value in enumerate(one.values):
            counts = (len(one.key), len(one.between), len(value), len(one.end))
            ids.append((*one.key, *one.between, *value, *one.end))
            kinds.append(np.repeat([KEY, OTHER, VALUE, OTHER], counts).tolist())
            steps.append([(place, int(first) + node, c) for place, node, c in paths[code]])
    parts = [Ragged.of([[step[part] for step in path] for path in steps]) for part in range(3)]
    offsets = _offsets([column.size for column in columns])
    return _Flat(offsets, Ragged.of(ids), Ragged.of(kinds), *parts)


def _ids(encode: Encode, text: str) -> Ids:
    return tuple(int(one) for one in encode(text)) if text else ()


def _segments(name: str, texts: Sequence[str], encode: Encode, serial: Serial) -> _Segments:
    """How a column is written, so that no value begins like another one that ends there."""
    if not texts:
        raise InputError(f"column {name!r} has no value.", "Give each column at least one.")
    key = _ids(encode, f" {name}") if serial == "sentence" else ()
    between = _ids(encode, " is") if serial == "sentence" else ()
    comma = _ids(encode, ",")
    plain = [_ids(encode, f" {text}") for text in texts]
    quoted = [_ids(encode, f" {json.dumps(text, ensure_ascii=False)}") for text in texts]
    ways = [(plain, comma), (quoted, comma)]
    if serial == "compact":
        ways.insert(0, (plain, ()))
    for values, end in ways:
        if _are_apart([(*value, *end) for value in values]):
            return _Segments(name=name, key=key, between=between, values=tuple(values), end=end)
    raise InputError(
        f"values of column {name!r} cannot be told apart by their tokens.",
        "Give every value a text of its own, or take a base whose tokenizer knows all characters.",
    )


def _are_apart(sequences: Sequence[Ids]) -> bool:
    """Whether none is empty, and none is the beginning of another."""
    ordered = sorted(sequences)
    pairs = itertools.pairwise(ordered)
    return bool(ordered[0]) and all(later[: len(one)] != one for one, later in pairs)


def _column(one: _Segments) -> Column:
    values = [(*value, *one.end) for value in one.values]
    if not values or not _are_apart(values):
        raise InputError(f"values of column {one.name!r} cannot be told apart.", "Change them.")
    leaves = sorted(range(len(values)), key=values.__getitem__)
    ordered = [values[code] for code in leaves]
    shared = _shared(ordered[0], ordered[-1], 0)
    nodes: list[Node] = []
    if len(values) > 1:
        _grow(nodes, ordered, shared)
    forced = (*one.key, *one.between, *ordered[0][:shared])
    return Column(one.name, forced, tuple(nodes), np.array(leaves, np.int64))


def _shared(first: Ids, last: Ids, known: int) -> int:
    """How many ids two sequences begin with in common, `known` or more."""
    most = min(len(first), len(last))
    while known < most and first[known] == last[known]:
        known += 1
    return known


def _grow(nodes: list[Node], ordered: Sequence[Ids], depth: int) -> None:
    """Add the node at which all of some sorted sequences part, and those below it, breadth first."""
    waiting = [(0, len(ordered), depth)]
    number = 0
    while number < len(waiting):
        start, stop, depth = waiting[number]
        number += 1
        heads = np.array([sequence[depth] for sequence in ordered[start:stop]], np.int64)
        begins: Ints = start + np.flatnonzero(np.diff(heads, prepend=-1))
        ends: Ints = np.append(begins[1:], stop)
        chunks: list[Ids] = []
        children: list[int] = []
        for low, high in zip(map(int, begins), map(int, ends), strict=True):
            one = ordered[low]
            if high - low == 1:
                chunks.append(one[depth:])
                children.append(-1)
            else:
                next_depth = _shared(one, ordered[high - 1], depth)
                chunks.append(one[depth:next_depth])
                children.append(len(waiting))
                waiting.append((low, high, next_depth))
        tokens = heads[begins - start]
        nodes.append(Node(tokens, tuple(chunks), np.array(children), begins, ends))


def _paths(column: Column) -> dict[int, list[tuple[int, int, int]]]:
    """For each code: position in its segment, node and choice of each decided token."""
    paths: dict[int, list[tuple[int, int, int]]] = {}
    if not column.nodes:
        return {int(column.leaves[0]): []}
    waiting: list[tuple[int, int, list[tuple[int, int, int]]]] = [(0, len(column.forced), [])]
    while waiting:
        number, place, path = waiting.pop()
        node = column.nodes[number]
        for choice, (chunk, child) in enumerate(zip(node.chunks, node.children, strict=True)):
            longer = [*path, (place, number, choice)]
            if child < 0:
                paths[int(column.leaves[node.starts[choice]])] = longer
            else:
                waiting.append((int(child), place + len(chunk), longer))
    return paths
