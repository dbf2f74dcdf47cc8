"""One command: a private table in, a release folder out."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tronie.errors import InputError, OutputError
from tronie.files import NOT_PRIVATE, PRIVATE_MODE
from tronie.measure.noise import Noise
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.privacy.ledger import Ledger
from tronie.release.fit import Watch, WorkloadLike, fit
from tronie.release.model import Model, require_drawable
from tronie.release.report import ReleaseReport, describe
from tronie.release.rows import Rows
from tronie.schema.schema import Schema
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.methods import AUTO
from tronie.synth.settings import DEFAULTS, Effort, Training

ROOM = 2**20
"""Bytes that must fit beside the folder before anything is spent."""

PRIVATE_FOLDER = 0o700
"""Mode of a folder that is not private."""

CERTIFICATE = "certificate.json"
"""The file that makes a folder a release."""

FORMATS = ("parquet", "csv", "arrow")
"""Formats of the synthetic table."""


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A release folder and what is in it.

    Attributes:
        folder: Where it lies.
        model: The fitted model (``model.tronie``).
        rows: The synthetic rows (``synthetic.parquet`` or another format).
        report: What they are worth (``report.txt``).
    """

    folder: Path
    model: Model
    rows: Rows
    report: ReleaseReport


def synthesize(
    source: Any,
    schema: Schema | str | Path | None = None,
    *,
    output: str | Path,
    epsilon: float | None = None,
    delta: float = DEFAULT_DELTA,
    dp: bool = True,
    method: str = AUTO,
    discover: bool = False,
    name: str | None = None,
    table: str | None = None,
    rows: int | None = None,
    seed: int | None = None,
    format: str = "parquet",
    ledger: Ledger | str | Path | None = None,
    max_epsilon: float | None = None,
    effort: Effort = "normal",
    max_memory: int | None = None,
    target: str | None = None,
    workload: WorkloadLike | None = None,
    prior: Any | None = None,
    training: Training = DEFAULTS.training,
    language: LanguageSettings = DEFAULTS.language,
    journal: str | Path | None = None,
    watch: Watch | None = None,
    noise: Noise | None = None,
) -> Release:
    """Fit a model, sample from it, and write a release folder.

    The folder holds the synthetic table, ``certificate.json``, ``model.tronie``, ``plan.json`` and
    ``report.txt``; all of it is public. It appears by rename, whole or not at all.

    Without privacy (`dp=False`) nothing of it is: ``NOT-PRIVATE.json`` stands for the certificate, and the
    folder and its files can be read by their owner only.

    Args:
        output: The folder; it must not exist yet, or be empty.
        rows: Number of synthetic rows; the released estimate when not given.
        seed: Makes the sampling, not the noise, repeatable.
        format: Format of the synthetic table: parquet, csv or arrow.

    The other arguments are those of `fit`, with its errors.

    Raises:
        OutputError: If the folder cannot be written; before anything is spent where that can be known.
    """
    folder = Path(output)
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}.", f"Choose one of {', '.join(FORMATS)}.")
    require_drawable(rows, seed)
    with _appearing(folder) as draft:
        model = fit(
            source,
            schema,
            epsilon=epsilon,
            delta=delta,
            dp=dp,
            method=method,
            discover=discover,
            name=name,
            table=table,
            ledger=ledger,
            max_epsilon=max_epsilon,
            effort=effort,
            max_memory=max_memory,
            target=target,
            workload=workload,
            prior=prior,
            training=training,
            language=language,
            journal=journal,
            watch=watch,
            noise=noise,
        )
        if watch is not None:
            watch("sampling")
        drawn = model.sample(rows, seed=seed)
        report = describe(model)
        _write(draft, model, drawn, report, format)
    return Release(folder, model, drawn, report)


def _write(folder: Path, model: Model, rows: Rows, report: ReleaseReport, format: str) -> None:
    rows.write(folder / f"synthetic.{format}")
    model.save(folder / "model.tronie")
    statement = CERTIFICATE if model.dp else NOT_PRIVATE
    texts = {
        statement: model.certificate.to_json(),
        "plan.json": json.dumps(model.plan, indent=1),
        "report.txt": report.text(),
    }
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        if not model.dp:
            _close(folder)
    except OSError as error:
        raise OutputError(
            f"the release folder could not be written: {error.strerror}.",
            "Free some space, or choose another folder.",
        ) from None


def _close(folder: Path) -> None:
    """Let nobody but its owner read a folder. Until now the folder around it was closed."""
    for file in folder.iterdir():
        file.chmod(PRIVATE_MODE)
    folder.chmod(PRIVATE_FOLDER)


@contextmanager
def _appearing(folder: Path) -> Generator[Path]:
    """A folder under a temporary name that gets its own when all went well."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists already.", "Choose another folder, or remove it.")
    place = Path(os.path.realpath(folder))
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        with _scratch(place) as draft:
            yield draft
            _rename(draft, place)
    except BaseException:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise


@contextmanager
def _scratch(place: Path) -> Generator[Path]:
    """An empty folder beside a place, on a disk with some room; gone afterwards."""
    scratch = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        trial = scratch / "trial"
        trial.write_bytes(bytes(ROOM))
        trial.unlink()
        draft = scratch / place.name
        draft.mkdir()
    except OSError as error:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        raise OutputError(
            f"cannot write beside {place}: {error.strerror}.",
            "Free some space, or choose another folder.",
        ) from None
    try:
        yield draft
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _rename(draft: Path, place: Path) -> None:
    try:
        if place.exists():
            place.rmdir()
        draft.replace(place)
    except OSError as error:
        raise OutputError(
            f"{place} could not be made: {error.strerror}.", "Choose another folder."
        ) from None
