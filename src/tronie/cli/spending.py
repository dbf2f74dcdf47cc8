"""Commands that read private rows and spend budget: synthesize, fit, demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

import tronie
from tronie.cli import options, reporting, views
from tronie.cli.options import Spending
from tronie.cli.places import require_new, require_room
from tronie.cli.progress import progress
from tronie.cli.show import aside, emit
from tronie.files import NOT_PRIVATE

if TYPE_CHECKING:
    from tronie.release.fit import Watch
    from tronie.release.model import Model
    from tronie.release.report import ReleaseReport
    from tronie.release.synthesize import Release
    from tronie.reports.result import Report

FORMATS = ("parquet", "csv", "arrow")
"""Choices of ``--format``."""

CONTENTS = {
    "certificate.json": "what was spent, for anyone to recompute: `tronie verify`",
    NOT_PRIVATE: "says that nothing is claimed",
    "model.tronie": "draws more rows at no further cost: `tronie sample`",
    "plan.json": "what was decided before a row was read",
    "report.txt": "the report above",
}
"""File of a release folder -> what it is."""

DEMO_EPSILON, DEMO_DELTA = 1.0, 1e-9


class Fitting(Spending):
    """What `tronie.fit` takes, as keyword arguments."""

    journal: Path | None


class Drawing(Fitting):
    """What `tronie.synthesize` takes besides, as keyword arguments."""

    rows: int | None
    seed: int | None


@click.command()
@options.source
@options.schema
@options.spending
@options.journal
@click.option("--rows", type=int, help="Synthetic rows. [default: the released estimate]")
@options.seed
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    default="parquet",
    show_default=True,
    help="Format of the synthetic table.",
)
@click.option("--compare", is_flag=True, help="Compare with the real rows: INTERNAL, not private.")
@click.option(
    "-o", "--output", type=options.PATH, required=True, help="Folder of the release, a new one."
)
@options.as_json
def synthesize(
    source: str,
    schema: Path | None,
    output: Path,
    compare: bool,
    as_json: bool,
    file_format: str,
    **choices: Unpack[Drawing],
) -> None:
    """From a private TABLE to a folder that may be published.

    The folder holds the synthetic table, its certificate, the model, the plan and a report. SCHEMA
    says what is publicly known about the columns; without one, give --discover. With --no-privacy the
    folder is for you alone.
    """
    with progress() as watch:
        release = tronie.synthesize(
            source, schema, output=output, format=file_format, watch=watch, **choices
        )
        found = _compare(source, choices["table"], release, watch) if compare else None
    internal = {} if found is None else {"internal": reporting.brief(found)}
    comparison = () if found is None else reporting.briefly(found)
    data = {**_summary(release.model, release.report), **_files(release), **internal}
    emit(as_json, data, [*_released(release), *comparison])


@click.command()
@options.source
@options.schema
@options.spending
@options.journal
@click.option(
    "-o", "--output", type=options.PATH, required=True, help="File of the model: x.tronie."
)
@options.as_json
def fit(
    source: str, schema: Path | None, output: Path, as_json: bool, **spending: Unpack[Fitting]
) -> None:
    """Fit a private model to a TABLE.

    The model is public: rows are drawn from it with `tronie sample`, at no further cost.
    """
    from tronie.release.report import describe

    require_new(output)
    require_room(output)
    with progress() as watch:
        model = tronie.fit(source, schema, watch=watch, **spending)
        model.save(output)
    report = describe(model)
    written = views.written({output: "the model, to draw rows from: `tronie sample`"})
    data = {**_summary(model, report), "model": str(output), "rows": model.rows}
    emit(as_json, data, [*views.report(report), *written])


@click.command()
@click.option(
    "-o",
    "--output",
    type=options.PATH,
    default=Path("demo-release"),
    show_default=True,
    help="Folder of the release, a new one.",
)
@options.ledger
@options.seed
@options.as_json
def demo(output: Path, ledger: Path | None, seed: int | None, as_json: bool) -> None:
    """Synthesize the table that ships with tronie.

    It is from the US census and public, so the result is also compared with the real rows.
    """
    with ExitStack() as stack, progress() as watch:
        data = resources.files("tronie") / "data"
        table, schema = (
            stack.enter_context(resources.as_file(data / name))
            for name in ("adult.parquet", "adult.yaml")
        )
        release = tronie.synthesize(
            table,
            schema,
            output=output,
            epsilon=DEMO_EPSILON,
            delta=DEMO_DELTA,
            seed=seed,
            ledger=ledger,
            watch=watch,
        )
        checked = release.model.certificate.verify()
        found = _compare(str(table), None, release, watch)
    place = output / "certificate.json"
    lines = [
        *_released(release),
        "",
        *views.verification(place, release.model.certificate, checked),
        *reporting.briefly(found),
        aside("Adult is public, so this may be shown. Of your own tables it may not."),
    ]
    data = {"verification": checked.to_dict(), "internal": reporting.brief(found)}
    emit(as_json, {**_summary(release.model, release.report), **_files(release), **data}, lines)


def _compare(source: str, table: str | None, release: Release, watch: Watch) -> Report:
    """INTERNAL: what the synthetic rows are worth, beside the real ones."""
    from tronie.tables.sources import open_source

    real = open_source(source, table=table)
    return tronie.report(release, real=real, names=["synthetic rows"], learn=False, watch=watch)


def _released(release: Release) -> Iterator[str]:
    """A release for people."""
    yield from views.report(release.report)
    folder, shape = release.folder, release.rows.table.shape
    table = next(path.name for path in folder.iterdir() if path.stem == "synthetic")
    synthetic = {folder / table: f"{shape[0]:,} synthetic rows, {shape[1]} columns"}
    contents = {folder / n: what for n, what in CONTENTS.items() if (folder / n).exists()}
    yield from views.written({**synthetic, **contents})


def _files(release: Release) -> dict[str, Any]:
    names = sorted(path.name for path in release.folder.iterdir())
    return {"folder": str(release.folder), "files": names, "rows": len(release.rows)}


def _summary(model: Model, report: ReleaseReport) -> dict[str, Any]:
    """A model as plain data."""
    certificate = model.certificate
    claim = {}
    if isinstance(certificate, tronie.Certificate):
        claim = {**certificate.claim.model_dump(mode="json"), "noise": certificate.noise}
    return {
        "dataset": certificate.dataset,
        "method": certificate.method,
        "dp": model.dp,
        **claim,
        "columns": model.types.names,
        "dropped": model.dropped,
        "report": asdict(report),
    }
