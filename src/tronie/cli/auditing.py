"""Commands that attack: audit method, split, replay, membership, canary, ladder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click

import tronie
from tronie.cli import options, views
from tronie.cli.ending import FAILED
from tronie.cli.options import F
from tronie.cli.places import require_new, require_room
from tronie.cli.progress import progress
from tronie.cli.show import alarm, aside, emit, facts, title
from tronie.errors import InputError
from tronie.files import atomic_write

if TYPE_CHECKING:
    import pyarrow as pa

    from tronie.audit.result import Audit

RUNS = 2000
"""Runs with and without the unit, when no other number is asked for."""


class Claimed(TypedDict):
    """What is tested, as keyword arguments of all audits."""

    epsilon: float | None
    delta: float
    confidence: float


class Groups(Claimed):
    """What audits of one output with a control group take."""

    members: str
    control: str
    schema: Path | None
    columns: tuple[str, ...]


class Contaminated(TypedDict):
    """What audits take that synthesize a contaminated copy of a table."""

    method: str
    discover: bool
    delta: float
    confidence: float
    seed: int | None


confidence = click.option(
    "--confidence",
    type=float,
    default=0.95,
    show_default=True,
    help="Probability with which a correct claim is not called a violation.",
)
output = click.option(
    "-o",
    "--output",
    type=options.PATH,
    help="Write the results to a JSON file, for `tronie report`.",
)


def groups(command: F) -> F:
    """The options of audits that compare members with a control group."""
    members = click.option(
        "--members", required=True, metavar="TABLE", help="The rows that the generator saw."
    )
    control = click.option(
        "--control", required=True, metavar="TABLE", help="Rows that it did not see."
    )
    schema = click.option("--schema", type=options.PATH, help="What the columns are.")
    columns = click.option(
        "--column", "columns", multiple=True, help="Compare this column only; may be repeated."
    )
    epsilon = click.option(
        "--epsilon", type=float, help="What the generator claims. [default: nothing]"
    )
    for option in (confidence, options.delta, epsilon, columns, schema, control, members):
        command = option(command)
    return command


def fitting(command: F) -> F:
    """The options of audits that synthesize a contaminated copy of a table."""
    discover = click.option(
        "--discover", is_flag=True, help="Find undeclared bounds and categories, privately."
    )
    for option in (options.seed, confidence, discover, options.method, options.delta):
        command = option(command)
    return options.epsilon(command)


@click.group()
def audit() -> None:
    """Attack a method or an output, and say what that shows.

    A bound of epsilon above the claim is a violation and ends with exit code 1. A bound below it proves
    nothing beyond what the attack could have shown, which stands beside it. All audits but `method` read
    real rows: their results are INTERNAL.
    """


@audit.command()
@click.argument("method", metavar="METHOD", type=click.Choice(options.METHODS[1:]))
@options.epsilon
@options.delta
@click.option(
    "--runs", type=int, default=RUNS, show_default=True, help="Runs with the unit, and without it."
)
@click.option(
    "--pair",
    default="ones",
    show_default=True,
    help="Neighbouring tables: ones, repeat, narrow, bounds, category, unseen, unit, missing, function.",
)
@confidence
@output
@options.as_json
@click.pass_context
def method(
    ctx: click.Context,
    method: str,
    epsilon: float,
    delta: float,
    runs: int,
    pair: str,
    confidence: float,
    output: Path | None,
    as_json: bool,
) -> None:
    """Play the white-box game of a METHOD.

    Two small tables differ by one unit. An attacker who sees every answer of the curator, exactly
    weighed, guesses which of the two it was. No rows of yours are read.
    """
    from tronie.audit.whitebox import play

    require_runs(runs)
    _require_place(output)
    with progress() as watch:
        watch(f"playing {2 * runs:,} games")
        found = play(method, epsilon, delta, runs, pair=pair, confidence=confidence)
    _end(ctx, [found], output, as_json, internal=False)


@audit.command()
@click.argument("source", metavar="TABLE")
@click.option("--share", type=float, default=0.5, show_default=True, help="Share of members.")
@click.option("--members", type=options.PATH, required=True, help="File of the members, a new one.")
@click.option("--control", type=options.PATH, required=True, help="File of the others, a new one.")
@options.as_json
def split(source: str, share: float, members: Path, control: Path, as_json: bool) -> None:
    """Divide a TABLE by coin into members and a control group.

    Both files hold real rows. Synthesize the members; then `tronie audit replay` and `membership`
    compare both groups with the output.
    """
    from tronie.audit.replay import split as divide
    from tronie.tables.sinks import write_table

    for place in (members, control):
        require_new(place)
        require_room(place)
    sides = divide(source, share=share)
    for side, place in zip(sides, (members, control), strict=True):
        write_table(side, place)
        place.chmod(0o600)
    counts = [side.num_rows for side in sides]
    what = ("real rows to synthesize", "real rows to keep back")
    rows = {p: f"{n:,} {w}" for p, n, w in zip((members, control), counts, what, strict=True)}
    data = {"members": counts[0], "control": counts[1]}
    emit(as_json, data, views.written(rows))


@audit.command()
@click.argument("synthetic", metavar="SYNTHETIC")
@groups
@output
@options.as_json
@click.pass_context
def replay(
    ctx: click.Context,
    synthetic: str,
    output: Path | None,
    as_json: bool,
    **choices: Unpack[Groups],
) -> None:
    """Does SYNTHETIC repeat rows of its input?

    Rows of members and of a control group are looked for in the output, exactly: it may hold some of
    both by chance, but not more of its input than of other people.
    """
    from tronie.audit.replay import replay as attack

    _require_place(output)
    with progress() as watch:
        watch("looking for real rows")
        found = attack(synthetic, **_grouped(choices))
    _end(ctx, [found], output, as_json)


@audit.command()
@click.argument("synthetic", metavar="SYNTHETIC")
@groups
@click.option(
    "--model",
    type=options.PATH,
    help="The released model, for an attack at the marginals that it measured.",
)
@output
@options.as_json
@click.pass_context
def membership(
    ctx: click.Context,
    synthetic: str,
    model: Path | None,
    output: Path | None,
    as_json: bool,
    **choices: Unpack[Groups],
) -> None:
    """Can SYNTHETIC tell who was in its input?

    Two attacks: by the ratio of densities, and at the cells of marginals.
    """
    from tronie.audit.membership import density, focal_points

    _require_place(output)
    given = _grouped(choices)
    loaded = None if model is None else tronie.Model.load(model)
    if loaded is not None:
        given["schema"] = given["schema"] or loaded.schema
        paper = loaded.certificate
        gaussian = isinstance(paper, tronie.Certificate) and paper.claim.mu is not None
        given["claim"] = "gaussian" if gaussian else "any"
    with progress() as watch:
        watch("attacking")
        found = [density(synthetic, **given), focal_points(synthetic, model=loaded, **given)]
    _end(ctx, found, output, as_json)


@audit.command()
@options.source
@options.schema
@fitting
@click.option(
    "--copies", type=int, default=1, show_default=True, help="How often the odd row is planted."
)
@output
@options.as_json
@click.pass_context
def canary(
    ctx: click.Context,
    source: str,
    schema: Path | None,
    epsilon: float,
    copies: int,
    output: Path | None,
    as_json: bool,
    **choices: Unpack[Contaminated],
) -> None:
    """Plant an odd row in a copy of TABLE, and search for it.

    The row has a word that nobody has seen, extreme numbers and dates. All that a run writes is searched
    and thrown away.
    """
    from tronie.audit.domain_canary import domain_canary

    _require_place(output)
    fit = _fitter(source, schema, epsilon, choices)
    with progress() as watch:
        watch("synthesizing with an odd row")
        found = domain_canary(
            fit,
            source,
            epsilon=epsilon,
            delta=choices["delta"],
            copies=copies,
            confidence=choices["confidence"],
            seed=choices["seed"],
        )
    _end(ctx, [found], output, as_json)


@audit.command()
@options.source
@options.schema
@fitting
@click.option(
    "--column", "columns", multiple=True, help="A column of the secrets; may be repeated."
)
@output
@options.as_json
@click.pass_context
def ladder(
    ctx: click.Context,
    source: str,
    schema: Path | None,
    epsilon: float,
    columns: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    **choices: Unpack[Contaminated],
) -> None:
    """Insert secrets into a copy of TABLE, and count replays.

    Each is inserted 1 to 128 times or never, by coin. Beside the share of those that come out in the
    synthetic rows stands what the claim allows.
    """
    from tronie.audit.ladder import ladder as climb

    _require_place(output)
    fit = _fitter(source, schema, epsilon, choices)

    def synthesize(table: pa.Table) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return fit(table, Path(folder))

    with progress() as watch:
        watch("synthesizing with secrets")
        found = climb(
            synthesize,
            source,
            schema=None if schema is None else tronie.Schema.read(schema),
            columns=columns or None,
            epsilon=epsilon,
            delta=choices["delta"],
            claim="any" if choices["discover"] else "gaussian",
            confidence=choices["confidence"],
            seed=choices["seed"],
        )
    _end(ctx, [found], output, as_json)


def require_runs(runs: int) -> None:
    """Refuse a game that shows nothing.

    Raises:
        InputError: If there are fewer than two runs.
    """
    if runs < 2:
        raise InputError(f"{runs} runs show nothing.", "Ask for a thousand or more.")


def _grouped(choices: Groups) -> dict[str, Any]:
    given: dict[str, Any] = dict(choices)
    path = given["schema"]
    given["schema"] = None if path is None else tronie.Schema.read(path)
    given["columns"] = given["columns"] or None
    return given


def _fitter(source: str, schema: Path | None, epsilon: float, choices: Contaminated) -> Any:
    """Synthesizes a table into a folder, with a ledger that is thrown away."""
    return partial(
        _synthesized,
        schema=schema,
        epsilon=epsilon,
        delta=choices["delta"],
        method=choices["method"],
        discover=choices["discover"],
        name=Path(source).stem,
    )


def _synthesized(table: pa.Table, folder: Path, **wishes: Any) -> Any:
    book = folder / "ledger.sqlite"
    return tronie.synthesize(table, output=folder / "release", ledger=book, **wishes).rows.table


def _require_place(output: Path | None) -> None:
    if output is not None:
        require_new(output)
        require_room(output)


def _end(
    ctx: click.Context,
    found: Sequence[Audit],
    output: Path | None,
    as_json: bool,
    *,
    internal: bool = True,
) -> None:
    """Show audits, write them, and end with their verdict."""
    data = {"internal": internal, "audits": [one.to_dict() for one in found]}
    lines = [*_shown(found, internal=internal)]
    if output is not None:
        atomic_write(output, (json.dumps(data, indent=1) + "\n").encode())
        if internal:
            output.chmod(0o600)
        lines += views.written({output: "the results, for `tronie report --audit`"})
    emit(as_json, data, lines)
    if any(one.verdict == "violation" for one in found):
        ctx.exit(FAILED)


def _shown(found: Sequence[Audit], *, internal: bool) -> Iterator[str]:
    if internal:
        yield alarm(views.INTERNAL)
    for one in found:
        yield ""
        yield title(f"{one.name}: {one.verdict}")
        yield aside(one.finding)
        claim = (
            "nothing" if one.epsilon is None else f"epsilon {one.epsilon:g}, delta {one.delta:g}"
        )
        yield from facts(
            [
                ("claimed", claim),
                ("shown", f"epsilon at least {one.lower:.2f} ({one.confidence:.0%} confidence)"),
                ("could have shown", f"{one.power:.2f} with {one.runs:,} runs or units"),
            ]
        )
        yield aside(one.threat_model)
