"""One command: a private table in, a release folder out."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tronie.errors import InputError, OutputError
from tronie.measure.noise import Noise
from tronie.privacy.budget import DEFAULT_DELTA
from tronie.privacy.ledger import Ledger
from tronie.release.fit import Watch, fit
from tronie.release.model import Model
from tronie.release.report import ReleaseReport, describe
from tronie.release.rows import Rows
from tronie.schema.schema import Schema
from tronie.synth.methods import AUTO

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
    epsilon: float,
    delta: float = DEFAULT_DELTA,
    method: str = AUTO,
    discover: bool = False,
    table: str | None = None,
    rows: int | None = None,
    seed: int | None = None,
    format: str = "parquet",
    ledger: Ledger | str | Path | None = None,
    max_epsilon: float | None = None,
    watch: Watch | None = None,
    noise: Noise | None = None,
) -> Release:
    """Fit a model, sample from it, and write a release folder.

    The folder holds the synthetic table, ``certificate.json``, ``model.tronie``, ``plan.json`` and
    ``report.txt``; all of it is public. It appears by rename, whole or not at all.

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
    if rows is not None and rows < 0:
        raise InputError(f"cannot draw {rows} rows.", "Ask for a number of at least 0.")
    with _appearing(folder) as draft:
        model = fit(
            source,
            schema,
            epsilon=epsilon,
            delta=delta,
            method=method,
            discover=discover,
            table=table,
            ledger=ledger,
            max_epsilon=max_epsilon,
            watch=watch,
            noise=noise,
        )
        (watch or (lambda stage: None))("sampling")
        drawn = model.sample(rows, seed=seed)
        report = describe(model)
        _write(draft, model, drawn, report, format)
    return Release(folder, model, drawn, report)


def _write(folder: Path, model: Model, rows: Rows, report: ReleaseReport, format: str) -> None:
    try:
        rows.write(folder / f"synthetic.{format}")
        model.save(folder / "model.tronie")
        (folder / "certificate.json").write_text(model.certificate.to_json(), encoding="utf-8")
        (folder / "plan.json").write_text(json.dumps(model.plan, indent=1), encoding="utf-8")
        (folder / "report.txt").write_text(report.text(), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the release folder could not be written: {error.strerror}.",
            "Free some space, or choose another folder.",
        ) from None


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder under a temporary name that gets its own when all went well."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists already.", "Choose another folder, or remove it.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write beside {folder}: {error.strerror}.", "Choose another folder."
        ) from None
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())
        if folder.exists():
            folder.rmdir()
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
