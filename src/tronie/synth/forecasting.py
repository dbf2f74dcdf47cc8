"""How wrong each marginal of a workload will be, from public facts only, before any row is read.

What is forecast is the error that noise causes. A marginal that is not measured errs beside that by what
its columns' dependence is and the model does not know; nobody knows that before looking.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tronie.schema.columns import Boolean, Category, Ordered
from tronie.schema.domain import Clique
from tronie.schema.schema import Schema
from tronie.synth.plan import (
    NARROW,
    Plan,
    QueryForecast,
    grid_sizes,
    histogram_weights,
    pieces,
)
from tronie.synth.prepare import LEVELS
from tronie.synth.workload import Workload

LARGEST, OFFSET = 0.34, 0.8
"""The error of a table whose cells hold r noise sds of rows on average is ``LARGEST / (r + OFFSET)``:
noise of one sd in each cell is 0.4 / r, the fit removes a seventh of it, and where noise hides the counts
the fit falls back on what it knows of smaller tables. Given the true cells and sds this was within 25 % of
mean errors on Adult at epsilon 0.1 to 5, with all rows and with a tenth of them."""

RARE_SDS = 3.0
"""Values of a column without an order that are rarer than so many noise sds share a code."""

FILLED, EVEN = 0.8, 0.7
"""Part of a column's declared values that are frequent enough for a code of their own, and part of the
aimed number of codes that an ordered column gets, its values being seldom even. On Adult the second is
0.5, on tables without heavy values 0.9."""

NOTE = (
    "Noise only. A marginal marked `if chosen` errs by this if the method measures it; if not, and for "
    "one marked `never`, its dependence comes on top, which nobody knows before looking."
)
"""What must be said with every forecast."""


class Reach(NamedTuple):
    """What a method measures beside single columns.

    Attributes:
        per_column: Marginals for each column, about; None for exactly those of the workload.
        widest: Most columns of one marginal.
        even: Whether all get the same noise, rather than noise that suits their size.
        thrifty: Whether it weighs gain against noise, and so prefers small tables.
    """

    per_column: float | None
    widest: int
    even: bool = False
    thrifty: bool = False


REACHES: Mapping[str, Reach] = MappingProxyType(
    {
        "independent": Reach(0.0, 1),
        "mst": Reach(1.0, 2),
        "glaze": Reach(3.0, 3, thrifty=True),
        "direct": Reach(None, 10**9),
        "gibbs": Reach(20.0, 3, thrifty=True),
        "aim": Reach(3.0, 5, even=True),
        "mwem": Reach(1.0, 10**9, even=True),
        "privbayes": Reach(1.0, 4),
        "transformer": Reach(0.0, 1),
        "lstm": Reach(0.0, 1),
        "hybrid": Reach(3.0, 3, thrifty=True),
        "vae": Reach(0.0, 1),
        "gan": Reach(0.0, 1),
        "marginal_net": Reach(3.0, 3, thrifty=True),
        "llm": Reach(3.0, 3, thrifty=True),
    }
)
"""Method -> what it measures. One that is not listed is taken to measure a tree of pairs."""


def forecast_queries(
    schema: Schema, plan: Plan, workload: Workload | None = None
) -> tuple[QueryForecast, ...]:
    """Forecast the error of every single column, and of every marginal of a workload.

    Nothing but the schema and the plan is used: declared domains, the declared number of rows, and the
    noise that is planned. Columns are taken to have the codes that `pieces` and a Zipf distribution of
    values predict. The codes are the weakest part: a column of few heavy values gets fewer of them. On
    Adult at epsilon 1 mean forecasts were 1.0 to 1.8 times the mean errors of what `mst` and `glaze`
    measured; with little budget, where `glaze` measures the smallest pairs only, up to four times.

    Args:
        schema: Public facts.
        plan: A plan for it.
        workload: Which marginals matter; that of the plan's settings when not given.

    Returns:
        One forecast per single column, in the table's order, then one per further marginal; none at all
        if the number of rows was not declared.
    """
    rows = plan.settings.rows
    if not rows:
        return ()
    columns = _columns(schema, plan, rows)
    wanted = workload or plan.settings.workload_of(schema)
    weights = {(name,): wanted.weights.get((name,), 0.0) for name in columns} | dict(wanted.weights)
    tables = {clique: _table(schema, columns, clique) for clique in weights}
    noise = _noise(plan, tables, weights, len(columns))
    return tuple(
        _forecast(plan, clique, weight, tables[clique], noise, columns, rows)
        for clique, weight in weights.items()
    )


def mean_error(forecasts: Sequence[QueryForecast]) -> float:
    """Mean of the errors by weight in the workload; of all alike if it gives none any weight.

    >>> one = QueryForecast(("a",), 1.0, 2, 0.25, "always")
    >>> mean_error([one, QueryForecast(("b",), 3.0, 2, 0.5, "always")])
    0.4375
    """
    total = sum(one.weight for one in forecasts)
    if not total:
        return sum(one.error for one in forecasts) / max(len(forecasts), 1)
    return sum(one.weight * one.error for one in forecasts) / total


def noise_error(cells: int, sigma: float, rows: int) -> float:
    """Expected total variation of a measured table after the fit, from noise alone.

    Args:
        cells: Cells of the table.
        sigma: Noise sd of each, in rows.
        rows: Number of rows, positive.

    >>> round(noise_error(140, 35.0, 48_842), 3), noise_error(1, 35.0, 48_842)
    (0.031, 0.0)
    """
    free = math.sqrt(1 - 1 / cells)
    return LARGEST * free / (rows / (cells * sigma) + OFFSET)


class _Column(NamedTuple):
    """What is expected of one column: its codes, and their error."""

    codes: int
    error: float


class _Table(NamedTuple):
    """The measured columns that a marginal rests on, and the cells that their codes have."""

    columns: Clique
    cells: int


def _columns(schema: Schema, plan: Plan, rows: int) -> dict[str, _Column]:
    """What is expected of each column that the method measures."""
    sizes = grid_sizes(schema)
    whole = plan.sigma("columns")
    found: dict[str, _Column] = {}
    for name, weight in histogram_weights(sizes).items():
        sigma = whole / math.sqrt(weight)
        codes = _codes(schema, name, sizes[name], sigma, rows, plan.mu)
        found[name] = _Column(
            codes, noise_error(codes, _code_sigma(schema, name, codes, sigma), rows)
        )
    order = [name for name in schema.columns if name in found]
    return {name: found[name] for name in order}


def _codes(schema: Schema, name: str, size: int, sigma: float, rows: int, mu: float) -> int:
    """Codes that a column will have, about."""
    column = schema.modelled.get(name)
    if isinstance(column, Boolean):
        return size
    if column is None or (isinstance(column, Category) and not column.ordered):
        harmonic = math.log(size) + 0.58
        frequent = int(rows / (RARE_SDS * sigma * harmonic))
        return max(min(round(size * FILLED), frequent + 1), min(size, 2))
    return max(round(min(size * FILLED, pieces(rows, mu) * EVEN)), min(size, 2))


def _code_sigma(schema: Schema, name: str, codes: int, sigma: float) -> float:
    """Noise of a code's count: its cells' noise adds up; wide columns are measured level by level."""
    column = schema.modelled.get(name)
    if not isinstance(column, Ordered):
        return sigma
    if column.points > NARROW:
        return sigma / math.sqrt(LEVELS[0])
    return sigma * math.sqrt(column.points / codes)


def _forecast(
    plan: Plan,
    clique: Clique,
    weight: float,
    table: _Table,
    noise: Mapping[Clique, float],
    columns: Mapping[str, _Column],
    rows: int,
) -> QueryForecast:
    if len(table.columns) == 1:
        error, measured = columns[table.columns[0]].error, "always"
    elif table.columns in noise:
        error = noise_error(table.cells, noise[table.columns], rows)
        measured = "always" if _reach(plan).per_column is None else "if chosen"
    else:
        error, measured = min(sum(columns[c].error for c in table.columns), 1.0), "never"
    return QueryForecast(clique, weight, table.cells, error, measured)


def _table(schema: Schema, columns: Mapping[str, _Column], clique: Clique) -> _Table:
    """The table that a marginal rests on: a column that another determines stands for that other."""
    origins: set[str] = set()
    for column in clique:
        while column in schema.derived:
            column = schema.derived[column].of
        origins.add(column)
    known = tuple(column for column in columns if column in origins)
    return _Table(known, math.prod(columns[column].codes for column in known))


def _reach(plan: Plan) -> Reach:
    return REACHES.get(plan.method, REACHES["mst"])


def _noise(
    plan: Plan, tables: Mapping[Clique, _Table], weights: Mapping[Clique, float], columns: int
) -> dict[Clique, float]:
    """Noise of each table of two or more columns that the method may measure.

    A table's part of the budget is that of `tronie.synth.pairs.measure_weighted`, among as many others of
    the workload as the method measures.
    """
    reach = _reach(plan)
    raw: dict[Clique, float] = {}
    for clique, table in tables.items():
        if 2 <= len(table.columns) <= reach.widest:
            importance = weights[clique] if reach.per_column is None else 1.0
            part = 1.0 if reach.even else (importance * table.cells) ** (2 / 3)
            raw[table.columns] = max(part, raw.get(table.columns, 0.0))
    if not raw or all(step.name != "pairs" for step in plan.steps):
        return {}
    count = len(raw)
    if reach.per_column is not None:
        count = min(count, max(round(reach.per_column * (columns - 1)), 1))
    parts = sorted(raw.values())[: count if reach.thrifty else None]
    spent = count * sum(parts) / len(parts)
    whole = plan.sigma("pairs")
    return {known: whole / math.sqrt(min(part / spent, 1.0)) for known, part in raw.items()}
