"""Synthetic tables as they are given: tables, models and release folders; and what came with them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tronie.errors import InputError
from tronie.files import NOT_PRIVATE
from tronie.privacy.disclaimer import Statement, read_statement
from tronie.release.model import Model
from tronie.release.synthesize import CERTIFICATE, FORMATS, Release

MODEL, ROWS = "model.tronie", "synthetic"
"""Names in a release folder."""

MOST_TABLES = 6
"""Tables that can be told apart by colour."""

SEED = 0
"""Of the rows that are drawn from a model which came without any."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A synthetic table.

    Attributes:
        name: What it is called in the report.
        rows: The table, as `tronie.tables.sources.open_source` takes it.
        certificate: What is claimed about it, if a certificate came with it; or that nothing is.
        model: Its model, if that came with it.
    """

    name: str
    rows: Any
    certificate: Statement | None = None
    model: Model | None = None


def read_given(synthetic: Any, names: Sequence[str] | None = None) -> tuple[Given, ...]:
    """Find out what was given.

    Args:
        synthetic: One synthetic table, or several in a list, a tuple or a mapping of names: each a table
            as for `tronie.fit`, a release or its folder, or a model or its file.
        names: What to call them; otherwise their mapping's keys or files' names.

    Raises:
        InputError: If there are none, too many, or not as many names as tables; or two share a name.
        BundleError: If a model or a certificate cannot be read.
    """
    labels, tables = _listed(synthetic)
    if not 1 <= len(tables) <= MOST_TABLES:
        raise InputError(
            f"a report is about 1 to {MOST_TABLES} synthetic tables, not {len(tables)}.",
            "Make several reports.",
        )
    chosen = labels if names is None else names
    if chosen is not None and len(chosen) != len(tables):
        raise InputError(
            f"{len(chosen)} names were given for {len(tables)} synthetic tables.",
            "Give each table a name, or none.",
        )
    if chosen is not None and (len(set(chosen)) < len(chosen) or not all(chosen)):
        raise InputError("two synthetic tables have one name.", "Give each a name of its own.")
    found = [_read(table) for table in tables]
    given = chosen if chosen is not None else _distinct([each.name for each in found])
    return tuple(
        Given(name, each.rows, each.certificate, each.model)
        for name, each in zip(given, found, strict=True)
    )


def _listed(synthetic: Any) -> tuple[Sequence[str] | None, list[Any]]:
    if isinstance(synthetic, Mapping):
        named = cast("Mapping[Any, Any]", synthetic)
        return [str(name) for name in named], list(named.values())
    if isinstance(synthetic, list | tuple):
        return None, list(cast("Sequence[Any]", synthetic))
    return None, [synthetic]


def _distinct(names: Sequence[str]) -> list[str]:
    """Names, numbered where they would be the same."""
    found: list[str] = []
    for name in names:
        number, label = 1, name
        while label in found:
            number += 1
            label = f"{name} {number}"
        found.append(label)
    return found


def _read(table: Any) -> Given:
    if isinstance(table, Release):
        return Given(table.folder.name, table.rows, table.model.certificate, table.model)
    if isinstance(table, Model):
        return _drawn("model", table)
    if not isinstance(table, str | Path):
        return Given("synthetic", table)
    path = Path(table)
    for statement in (NOT_PRIVATE, CERTIFICATE):
        if (path / statement).is_file():
            return _folder(path, statement)
    if path.is_file() and zipfile.is_zipfile(path) and path.suffix == ".tronie":
        return _drawn(path.stem, Model.load(path))
    return Given(path.name.partition(".")[0] or "synthetic", table)


def _drawn(name: str, model: Model) -> Given:
    return Given(name, model.sample(seed=SEED), model.certificate, model)


def _folder(path: Path, statement: str) -> Given:
    name = path.resolve().name
    model = Model.load(path / MODEL) if (path / MODEL).is_file() else None
    certificate = read_statement(path / statement)
    rows = [file for kind in FORMATS if (file := path / f"{ROWS}.{kind}").is_file()]
    if rows:
        return Given(name, rows[0], certificate, model)
    if model is None:
        raise InputError(
            f"the folder {path} holds neither synthetic rows nor a model.",
            "Name a folder that `tronie synthesize` wrote.",
        )
    return Given(name, model.sample(seed=SEED), certificate, model)
