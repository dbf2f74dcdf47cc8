"""What `import tronie` offers, and what it costs."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from importlib.resources import files

import pytest

import tronie

NAMES = [
    "Budget",
    "Certificate",
    "LanguageSettings",
    "Ledger",
    "Model",
    "Plan",
    "Range",
    "Release",
    "Report",
    "Rows",
    "Schema",
    "Training",
    "__version__",
    "draft",
    "fit",
    "plan",
    "release_report",
    "report",
    "synthesize",
]
HEAVY = {
    "click",
    "dp_accounting",
    "duckdb",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "safetensors",
    "scipy",
    "sqlite3",
    "yaml",
}
IMPORT_CPU_SECONDS = 0.5
MEASURE_IMPORT = """
import json, sys, time
start = time.process_time()
import tronie
seconds = time.process_time() - start
json.dump({"seconds": seconds, "loaded": sorted(m.split(".")[0] for m in sys.modules)}, sys.stdout)
"""


def test_the_public_names() -> None:
    assert list(tronie.__all__) == NAMES
    assert sorted(tronie.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(tronie, name)
    assert value is getattr(tronie, name)
    assert name in dir(tronie)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        tronie.no_such_name  # noqa: B018


def test_the_version_is_the_distribution_s() -> None:
    assert tronie.__version__ == importlib.metadata.version("tronie")


def test_the_package_is_typed() -> None:
    assert (files("tronie") / "py.typed").is_file()


def test_importing_is_light() -> None:
    """Best of three processes: the rest is what else the machine was doing."""
    runs = [
        json.loads(subprocess.check_output([sys.executable, "-c", MEASURE_IMPORT]))
        for _ in range(3)
    ]
    assert HEAVY.isdisjoint(runs[0]["loaded"])
    assert min(run["seconds"] for run in runs) < IMPORT_CPU_SECONDS
