"""Declared constraints, as 0/1 factors over codes and as comparisons within rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.models.expansion import Axis, Ranking, code_spans, next_point
from tronie.models.factor import Factor
from tronie.schema.columns import Ordered, Value
from tronie.schema.constraints import Function, Impossible, Order, Range
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Coding, Grid
from tronie.schema.points import Region, axis, function_points, region
from tronie.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Rules:
    """What a schema's constraints say about lattice points.

    Attributes:
        impossible: Column -> region, for each combination that never occurs.
        rankings: Comparisons between columns.
        axes: Column -> axis, for the columns that are compared.
    """

    impossible: tuple[Mapping[str, Region], ...]
    rankings: tuple[Ranking, ...]
    axes: Mapping[str, Axis]

    @classmethod
    def of(cls, schema: Schema) -> Rules:
        """The rules of a schema without unknowns."""
        orders = [c for c in schema.constraints if isinstance(c, Order)]
        rankings = tuple(Ranking(o.low, o.high, o.strict) for o in orders)
        compared = {column for rule in rankings for column in (rule.low, rule.high)}
        return cls(
            tuple(regions(schema, c.when) for c in schema.constraints if isinstance(c, Impossible)),
            rankings,
            {
                name: Axis(*axis(column))
                for name, column in schema.modelled.items()
                if name in compared and isinstance(column, Ordered)
            },
        )

    @property
    def cliques(self) -> list[Clique]:
        """The columns that each rule ties together in the model."""
        chains = [(chain[0].low, chain[-1].high) for chain in _chains(self.rankings)]
        return [tuple(parts) for parts in self.impossible] + chains

    def barriers(self, column: str) -> list[int]:
        """Lattice points before which a code of an ordered column must end."""
        named = [parts[column] for parts in self.impossible if column in parts]
        return sorted({p for part in named for a, b in part for p in (a, b + 1)})

    def named(self, column: str, grid: Grid) -> list[int]:
        """Cells of a column that some rule names; they must not be merged with others."""
        starts = grid.starts
        inside = np.zeros(len(starts), bool)
        for combination in self.impossible:
            inside |= within(starts, combination.get(column, ()))
        return np.flatnonzero(inside).tolist()

    def zeros(self, codings: Mapping[str, Coding]) -> tuple[Factor, ...]:
        """One 0/1 factor per rule: 0 where the codes leave no possible row."""
        combinations = [
            {column: self._codes_within(codings[column], part) for column, part in parts.items()}
            for parts in self.impossible
        ]
        comparisons = [_room(chain, self.axes, codings) for chain in _chains(self.rankings)]
        return tuple([_forbid(masks) for masks in combinations] + comparisons)

    @staticmethod
    def _codes_within(coding: Coding, part: Region) -> NDArray[np.bool_]:
        outside = ~within(coding.grid.starts, part)
        return np.bincount(coding.groups, outside, minlength=coding.size) == 0


def regions(
    schema: Schema, wanted: Mapping[str, tuple[Value | None, ...] | Range]
) -> dict[str, Region]:
    """Column -> region of some wanted values.

    A computed column becomes a region of the column that determines it.

    Args:
        schema: The schema, its unknowns found.
        wanted: Column -> values (``None`` is a missing one), or a range.
    """
    found: dict[str, Region] = {}
    for name, values in wanted.items():
        part, target = region(schema.lattices[name], values), name
        while target in schema.derived:
            target, part = _preimage(schema, schema.derived[target], part)
        found[target] = _intersect(found[target], part) if target in found else part
    return found


def _preimage(schema: Schema, rule: Function, part: Region) -> tuple[str, Region]:
    """Points of the determining column whose value lies in a region of the determined one."""
    given = function_points(schema, rule)
    inside = np.flatnonzero(within(given, part))
    return rule.of, tuple((int(p), int(p)) for p in inside)


def _intersect(one: Region, two: Region) -> Region:
    pairs = [(max(a, c), min(b, d)) for a, b in one for c, d in two]
    return tuple(sorted((a, b) for a, b in pairs if a <= b))


def within(points: NDArray[np.int64], part: Region) -> NDArray[np.bool_]:
    """Whether each lattice index lies in a region."""
    inside = np.zeros(len(points), bool)
    for first, last in part:
        inside |= (points >= first) & (points <= last)
    return inside


def _chains(rankings: Sequence[Ranking]) -> list[tuple[Ranking, ...]]:
    """Every way up from one column to another, as the comparisons on it.

    Codes that leave room for each single comparison may leave none for two in a row.
    """
    complete: list[tuple[Ranking, ...]] = []
    growing = [(rule,) for rule in rankings]
    while growing:
        complete += growing
        growing = [(*c, rule) for c in growing for rule in rankings if rule.low == c[-1].high]
    return complete


def _forbid(masks: Mapping[str, NDArray[np.bool_]]) -> Factor:
    both = np.array(True)
    for mask in masks.values():
        both = np.logical_and.outer(both, mask)
    domain = Domain({column: len(mask) for column, mask in masks.items()})
    return Factor(domain, 1.0 - both.astype(np.float64))


def _room(
    chain: Sequence[Ranking], axes: Mapping[str, Axis], codings: Mapping[str, Coding]
) -> Factor:
    """1 where the lowest point of the first code has room below the highest of the last.

    A chain is taken to hold across a column that is missing in the middle.
    """
    bottom, top = codings[chain[0].low], codings[chain[-1].high]
    least, greatest = code_spans(bottom)[0], code_spans(top)[1]
    reached = least
    for rule in chain:
        reached = next_point(reached, axes[rule.low], axes[rule.high], strict=rule.strict)
    room = reached[:, None] <= greatest
    room |= (least >= bottom.grid.points)[:, None] | (greatest >= top.grid.points)
    domain = Domain({chain[0].low: bottom.size, chain[-1].high: top.size})
    return Factor(domain, room.astype(np.float64))
