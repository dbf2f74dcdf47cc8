"""The command that drops risky synthetic rows: filter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import click

import tronie
from tronie.cli import options, views
from tronie.cli.places import require_new, require_room
from tronie.cli.progress import progress
from tronie.cli.show import alarm, aside, emit, facts, title
from tronie.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tronie.filters.result import Filter, Filtered


T = TypeVar("T")


class Wanted(TypedDict):
    """Which filters are wanted."""

    repeated: int | None
    rare_combinations: int | None
    unlikely: float | None
    rare_cells: float | None
    rules: bool
    similar_to: str | None
    differing: int
    outlying: str | None


@click.command("filter")
@click.argument("synthetic", metavar="SYNTHETIC")
@click.option("--repeated", type=int, metavar="N", help="Keep at most N copies of a row.")
@click.option(
    "--rare-combinations", type=int, metavar="N", help="Drop pairs of values on fewer than N rows."
)
@click.option("--model", type=options.PATH, help="The released model, for three of the filters.")
@click.option("--unlikely", type=float, metavar="SHARE", help="Drop this share, the least likely.")
@click.option("--rare-cells", type=float, metavar="N", help="Drop cells counted, noisily, below N.")
@click.option("--rules", is_flag=True, help="Drop rows that contradict the schema.")
@click.option("--schema", type=options.PATH, help="The schema. [default: the model's]")
@click.option("--similar-to", metavar="TABLE", help="Drop rows that equal a real row of TABLE.")
@click.option(
    "--differing", type=int, default=0, show_default=True, help="... but for so many columns."
)
@click.option("--outlying", metavar="TABLE", help="Drop rows far from all real rows of TABLE.")
@click.option(
    "--voids-guarantee", is_flag=True, help="Allow comparing with real rows, which voids privacy."
)
@click.option("-o", "--output", type=options.PATH, required=True, help="File of what is left.")
@options.as_json
def filter_rows(
    synthetic: str,
    model: Path | None,
    schema: Path | None,
    voids_guarantee: bool,
    output: Path,
    as_json: bool,
    **wanted: Unpack[Wanted],
) -> None:
    """Drop risky rows of a SYNTHETIC table.

    Filters that read synthetic rows, the schema or the model leave the guarantee as it was. Those that
    compare with real rows void it, are refused for a release, and stamp the result as not private.
    """
    from tronie.filters.applying import apply_filters

    require_new(output)
    require_room(output)
    filters = _filters(wanted, model, schema)
    with progress() as watch:
        watch("filtering")
        found = apply_filters(synthetic, filters, voids_guarantee=voids_guarantee)
        found.write(output)
    emit(as_json, {"output": str(output), **found.stamp()}, _shown(found, output))


def _filters(wanted: Wanted, model: Path | None, schema: Path | None) -> list[Filter]:
    """The filters that were asked for, those that cost nothing first."""
    from tronie.filters.against_real import Outlying, Similar
    from tronie.filters.free import BrokenRules, RareCells, RareCombinations, Repeated, Unlikely

    loaded = None if model is None else tronie.Model.load(model)
    facts = tronie.Schema.read(schema) if schema is not None else loaded and loaded.schema
    makers: dict[str, Callable[[Any], Filter]] = {
        "rules": lambda _: BrokenRules(_needed(facts, "rules", "--schema or --model")),
        "repeated": Repeated,
        "rare_combinations": lambda n: RareCombinations(fewer_than=n),
        "unlikely": lambda share: Unlikely(_needed(loaded, "unlikely", "--model"), share),
        "rare_cells": lambda n: RareCells(_needed(loaded, "rare-cells", "--model"), n),
        "similar_to": lambda real: Similar(real, wanted["differing"], schema=facts),
        "outlying": lambda real: Outlying(real, schema=facts),
    }
    asked = {name: value for name, value in wanted.items() if name in makers}
    return [
        make(asked[n])
        for n, make in makers.items()
        if asked[n] is not None and asked[n] is not False
    ]


def _needed(thing: T | None, option: str, remedy: str) -> T:
    """What a filter rests on.

    Raises:
        InputError: If it was not given.
    """
    if thing is None:
        raise InputError(f"--{option} rests on what was not given.", f"Give {remedy}.")
    return thing


def _shown(found: Filtered, output: Path) -> Iterator[str]:
    from tronie.filters.result import stamp_path

    yield title(f"{len(found.rows):,} of {found.given:,} rows are left")
    yield from facts((step.name, f"{step.dropped:,} rows dropped") for step in found.steps)
    yield ""
    yield alarm("NOT differentially private") if found.dp is False else title("The guarantee")
    yield aside(found.reason)
    rows = "the rows that are left"
    yield from views.written({output: rows, stamp_path(output): "what was done, and what it means"})
