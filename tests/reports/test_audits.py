"""Results of audits as they lie in files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_examples import audit, example

from tronie.audit.result import Audit
from tronie.errors import InputError
from tronie.reports.audits import SHORT, detail_tables, read_audits


def write(path: Path, *found: Audit, internal: bool = False) -> Path:
    data = {"internal": internal, "audits": [one.to_dict() for one in found]}
    path.write_text(json.dumps(data))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = (audit("violation"), replace(audit("consistent"), epsilon=None, power=math.inf))
    assert read_audits(write(tmp_path / "a.json", *found)) == found


def test_a_newer_file_is_read(tmp_path: Path) -> None:
    entry = {**audit("violation").to_dict(), "new": 1}
    del entry["details"]
    place = tmp_path / "a.json"
    place.write_text(json.dumps({"internal": False, "audits": [entry], "more": 2}))
    assert read_audits(place) == (audit("violation"),)


def test_internal_audits_are_not_for_publication(tmp_path: Path) -> None:
    place = write(tmp_path / "a.json", audit("violation"), internal=True)
    assert len(read_audits(place)) == 1
    with pytest.raises(InputError, match="they are internal"):
        read_audits(place, publishable=True)


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "safe"},
        {"epsilon": "1"},
        {"runs": True},
        {"runs": 1.5},
        {"name": None},
        {"details": []},
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    place = tmp_path / "a.json"
    entry = {**audit("violation").to_dict(), **change}
    place.write_text(json.dumps({"internal": False, "audits": [entry]}))
    with pytest.raises(InputError, match="does not hold results of audits"):
        read_audits(place)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"internal": 1, "audits": [3]}', "\xff"])
def test_files_that_are_no_results(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError):
        read_audits(tmp_path / "a.json")
    with pytest.raises(InputError):
        read_audits(tmp_path / "none.json")


def test_lists_of_like_things_are_tables() -> None:
    rungs = [{"copies": n, "replay_rate": n / 8, "note": "x"} for n in (1, 2, 4)]
    details = {"rungs": rungs, "auc": 0.5, "names": ["a"], "empty": [], "many": rungs * SHORT}
    first, many = detail_tables(replace(audit("violation"), details=details))
    assert first.caption == "replay, violation: rungs"
    assert [head.text for head in first.heads] == ["copies", "replay rate", "note"]
    assert [head.right for head in first.heads] == [True, True, False]
    assert [cell.plain for cell in first.rows[1]] == ["2", "0.25", "x"]
    assert (first.folded, many.folded) == (False, True)
    report = replace(example(3), audits=(replace(audit("violation"), details=details),))
    assert "replay, violation: rungs" in report.markdown()


def test_a_bound_without_a_number_has_no_bar() -> None:
    odd = replace(audit("inconclusive"), lower=math.nan, power=math.inf, epsilon=None)
    page = replace(example(3), audits=(odd,)).html()
    assert "replay, inconclusive" in page
    assert "safe" not in page[page.index('id="audits"') : page.index('id="budget"')]
