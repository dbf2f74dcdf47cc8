"""What the commands say of themselves, and that the reference page has it all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from tronie.cli.ending import EXIT_CODES
from tronie.cli.main import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"


def commands(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def test_every_command_option_and_exit_code_is_in_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, command in commands():
        assert f"## tronie {name}\n" in page
        for option in (o for p in command.params if isinstance(p, click.Option) for o in p.opts):
            assert option in page
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page


def test_every_command_takes_json() -> None:
    for name, command in commands():
        assert "--json" in {o for p in command.params for o in p.opts}, name


def test_every_option_and_command_says_what_it_is_for() -> None:
    for _, command in commands():
        assert command.help
        assert not command.get_short_help_str(60).endswith("...")
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help
