"""The built wheel, installed where the checkout is out of reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RELEASE = {"synthetic.parquet", "certificate.json", "model.tronie", "plan.json", "report.txt"}
WHERE = """
import json, sys, tronie
import tronie.cli.main, tronie.release, tronie.tables
files = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "tronie" and m.__file__]
json.dump({"files": files, "path": sys.path}, sys.stdout)
"""


def run(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_"))}
    environment["TRONIE_LEDGER"] = str(folder / "ledger.db")
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    run(build, folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it.

    Its dependencies are borrowed from the running environment by a path file; path files inside a
    borrowed folder are not followed, so an editable install of the checkout stays behind.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    scheme = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=scheme))
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--quiet"]
    run([*pip, "--no-deps", "--no-index", "--ignore-installed", wheel], home)
    return scripts


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tronie"}
    for name in ("py.typed", "data/adult.parquet", "data/adult.yaml", "data/ATTRIBUTION"):
        assert f"tronie/{name}" in names
    assert not [name for name in names if "test" in Path(name).name or "__pycache__" in name]
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE", "ATTRIBUTION"}


def test_the_wheel_holds_every_source_file(wheel: Path) -> None:
    source = ROOT / "src"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {path.relative_to(source).as_posix() for path in source.rglob("*.py")} <= names


def test_the_checkout_is_out_of_reach(binaries: Path, tmp_path: Path) -> None:
    found = json.loads(run([binaries / "python", "-c", WHERE], tmp_path).stdout)
    home = binaries.parent
    assert found["files"]
    assert all(Path(file).is_relative_to(home) for file in found["files"])
    assert not any(Path(entry).is_relative_to(ROOT / "src") for entry in found["path"])


def test_the_demo_runs_from_the_wheel_and_its_certificate_holds(
    binaries: Path, tmp_path: Path
) -> None:
    run([binaries / "python", "-m", "tronie", "demo", "-o", "out"], tmp_path)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= RELEASE
    run([binaries / "tronie", "verify", Path("out") / "certificate.json"], tmp_path)


def test_the_version_is_printed(binaries: Path, tmp_path: Path) -> None:
    version = run([binaries / "tronie", "--version"], tmp_path).stdout
    assert "0.1.0" in version
