"""Rules of the house that no single room can test."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "tronie"
MODULES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

FORBIDDEN_CALLS = {"print", "eval", "exec", "compile", "breakpoint", "input", "__import__"}
FORBIDDEN_IMPORTS = {
    "serialisation that runs code": {
        "pickle",
        "marshal",
        "shelve",
        "joblib",
        "cloudpickle",
        "dill",
    },
    "network": {
        "aiohttp",
        "ftplib",
        "http",
        "httpx",
        "requests",
        "smtplib",
        "socket",
        "ssl",
        "urllib",
        "urllib3",
        "xmlrpc",
    },
    "global randomness": {"random"},
}
SEEDED_RANDOMNESS = {"Generator", "default_rng", "BitGenerator", "SeedSequence", "PCG64", "Philox"}
PRIVATE_ROOMS = ("measure", "privacy", "tables")
UNSAFE_YAML = {"unsafe_load", "unsafe_load_all", "full_load", "UnsafeLoader", "FullLoader"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
MACHINE_PATH = re.compile(r"/(?:work|root|home|tmp|Users)/[A-Za-z.]")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TEXT = {".py", ".pyi", ".md", ".toml", ".yaml", ".yml", ".json", ".cfg", ".txt", ".sh"}
TEXT_NAMES = {"Makefile", "LICENSE", "NOTICE", "ATTRIBUTION", "run", ".gitignore", "py.typed"}
FOLDERS = ("src", "tests", "docs", "scripts", "benchmarks", "typings", ".ci")
IMPORT_NAMES = {
    "dp-accounting": "dp_accounting",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
BROUGHT_ALONG = {"pydantic_core": "pydantic"}
"""Packages that a declared one pins exactly and documents as part of its interface."""


def text_files() -> list[Path]:
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    files = [path for path in [*ROOT.iterdir(), *below] if path.is_file()]
    return sorted(path for path in files if path.suffix in TEXT or path.name in TEXT_NAMES)


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, at whatever depth, with its line."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno


def test_there_is_source_to_look_at() -> None:
    assert len(MODULES) > 20
    assert len(text_files()) > len(MODULES)


@pytest.mark.parametrize(("why", "names"), FORBIDDEN_IMPORTS.items())
def test_forbidden_imports(why: str, names: set[str]) -> None:
    found = [
        f"{place(path, line)} imports {module}"
        for path in MODULES
        for module, line in imports(path)
        if module.split(".")[0] in names
    ]
    assert not found, why


def test_forbidden_calls() -> None:
    found = [
        f"{place(path, node.lineno)} calls {node.func.id}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in FORBIDDEN_CALLS
    ]
    assert not found


def test_nothing_is_loaded_in_a_way_that_runs_code() -> None:
    found = [
        place(path, getattr(node, "lineno", 0))
        for path in MODULES
        for node in nodes(path)
        if (isinstance(node, ast.keyword) and node.arg == "allow_pickle")
        or (isinstance(node, ast.Attribute) and node.attr in UNSAFE_YAML)
    ]
    assert not found


def numpy_random(path: Path) -> Iterator[tuple[str, int]]:
    """Each use of ``numpy.random``: the name taken from it, and the line."""
    for node in nodes(path):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "random"
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id in {"np", "numpy"}
        ):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "numpy.random":
            yield from ((name.name, node.lineno) for name in node.names)


def test_no_global_randomness() -> None:
    found = [
        f"{place(path, line)} uses numpy.random.{name}"
        for path in MODULES
        for name, line in numpy_random(path)
        if name not in SEEDED_RANDOMNESS
    ]
    assert not found


def test_no_seedable_randomness_near_private_rows() -> None:
    found = [
        f"{place(path, line)} uses numpy.random.{name}"
        for room in PRIVATE_ROOMS
        for path in (SOURCE / room).rglob("*.py")
        for name, line in numpy_random(path)
    ]
    assert not found, "noise comes from the operating system's entropy"


def test_text_files_end_with_one_newline_and_hold_no_stray_whitespace() -> None:
    found: list[str] = []
    for path in text_files():
        data = path.read_bytes()
        if data and (not data.endswith(b"\n") or data.endswith(b"\n\n") or b"\r" in data):
            found.append(f"{path.relative_to(ROOT)}: end of file or line")
        lines = data.decode("utf-8").splitlines()
        found += [place(path, n) for n, line in enumerate(lines, 1) if line != line.rstrip()]
    assert not found


@pytest.mark.parametrize("pattern", [MACHINE_PATH, UNFINISHED], ids=["machine path", "unfinished"])
def test_no_file_names_a_machine_or_unfinished_work(pattern: re.Pattern[str]) -> None:
    found = [
        f"{place(path, n)} {match.group()}"
        for path in text_files()
        if path != Path(__file__)
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := pattern.search(line))
    ]
    assert not found


def requirement_name(requirement: str) -> str:
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return IMPORT_NAMES.get(name, name)


def test_dependencies_are_what_is_imported() -> None:
    core = {requirement_name(r) for r in PROJECT["project"]["dependencies"]}
    extras = PROJECT["project"]["optional-dependencies"]
    optional = {requirement_name(r) for name in extras if name != "dev" for r in extras[name]}
    used = {module.split(".")[0] for path in MODULES for module, _ in imports(path)}
    used = {BROUGHT_ALONG.get(name, name) for name in used}
    foreign = used - set(sys.stdlib_module_names) - {"tronie"}
    assert foreign <= core | optional, "imported, but not declared"
    assert core <= foreign, "declared, but not imported"


def test_every_room_is_a_package_and_has_tests() -> None:
    rooms = {path.parent.name for path in SOURCE.glob("*/*.py")}
    assert rooms == {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert rooms <= {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}


def test_the_changelog_knows_the_version() -> None:
    version = PROJECT["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(version)}\]", changelog, re.MULTILINE)


def test_relative_links_in_the_documents_lead_somewhere() -> None:
    dead = [
        f"{path.relative_to(ROOT)} -> {target}"
        for path in text_files()
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert not dead


def test_decision_records_are_numbered_and_listed() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [path.name[:4] for path in records] == [f"{n:04d}" for n in range(len(records))]
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in records if path.name not in index] == []
