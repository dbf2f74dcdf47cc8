"""How commands end: exit codes, paragraphs, Ctrl-C, faults."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import tronie
from tronie import errors
from tronie.cli import ending
from tronie.cli.main import cli

Run = Callable[..., Any]

CODES = [
    (errors.InputError("what.", "remedy."), 2),
    (errors.SchemaError("what.", "remedy."), 2),
    (errors.BundleError("what.", "remedy."), 2),
    (errors.OutputError("what.", "remedy."), 2),
    (errors.BudgetExceeded("what.", "remedy."), 3),
    (errors.Cancelled("what.", "remedy."), 130),
    (KeyboardInterrupt(), 130),
    (ValueError("secret"), 70),
    (MemoryError(), 2),
]


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `tronie budget` fail."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(tronie.Ledger, "entries", fail)


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_exit_codes(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    failing(monkeypatch, error)
    shown = run("budget", code=code)
    assert shown.stdout == ""
    first, second = shown.stderr.splitlines()
    assert first.startswith("Error: ")
    assert second.startswith("  ")
    assert code in ending.EXIT_CODES


def test_every_error_of_tronie_has_a_documented_exit_code() -> None:
    def tree(kind: type[errors.TronieError]) -> list[type[errors.TronieError]]:
        return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]

    for kind in tree(errors.TronieError):
        what, remedy, code = ending.ending(kind("what."))
        assert what
        assert remedy
        assert code in ending.EXIT_CODES


def test_a_fault_shows_its_type_and_place_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ValueError("secret"))
    shown = run("budget", code=70).stderr
    assert "ValueError at cli/proving.py:" in shown
    assert "secret" not in shown
    assert "Traceback" not in shown


def test_a_traceback_is_shown_on_request(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ending.DEBUG, "1")
    failing(monkeypatch, ValueError("secret"))
    shown = run("budget", code=70).stderr
    assert "Traceback" in shown
    assert "secret" in shown


def test_an_error_is_one_paragraph_that_cannot_steer_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, errors.InputError("a\n\nb \x1b[31m", "c\r\nd"))
    assert run("budget", code=2).stderr == "Error: a b ?[31m\n  c d\n"


def test_a_pipe_that_closes_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, OSError(errno.EPIPE, "closed"))
    result = CliRunner().invoke(cli, ["budget"])
    assert (result.exit_code, result.stderr) == (1, "")


def test_a_wrong_option_is_bad_input(run: Run) -> None:
    for arguments in (["--nonsense"], ["nonsense"], ["plan"], ["fit", "x", "--epsilon", "big"]):
        shown = run(*arguments, code=2)
        assert shown.stdout == ""
        assert "Try '" in shown.stderr


def test_errors_are_red_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, errors.InputError("what.", "remedy."))
    shown = CliRunner().invoke(cli, ["budget"], color=True)
    assert click.style("Error: what.", fg="red") in shown.stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(cli, ["budget"], color=True).stderr


def test_a_fault_outside_tronie_has_no_place() -> None:
    assert "an unknown place" in ending.ending(ValueError())[0]


@pytest.mark.parametrize("command", ["fit", "synthesize"])
def test_ctrl_c_leaves_nothing_half_written(
    run: Run,
    table: Path,
    schema: Path,
    ledger: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    """Stopped before an answer: nothing is spent. Stopped later: what was asked stays spent."""
    from tronie.measure.records import Records

    count, calls = Records.count, 0

    def stop(self: Records, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in {1, 3}:
            raise KeyboardInterrupt
        return count(self, *arguments)

    monkeypatch.setattr(Records, "count", stop)
    arguments = (command, table, schema, "--epsilon", 1, "-o", "out")
    run(*arguments, code=130)
    assert tronie.Ledger(ledger).spent("visits").epsilon == 0
    shown = run(*arguments, code=130).stderr
    assert "stopped before the end" in shown
    assert "`tronie budget`" in shown
    assert 0 < tronie.Ledger(ledger).spent("visits").epsilon <= 1
    assert not list(Path().iterdir())
