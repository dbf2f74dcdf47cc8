"""Commands as processes: signals, terminals, start-up, completion."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tronie

STUCK = """
import time
from tronie.measure.records import Records
from tronie.cli.main import main
def stuck(*arguments):
    print("reading", flush=True)
    time.sleep(60)
Records.count = stuck
main()
"""
"""A command that never gets an answer."""

LOADED = """
import json, sys
from tronie.cli.main import cli
try:
    cli(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
json.dump(sorted({name.split(".")[0] for name in sys.modules}), sys.stderr)
"""
"""Run a command, then say which packages it loaded."""


@contextmanager
def stuck_fit(table: Path, schema: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A `fit` that has reserved its budget and is reading rows."""
    command = [
        sys.executable,
        "-c",
        STUCK,
        "fit",
        table,
        schema,
        "--epsilon",
        "1",
        "-o",
        "x.tronie",
    ]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "here"
    path.mkdir()
    return path


def test_kill_9_leaves_the_reservation_spent(
    table: Path, schema: Path, folder: Path, ledger: Path
) -> None:
    with stuck_fit(table, schema, folder) as process:
        process.kill()
    assert process.returncode == -signal.SIGKILL
    total = tronie.Ledger(ledger).spent("visits")
    assert total.epsilon == pytest.approx(1)
    assert (total.releases, total.unfinished) == (1, 1)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_and_gives_an_untouched_reservation_back(
    table: Path, schema: Path, folder: Path, ledger: Path, number: signal.Signals
) -> None:
    with stuck_fit(table, schema, folder) as process:
        process.send_signal(number)
        _, shown = process.communicate()
    assert process.returncode == 130
    assert shown.startswith("Error: stopped before the end.")
    assert tronie.Ledger(ledger).spent("visits").epsilon == 0
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (["--help"], {"numpy", "pyarrow", "pydantic", "rich", "sqlite3", "yaml"}),
        (["fit", "--help"], {"numpy", "pyarrow", "pydantic", "rich", "sqlite3", "yaml"}),
        (["budget"], {"pyarrow", "rich", "scipy", "dp_accounting"}),
        (["verify", "CERTIFICATE"], {"pyarrow", "rich", "scipy", "dp_accounting", "sqlite3"}),
        (["plan", "SCHEMA", "--epsilon", "1"], {"rich", "scipy", "dp_accounting", "pandas"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_loads_what_it_needs(
    release: Path, schema: Path, arguments: list[str], spared: set[str]
) -> None:
    places = {"CERTIFICATE": str(release / "certificate.json"), "SCHEMA": str(schema)}
    command = [places.get(word, word) for word in arguments]
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *command], capture_output=True, text=True, check=True
    )
    assert spared.isdisjoint(json.loads(result.stderr))


def test_it_runs_as_a_module() -> None:
    shown = subprocess.check_output([sys.executable, "-m", "tronie", "--version"], text=True)
    assert shown == f"tronie, version {tronie.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    tool = Path(sys.executable).with_name("tronie")
    asked = {"COMP_WORDS": "tronie syn", "COMP_CWORD": "syn" if shell == "fish" else "1"}

    def completed(instruction: str) -> str:
        environment = {**os.environ, **asked, "_TRONIE_COMPLETE": f"{shell}_{instruction}"}
        return subprocess.run(
            [tool], env=environment, capture_output=True, text=True, check=False
        ).stdout

    assert "_TRONIE_COMPLETE" in completed("source")
    assert "synthesize" in completed("complete")


def test_progress_is_shown_on_a_terminal_and_gone_at_the_end(
    table: Path, schema: Path, folder: Path
) -> None:
    here, there = pty.openpty()
    command = [sys.executable, "-m", "tronie", "fit", table, schema, "--epsilon", "1", "--json"]
    result = subprocess.run(
        [*command, "-o", "x.tronie"],
        cwd=folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=there,
        check=True,
    )
    os.close(there)
    shown = os.read(here, 100_000).decode()
    os.close(here)
    assert json.loads(result.stdout)["model"] == "x.tronie"
    assert "counting" in shown
    assert "0:00:0" in shown
