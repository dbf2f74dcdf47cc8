"""Settings that hold for all tests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from tronie.measure.noise import InsecureNoise, OperatingSystemNoise

# Drawn examples are the same in every run: a test that passes once passes always.
settings.register_profile("tronie", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("tronie")

SALT = os.environ.get("TRONIE_TEST_SALT", "")
"""Any text: the tests then meet other noise, to find those that rest on luck."""


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the user's ledger."""
    monkeypatch.setenv("TRONIE_LEDGER", str(tmp_path / "ledger.sqlite"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Every test meets the same noise in every run, unless it is marked `entropy`."""
    if item.get_closest_marker("entropy"):
        return (yield)
    with _repeatable(item.nodeid):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """A fixture that tests share meets the same noise whichever of them asks for it first."""
    if fixturedef.scope == "function":
        return (yield)
    parameter = getattr(request, "param_index", 0)
    with _repeatable(f"{fixturedef.baseid}::{fixturedef.argname}[{parameter}]"):
        return (yield)


@contextmanager
def _repeatable(name: str) -> Iterator[None]:
    """The operating system's randomness is a stream of its own for each name."""
    digest = hashlib.sha256(f"{SALT}{name}".encode()).digest()
    stream = InsecureNoise(int.from_bytes(digest[:8], "big"))
    generator = np.random.default_rng

    def seeded(seed: Any = None) -> np.random.Generator:
        return generator(int.from_bytes(stream.bytes(8), "big") if seed is None else seed)

    def drawn(_: OperatingSystemNoise, n: int) -> bytes:
        return stream.bytes(n)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OperatingSystemNoise, "bytes", drawn)
        patch.setattr(np.random, "default_rng", seeded)
        yield
