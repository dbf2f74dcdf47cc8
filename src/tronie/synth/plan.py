"""What a method will ask, at what price, before any row is read.

All budgets here are in units of mu squared, the squared Gaussian-DP parameter: it adds up over accesses,
and an access of sensitivity k with noise sigma costs ``(k / sigma)^2``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from tronie.errors import DomainTooLarge, InputError
from tronie.models.junction import forecast_cells
from tronie.models.rules import Rules
from tronie.privacy.budget import Budget
from tronie.privacy.events import MIN_SIGMA, sigma_for
from tronie.schema.columns import Listed, Modelled, OpenCategory
from tronie.schema.constraints import Function
from tronie.schema.domain import Clique, Domain
from tronie.schema.grid import Grid
from tronie.schema.schema import Schema
from tronie.synth.settings import CELL_BYTES, DEFAULTS, Settings

KEYS_DELTA = 0.1
"""Part of delta that goes to naming the values of open categories, where there are any."""

DISCOVER = 0.15
"""Share of finding what the schema does not declare."""

FUNCTIONS = 0.05
"""Share of finding the tables of functional dependencies."""

TOTAL = 0.002
"""Share of counting the rows."""

NARROW = 256
"""Ordered columns of up to so many points are measured point by point."""

FIRST_CELLS = 64
"""Cells of a wider column's first histogram."""

UNKNOWN_CELLS = 128
"""Cells that a plan assumes for a column whose domain is yet to be found."""

PLANNED_CELLS = 128
"""A histogram of more cells than this gets no larger share than one of this many: most are empty."""

MEAN_ABSOLUTE = (2 / math.pi) ** 0.5
"""Mean of the absolute value of a standard Gaussian."""


TYPICAL_ROWS = 100_000
"""Number of rows that a forecast assumes where none is declared."""

KEPT_BYTES = 2**28
"""Rows that are kept in memory between passes, at most."""

PAIR_CELLS = 2**25
"""Most cells of the counts of all pairs together."""

MODEL_CELLS = 2**24
"""Most cells of a model's tables."""

START_SECONDS, START_MEGABYTES = 1.2, 160.0
"""What starting the process and loading its libraries takes."""

PAIR_SECONDS, CELL_SECONDS = 1e-4, 5e-7
"""What comparing a pair with the model, and fitting a cell of it, takes in each round."""

COUNT_BYTES, COMPARED_BYTES = 16, 44
"""Bytes for each counted cell: while it is counted, and while it is compared with a model."""


Measured: TypeAlias = Literal["always", "if chosen", "never"]
"""Whether a method measures a marginal."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a release.

    Attributes:
        name: What is asked.
        share: Part of the budget (of mu squared).
        why: What it is for, in a sentence.
    """

    name: str
    share: float
    why: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will need, from public facts only.

    Attributes:
        cells: Cells of all tables that are counted at once, at most.
        megabytes: Memory for them and for the model, roughly.
        seconds: CPU seconds of fitting, roughly; reading a table much larger than memory adds to it.
    """

    cells: int
    megabytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class QueryForecast:
    """How wrong one marginal of a workload will be.

    Attributes:
        columns: The marginal's columns.
        weight: Its weight in the workload.
        cells: Cells that it will have once columns are cut into codes, about.
        error: Expected total variation between its codes' true and modelled shares, from noise alone.
        measured: Whether the method measures it.
    """

    columns: Clique
    weight: float
    cells: int
    error: float
    measured: Measured

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "columns": list(self.columns)}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a budget is split, decided before any row is read.

    Attributes:
        method: The method's name.
        budget: Epsilon and delta of the whole release; `NoPrivacy` where nothing is promised.
        mu: The Gaussian-DP parameter that all stages together may use.
        steps: The stages, in order; their shares sum to 1.
        settings: What the user asked for beside the budget.
        rows_per_unit: Most rows of one privacy unit.
        forecast: What the run will need.
        queries: How wrong each single column and each marginal of the workload will be, if the number
            of rows was declared and `tronie.plan` made the plan.
        reason: Why this method, if the choice was left to tronie.
    """

    method: str
    budget: Budget
    mu: float
    steps: tuple[Step, ...]
    settings: Settings
    rows_per_unit: int
    forecast: Forecast
    queries: tuple[QueryForecast, ...] = ()
    reason: str = ""

    def sigma(self, step: str, weight: float = 1.0, sensitivity: float = 1.0) -> float:
        """Noise of an access that gets a part of a step's budget.

        Args:
            step: The step's name.
            weight: The access's part of the step.
            sensitivity: L2 norm by which one row moves the answer.

        Without privacy no noise is added, and this is the error that exact answers are taken to have:
        the least of any access, half a row.
        """
        if not self.budget.dp:
            return MIN_SIGMA
        mu = self.mu * math.sqrt(self.share(step) * weight)
        return sigma_for(mu, sensitivity * self.rows_per_unit)

    def share(self, step: str) -> float:
        """A step's part of the budget."""
        return next(s.share for s in self.steps if s.name == step)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        queries = [query.to_dict() for query in self.queries]
        plain = asdict(replace(self, settings=DEFAULTS))
        if not self.budget.dp:
            steps = [{**step, "share": 0.0} for step in plain["steps"]]
            plain |= {"dp": False, "budget": None, "mu": None, "steps": steps}
        return {**plain, "settings": self.settings.to_dict(), "queries": queries}


def pair_plan(
    method: str,
    schema: Schema,
    budget: Budget,
    settings: Settings,
    *,
    columns: float,
    select: float,
    why: str,
    prior: float = 0.0,
    rounds: int = 0,
    cells: int = 0,
) -> Plan:
    """A plan that goes on to choose pairs of columns and to measure them; pairs get the rest.

    Args:
        method: The method's name.
        schema: Public facts.
        budget: Epsilon and delta of the whole release.
        settings: What the user asked for beside the budget.
        columns: Share of single columns.
        select: Share of choosing pairs.
        why: How pairs are chosen.
        prior: Share of comparing public rows with private ones, if there are any.
        rounds: How often all pairs are compared with a model, for the forecast.
        cells: Most cells of the model, for the forecast.
    """
    count = len(schema.modelled) + len(schema.unknowns())
    later = {"select": (select, why)}
    if prior and settings.prior is not None:
        later = {"prior": (prior, "see which public pairs are near the truth"), **later}
    spent = columns + sum(share for share, _ in later.values())
    later["pairs"] = (1 - spent, "measure those pairs")
    pairs = count * (count - 1) // 2
    return make_plan(
        method,
        schema,
        budget,
        later if pairs else {},
        settings,
        pairs=pairs,
        rounds=rounds,
        cells=cells,
    )


def usable_mu(schema: Schema, budget: Budget) -> float:
    """The Gaussian-DP parameter left when the naming of categories has had its part of delta."""
    named = any(isinstance(column, OpenCategory) for column in schema.columns.values())
    delta = budget.delta * (1 - KEYS_DELTA) if named else budget.delta
    return budget.with_delta(delta).mu * (1 - 1e-6)


def make_plan(
    method: str,
    schema: Schema,
    budget: Budget,
    later: Mapping[str, tuple[float, str]],
    settings: Settings,
    *,
    pairs: int,
    rounds: int = 0,
    cells: int = 0,
) -> Plan:
    """A plan that begins as every marginal method does.

    Args:
        method: The method's name.
        schema: Public facts.
        budget: Epsilon and delta of the whole release.
        later: Name -> share and purpose of the stages after single columns; shares are of what
            finding the domain leaves, and single columns get the rest of it.
        settings: What the user asked for beside the budget.
        pairs: Pairs of columns that are counted at once.
        rounds: How often all pairs are compared with a model, for the forecast.
        cells: Most cells of the model, for the forecast.
    """
    steps: list[Step] = []
    if schema.unknowns():
        steps.append(Step("discover", DISCOVER, "find bounds and categories not declared"))
    if any(isinstance(c, Function) and c.table is None for c in schema.constraints):
        steps.append(Step("functions", FUNCTIONS, "find which value determines which"))
    left = 1 - sum(step.share for step in steps)
    steps.append(Step("total", TOTAL * left, "count the rows"))
    columns = left * (1 - TOTAL - sum(share for share, _ in later.values()))
    steps.append(Step("columns", columns, "measure each column on its own"))
    steps += [Step(name, left * share, why) for name, (share, why) in later.items()]
    mu = usable_mu(schema, budget)
    require_room(schema, mu)
    settings.workload_of(schema)
    if settings.prior is not None and pairs and "prior" not in later:
        raise InputError(
            f"the method {method} makes no use of a prior.",
            "Leave it out, or choose glaze or gibbs.",
        )
    ahead = forecast(schema, mu, settings.rows, pairs=pairs, rounds=rounds, cells=cells)
    return Plan(method, budget, mu, tuple(steps), settings, schema.unit.max_rows, ahead)


def first_grid(column: Modelled) -> Grid:
    """The cells in which a column is measured first: its points, or equal stretches of them."""
    if isinstance(column, Listed) or column.points <= NARROW:
        return Grid.of(column, column.points)
    return Grid.of(column, FIRST_CELLS)


def grid_sizes(schema: Schema) -> dict[str, int]:
    """Cells of each column's first histogram, as far as the schema tells."""
    known = {name: first_grid(column).size for name, column in schema.modelled.items()}
    return {**dict.fromkeys(schema.unknowns(), UNKNOWN_CELLS), **known}


def histogram_weights(sizes: Mapping[str, int]) -> dict[str, float]:
    """Parts of a budget that minimise the summed L1 error of several histograms.

    The error of ``c`` cells with noise sigma is proportional to ``c * sigma``, so the best
    ``1 / sigma^2`` is proportional to ``c^(2/3)``.

    >>> weights = histogram_weights({"a": 8, "b": 1})
    >>> round(weights["a"] / weights["b"], 9)
    4.0
    """
    raw = {column: measured_cells(size) ** (2 / 3) for column, size in sizes.items()}
    return {column: value / sum(raw.values()) for column, value in raw.items()}


def measured_cells(size: int) -> int:
    """Cells of a histogram, as far as they count in the split of a budget."""
    return min(size, PLANNED_CELLS)


def most_codes(columns: int) -> int:
    """Most codes of one column, so that the counts of all pairs fit in memory together.

    >>> most_codes(15), most_codes(300)
    (546, 27)
    """
    return max(int((2 * PAIR_CELLS) ** 0.5 / max(columns, 1)), 8)


def require_room(schema: Schema, mu: float) -> None:
    """Check that the tables of declared rules fit in memory, before anything is charged.

    Raises:
        DomainTooLarge: If they might not.
    """
    if schema.unknowns():
        return
    rules = Rules.of(schema)
    codes = {name: _most_codes_of(schema, rules, name, mu) for name in schema.modelled}
    if forecast_cells(Domain(codes), rules.cliques) > MODEL_CELLS:
        raise DomainTooLarge(
            "the declared constraints tie so many columns together that their table would not fit "
            f"in memory (more than {MODEL_CELLS:,} cells).",
            "Declare constraints over fewer columns, or over columns with fewer values.",
        )


def _most_codes_of(schema: Schema, rules: Rules, name: str, mu: float) -> int:
    column = schema.modelled[name]
    size = column.points + 2
    if isinstance(column, Listed):
        return size
    fences = len(rules.barriers(name))
    return min(size, pieces(TYPICAL_ROWS, mu) + fences + 2)


def pieces(rows: float, mu: float) -> int:
    """Codes that an ordered column is cut into: more for more rows and less noise.

    Measured on Adult, Airline and California housing: 12 to 16 codes are best at epsilon 0.1, 32 at
    1 and 64 to 100 at 10.

    >>> pieces(48_842, 0.182), pieces(48_842, 0.02), pieces(48_842, 1.54)
    (32, 14, 70)
    """
    return round(min(max(1.1 * (max(rows, 1.0) * mu) ** 0.37, 4.0), 128.0))


def forecast(
    schema: Schema, mu: float, rows: int | None, *, pairs: int, rounds: int = 0, cells: int = 0
) -> Forecast:
    """What a run will need; within a factor of two on the tables of benchmarks/README.md.

    Args:
        schema: Public facts.
        mu: GDP parameter of the whole release.
        rows: Declared number of rows, if any.
        pairs: Pairs of columns that are counted at once.
        rounds: How often all pairs are compared with a model.
        cells: Most cells of the model.
    """
    sizes = grid_sizes(schema)
    guess = rows or TYPICAL_ROWS
    most = min(8 * pieces(guess, mu), most_codes(len(sizes)))
    codes = [min(size, most) for size in sizes.values()]
    mean = sum(codes) / max(len(codes), 1)
    counted = sum(sizes.values()) + int(pairs * mean**2)
    seconds = START_SECONDS + guess * (len(sizes) * 1e-7 + pairs * 1.2e-8) + counted * 2e-7
    seconds += rounds * (pairs * PAIR_SECONDS + cells * CELL_SECONDS)
    copies = COUNT_BYTES if rounds == 0 else COMPARED_BYTES
    kept = min(guess * len(sizes) * 4, KEPT_BYTES)
    megabytes = START_MEGABYTES + (counted * copies + cells * CELL_BYTES + kept) / 2**20
    return Forecast(counted, round(megabytes, 1), round(seconds, 2))
