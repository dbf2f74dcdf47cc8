"""Direct: the marginals that the user names, measured and fitted; nothing is chosen from the data.

Source: given cliques, as the method of the same name in google/dpsynth. The split of the budget is the
closed form with which its method SWIFT ends; here it minimises the weighted sum of L1 errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tronie.errors import DomainTooLarge, InputError
from tronie.measure.curator import Curator
from tronie.models.estimation import estimate
from tronie.models.junction import MAX_CELLS, forecast_cells
from tronie.models.rules import Rules
from tronie.privacy.budget import Budget
from tronie.schema.columns import is_nominal
from tronie.schema.domain import Clique, Domain
from tronie.schema.schema import Schema
from tronie.synth.method import Fitted
from tronie.synth.mst import columns_share
from tronie.synth.pairs import measure_weighted
from tronie.synth.plan import PAIR_CELLS, TYPICAL_ROWS, Plan, first_grid, make_plan, pieces
from tronie.synth.prepare import prepare
from tronie.synth.settings import DEFAULTS, Settings
from tronie.synth.workload import Workload


@dataclass(frozen=True, slots=True)
class Direct:
    """Measure every column, and every set of columns that the workload names.

    Sets of a single column are measured anyway; if there are no others, this is `independent`.
    """

    name: str = "direct"

    def plan(self, schema: Schema, budget: Budget, settings: Settings = DEFAULTS) -> Plan:
        """A third or so to single columns, the rest to the named marginals.

        Raises:
            InputError: If no workload was given.
            DomainTooLarge: If the model might not fit in memory, by what the schema tells.
        """
        if settings.workload is None:
            raise InputError(
                "the method direct measures the marginals that a workload names, and none was given.",
                "Give one, `workload=` in Python or `--workload FILE` on the command line: "
                "`marginals: [{columns: [a, b], weight: 2}, {columns: [b, c, d]}]`.",
            )
        named = sum(len(clique) > 1 for clique in settings.workload.weights)
        share = 1 - columns_share(budget.mu)
        later = {"pairs": (share, "measure the marginals of the workload")} if named else {}
        plan = make_plan(self.name, schema, budget, later, settings, pairs=named)
        known = _wanted(settings.workload, schema)
        rules = [] if schema.unknowns() else Rules.of(schema).cliques
        _require_room(Domain(_largest_codes(schema, plan)), known, rules, settings)
        return plan

    def fit(self, curator: Curator, schema: Schema, plan: Plan) -> Fitted:
        """Measure, measure, fit.

        Raises:
            DomainTooLarge: If the model would not fit in memory after all: what was found out about
                columns made it larger than the schema told. Single columns were charged.
        """
        prepared = prepare(curator, schema, plan)
        measured = list(prepared.oneways)
        if any(step.name == "pairs" for step in plan.steps):
            wanted = _wanted(plan.settings.workload_of(schema), prepared.schema)
            ruled = [zero.columns for zero in prepared.zeros]
            _require_room(prepared.domain, wanted, ruled, plan.settings)
            # A column and the one that determines it are one: then single columns are all there is.
            measured += measure_weighted(
                curator, prepared, plan, wanted or {(c,): 1.0 for c in prepared.domain}
            )
        model = estimate(
            prepared.domain,
            measured,
            prepared.total,
            zeros=prepared.zeros,
            max_cells=plan.settings.cells(MAX_CELLS),
        )
        return Fitted(prepared, model, tuple(measured))


def _wanted(workload: Workload, schema: Schema) -> dict[Clique, float]:
    """The marginals of two columns and more, over the columns that are modelled as far as is known."""
    return {c: w for c, w in workload.over(schema).weights.items() if len(c) > 1}


def _require_room(
    domain: Domain, wanted: Iterable[Clique], ruled: Iterable[Clique], settings: Settings
) -> None:
    """Check that the named tables can be counted, and that a model of them fits in memory."""
    cliques = list(wanted)
    counted = sum(map(domain.size, cliques))
    cells = forecast_cells(domain, [*cliques, *ruled])
    most = settings.cells(MAX_CELLS)
    if cells > most or counted > PAIR_CELLS:
        raise DomainTooLarge(
            f"a model of the workload's {len(cliques):,} marginals might have {cells:,} cells, and the "
            f"marginals {counted:,}; at most {most:,} and {PAIR_CELLS:,} fit in memory.",
            "Name fewer or smaller marginals, or sets of columns that overlap less (every circle of "
            "them enlarges the model); declare fewer values; or let a method choose marginals that fit: "
            "glaze, aim or privbayes.",
        )


def _largest_codes(schema: Schema, plan: Plan) -> dict[str, int]:
    """Most codes, about, of each column whose domain is declared."""
    count = pieces(plan.settings.rows or TYPICAL_ROWS, plan.mu)
    rules = None if schema.unknowns() else Rules.of(schema)
    codes: dict[str, int] = {}
    for name, column in schema.modelled.items():
        grid = first_grid(column)
        nominal = is_nominal(column)
        kept = 0
        if rules is not None:
            kept = len(rules.named(name, grid) if nominal else rules.barriers(name))
        most = (8 * count if nominal else count) + kept + 2
        codes[name] = min(most, grid.size) if grid.runs == grid.points else most
    return codes
