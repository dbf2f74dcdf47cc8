"""Write ``docs/reference/cli.md`` from the commands themselves.

python scripts/build_cli_reference.py            # write it
python scripts/build_cli_reference.py --check    # exit code 1 if it is out of date
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tronie.cli.ending import EXIT_CODES
from tronie.cli.main import cli

TARGET = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"

HEAD = """\
# Command line

Written by `scripts/build_cli_reference.py` from the commands themselves; do not edit. Nouns and
option names are those of the Python API. `python -m tronie` is the same as `tronie`.
"""

SETTINGS = """\
## Exit codes

| code | meaning |
|---|---|
{codes}

## Output

Results go to standard output, progress and errors to standard error. With `--json` a command prints
one JSON object and nothing else. An error is one paragraph: what is wrong and where, and what to do
next. A run that is stopped leaves nothing half-written.

## Environment

| variable | meaning |
|---|---|
| `TRONIE_LEDGER` | the ledger file, where `--ledger` is not given |
| `TRONIE_DEBUG` | `1` prints tracebacks; they may show private values |
| `NO_COLOR` | any value takes colours off |

## Shell completion

Add one line to the start-up file of your shell:

| shell | line |
|---|---|
| bash | `eval "$(_TRONIE_COMPLETE=bash_source tronie)"` |
| zsh | `eval "$(_TRONIE_COMPLETE=zsh_source tronie)"` |
| fish | `_TRONIE_COMPLETE=fish_source tronie \\| source` |
"""


def render() -> str:
    """The whole page."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    commands = [section(name, command) for name, command in named(cli)]
    return "\n".join([HEAD, *commands, SETTINGS.format(codes=codes)])


def named(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands with their names, those of groups below their group."""
    for name, command in group.commands.items():
        yield before + name, command
        if isinstance(command, click.Group):
            yield from named(command, f"{before}{name} ")


def section(name: str, command: click.Command) -> str:
    """One command: what it does, how it is called, its options."""
    if isinstance(command, click.Group):
        return "\n".join([f"## tronie {name}", "", inspect.cleandoc(command.help or ""), ""])
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    usage = " ".join([f"tronie {name} [OPTIONS]", *(argument_name(a) for a in arguments)])
    lines = [f"## tronie {name}", "", inspect.cleandoc(command.help or ""), ""]
    lines += [f"`{usage}`", "", "| option | meaning |", "|---|---|", *options(command), ""]
    return "\n".join(lines)


def argument_name(argument: click.Argument) -> str:
    """How an argument is shown."""
    return argument.metavar or (argument.name or "").upper()


def options(command: click.Command) -> Iterator[str]:
    """A table row for each option."""
    for option in command.params:
        if isinstance(option, click.Option):
            names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
            yield f"| {names}{value(option)} | {meaning(option)} |".replace("[", "\\[")


def value(option: click.Option) -> str:
    """What follows an option."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " " + " \\| ".join(str(choice) for choice in option.type.choices)
    return " " + (option.metavar or option.type.name.upper())


def meaning(option: click.Option) -> str:
    """An option's help, whether it must be given, and what it is otherwise."""
    required = " Required." if option.required else ""
    default = f" Default: {option.default}." if option.show_default else ""
    return f"{(option.help or '').replace('|', chr(92) + '|')}{required}{default}"


def main() -> int:
    """Write the page, or compare it."""
    page = render()
    if sys.argv[1:] == ["--check"]:
        return int(TARGET.read_text(encoding="utf-8") != page)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
