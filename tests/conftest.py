"""Settings that hold for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Drawn examples are the same in every run: a test that passes once passes always.
settings.register_profile("tronie", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("tronie")


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the user's ledger."""
    monkeypatch.setenv("TRONIE_LEDGER", str(tmp_path / "ledger.sqlite"))
