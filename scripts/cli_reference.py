"""Write docs/reference/cli.md from the commands' own help."""

from __future__ import annotations

from pathlib import Path

import click

from tronie.cli.ending import EXIT_CODES
from tronie.cli.main import cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"
WIDTH = 90

HEAD = """\
# Command line

Written by `scripts/cli_reference.py` from the commands' own help. The options are named as in the
Python API; what they mean in the course of a release is in the [tutorial](../tutorial.md).

## Output

A command prints its result to standard output. With `--json` that is one JSON object and nothing else.
What a long run is doing is shown on standard error, if that is a terminal. An error is one paragraph on
standard error, which says what is wrong and what to do; it holds no value of a private row. Of an
unexpected error only its type and place are shown, since its text may quote a value; set
`TRONIE_DEBUG=1` to see it.

Files appear whole or not at all. Ctrl-C, and a request to terminate, stop a run in the same way as an
error. What a run had asked by then stays spent: `tronie budget` shows it.

## Exit codes

| code | meaning |
|---|---|
"""

MIDDLE = """
## Environment

| variable | meaning |
|---|---|
| `TRONIE_LEDGER` | the ledger's file, without `--ledger`; else `tronie/ledger.sqlite` in the data home |
| `TRONIE_DEBUG` | `1` shows the traceback of an error; it may show private values |
| `NO_COLOR` | any value turns colours off |

## Shell completion

Put one of these lines into the start-up file of your shell (bash, zsh, fish):

```text
eval "$(_TRONIE_COMPLETE=bash_source tronie)"
eval "$(_TRONIE_COMPLETE=zsh_source tronie)"
_TRONIE_COMPLETE=fish_source tronie | source
```

## Commands
"""


def reference() -> str:
    """The page."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    parts = [HEAD + codes + MIDDLE]
    group = click.Context(cli, info_name="tronie", terminal_width=WIDTH, **cli.context_settings)
    for name, command in cli.commands.items():
        context = click.Context(command, info_name=name, parent=group)
        lines = [line.rstrip() for line in command.get_help(context).splitlines()]
        parts.append(f"### tronie {name}\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
