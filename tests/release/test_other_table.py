"""Another public table: what it may be, what becomes of its rows, and that the certificate says so."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import tronie
from tronie.errors import InputError
from tronie.measure.noise import InsecureNoise
from tronie.release.other_table import other_table
from tronie.release.report import describe
from tronie.schema.schema import Schema
from tronie.synth.wording import texts_of

FLIGHTS = pa.table(
    {
        "carrier": ["AA", "BB", "CC", None] * 60,
        "delay": [float(n % 40) / 2 for n in range(240)],
        "day": [dt.date(2013, 1, 1) + dt.timedelta(days=n % 30) for n in range(240)],
        "number": [str(n) for n in range(240)],
    }
)
"""Columns that no other table of these tests has; one of them is different in every row."""

SMALL = {"stage1_rows": 256, "population": 256}


def wishes(other: Any, **more: Any) -> tronie.LanguageSettings:
    return tronie.LanguageSettings(stage1="other", other=str(other), **SMALL, **more)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("public") / "flights.parquet"
    pq.write_table(FLIGHTS, path)
    return path


def test_its_rows_are_read_exactly(flights: Path) -> None:
    found = other_table(wishes(flights))
    assert found is not None
    assert found.codes.shape == (240, len(found.codings))
    texts = texts_of(found.schema, found.codings)
    assert set(texts["carrier"]) == {"AA", "BB", "CC", "missing"}
    place = list(found.codings).index("carrier")
    written = [texts["carrier"][code] for code in found.codes[:4, place]]
    assert written == ["AA", "BB", "CC", "missing"]
    delays = [float(texts["delay"][c]) for c in found.codes[:, list(found.codings).index("delay")]]
    assert np.abs(np.array(delays) - FLIGHTS["delay"].to_numpy()).max() < 2
    assert other_table(tronie.LanguageSettings()) is None


def test_a_schema_says_what_its_columns_are(flights: Path, tmp_path: Path) -> None:
    csv = tmp_path / "flights.csv"
    pyarrow.csv.write_csv(FLIGHTS, csv)
    columns = {
        "carrier": {"kind": "category", "values": ["AA", "BB", "CC"]},
        "delay": {"kind": "decimal", "min": 0, "max": 20, "resolution": 0.5},
        "day": {"kind": "date", "min": "2013-01-01", "max": "2013-01-30"},
        "number": {"kind": "identifier"},
    }
    path = tmp_path / "flights.yaml"
    Schema.model_validate({"name": "flights", "columns": columns}).write(path)
    found = other_table(wishes(csv, other_schema=str(path)))
    assert found is not None
    assert list(found.codings) == ["carrier", "delay", "day"]
    drafted = other_table(wishes(csv))
    assert drafted is not None
    assert {"carrier", "delay", "day"} <= set(drafted.codings)


def test_a_model_learns_it_first_and_says_so(
    table: pa.Table, schema: Schema, flights: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    said: list[str] = []
    language = wishes(flights, loss="weighted", serial="sentence")
    model = tronie.fit(
        table,
        schema,
        epsilon=2.0,
        method="llm",
        language=language,
        training=tronie.Training(epochs=0.1),
        noise=InsecureNoise(1),
        ledger=tmp_path / "ledger.sqlite",
        watch=said.append,
    )
    facts = [(fact.item, fact.how) for fact in model.certificate.public]
    expected = ("other table", "rows of flights.parquet, which the user says are public")
    assert expected in facts
    assert model.plan["settings"]["language"]["stage1"] == "other"
    first = [stage for stage in said if stage.startswith("first stage, step ")]
    assert first[0].startswith("first stage, step 1 of 1, loss ")
    assert any("tokens a second" in stage for stage in said if stage.startswith("training, step "))
    lessons = model.field.lessons  # type: ignore[attr-defined]
    assert list(lessons.stages) == ["before", "first stage", "training"]
    assert {"key", "value", "other", "decision"} == set(lessons.kinds)
    again = tronie.Model.load(model.save(tmp_path / "m.tronie"))
    assert again.sample(20, seed=0).table.equals(model.sample(20, seed=0).table)
    assert "flights" not in str(again.field.structure())
    lines = {line.name: line for line in describe(again).worth}
    assert "(first stage)" in lines["perplexity of decisions"].value


def test_a_plan_counts_it(schema: Schema, flights: Path) -> None:
    pytest.importorskip("transformers")
    plans = [
        tronie.plan(schema, epsilon=1.0, method="llm", rows=600, language=language)
        for language in (
            tronie.LanguageSettings(stage1="other", other=str(flights), stage1_rows=10**6),
            tronie.LanguageSettings(stage1="uniform", stage1_rows=10**6),
        )
    ]
    assert plans[0].steps == plans[1].steps
    assert plans[0].forecast.seconds != plans[1].forecast.seconds


def test_a_model_may_be_the_other_table(model: tronie.Model, tmp_path: Path) -> None:
    found = other_table(wishes(model.save(tmp_path / "earlier.tronie")))
    assert found is not None
    assert set(found.codings) == set(model.codings)


def test_what_cannot_be_learned_is_refused_before_anything_is_spent(
    table: pa.Table, schema: Schema, flights: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    ledger = tronie.Ledger(tmp_path / "ledger.sqlite")
    private = tmp_path / "private.parquet"
    pq.write_table(table, private)
    even = tmp_path / "even.parquet"
    pq.write_table(pa.table({"a": ["x"] * 9}), even)
    none = tmp_path / "none.parquet"
    pq.write_table(FLIGHTS.slice(0, 0), none)
    marked = tmp_path / "marked.parquet"
    without = tronie.fit(table, schema, dp=False, method="independent")
    without.sample(5).write(marked)
    strict = tmp_path / "strict.yaml"
    columns = {"carrier": {"kind": "category", "values": ["ZZ"]}}
    Schema.model_validate({"name": "flights", "columns": columns}).write(strict)
    for language, what in (
        (wishes(private), "is the private one"),
        (wishes(even), "nothing to learn"),
        (wishes(none), "other table"),
        (wishes(marked), "without differential privacy"),
        (wishes(without.save(tmp_path / "without.tronie")), "without differential privacy"),
        (wishes(tmp_path / "absent.csv"), "absent"),
        (wishes(flights, other_schema=str(strict)), "the other table: "),
    ):
        with pytest.raises(InputError, match=what):
            tronie.fit(private, schema, epsilon=1.0, method="llm", language=language, ledger=ledger)
    assert ledger.entries() == ()
