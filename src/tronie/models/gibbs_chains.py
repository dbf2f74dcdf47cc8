"""Many chains at once: every row is the state of one, and one column of all rows is drawn at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.models.systematic import Codes
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Floats, Ints

CHUNK = 4096
"""Rows whose probabilities are worked out at once."""

PARTS = 200
"""Parts of the rows that are drawn one after another when rows are steered."""

LEAST_PART = 10
"""Rows of such a part, at least."""

GAIN = 1.0
"""How strongly rows are steered: log odds for each unit of what a cell lacks over its count plus 1, times
the number of parts, shared by a column's terms. With more, parts overshoot together (from 4 on Adult)."""

GOLDEN = (5**0.5 - 1) / 2

_Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A function of some columns whose exponential is a factor of a model.

    Args:
        columns: The columns.
        groups: For each of them, the group of each code; the function sees groups only.
        potential: The function, one axis per column; `IMPOSSIBLE` marks what cannot occur.
        counts: What the groups' counts are in the model, and what rows are steered to; not for a term
            that is not about counts.
    """

    columns: Clique
    groups: tuple[Ints, ...]
    potential: Floats
    counts: Floats | None = None

    def cells(self, codes: Mapping[str, Codes]) -> Ints:
        """The cell of each row, in the flat potential."""
        place = np.zeros(len(codes[self.columns[0]]), np.int64)
        for column, groups, size in zip(
            self.columns, self.groups, self.potential.shape, strict=True
        ):
            place *= size
            place += groups[codes[column]]
        return place

    def facing(self, column: str, table: Floats) -> Floats:
        """A table of the term's shape with a column's groups last and all others in one axis."""
        turned = np.moveaxis(table, self.columns.index(column), -1)
        return turned.reshape(-1, turned.shape[-1])

    def others(self, column: str, codes: Mapping[str, Codes]) -> Ints:
        """The row of that table that each row of codes is about."""
        place = np.zeros(len(codes[column]), np.int64)
        for name, groups, size in zip(self.columns, self.groups, self.potential.shape, strict=True):
            if name != column:
                place *= size
                place += groups[codes[name]]
        return place


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A term as one column sees it.

    Attributes:
        groups: Group of each of the column's codes.
        table: Potential, shape (cells of the other columns, codes).
        places: The cell of the other columns, for each row.
        lack: How many rows each cell has too many, shape (cells of the others, groups).
        weights: One over the wanted count plus 1, of the same shape.
    """

    groups: Ints
    table: _Singles
    places: Ints
    lack: _Singles
    weights: _Singles


class Chains:
    """Rows that are drawn again and again, column by column, given all other columns.

    Args:
        domain: The columns.
        terms: The model.
        codes: Column -> codes of the rows; kept, and replaced column by column.

    Source: Geman, Geman 1984 for the sampler.
    """

    def __init__(self, domain: Domain, terms: Sequence[Term], codes: Mapping[str, Codes]) -> None:
        self.codes = dict(codes)
        self._domain = domain
        self._touching = {
            column: [term for term in terms if column in term.columns] for column in domain
        }

    def __len__(self) -> int:
        return len(next(iter(self.codes.values())))

    def sweep(self, rng: np.random.Generator) -> None:
        """Draw every column once, in random order.

        The random numbers of one column are evenly spread over the rows in the order of two other
        columns, so that the counts of pairs vary less than those of independent rows.
        """
        for column in _shuffled(self._domain.columns, rng):
            sides = [
                (self._table(term, column), term.others(column, self.codes))
                for term in self._touching[column]
            ]
            spread = self._spread(column, rng)
            drawn = np.empty_like(self.codes[column])
            for start in range(0, len(self), CHUNK):
                rows = slice(start, start + CHUNK)
                scores = self._zeros(column, len(drawn[rows]))
                for table, places in sides:
                    scores += np.take(table, places[rows], axis=0)
                drawn[rows] = _choose(scores, spread[rows])
            self.codes[column] = drawn

    def steer(self, total: float, rng: np.random.Generator) -> None:
        """Draw every column once, part of the rows after part, towards the counts of the terms.

        Each part is drawn from the model tilted by what the counts of all rows lack just then, so
        that rounding and chance make up for one another. Rows stay as the model has them otherwise:
        what it makes impossible stays impossible.

        Args:
            total: What the counts of the terms sum to.
            rng: Source of randomness.

        Source: the feedback is that of herding (Welling 2009), drawn rather than maximised; records
            that are moved from full cells to those that lack some are PrivSyn's (Zhang et al. 2021,
            arXiv 2012.15128).
        """
        part = max(len(self) // PARTS, LEAST_PART)
        order = rng.permutation(len(self))
        for column in _shuffled(self._domain.columns, rng):
            fixed = [t for t in self._touching[column] if t.counts is None]
            sides = [
                self._side(term, column, total)
                for term in self._touching[column]
                if term.counts is not None
            ]
            gain = GAIN * len(self) / (part * max(len(sides), 1))
            for start in range(0, len(self), part):
                self._steer_part(column, order[start : start + part], fixed, sides, gain, rng)

    def _steer_part(
        self,
        column: str,
        rows: Ints,
        fixed: Sequence[Term],
        sides: Sequence[_Side],
        gain: float,
        rng: np.random.Generator,
    ) -> None:
        now = self.codes[column][rows].astype(np.int64)
        here = np.arange(len(rows))
        scores = self._zeros(column, len(rows))
        own = np.zeros(len(rows), np.float32)
        codes = {name: c[rows] for name, c in self.codes.items()} if fixed else {}
        for term in fixed:
            scores += np.take(self._table(term, column), term.others(column, codes), axis=0)
        for side in sides:
            places = side.places[rows]
            pull = np.float32(gain) * (side.lack + np.float32(0.5)) * side.weights
            scores += np.take(side.table - pull[:, side.groups], places, axis=0)
            own += side.weights[places, side.groups[now]]
        # A row that stays adds nothing to its cell: it is there already.
        scores[here, now] += np.float32(gain) * own
        drawn = _choose(scores, rng.random(len(rows), np.float32))
        moved = np.flatnonzero(drawn != now)
        for side in sides:
            first = side.places[rows[moved]] * side.lack.shape[1]
            for sign, after in ((1, drawn), (-1, now)):
                cells = first + side.groups[after[moved]]
                change = np.bincount(cells, minlength=side.lack.size)
                np.add(side.lack, (sign * change).reshape(side.lack.shape), out=side.lack)
        self.codes[column][rows] = drawn

    def _side(self, term: Term, column: str, total: float) -> _Side:
        assert term.counts is not None
        wanted = np.maximum(term.facing(column, term.counts), 0.0) * (len(self) / total)
        groups = term.groups[term.columns.index(column)]
        places = term.others(column, self.codes)
        cells = places * wanted.shape[1] + groups[self.codes[column]]
        counts = np.bincount(cells, minlength=wanted.size).reshape(wanted.shape)
        return _Side(
            groups,
            self._table(term, column),
            places,
            (counts - wanted).astype(np.float32),
            (1 / (wanted + 1)).astype(np.float32),
        )

    def _table(self, term: Term, column: str) -> _Singles:
        groups = term.groups[term.columns.index(column)]
        return term.facing(column, term.potential).astype(np.float32)[:, groups]

    def _zeros(self, column: str, rows: int) -> _Singles:
        return np.zeros((rows, self._domain[column]), np.float32)

    def _spread(self, column: str, rng: np.random.Generator) -> _Singles:
        """A number in [0, 1) for each row, evenly spread in the order of two other columns."""
        order = rng.permutation(len(self))
        others = [name for name in self._domain if name != column]
        keys = np.zeros(len(self), np.int64)
        for place in rng.permutation(len(others))[:2].tolist():
            keys = keys * self._domain[others[place]] + self.codes[others[place]]
        order = order[np.argsort(keys[order], kind="stable")]
        spread = np.empty(len(self), np.float32)
        spread[order] = (np.arange(len(self)) * GOLDEN + rng.random()) % 1.0
        return spread


def _choose(scores: _Singles, spread: _Singles) -> Ints:
    """A code for each row, by the inverse of the distribution function; scores are overwritten."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    np.cumsum(scores, axis=1, out=scores)
    mass = scores[:, -1]
    # Strictly below the mass, whatever the rounding: codes without probability are never reached.
    aim = np.minimum(spread * mass, np.nextafter(mass, np.float32(0)))
    return (scores[:, :-1] <= aim[:, None]).sum(axis=1)


def _shuffled(columns: Clique, rng: np.random.Generator) -> list[str]:
    return [columns[i] for i in rng.permutation(len(columns)).tolist()]
