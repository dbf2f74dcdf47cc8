"""The documents' commands and programs run as written."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import click
import pytest

import tronie
from tronie.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*/*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"console", "python", "sh", "yaml", "json", "text", "toml"}
NOT_RUN = {
    "pip install .",
    "make demo",
    "make test",
    ".venv/bin/ruff check --fix . && .venv/bin/ruff format .",
    ".venv/bin/python -m pytest tests/models",
    "tronie synthesize adult.parquet adult.yaml --epsilon 1 --method hybrid -o by-a-network",
    (
        "tronie synthesize adult.parquet adult.yaml --epsilon 1 --method transformer "
        "--train epochs=10 --train max_grad_norm=0.5 -o longer"
    ),
}
"""Commands shown as `sh`: they install, run this test, or take minutes."""


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def commands(page: Path) -> list[str]:
    """What stands after the prompts, continued lines joined."""
    lines: list[str] = []
    for block in blocks(page, "console"):
        joined = block.replace("\\\n", " ")
        lines += [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
    return lines


def programs(page: Path) -> list[str]:
    return blocks(page, "python")


RUNNABLE = [page for page in PAGES if commands(page) or programs(page)]


def give_demonstration_files(folder: Path) -> None:
    for name in ("adult.parquet", "adult.yaml"):
        with as_file(files("tronie") / "data" / name) as path:
            shutil.copy(path, folder / name)


def environment(folder: Path) -> dict[str, str]:
    binaries = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "TRONIE_LEDGER": str(folder / "ledger.db"),
        "TERM": "dumb",
    }


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    """Its commands, then its programs, in one folder; only how-to pages find the table there."""
    if page.parent.name == "how-to":
        give_demonstration_files(tmp_path)
    steps = [["sh", "-ec", command] for command in commands(page)]
    steps += [[sys.executable, "-W", "error", "-c", program] for program in programs(page)]
    for step in steps:
        result = subprocess.run(
            step,
            cwd=tmp_path,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{step[-1]}\n{result.stdout}\n{result.stderr}"


def test_the_readme_has_commands_and_a_program() -> None:
    assert len(commands(README)) >= 3
    assert programs(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_that_is_not_run_is_listed_with_its_reason(page: Path) -> None:
    languages = {language for language, _ in BLOCK.findall(page.read_text(encoding="utf-8"))}
    assert languages <= LANGUAGES, "a block without a language is neither run nor excused"
    shown = [line for block in blocks(page, "sh") for line in block.splitlines() if line]
    assert set(shown) <= NOT_RUN


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake (\w+)", README.read_text(encoding="utf-8")))
    assert named
    assert named <= targets


def test_the_command_reference_is_up_to_date() -> None:
    script = ROOT / "scripts" / "build_cli_reference.py"
    result = subprocess.run([sys.executable, script, "--check"], check=False)
    assert result.returncode == 0, f"run python {script.relative_to(ROOT)}"


def test_the_schemas_shown_are_schemas() -> None:
    page = ROOT / "docs" / "how-to" / "schema.md"
    shown = blocks(page, "yaml")
    assert shown
    for text in shown:
        assert tronie.Schema.parse(text).columns


def all_options(command: click.Command) -> set[str]:
    own = {opt for parameter in command.params for opt in parameter.opts if opt[0] == "-"}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*(all_options(each) for each in below))


def test_the_documents_show_every_command_at_work() -> None:
    used = {shlex.split(line)[1] for page in PAGES for line in commands(page) if "tronie " in line}
    assert set(cli.commands) <= used


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_named_in_prose_exist(page: Path) -> None:
    known = all_options(cli) | {"--help", "--version", "--no-deps"}
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    named = {
        word for span in re.findall(r"`(--?[a-z][^`]*)`", prose) for word in shlex.split(span)[:1]
    }
    assert named <= known


def test_numbers_that_a_run_printed_are_marked_as_examples() -> None:
    text = README.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        language, body = match.groups()
        printed = [line for line in body.splitlines() if line and not line.startswith("$ ")]
        shows_output = language == "text" or (language == "console" and printed)
        if shows_output and re.search(r"\d", body):
            assert "example" in text[max(0, match.start() - 400) : match.start()].lower()
