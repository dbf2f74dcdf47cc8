"""What a table holds that its owner declared public: values, bounds, resolutions, missing values.

Nothing here is private or paid for. Rows are read once, batch by batch.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tronie.errors import SchemaMismatch
from tronie.schema.columns import MAX_POINTS, RESOLUTIONS, Value
from tronie.schema.draft import MAX_PUBLIC_VALUES, PublicFacts
from tronie.schema.hints import kind_of_type
from tronie.tables import reading
from tronie.tables.arrays import is_text, plain_text
from tronie.tables.sources import Source
from tronie.tables.text import Reading

MAX_DECIMALS = 9
"""Numbers with more decimals are taken for continuous."""

_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds since 1970 that a `datetime.datetime` can hold."""

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


def public_facts(source: Source, kinds: Mapping[str, str] | None = None) -> dict[str, PublicFacts]:
    """What each column of a public table holds.

    Infinities are passed over: a bound is a finite number. The resolution of decimals is a power of
    ten of at most 1; that of datetimes is one of `RESOLUTIONS`.

    Args:
        source: The table; it is read once, in constant memory.
        kinds: Column -> kind, where the type does not say it, as in a CSV file.

    Raises:
        SourceError: If the table cannot be read.
        SchemaMismatch: If a value cannot be read as one of the column's declared kind.
    """
    kinds = kinds or {}
    gatherers = {
        column.name: _gatherer(column.name, kinds.get(column.name), column.type)
        for column in source.schema
    }
    for batch in source.batches(list(gatherers)):
        for place, gatherer in enumerate(gatherers.values()):
            gatherer.add(batch.column(place))
    return {name: gatherer.facts() for name, gatherer in gatherers.items()}


class _Gatherer(Protocol):
    """What is known so far about one column."""

    def add(self, array: pa.Array) -> None:
        """Take in some more rows."""

    def facts(self) -> PublicFacts:
        """What all rows together say."""
        ...


def _gatherer(name: str, declared: str | None, arrow_type: pa.DataType) -> _Gatherer:
    kind = declared or kind_of_type(str(arrow_type))[0]
    if kind == "integer":
        return _Integers(name)
    if kind == "decimal":
        return _Decimals(name)
    if kind in {"date", "datetime"}:
        return _Moments(name, whole_days=kind == "date")
    return _Values()


def _readable(name: str, found: Reading, kind: str) -> Reading:
    if found.unreadable.any():
        raise SchemaMismatch(
            f"column {name!r} of the public table holds text that is no {kind}.",
            "Give the column another kind with --types, or correct the file.",
        )
    return found


@dataclass(slots=True)
class _Values:
    """Distinct values of text, truth values and codes."""

    nulls: bool = False
    distinct: set[Value] | None = field(default_factory=set[Value])

    def add(self, array: pa.Array) -> None:
        if isinstance(array, pa.DictionaryArray):
            array = array.dictionary_decode()
        self.nulls |= array.null_count > 0
        if self.distinct is None:
            return
        if not _is_listable(array.type):
            self.distinct = None
            return
        if is_text(array.type):
            array = plain_text(array)
        found = pc.unique(array).to_pylist()
        self.nulls |= any(isinstance(value, float) and math.isnan(value) for value in found)
        self.distinct |= {value for value in found if _is_listed(value)}
        if len(self.distinct) > MAX_PUBLIC_VALUES:
            self.distinct = None

    def facts(self) -> PublicFacts:
        values = None if self.distinct is None else tuple(sorted(self.distinct, key=_order))
        return PublicFacts(self.nulls, values)


@dataclass(slots=True)
class _Integers:
    """Bounds and distinct values of whole numbers."""

    name: str
    nulls: bool = False
    distinct: set[int] | None = field(default_factory=set[int])
    ends: tuple[int, int] | None = None

    def add(self, array: pa.Array) -> None:
        found = _readable(self.name, reading.integers(array), "integer")
        self.nulls |= bool(found.missing.any())
        values = np.unique(found.values[~found.missing])
        self.ends = _wider(self.ends, values)
        if self.distinct is not None:
            self.distinct |= set(values[: MAX_PUBLIC_VALUES + 1].tolist())
            if len(self.distinct) > MAX_PUBLIC_VALUES:
                self.distinct = None

    def facts(self) -> PublicFacts:
        values = None if self.distinct is None else tuple(sorted(self.distinct))
        return PublicFacts(self.nulls, values, *(self.ends or (None, None)))


@dataclass(slots=True)
class _Decimals:
    """Bounds of numbers, and how many decimals they need."""

    name: str
    nulls: bool = False
    ends: tuple[float, float] | None = None
    decimals: int = 0

    def add(self, array: pa.Array) -> None:
        found = _readable(self.name, reading.numbers(array), "number")
        self.nulls |= bool(found.missing.any())
        values = found.values[~found.missing & np.isfinite(found.values)]
        self.ends = _wider(self.ends, values)
        while self.decimals <= MAX_DECIMALS and not _has_decimals(values, self.decimals):
            self.decimals += 1

    def facts(self) -> PublicFacts:
        if self.ends is None:
            return PublicFacts(self.nulls)
        low, high = self.ends
        step = float(f"1e-{self.decimals}")
        fits = self.decimals <= MAX_DECIMALS and (high - low) / step < MAX_POINTS
        return PublicFacts(self.nulls, None, low, high, step if fits else None)


@dataclass(slots=True)
class _Moments:
    """Bounds of dates or datetimes, and the coarsest unit that all of them are whole in."""

    name: str
    whole_days: bool
    nulls: bool = False
    ends: tuple[int, int] | None = None
    step: int = RESOLUTIONS["day"]

    def add(self, array: pa.Array) -> None:
        kind = "date" if self.whole_days else "datetime"
        found = _readable(self.name, reading.moments(array), kind)
        self.nulls |= bool(found.missing.any())
        values = np.clip(found.values[~found.missing], _FIRST, _LAST)
        self.ends = _wider(self.ends, values)
        self.step = next(
            step
            for step in sorted(RESOLUTIONS.values(), reverse=True)
            if step <= self.step and not (values % step).any()
        )

    def facts(self) -> PublicFacts:
        if self.ends is None:
            return PublicFacts(self.nulls)
        low, high = (_EPOCH + end * _MICROSECOND for end in self.ends)
        if self.whole_days:
            return PublicFacts(self.nulls, None, low.date(), high.date())
        unit = next(name for name, step in RESOLUTIONS.items() if step == self.step)
        return PublicFacts(self.nulls, None, low, high, unit)


def _wider(ends: tuple[Any, Any] | None, values: Ints | Floats) -> tuple[Any, Any] | None:
    """Least and greatest value so far."""
    if not len(values):
        return ends
    low, high = values.min().item(), values.max().item()
    return (low, high) if ends is None else (min(low, ends[0]), max(high, ends[1]))


def _has_decimals(values: Floats, decimals: int) -> bool:
    """Whether so many decimals are enough for each value, as far as floats can tell."""
    scaled = values.astype(np.float64) * 10.0**decimals
    slack = 2 * np.maximum(np.spacing(np.abs(scaled)), np.finfo(values.dtype).eps * np.abs(scaled))
    return bool((np.abs(scaled - np.rint(scaled)) <= slack).all())


def _is_listable(arrow_type: pa.DataType) -> bool:
    tests: tuple[Callable[[pa.DataType], bool], ...] = (
        is_text,
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_null,
    )
    return any(test(arrow_type) for test in tests)


def _is_listed(value: Value | None) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _order(value: Value) -> tuple[str, Any]:
    return type(value).__name__, value
