"""Unknown facts about columns, found privately: bounds, resolution, categories, dependencies."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from statistics import NormalDist

import numpy as np

from tronie.measure.curator import Curator
from tronie.measure.discovery import (
    LEAST,
    MAX_DECIMALS,
    MOMENT_ORIGIN,
    Decimals,
    Keys,
    Magnitudes,
)
from tronie.measure.queries import Ints, Marginal
from tronie.schema.columns import (
    Category,
    Column,
    Date,
    Datetime,
    Decimal,
    Integer,
    OpenCategory,
    Ordered,
    Value,
)
from tronie.schema.constraints import Function
from tronie.schema.grid import Coding, Grid
from tronie.schema.literals import exact
from tronie.schema.points import value_of
from tronie.schema.schema import Schema
from tronie.synth.plan import KEYS_DELTA, Plan

EXACT = 2.0**52
"""Numbers up to this size, and counts of steps up to it, are exact in a double."""

MAX_FUNCTION_VALUES = 4096
"""Most values of a column in a functional dependency without a table."""

FALSE_BUCKET = 1e-5
"""Probability that noise alone makes some bucket of a column stand out: bounds far too wide ruin it,
and decimals that no value has look odd."""

WINDOWS = (1, 2, 4, 8)
"""Numbers of neighbouring buckets that may stand out together beyond a bound found so far."""

FEW = 0.005
"""Values that need more decimals than the found resolution are at most this part."""


def discover(curator: Curator, schema: Schema, plan: Plan) -> Schema:
    """Find bounds, resolutions and categories that the schema does not declare.

    The step `discover` is split evenly among the questions. Found bounds are those of public
    buckets, four to an octave, so they say no more about the data than the released histogram does.
    """
    unknown = {name: schema.columns[name] for name in schema.unknowns()}
    if not unknown:
        return schema
    found: dict[str, Column] = {}
    numeric = {n: c for n, c in unknown.items() if isinstance(c, Ordered)}
    if numeric:
        found |= _find_numbers(curator, numeric, _question_sigma(schema, plan))
    for query in planned_keys(schema, plan):
        values, _ = curator.keys(query)
        found[query.column] = _found_category(unknown[query.column], values)
    resolved = schema.resolve(found)
    curator.adopt(resolved)
    return resolved


def planned_keys(schema: Schema, plan: Plan) -> list[Keys]:
    """The questions for values of open categories; known before any row is read."""
    names = [n for n, column in schema.columns.items() if isinstance(column, OpenCategory)]
    if not names:
        return []
    sigma = _question_sigma(schema, plan)
    return [Keys(name, sigma, KEYS_DELTA * plan.budget.delta / len(names)) for name in names]


def _question_sigma(schema: Schema, plan: Plan) -> float:
    unknown = [schema.columns[name] for name in schema.unknowns()]
    questions = sum(2 if _wants_resolution(column) else 1 for column in unknown)
    return plan.sigma("discover", 1 / questions)


def _wants_resolution(column: Column) -> bool:
    return isinstance(column, Decimal) and column.resolution is None


def _find_numbers(
    curator: Curator, columns: Mapping[str, Ordered], sigma: float
) -> dict[str, Column]:
    """Bounds of all numeric columns, and resolutions of decimals, in one pass."""
    decimals = {n: c for n, c in columns.items() if _wants_resolution(c)}
    answers = curator.explore(
        [Magnitudes(name, column, sigma) for name, column in columns.items()]
        + [Decimals(name, column, sigma) for name, column in decimals.items()]
    )
    steps = {
        name: _resolution(counts, sigma)
        for name, counts in zip(decimals, answers[len(columns) :], strict=True)
    }
    return {
        name: _bounded(column, *_bounds(counts, sigma), steps.get(name))
        for (name, column), counts in zip(columns.items(), answers, strict=False)
    }


def _bounds(counts: Ints, sigma: float) -> tuple[float, float]:
    """Outer edges of the buckets that stand out of the noise; the fullest one if none does.

    Beyond the outermost such bucket, several neighbours may stand out together: a thin tail.
    """
    edges = Magnitudes.edges()
    threshold = _threshold(counts, sigma)
    full = np.flatnonzero(counts >= min(threshold, counts.max()))
    low, high = int(full[0]), int(full[-1])
    high += _tail(counts[high + 1 :], threshold)
    low -= _tail(counts[:low][::-1], threshold)
    return float(edges[low]), float(edges[high + 1])


def _threshold(counts: Ints, sigma: float) -> float:
    """What noise alone exceeds in any of the buckets with a probability of at most `FALSE_BUCKET`."""
    return sigma * NormalDist().inv_cdf(1 - FALSE_BUCKET / len(counts))


def _tail(beyond: Ints, threshold: float) -> int:
    """How many buckets outwards rows are still found, nearest bucket first."""
    reach = 0
    while True:
        found = [
            width
            for width in WINDOWS
            if beyond[reach : reach + width].sum() >= threshold * math.sqrt(width)
        ]
        if not found or reach >= len(beyond):
            return min(reach, len(beyond))
        reach += found[0]


def _resolution(counts: Ints, sigma: float) -> float | None:
    """Ten to the minus number of decimals that nearly all values make do with, if any."""
    beyond = np.append(np.cumsum(counts[::-1])[::-1][1:], 0)
    threshold = _threshold(counts, sigma)
    noise = threshold * np.sqrt(np.arange(len(counts) - 1, -1, -1))
    enough = np.flatnonzero(beyond <= np.maximum(noise, FEW * max(int(counts.sum()), 0)))
    return None if enough[0] > MAX_DECIMALS else 10.0 ** -int(enough[0])


def _bounded(column: Ordered, low: float, high: float, resolution: float | None) -> Column:
    """The column with found bounds."""
    facts: dict[str, object]
    if isinstance(column, Integer):
        least, most = sorted((_least_whole(low), -_least_whole(-high)))
        facts = {"min": _exact(least), "max": _exact(most)}
    elif isinstance(column, Decimal):
        facts = _decimal_bounds(low, high, column.resolution or resolution)
    elif isinstance(column, Date):
        facts = {"min": _day(math.floor(low)), "max": _day(math.ceil(high))}
    else:
        facts = _datetime_bounds(low, high, column)
    return type(column).model_validate({**column.model_dump(), **facts, "origin": "released"})


def _exact(bound: int) -> int:
    """The nearest bound with which a lattice is small enough."""
    return min(max(bound, -int(EXACT)), int(EXACT) - 1)


def _least_whole(low: float) -> int:
    """The least whole number in a bucket that begins at `low`.

    Buckets hold the end that is nearer to zero, not the other one; logarithms of large numbers round.
    """
    least = math.ceil(low) if low >= 0 else math.floor(low) + 1
    least -= int(abs(low) * 1e-12)
    return least


def _decimal_bounds(low: float, high: float, step: float | None) -> dict[str, object]:
    """Bounds moved outwards to multiples of the step; no step where it would be finer than doubles."""
    if step is None or (high - low) / step > EXACT:
        return {"min": low, "max": high, "resolution": None}
    low, high = (0.0 if abs(bound) <= 2.0**LEAST else bound for bound in (low, high))
    unit = exact(step)
    least, most = math.floor(exact(low) / unit) * unit, math.ceil(exact(high) / unit) * unit
    return {"min": float(least), "max": float(most), "resolution": step}


def _day(days: int) -> dt.date:
    """A date, `days` from the origin, within the calendar."""
    origin = MOMENT_ORIGIN.toordinal()
    return dt.date.fromordinal(min(max(origin + days, 1), dt.date.max.toordinal()))


def _datetime_bounds(low: float, high: float, column: Datetime) -> dict[str, object]:
    """Bounds on the column's lattice; milliseconds if there are too many microseconds."""
    if (high - low) / column.step > EXACT:
        column = column.model_copy(update={"resolution": "millisecond"})
    return {
        "min": _moment(low, column, math.floor),
        "max": _moment(high, column, math.ceil),
        "resolution": column.resolution,
    }


def _moment(microseconds: float, column: Datetime, rounding: Callable[[float], int]) -> dt.datetime:
    """A moment, so far from the origin, on the column's lattice and within the calendar."""
    whole = rounding(microseconds / column.step) * column.step
    least, most = dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)
    if whole < (least - MOMENT_ORIGIN) // dt.timedelta(microseconds=1):
        return least
    if whole > (most - MOMENT_ORIGIN) // dt.timedelta(microseconds=1):
        return most
    return MOMENT_ORIGIN + dt.timedelta(microseconds=whole)


def _found_category(column: Column, values: tuple[Value, ...]) -> Column:
    """A closed category of the found values, with a cell for all others."""
    assert isinstance(column, OpenCategory)
    return Category(
        values=values,
        other=True,
        other_label=column.other_label,
        nullable=column.nullable,
        outside="missing" if column.nullable else "error",
        origin="released",
    )


def learn_functions(curator: Curator, schema: Schema, plan: Plan) -> Schema:
    """Find the table of each functional dependency that is declared without one.

    The pair is measured value by value, and each determining value gets its likeliest partner.
    """
    unknown = [c for c in schema.constraints if isinstance(c, Function) and c.table is None]
    if not unknown:
        return schema
    sigma = plan.sigma("functions", 1 / len(unknown))
    grids = {
        name: Grid.of(schema.modelled[name], MAX_FUNCTION_VALUES)
        for rule in unknown
        for name in (rule.of, rule.gives)
    }
    curator.recode({name: Coding.identity(grid) for name, grid in grids.items()})
    answers = curator.ask([Marginal((rule.of, rule.gives), sigma) for rule in unknown])
    tables = {
        rule: _likeliest(schema, rule, counts, grids)
        for rule, counts in zip(unknown, answers, strict=True)
    }
    rules = tuple(tables.get(c, c) if isinstance(c, Function) else c for c in schema.constraints)
    learned = Schema.model_validate({**dict(schema), "constraints": rules})
    curator.adopt(learned)
    return learned


def _likeliest(schema: Schema, rule: Function, counts: Ints, grids: Mapping[str, Grid]) -> Function:
    """The rule with a table: the partner with the largest noisy count for each value."""
    partners = grids[rule.gives].starts[counts.argmax(axis=1)]
    of, gives = schema.modelled[rule.of], schema.modelled[rule.gives]
    table = [
        (value_of(of, int(point)), value_of(gives, int(partner)))
        for point, partner in zip(grids[rule.of].starts, partners, strict=True)
    ]
    return rule.model_copy(update={"table": tuple(table), "origin": "released"})
