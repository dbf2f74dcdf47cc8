"""Commands that read no private row: schema, plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Unpack

import click

import tronie
from tronie.cli import options, views
from tronie.cli.drafting import read_kinds
from tronie.cli.places import require_new
from tronie.cli.show import emit
from tronie.errors import InputError
from tronie.files import atomic_write


@click.command()
@click.argument("source", metavar="[TABLE]", required=False)
@click.option("--name", help="Name of the data set in the ledger. [default: the file's]")
@click.option(
    "--public", metavar="FILE", help="Take values and bounds from this table: you say it is public."
)
@click.option(
    "--types", default="", metavar="COLUMN=KIND,...", help="Kinds of columns, where you know them."
)
@options.table
@click.option("--explain", is_flag=True, help="Show each guess with its reason, not the schema.")
@click.option("--json-schema", is_flag=True, help="Show what a schema may hold, as JSON Schema.")
@click.option("-o", "--output", type=options.PATH, help="Write a new file: .yaml or .json.")
@options.as_json
def schema(
    source: str | None,
    output: Path | None,
    explain: bool,
    json_schema: bool,
    as_json: bool,
    types: str,
    table: str | None,
    **choices: str | None,
) -> None:
    """Draft a schema from a TABLE's names and types.

    No row is read, but for those of a file given with --public. Each guess is marked, with its
    reason; correct what is wrong. Kinds are category, open_category, integer, decimal, boolean,
    date, datetime, identifier and text.
    """
    if output is not None:
        require_new(output)
    if json_schema:
        _show_json_schema(output)
        return
    if source is None:
        raise InputError("no table was named.", "Name a table, or ask for --json-schema.")
    found = tronie.draft(source, kinds=read_kinds(types), table=table, **choices)
    lines = [*views.guesses(found)] if explain or output else [found.to_yaml().rstrip()]
    if output is not None:
        found.write(output)
        lines += views.written({output: "the draft: correct it, then see `tronie plan`"})
    emit(as_json, {"schema": json.loads(found.to_json()), "unknown": found.unknowns()}, lines)


@click.command()
@click.argument("schema", metavar="SCHEMA", type=options.PATH)
@options.epsilon
@options.delta
@options.method
@click.option(
    "--rows", type=int, help="Rows that you expect the table to have, for forecasts only."
)
@options.wishes
@options.as_json
def plan(schema: Path, as_json: bool, **choices: Unpack[options.Planning]) -> None:
    """Show how a budget would be split, with a forecast.

    Made from the SCHEMA alone: no row is read, nothing is spent.
    """
    found = tronie.plan(schema, **choices)
    emit(as_json, found.to_dict(), views.plan(found))


def _show_json_schema(output: Path | None) -> None:
    text = json.dumps(tronie.Schema.json_schema(), indent=2) + "\n"
    if output is not None:
        atomic_write(output, text.encode())
    else:
        click.echo(text, nl=False)
