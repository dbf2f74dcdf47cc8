from __future__ import annotations

import io
import sys

import pytest

from tronie.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_stages_are_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress() as watch:
        watch("counting [bold]3[/bold] tables")
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "counting [bold]3[/bold] tables" in shown


def test_nothing_is_shown_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as watch:
        watch("counting")
    assert capsys.readouterr() == ("", "")
