"""The command line's entry point."""

from __future__ import annotations

import os
import signal

import click

from tronie import __version__
from tronie.cli import auditing, drawing, filtering, planning, proving, reporting, spending
from tronie.cli.ending import EXIT_CODES, Commands

ENVIRONMENT = {
    "TRONIE_LEDGER": "the ledger, where --ledger is not given",
    "TRONIE_DEBUG": "1 shows tracebacks; they may show private values",
    "NO_COLOR": "any value turns colours off",
}
"""Variable -> what it is for."""

EPILOG = "\n".join(
    ["\b", "Exit codes:"]
    + [f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items()]
    + ["", "\b", "Environment:"]
    + [f"  {name:<13}  {meaning}" for name, meaning in ENVIRONMENT.items()]
)


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="tronie")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A private table in, a synthetic one out, with a certificate that anyone can recompute.

    `tronie demo` shows all of it on a public table. `tronie synthesize` does it with yours; schema,
    plan, fit and sample are its steps.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


for command in (
    spending.synthesize,
    planning.schema,
    planning.plan,
    spending.fit,
    drawing.sample,
    drawing.marginal,
    reporting.report,
    auditing.audit,
    filtering.filter_rows,
    proving.budget,
    proving.certificate,
    proving.verify,
    spending.demo,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; a request to terminate is taken like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cli()
