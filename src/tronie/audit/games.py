"""Pairs of tables that differ by one unit, chosen so that the unit is as visible as it can be.

A guarantee holds for all neighbouring tables, so an audit should look at the worst. Small tables of equal
rows leave nothing to hide behind: every count moves by the whole unit. Each pair here aims at another kind
of access, and some at places where others went wrong.

Source: pairs `narrow` and `repeat` after Annamalai, Ganev, De Cristofaro 2024, arXiv 2405.10994; `ones`
after Ganev, Annamalai, Kulynych 2026, arXiv 2604.18352.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias

import pyarrow as pa

from tronie.errors import InputError
from tronie.schema.schema import Schema
from tronie.synth.settings import DEFAULTS, Settings, workload_columns
from tronie.synth.workload import Workload

Rows: TypeAlias = list[dict[str, Any]]

FEW = 10
"""Rows that both tables have."""

COMMON = 400
"""Rows that both tables have where values must be common to be named."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two tables of which one holds one unit more.

    Attributes:
        name: What the pair is called.
        schema: What is publicly known; unknown bounds and values are found privately.
        without: The smaller table.
        included: The same table and one unit.
    """

    name: str
    schema: Schema
    without: pa.Table
    included: pa.Table

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any], common: Rows, unit: Rows) -> Neighbours:
        """The pair of some rows that both have, and the rows of one unit.

        Args:
            name: What it is called.
            schema: All of a schema but its name.
            common: Rows of both tables.
            unit: Rows of the unit.
        """
        facts = Schema.model_validate({"name": name, **schema})
        included = pa.table({c: [row[c] for row in common + unit] for c in facts.columns})
        without = {c: [row[c] for row in common] for c in facts.columns}
        return cls(name, facts, pa.table(without, schema=included.schema), included)

    def settings(self, method: str) -> Settings:
        """Wishes with which a method can be played: one of them needs a workload."""
        if method != "direct":
            return DEFAULTS
        columns = workload_columns(self.schema)
        return Settings(workload=Workload.of_pairs(columns))


def neighbours(name: str) -> Neighbours:
    """A pair by its name.

    Raises:
        InputError: If there is no such pair.

    >>> pair = neighbours("ones")
    >>> pair.without.num_rows, pair.included.num_rows
    (10, 11)
    """
    if name not in NEIGHBOURS:
        raise InputError(
            f"there is no pair of neighbours {name!r}.", f"Choose one of {', '.join(NEIGHBOURS)}."
        )
    return _made(name)


@lru_cache(maxsize=32)
def _made(name: str) -> Neighbours:
    return NEIGHBOURS[name]()


def _flags(count: int) -> dict[str, Any]:
    return {name: {"kind": "boolean", "nullable": False} for name in "abcdefgh"[:count]}


def _alike(columns: Mapping[str, Any], value: Any) -> dict[str, Any]:
    return dict.fromkeys(columns, value)


def _ones() -> Neighbours:
    """Rows of zeros, and one row of ones."""
    columns = _flags(3)
    return Neighbours.of(
        "ones", {"columns": columns}, [_alike(columns, False)] * FEW, [_alike(columns, True)]
    )


def _repeat() -> Neighbours:
    """The same row again and again, and once more."""
    columns = _flags(3)
    row = _alike(columns, True)
    return Neighbours.of("repeat", {"columns": columns}, [row] * FEW, [row])


def _narrow() -> Neighbours:
    """Two columns, two rows, and a third."""
    columns = _flags(2)
    rows = [_alike(columns, False)] * 2
    return Neighbours.of("narrow", {"columns": columns}, rows, [_alike(columns, True)])


def _bounds() -> Neighbours:
    """Numbers and dates whose bounds are found, and a row that is far from all others."""
    columns = {
        "count": {"kind": "integer"},
        "price": {"kind": "decimal"},
        "day": {"kind": "date"},
    }
    near = {"count": 1, "price": 0.5, "day": dt.date(2025, 1, 2)}
    far = {"count": 1_000_000, "price": -12345.678, "day": dt.date(1901, 1, 1)}
    return Neighbours.of("bounds", {"columns": columns}, [near] * FEW, [far])


def _category() -> Neighbours:
    """A category whose values are found, and one more row of a common value."""
    columns = {"city": {"kind": "open_category"}, **_flags(1)}
    row = {"city": "here", "a": False}
    return Neighbours.of("category", {"columns": columns}, [row] * COMMON, [row])


def _unseen() -> Neighbours:
    """A category whose values are found, and a row with a value that no other row has."""
    columns = {"city": {"kind": "open_category"}, **_flags(1)}
    rows = [{"city": "here", "a": False}] * COMMON
    return Neighbours.of("unseen", {"columns": columns}, rows, [{"city": "secret", "a": True}])


def _unit() -> Neighbours:
    """A unit of three rows, all of them alike."""
    columns = _flags(3)
    schema = {"columns": columns, "unit": {"kind": "row", "max_rows": 3}}
    rows = [_alike(columns, False)] * FEW
    return Neighbours.of("unit", schema, rows, [_alike(columns, True)] * 3)


def _missing() -> Neighbours:
    """A row in which all is missing, where nothing else is."""
    columns = {
        "a": {"kind": "boolean"},
        "b": {"kind": "integer", "min": 0, "max": 3},
        "c": {"kind": "category", "values": ["x", "y"]},
    }
    rows = [{"a": True, "b": 1, "c": "x"}] * FEW
    return Neighbours.of("missing", {"columns": columns}, rows, [_alike(columns, None)])


def _function() -> Neighbours:
    """Two columns of which one determines the other, by a table that is found privately."""
    columns = _flags(3)
    schema = {
        "columns": columns,
        "constraints": [{"kind": "function", "of": "a", "gives": "b"}],
    }
    rows = [_alike(columns, False)] * FEW
    return Neighbours.of("function", schema, rows, [_alike(columns, True)])


NEIGHBOURS: Mapping[str, Callable[[], Neighbours]] = MappingProxyType(
    {
        make.__name__.removeprefix("_"): make
        for make in (
            _ones,
            _repeat,
            _narrow,
            _bounds,
            _category,
            _unseen,
            _unit,
            _missing,
            _function,
        )
    }
)
"""Name -> how a pair is made."""
