"""A table with a column of free text, from end to end: written by `llm`, left out by all other methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tronie
from tronie.errors import BundleError, ConditionError
from tronie.filters.against_real import Similar
from tronie.measure.noise import InsecureNoise

pytest.importorskip("transformers")

SCHEMA = tronie.Schema.model_validate(
    {
        "name": "stays",
        "columns": {
            "mood": {"kind": "category", "values": ["bad", "good"], "nullable": False},
            "notes": {"kind": "text", "max_length": 8},
            "nights": {"kind": "integer", "min": 1, "max": 9, "nullable": False},
            "more": {"kind": "text"},
        },
    }
)
SECRET = "Zzyx"


def table(rows: int = 120) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "mood": rng.choice(["bad", "good"], rows),
            "notes": pa.array(
                [f"{SECRET}\n{n:03d}" for n in range(rows)], mask=np.arange(rows) % 3 == 0
            ).dictionary_encode(),
            "nights": rng.integers(1, 10, rows),
            "more": ["private"] * rows,
        }
    )


QUICK: dict[str, Any] = {
    "method": "llm",
    "language": tronie.LanguageSettings(stage1_rows=64, population=64),
    "training": tronie.Training(epochs=1 / 24),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tronie.Model:
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    return tronie.fit(table(), SCHEMA, epsilon=2.0, ledger=ledger, noise=InsecureNoise(0), **QUICK)


def test_the_column_is_where_it_was(model: tronie.Model) -> None:
    rows = model.sample(60, seed=1).table
    assert rows.column_names == ["mood", "notes", "nights"]
    assert rows.schema.field("notes").type == pa.string()
    assert model.dropped == ("more",)
    texts = rows["notes"].to_pylist()
    column = SCHEMA.texts["notes"]
    assert all(text is None or (text and text == column.line(text)) for text in texts)
    assert not any(SECRET in (text or "") for text in texts)
    assert model.sample(0).table.num_rows == 0
    assert model.sample(60, seed=1).table.equals(rows)


def test_rows_may_be_given_anything_but_a_text(model: tronie.Model) -> None:
    rows = model.sample(20, given={"mood": "good", "nights": tronie.Range(min=3, max=5)}, seed=1)
    assert set(rows.table["mood"].to_pylist()) == {"good"}
    assert rows.table["nights"].to_numpy().max() <= 5
    assert len(rows.table["notes"]) == 20
    with pytest.raises(ConditionError, match="'notes'"):
        model.sample(5, given={"notes": "x"})


def test_its_file_writes_the_same_and_holds_no_text(model: tronie.Model, tmp_path: Path) -> None:
    place = model.save(tmp_path / "stays.tronie")
    again = tronie.Model.load(place)
    assert again.dropped == model.dropped
    assert again.sample(30, seed=3).table.equals(model.sample(30, seed=3).table)
    import zipfile

    with zipfile.ZipFile(place) as archive:
        assert all(SECRET.encode() not in archive.read(name) for name in archive.namelist())
    assert again.certificate.verify().epsilon_recomputed <= 2.0
    assert "text, read and written by language models only, cut to 8" in again.certificate.to_json()


def test_a_file_whose_texts_are_not_of_its_schema_is_refused(
    model: tronie.Model, tmp_path: Path
) -> None:
    import dataclasses

    columns = {**SCHEMA.columns, "notes": SCHEMA.columns["more"]}
    schema = model.schema.model_copy(update={"columns": columns})
    place = dataclasses.replace(model, schema=schema).save(tmp_path / "stays.tronie")
    with pytest.raises(BundleError, match="corrupt"):
        tronie.Model.load(place)


def test_other_methods_leave_it_out_and_say_so(tmp_path: Path) -> None:
    found = tronie.fit(table(), SCHEMA, epsilon=2.0, ledger=tmp_path / "ledger.sqlite")
    assert found.plan["method"] == "glaze"
    assert "'notes', which the method llm writes" in found.plan["reason"]
    assert found.dropped == ("notes", "more")
    assert found.sample(5).table.column_names == ["mood", "nights"]


def test_without_privacy_it_is_written_too() -> None:
    more = QUICK | {"training": tronie.Training(epochs=1, batch_size=60, rows=120)}
    found = tronie.fit(table(), SCHEMA, dp=False, **more)
    assert not found.sample(5).dp
    assert found.sample(5).table.column_names == ["mood", "notes", "nights"]


def test_reports_and_filters_take_such_rows(model: tronie.Model) -> None:
    rows = model.sample(60, seed=1)
    for schema in (SCHEMA, None):
        report = tronie.report(rows, real=table(), schema=schema, learn=False)
        assert report.evaluations
    copies = pa.concat_tables(
        [rows.table, table().select(rows.table.column_names).cast(rows.table.schema)]
    )
    kept = Similar(table(), columns=("mood", "notes", "nights")).keep(copies)
    assert not kept[60:].any()
    there = np.array([text is not None for text in rows.table["notes"].to_pylist()])
    assert kept[:60][there].all()
