"""Commands about what was spent, which read no rows: budget, certificate, verify."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

import tronie
from tronie.cli import options, views
from tronie.cli.ending import FAILED
from tronie.cli.show import emit
from tronie.errors import BundleError, InputError
from tronie.files import NOT_PRIVATE

if TYPE_CHECKING:
    from tronie.privacy.disclaimer import Statement

CERTIFICATE, MODEL = "certificate.json", "model.tronie"
"""Names in a release folder."""


@click.command()
@click.argument("dataset", metavar="[DATASET]", required=False)
@click.option("--set-cap", type=float, metavar="EPSILON", help="The most DATASET may ever spend.")
@click.option("--remove-cap", is_flag=True, help="Remove the cap of DATASET.")
@click.option(
    "--delta", type=float, help="Delta of totals and cap. [default: the releases' largest]"
)
@click.option(
    "--give-up",
    type=options.PATH,
    metavar="JOURNAL",
    help="End the fit of a JOURNAL for good: it counts with what it was charged, no more.",
)
@options.ledger
@options.as_json
def budget(
    dataset: str | None,
    set_cap: float | None,
    remove_cap: bool,
    delta: float | None,
    give_up: Path | None,
    ledger: Path | None,
    as_json: bool,
) -> None:
    """Show what each data set has spent over all releases.

    DATASET is the name that its schema declares; with it, each release is shown.
    """
    book = tronie.Ledger(ledger)
    if give_up is not None and (dataset is not None or set_cap is not None or remove_cap):
        raise InputError(
            "a journal was given up together with something else.",
            "Name the journal alone; it knows its data set.",
        )
    if set_cap is not None and remove_cap:
        raise InputError("a cap cannot be set and removed at once.", "Choose one.")
    if set_cap is not None or remove_cap:
        if dataset is None:
            raise InputError("a cap needs a data set.", "Name it: `tronie budget DATASET ...`.")
        book.set_cap(dataset, set_cap, delta)
    if give_up is not None:
        from tronie.release import journaling

        dataset = journaling.give_up(give_up, book).dataset
    entries = book.entries(dataset)
    names = [dataset] if dataset is not None else sorted({entry.dataset for entry in entries})
    totals = [book.spent(name, delta) for name in names]
    shown = entries if dataset is not None else ()
    data = {
        "ledger": str(book.path),
        "datasets": [total.to_dict() for total in totals],
        "releases": [entry.to_dict() for entry in entries],
    }
    emit(as_json, data, [*views.totals(book.path, totals), *views.entries(shown)])


@click.command()
@click.argument("place", metavar="MODEL", type=options.PATH)
@click.option("-o", "--output", type=options.PATH, help="Write it to a JSON file instead.")
@options.as_json
def certificate(place: Path, output: Path | None, as_json: bool) -> None:
    """Show the certificate of a MODEL.

    MODEL is a model, a release folder or a certificate's file.
    """
    found = _certificate(place)
    if output is not None:
        found.write(output)
    lines = (
        views.certificate(found)
        if output is None
        else views.written({output: "the certificate: `tronie verify`"})
    )
    emit(as_json, found.model_dump(mode="json"), lines)


@click.command()
@click.argument("place", metavar="CERTIFICATE", type=options.PATH)
@options.as_json
@click.pass_context
def verify(ctx: click.Context, place: Path, as_json: bool) -> None:
    """Recompute epsilon from the listed accesses alone.

    CERTIFICATE is a certificate's file, a model or a release folder. Ends with exit code 1 if the
    claim does not hold, and if nothing is claimed.
    """
    checked = _certificate(place)
    found = checked.verify()
    problems = _contradictions(place, checked)
    if problems:
        found = replace(found, ok=False, problems=(*found.problems, *problems))
    about = {"noise": checked.noise} if isinstance(checked, tronie.Certificate) else {"dp": False}
    data = {"certificate": str(place), **about, **found.to_dict()}
    emit(as_json, data, views.verification(place, checked, found))
    if not found.ok:
        ctx.exit(FAILED)


def _contradictions(place: Path, checked: Statement) -> tuple[str, ...]:
    """What else in a release folder does not agree with its certificate."""
    if not place.is_dir():
        return ()
    from tronie.tables.stamp import says_not_private

    problems: list[str] = []
    if (place / MODEL).is_file() and tronie.Model.load(place / MODEL).certificate != checked:
        problems.append(f"The folder's {MODEL} holds another certificate.")
    rows = [file for file in sorted(place.glob("*")) if file.is_file()]
    if isinstance(checked, tronie.Certificate) and any(map(says_not_private, rows)):
        problems.append("A file in the folder says that it was made without privacy.")
    return tuple(problems)


def _certificate(place: Path) -> Statement:
    """The certificate that is, or that lies in, a file or folder; or the statement that there is none."""
    from tronie.privacy.disclaimer import read_statement

    if place.is_dir():
        place = place / (NOT_PRIVATE if (place / NOT_PRIVATE).is_file() else CERTIFICATE)
    if not place.is_file():
        raise BundleError(f"there is no file {str(place)!r}.", "Check the path.")
    if zipfile.is_zipfile(place):
        return tronie.Model.load(place).certificate
    return read_statement(place)
