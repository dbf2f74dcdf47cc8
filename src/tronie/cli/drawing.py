"""Commands that draw from a model, at no cost: sample, marginal."""

from __future__ import annotations

from pathlib import Path

import click

import tronie
from tronie.cli import options, views
from tronie.cli.given import read_conditions
from tronie.cli.progress import progress
from tronie.cli.show import emit

PLACES = "parquet, csv, arrow"
"""Formats that a file's name may ask for."""


@click.command()
@options.model
@click.option("-n", "n", type=int, help="Number of rows. [default: the released estimate]")
@options.seed
@click.option(
    "--given",
    multiple=True,
    metavar="CONDITION",
    help="Only rows like this: COLUMN=VALUE, COLUMN=LOW..HIGH or COLUMN=VALUE,VALUE; an empty value "
    "is a missing one. May be repeated, for other columns.",
)
@click.option(
    "-o", "--output", type=options.PATH, required=True, help=f"File of the rows: {PLACES}."
)
@options.as_json
def sample(
    model: Path,
    n: int | None,
    seed: int | None,
    given: tuple[str, ...],
    output: Path,
    as_json: bool,
) -> None:
    """Draw synthetic rows from a MODEL.

    Nothing private is read and nothing is spent. A condition is exact: the other columns follow the
    model's distribution given it.
    """
    with progress() as watch:
        watch("loading the model")
        loaded = tronie.Model.load(model)
        conditions = read_conditions(loaded.schema, given)
        watch("sampling")
        rows = loaded.sample(n, given=conditions, seed=seed)
        rows.write(output)
    shape = rows.table.shape
    written = views.written({output: f"{shape[0]:,} synthetic rows, {shape[1]} columns"})
    emit(
        as_json,
        {
            "output": str(output),
            "rows": shape[0],
            "columns": rows.table.schema.names,
            "dp": loaded.dp,
        },
        [*views.unprotected(loaded), *written],
    )


@click.command()
@options.model
@click.argument("columns", metavar="COLUMN...", nargs=-1, required=True)
@click.option("-o", "--output", type=options.PATH, help=f"Write a file instead: {PLACES}.")
@options.as_json
def marginal(model: Path, columns: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Show the counts that a MODEL expects.

    One line for each combination of the COLUMNs' values; numbers and dates in intervals.
    """
    loaded = tronie.Model.load(model)
    rows = loaded.marginal(columns)
    if output is not None:
        rows.write(output)
    cells = rows.table.to_pylist()
    data = {"columns": columns, "cells": cells, "output": output, "dp": loaded.dp}
    lines = (
        views.cells(columns, cells)
        if output is None
        else views.written({output: f"{len(cells):,} cells"})
    )
    emit(as_json, data, [*views.unprotected(loaded), *lines])
