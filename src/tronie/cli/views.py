"""What people are shown of a report, a plan, a ledger, a certificate, a comparison or a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tronie
from tronie.cli.show import alarm, aside, facts, grid, title

if TYPE_CHECKING:
    from tronie.privacy.certificate import Verification
    from tronie.privacy.disclaimer import Disclaimer, Statement
    from tronie.privacy.ledger_entries import Entry, Total
    from tronie.release.model import Model
    from tronie.release.report import ReleaseReport
    from tronie.schema.schema import Schema
    from tronie.synth.plan import Plan

INTERNAL = "INTERNAL: reads real rows, not differentially private, do not publish."
"""What every number that was not paid for is headed by."""

INSECURE = "INSECURE"
"""How the certificate's noise begins where nothing is guaranteed."""

NOISE = "noise"

WORST = 5
"""Marginals that a plan's forecast names."""


def report(found: ReleaseReport) -> Iterator[str]:
    """A release's report, each line with its meaning."""
    if found.banner:
        yield alarm(f"NOT PRIVATE: {found.banner}")
    yield title(found.title)
    for heading, lines in (("What is guaranteed", found.claim), ("What it is worth", found.worth)):
        yield ""
        yield title(heading)
        for line in lines:
            yield f"  {line.name}: {noise(line.value) if line.name == NOISE else line.value}"
            yield aside(line.meaning)
    if found.budget:
        yield ""
        yield title("Where the budget went")
    yield from facts((name, f"{share:6.1%}") for name, share in found.budget.items())


def noise(label: str) -> str:
    """A source of noise, in red if it is not to be trusted."""
    return alarm(label) if label.startswith(INSECURE) else label


def written(paths: Mapping[Path, str]) -> Iterator[str]:
    """Files that a command left behind, and what they are."""
    yield ""
    yield title("Written")
    yield from facts((str(path), what) for path, what in paths.items())


def plan(found: Plan) -> Iterator[str]:
    """How a budget would be split."""
    budget = found.budget
    yield title(
        f"{found.method} at epsilon {budget.epsilon:g}, delta {budget.delta:g} (mu {found.mu:.4g})"
    )
    if found.reason:
        yield aside(f"{found.method} was chosen because {found.reason}.")
    yield ""
    steps = [(step.name, f"{step.share:.1%}", step.why) for step in found.steps]
    yield from grid(("step", "share", "what for"), steps, "lrl")
    ahead = found.forecast
    yield ""
    yield from facts(
        [
            ("cells counted at once", f"{ahead.cells:,}"),
            ("memory", f"about {ahead.megabytes:,.0f} MB"),
            ("CPU time", f"about {ahead.seconds:,.1f} s"),
        ]
    )
    yield ""
    if not found.queries:
        yield aside("Give --rows to see how wrong each column and each pair will be.")
        return
    from tronie.synth.forecasting import NOTE, mean_error

    yield f"  Expected total variation for {found.settings.rows:,} rows, from noise alone"
    single = [query for query in found.queries if len(query.columns) == 1]
    wider = sorted((q for q in found.queries if len(q.columns) > 1), key=lambda q: -q.error)
    yield from facts((query.columns[0], f"{query.error:7.2%}") for query in single)
    if wider:
        shown = wider[:WORST]
        yield ""
        yield f"  Of the workload, {len(wider):,} marginals: {mean_error(wider):.2%} on average; the worst"
        rows = [(" x ".join(q.columns), f"{q.error:.2%}", q.measured) for q in shown]
        yield from grid(("columns", "error", "measured"), rows, "lrl")
        yield aside(NOTE)


def guesses(schema: Schema) -> Iterator[str]:
    """What a draft took for granted, and why."""
    yield title(f"Draft of {schema.name}: names and types only, no row was read")
    rows = [
        ((name, column.kind) if place == 0 else ("", "")) + (field, reason)
        for name, column in schema.columns.items()
        for place, (field, reason) in enumerate((column.guessed or {"": ""}).items())
    ]
    yield from grid(("column", "kind", "guessed", "because"), rows, "llll")
    if unknown := schema.unknowns():
        yield ""
        yield "  To be declared, or found privately with --discover:"
        yield aside(", ".join(unknown))


def totals(ledger: Path, found: Sequence[Total]) -> Iterator[str]:
    """What each data set has spent."""
    yield title(f"Ledger {ledger}")
    if not found:
        yield "  Nothing was spent."
        return
    rows = [
        (
            total.dataset,
            f"{total.epsilon:.4g}",
            f"{total.delta:g}",
            str(total.releases),
            str(total.unfinished),
            "none" if total.max_epsilon is None else f"{total.max_epsilon:g}",
        )
        for total in found
    ]
    header = ("data set", "epsilon", "delta", "releases", "unfinished", "cap")
    yield from grid(header, rows, "lrrrrr")


def entries(found: Iterable[Entry]) -> Iterator[str]:
    """Each release of a data set."""
    rows = [
        (
            str(entry.id),
            entry.created,
            entry.state,
            f"{entry.epsilon:.4g}",
            f"{entry.delta:g}",
            entry.note,
        )
        for entry in found
    ]
    if rows:
        yield ""
        header = ("release", "begun", "state", "epsilon", "delta", "method")
        yield from grid(header, rows, "rllrrl")


def certificate(found: Statement) -> Iterator[str]:
    """A certificate in words, its accesses in a table; or that there is none."""
    first, *lines = found.to_text().splitlines()
    claimed = isinstance(found, tronie.Certificate)
    yield title(first) if claimed else alarm(first)
    for line in lines:
        yield alarm(line) if INSECURE in line else line
    if not claimed:
        return
    yield title("Accesses to private rows")
    rows = [_access(number, event) for number, event in enumerate(found.events)]
    yield from grid(("", "what", "columns", "noise", "mu"), rows, "rllrr")


def _access(number: int, event: Any) -> tuple[str, ...]:
    noise, cost = _price(event)
    named = ", ".join(event.columns[:3]) + (
        f" and {len(event.columns) - 3} more" if len(event.columns) > 3 else ""
    )
    return str(number), f"{event.query} ({event.kind})", named, noise, cost


def _price(event: Any) -> tuple[str, str]:
    """The noise of an access, and its mu where that means something."""
    if event.kind == "sampled_gaussian":
        steps = f"{event.noise_multiplier:.4g} clips, {event.steps} x {event.rate:.3g} of the units"
        return steps, "-"
    noise = f"epsilon {event.epsilon:.4g}" if event.kind == "exponential" else f"{event.sigma:.4g}"
    return noise, f"{event.mu:.4g}"


def verification(place: Path, checked: Statement, found: Verification) -> Iterator[str]:
    """Whether a certificate holds; nothing does where nothing is claimed."""
    if not isinstance(checked, tronie.Certificate):
        yield from _nothing(place, checked, found)
        return
    yield (
        title(f"{place}: the certificate holds")
        if found.ok
        else alarm(f"{place}: the certificate DOES NOT HOLD")
    )
    claim = checked.claim
    yield from facts(
        [
            ("data set", f"{checked.dataset}, by {checked.method}"),
            ("claimed", f"epsilon {claim.epsilon:g} at delta {claim.delta:g}"),
            (
                "recomputed",
                f"epsilon {found.epsilon_recomputed:.6g} from {len(checked.events)} accesses",
            ),
            (NOISE, noise(checked.noise)),
        ]
    )
    for problem in found.problems:
        yield alarm(f"  {problem}")


def _nothing(place: Path, checked: Disclaimer, found: Verification) -> Iterator[str]:
    yield alarm(f"{place}: NOTHING IS CLAIMED")
    yield from facts([("data set", f"{checked.dataset}, by {checked.method}")])
    for problem in found.problems:
        yield alarm(f"  {problem}")


def unprotected(model: Model) -> Iterator[str]:
    """A warning, if what is drawn from a model is not private."""
    from tronie.privacy.disclaimer import NOT_PRIVATE

    if not model.dp:
        yield alarm(f"NOT PRIVATE: {NOT_PRIVATE}")


def cells(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A marginal: each combination and its expected number of rows."""
    table = [(*(str(row[name]) for name in columns), f"{row['rows']:,.1f}") for row in rows]
    yield from grid((*columns, "rows"), table, "l" * len(columns) + "r")
