"""The command that says what synthetic tables are worth: report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tronie.cli import options, views
from tronie.cli.places import require_new, require_room
from tronie.cli.progress import progress
from tronie.cli.show import alarm, aside, emit, facts, grid, title
from tronie.errors import InputError
from tronie.privacy.budget import DEFAULT_DELTA

if TYPE_CHECKING:
    from tronie.reports.outline import Facts, Section, Table
    from tronie.reports.result import Claim, Report

WORST = "worst"
"""Key of the section about what is farthest off."""

SHOWN = ("score", WORST, "use", "whole", "audits")
"""Sections of which the terminal shows the tables."""

MOST_LINES = 5
"""Lines of a table that the terminal shows."""

PRICED = ("epsilon", "delta", "max_epsilon", "ledger", "rows")
"""Options of reports for release."""

GAUGE = 40
"""Characters of a full gauge."""


@click.command()
@click.argument("synthetic", metavar="SYNTHETIC...", nargs=-1, required=True)
@click.option("--real", required=True, metavar="TABLE", help="The private table.")
@click.option(
    "--schema",
    type=options.PATH,
    help="What the columns are. [default: the first model's, or worked out from the tables]",
)
@click.option("--holdout", metavar="TABLE", help="Real rows that no synthetic table was made from.")
@click.option("--target", metavar="COLUMN", help="A column to predict from the others.")
@click.option("--no-learning", is_flag=True, help="Train no classifiers.")
@click.option(
    "--name", "names", multiple=True, help="What to call a SYNTHETIC; once for each, in order."
)
@click.option(
    "--audit",
    "audits",
    multiple=True,
    metavar="FILE",
    type=options.PATH,
    help="Results that `tronie audit` wrote; may be repeated.",
)
@click.option("--release", is_flag=True, help="Only noised numbers, which may be published.")
@click.option("--epsilon", type=float, help="Privacy budget of a report for release.")
@click.option(
    "--delta",
    type=float,
    help=f"Probability of a worse loss than epsilon, for release. [default: {DEFAULT_DELTA:g}]",
)
@click.option(
    "--max-epsilon",
    type=float,
    help="Refuse if the data set would have spent more than this over all releases.",
)
@options.ledger
@click.option("--rows", type=int, help="Number of real rows, if it is public; for release.")
@click.option(
    "--certificate",
    type=options.PATH,
    help="Write the certificate of a report for release to a file.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=options.PATH,
    help="Write a file: .html, .json, .md or .txt. May be repeated.",
)
@options.as_json
def report(
    synthetic: tuple[str, ...],
    real: str,
    names: tuple[str, ...],
    audits: tuple[Path, ...],
    release: bool,
    certificate: Path | None,
    outputs: tuple[Path, ...],
    as_json: bool,
    **choices: Any,
) -> None:
    """Say what synthetic tables are worth beside the real one.

    SYNTHETIC is a table, a release folder or a model; the others stand beside the first. The report is
    INTERNAL: it reads real rows, is not private and must not be published. With --release all of its
    numbers are noised and charged to the ledger.
    """
    from tronie.reports.audits import read_audits

    _require_places(outputs, certificate, release)
    priced = {key: choices.pop(key) for key in PRICED} | {"certificate": certificate}
    choices["audits"] = [one for file in audits for one in read_audits(file, publishable=release)]
    with progress() as watch:
        make = _released if release else _internal
        found = make(synthetic, names, {"real": real, "watch": watch, **choices}, priced)
        for output in outputs:
            found.write(output)
    files = {output: _what(output, found) for output in outputs}
    if certificate is not None:
        files[certificate] = "what the report cost: `tronie verify`"
    written = views.written(files) if files else ()
    emit(as_json, found.to_dict(), [*shown(found), *written])


def _require_places(outputs: Sequence[Path], certificate: Path | None, release: bool) -> None:
    """Refuse what could not be written, before anything is read or spent."""
    from tronie.reports.result import require_suffix

    for output in outputs:
        require_suffix(output)
    for place in (*outputs, *([certificate] if certificate is not None else [])):
        if release:
            require_new(place)
        require_room(place)


def _internal(
    synthetic: tuple[str, ...],
    names: tuple[str, ...],
    choices: dict[str, Any],
    priced: Mapping[str, Any],
) -> Report:
    from tronie.reports.build import report as build

    _refuse(priced, "is for reports with --release: this one spends nothing.", "Leave it out.")
    learn = not choices.pop("no_learning")
    return build(list(synthetic), names=names or None, learn=learn, **choices)


def _released(
    synthetic: tuple[str, ...],
    names: tuple[str, ...],
    choices: dict[str, Any],
    priced: Mapping[str, Any],
) -> Report:
    from tronie.reports.build import release_report

    lacking = {key: choices.pop(key) for key in ("holdout", "target", "no_learning")}
    _refuse(lacking, "is not for reports with --release.", "Leave it out.")
    if priced["epsilon"] is None:
        raise InputError("a report for release has a price.", "Give --epsilon, such as 0.1.")
    if len(names) > 1:
        raise InputError("a report for release is about one synthetic table.", "Give one --name.")
    given = {key: value for key, value in priced.items() if value is not None}
    certificate = given.pop("certificate", None)
    name = names[0] if names else None
    found = release_report(list(synthetic), name=name, **choices, **given)
    if certificate is not None and found.released is not None:
        found.released.certificate.write(certificate)
    return found


def _refuse(options: Mapping[str, Any], why: str, remedy: str) -> None:
    """Refuse options that would do nothing."""
    for name, value in options.items():
        if value not in {None, False}:
            raise InputError(f"--{name.replace('_', '-')} {why}", remedy)


def _what(output: Path, found: Report) -> str:
    kind = {".html": "the report, for a browser", ".json": "the same for programs"}
    what = kind.get(output.suffix.lower(), "the same as text")
    return f"{what}; INTERNAL" if found.tier == "internal" else what


def shown(found: Report) -> Iterator[str]:
    """The report for people at a terminal: what is claimed, the score, and what is farthest off."""
    from tronie.reports.contents import contents
    from tronie.reports.plain_text import printable

    banner = f"{found.tier.upper()}: {found.banner}"
    yield alarm(banner) if found.tier == "internal" else title(banner)
    yield ""
    yield title(printable(found.title))
    yield from facts((printable(claim.table), _claimed(claim)) for claim in found.claims)
    yield ""
    yield from _gauges(found)
    for section in contents(found):
        if section.key in SHOWN:
            yield from _section(section)
    for sentence in found.omitted:
        yield aside(printable(sentence))


def briefly(found: Report) -> Iterator[str]:
    """An internal report in a few lines: the score, and what is farthest off."""
    from tronie.reports.contents import contents

    yield ""
    yield alarm(views.INTERNAL)
    yield from _gauges(found)
    for section in contents(found):
        if section.key == WORST:
            yield from _section(section)


def brief(found: Report) -> dict[str, Any]:
    """The same as plain data."""
    (evaluation,) = found.evaluations
    parts = {score.name: score.value for score in evaluation.headline.parts}
    columns = {each.name: each.distance for each in evaluation.distributions.columns}
    return {
        "warning": views.INTERNAL,
        "score": evaluation.headline.score.value,
        "overlap": parts,
        "columns": columns,
    }


def _claimed(claim: Claim) -> str:
    from tronie.reports.plain_text import printable

    words = alarm(claim.guarantee) if claim.dp is False else claim.guarantee
    if claim.unit:
        words += f", for adding or removing {printable(claim.unit)}"
    return words if claim.verified is not False else f"{words}; {alarm('DOES NOT HOLD')}"


def _gauges(found: Report) -> Iterator[str]:
    """A bar for each table's score."""
    from tronie.reports.numbers import NORMAL_95, points
    from tronie.reports.plain_text import printable

    scores = [(e.name, e.headline.score) for e in found.evaluations]
    if found.released is not None:
        scores.append((found.released.name, found.released.headline.score))
    width = max((len(name) for name, _ in scores), default=0)
    for name, score in scores:
        full = round(GAUGE * min(max(score.value, 0.0), 100.0) / 100)
        error = f" ± {NORMAL_95 * score.error:.1f}" if score.error else ""
        bar = "█" * full + "░" * (GAUGE - full)
        yield f"  {printable(name):<{width}}  {bar}  {title(points(score.value) + error)} of 100"


def _section(section: Section) -> Iterator[str]:
    yield ""
    yield title(section.title)
    for sentence in section.lead:
        yield aside(sentence)
    for block in section.blocks:
        if not block.folded:
            yield ""
            yield from _block(block)


def _block(block: Table | Facts) -> Iterator[str]:
    from tronie.reports.outline import Facts
    from tronie.reports.plain_text import printable, table_cells

    yield f"  {printable(block.caption)}"
    if isinstance(block, Facts):
        yield from facts((fact.name, printable(fact.value or fact.meaning)) for fact in block.facts)
        return
    header, rows, align, _ = table_cells(block)
    yield from grid(header, rows[:MOST_LINES], align)
