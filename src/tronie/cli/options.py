"""Options that several commands share, with the names of the Python API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from tronie.cli import levers
from tronie.privacy.budget import DEFAULT_DELTA

if TYPE_CHECKING:
    from tronie.synth.language_settings import LanguageSettings
    from tronie.synth.settings import Effort, Training

F = TypeVar("F", bound=Callable[..., Any])

EFFORTS = ("fast", "normal", "high")
"""Choices of ``--effort``."""

METHODS = (
    "auto",
    "independent",
    "direct",
    "mst",
    "privbayes",
    "mwem",
    "aim",
    "glaze",
    "gibbs",
    "transformer",
    "lstm",
    "hybrid",
    "vae",
    "gan",
    "marginal_net",
    "llm",
)
"""Choices of ``--method``."""

PATH = click.Path(path_type=Path)
"""A file or folder; the library says what is wrong with it."""


class Choices(TypedDict):
    """What every command that plans or spends takes, as keyword arguments."""

    delta: float
    method: str
    effort: Effort
    max_memory: int | None
    target: str | None
    workload: Path | None
    training: Training
    language: LanguageSettings


class Planning(Choices):
    """What `tronie.plan` takes besides."""

    epsilon: float
    rows: int | None


class Spending(Choices):
    """What `tronie.fit` and `tronie.synthesize` take besides."""

    epsilon: float | None
    dp: bool
    discover: bool
    prior: str | None
    table: str | None
    ledger: Path | None
    max_epsilon: float | None


BUDGET = "Privacy budget; smaller is more private."

epsilon = click.option("--epsilon", type=float, required=True, help=BUDGET)
delta = click.option(
    "--delta",
    type=float,
    default=DEFAULT_DELTA,
    show_default=True,
    help="Probability of a worse loss than epsilon.",
)
method = click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="How the budget is spent and the table is modelled.",
)
table = click.option("--table", metavar="NAME", help="Name of the table in a DuckDB file.")
ledger = click.option(
    "--ledger",
    type=PATH,
    help="File that keeps count of what is spent. [default: your own; TRONIE_LEDGER]",
)
seed = click.option(
    "--seed", type=int, help="Makes the sampling repeatable; the noise has no seed."
)
journal = click.option(
    "--journal",
    type=PATH,
    metavar="FOLDER",
    help="Keep all answers there: the same command goes on after a crash, at no further cost.",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
)
source = click.argument("source", metavar="TABLE")
schema = click.argument("schema", metavar="[SCHEMA]", type=PATH, required=False)
model = click.argument("model", metavar="MODEL", type=PATH)


def wishes(command: F) -> F:
    """The options that say what a table is for and how much time and memory to take."""
    effort = click.option(
        "--effort",
        type=click.Choice(EFFORTS),
        default="normal",
        show_default=True,
        help="How much time to take to be more accurate.",
    )
    memory = click.option(
        "--max-memory", type=int, metavar="MIB", help="Most memory for counts and for the model."
    )
    target = click.option(
        "--target", metavar="COLUMN", help="A column that will be predicted from the others."
    )
    workload = click.option(
        "--workload", type=PATH, help="File that says which marginals matter. [default: all pairs]"
    )
    train = click.option(
        "--train",
        "training",
        multiple=True,
        metavar="NAME=VALUE",
        callback=levers.training,
        help="How a network is trained: epochs, learning_rate, max_grad_norm, noise_multiplier, or "
        "batch_size with rows (their number, if it is public). May be repeated.",
    )
    language = click.option(
        "--language",
        multiple=True,
        metavar="NAME=VALUE",
        callback=levers.language,
        help="How the method llm writes rows: base (a folder or GGUF file), stage1 (marginal, "
        "uniform, prior, or other with other=FILE, a public table), serial, lora_rank, ... May be "
        "repeated.",
    )
    for option in (language, train, workload, target, memory, effort):
        command = option(command)
    return command


def spending(command: F) -> F:
    """The options of everything that reads private rows."""
    discover = click.option(
        "--discover",
        is_flag=True,
        help="Find bounds and categories that the schema does not declare, privately.",
    )
    budget = click.option(
        "--epsilon", type=float, help=f"{BUDGET} Needed, unless with --no-privacy."
    )
    exact = click.option(
        "--no-privacy",
        "dp",
        is_flag=True,
        flag_value=False,
        default=True,
        help="No noise, for comparison only: nothing is claimed, and nothing may be published.",
    )
    cap = click.option(
        "--max-epsilon",
        type=float,
        help="Refuse if the data set would have spent more than this over all releases.",
    )
    prior = click.option(
        "--prior", metavar="FILE", help="Rows or a model of the same columns; you say it is public."
    )
    for option in (prior, wishes, ledger, cap, table, discover, method, exact, delta, budget):
        command = option(command)
    return command
