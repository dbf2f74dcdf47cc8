"""What filters do to a table, and to its guarantee."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import tronie
from tronie.errors import InputError
from tronie.filters.against_real import Outlying, Similar
from tronie.filters.applying import apply_filters
from tronie.filters.free import BrokenRules, Repeated
from tronie.filters.result import read_stamp, stamp_path
from tronie.measure.noise import InsecureNoise
from tronie.schema.schema import Schema

SCHEMA = Schema.model_validate(
    {
        "name": "people",
        "columns": {
            "age": {"kind": "integer", "min": 0, "max": 9},
            "sex": {"kind": "category", "values": ["f", "m"]},
        },
    }
)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table({"age": rng.integers(0, 10, 300), "sex": rng.choice(["f", "m"], 300)})


@pytest.fixture
def release(table: pa.Table, tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    tronie.synthesize(table, SCHEMA, output=folder, epsilon=1.0, seed=1)
    return folder


def test_rows_are_dropped_in_turn(table: pa.Table) -> None:
    extra = pa.table({"age": [99], "sex": ["f"]})
    found = apply_filters(
        pa.concat_tables([extra, extra, table]), [Repeated(5), BrokenRules(SCHEMA)]
    )
    assert found.given == 302
    assert found.dropped == {"repeated rows": found.steps[0].dropped, "broken rules": 2}
    assert len(found.rows) == 302 - sum(found.dropped.values())
    assert len(found.rows) == 20 * 5
    assert [step.reads for step in found.steps] == ["synthetic rows", "schema"]
    twice = apply_filters(table, [Repeated(5), Repeated(2)])
    assert twice.dropped == {"repeated rows": 300 - 40}


def test_nothing_known_stays_unknown(table: pa.Table) -> None:
    found = apply_filters(table, [Repeated()])
    assert found.dp is None
    assert "Whatever held" in found.reason


def test_a_release_keeps_its_guarantee(release: Path, tmp_path: Path) -> None:
    found = apply_filters(release / "synthetic.parquet", [Repeated(3)])
    assert found.dp is True
    assert "Epsilon 1 and delta 1e-09 as before" in found.reason
    path = found.write(tmp_path / "fewer.parquet")
    stamp = json.loads(stamp_path(path).read_text())
    assert stamp == found.stamp() == read_stamp(path)
    assert stamp["dp"] is True
    assert stamp["rows_after"] == pyarrow.parquet.read_metadata(path).num_rows
    assert stamp["filters"][0]["reads"] == "synthetic rows"
    assert found.write(release / "fewer.csv").exists()


def test_a_certificate_that_does_not_hold_says_nothing(table: pa.Table) -> None:
    model = tronie.fit(table, SCHEMA, epsilon=1.0, noise=InsecureNoise(0))
    rows = model.sample(50, seed=0)
    found = apply_filters(rows, [Repeated()], certificate=model.certificate)
    assert found.dp is None
    assert "The certificate does not hold" in found.reason


@pytest.mark.parametrize("kind", [Similar, Outlying])
def test_comparing_with_real_rows_needs_to_be_said(
    table: pa.Table, kind: Any, tmp_path: Path
) -> None:
    rows = table.slice(0, 50)
    with pytest.raises(InputError, match="voids any guarantee"):
        apply_filters(rows, [Repeated(), kind(table)])
    found = apply_filters(rows, [Repeated(), kind(table)], voids_guarantee=True)
    assert found.dp is False
    assert "compared with real rows" in found.reason
    path = found.write(tmp_path / "rows.parquet")
    assert json.loads(stamp_path(path).read_text())["dp"] is False
    # Later filters cannot make it private again.
    again = apply_filters(path, [Repeated()])
    assert again.dp is False
    assert again.reason.startswith("The rows were not private before")


def test_it_is_refused_together_with_a_release(table: pa.Table, release: Path) -> None:
    for flag in (True, False):
        with pytest.raises(InputError, match="belong to a release"):
            apply_filters(release / "synthetic.parquet", [Similar(table)], voids_guarantee=flag)
    certificate = tronie.Certificate.read(release / "certificate.json")
    with pytest.raises(InputError, match="belong to a release"):
        apply_filters(table, [Similar(table)], certificate=certificate, voids_guarantee=True)
    private = apply_filters(table, [Similar(table)], voids_guarantee=True)
    with pytest.raises(InputError, match="is a release"):
        private.write(release / "more.parquet")
    assert not (release / "more.parquet").exists()
    assert len(private.rows) == 0


def test_a_stamp_that_cannot_be_read_is_refused(table: pa.Table, tmp_path: Path) -> None:
    path = apply_filters(table, [Repeated()]).write(tmp_path / "rows.parquet")
    assert read_stamp(tmp_path / "other.parquet") is None
    for text in ("{", "[]", '{"tronie_filters": 2, "dp": null}', '{"tronie_filters": 1, "dp": 3}'):
        stamp_path(path).write_text(text)
        with pytest.raises(InputError, match="is not a stamp"):
            apply_filters(path, [Repeated()])


def test_no_filter_is_refused(table: pa.Table) -> None:
    with pytest.raises(InputError, match="no filter"):
        apply_filters(table, [])
