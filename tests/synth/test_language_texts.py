"""Free text by the method of language models: what is planned, learned, and left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lm_tables import base_folder
from neighbours import Watched
from synth_tables import curator_of, schema_of

from tronie.errors import InputError, SchemaMismatch
from tronie.measure.curator import Meter
from tronie.measure.exact import ExactCurator, Unmetered
from tronie.measure.noise import InsecureNoise
from tronie.measure.records import Records
from tronie.models.lm.lm_field import LanguageField
from tronie.privacy.budget import Budget, NoPrivacy
from tronie.privacy.events import SampledGaussian
from tronie.schema.grid import Coding, Grid
from tronie.synth.language import BESIDE_TEXTS, Language
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.learning import TRAIN
from tronie.synth.methods import best_for
from tronie.synth.settings import Settings, Training
from tronie.tables.sources import open_source

SCHEMA = schema_of(
    {
        "mood": {"kind": "category", "values": ["bad", "good"], "nullable": False},
        "notes": {"kind": "text", "max_length": 12},
        "wing": {"kind": "category", "values": ["e", "w"], "nullable": False},
    }
)
BUDGET = Budget(4.0, 1e-5)
NO_WISHES = Training()


def table(rows: int = 200) -> pa.Table:
    """The text follows from the mood, and one in five is missing."""
    rng = np.random.default_rng(0)
    good = rng.random(rows) < 0.5
    notes = np.where(good, "ok", "cold")
    return pa.table(
        {
            "mood": np.where(good, "good", "bad"),
            "notes": pa.array(notes, mask=rng.random(rows) < 0.2),
            "wing": rng.choice(["e", "w"], rows),
        }
    )


def wishes(training: Training = NO_WISHES, prior: Any = None, **language: Any) -> Settings:
    quick = {"stage1_rows": 128, "population": 64, **language}
    return Settings(training=training, prior=prior, language=LanguageSettings(**quick))


def fitted(settings: Settings, rows: pa.Table | None = None, *, exact: bool = False) -> Any:
    source = open_source(table() if rows is None else rows)
    if exact:
        curator: Any = ExactCurator(Records(source, SCHEMA), Unmetered(), noise=InsecureNoise(0))
        budget: Budget = NoPrivacy()
    else:
        curator, _ = curator_of(rows if rows is not None else table(), SCHEMA, BUDGET)
        budget = BUDGET
    plan = Language().plan(SCHEMA, budget, settings)
    model = Language().fit(curator, SCHEMA, plan).model
    assert isinstance(model, LanguageField)
    return model, curator


def test_half_of_the_budget_is_for_training_where_there_are_texts() -> None:
    plan = Language().plan(SCHEMA, BUDGET)
    assert plan.share(TRAIN) == 1 - BESIDE_TEXTS
    one = schema_of({name: SCHEMA.columns[name].model_dump() for name in ("mood", "notes")})
    for stage in ("marginal", "uniform"):
        settings = Settings(language=LanguageSettings(stage1=stage))
        assert Language().plan(one, BUDGET, settings).share(TRAIN) > 0
    assert "'notes', which the method llm writes" in best_for(SCHEMA)[1]
    assert "llm" not in best_for(schema_of({"mood": SCHEMA.columns["mood"].model_dump()}))[1]


def test_forecasts_count_tokens_of_texts(tmp_path: Path) -> None:
    long = schema_of(
        {**SCHEMA.model_dump()["columns"], "notes": {"kind": "text", "max_length": 90}}
    )
    for base in ("tiny", str(base_folder(tmp_path))):
        settings = Settings(rows=2000, language=LanguageSettings(base=base))
        short, longer = (Language().plan(one, BUDGET, settings).forecast for one in (SCHEMA, long))
        if base == "tiny":  # the seconds of a base are measured
            assert longer.seconds > short.seconds
        else:
            assert longer.megabytes > short.megabytes


def test_a_text_that_is_repeated_is_learned_without_privacy() -> None:
    """Rows follow from their moods, so this shows that training reads texts, and each with its row."""
    training = Training(epochs=30, batch_size=32, rows=200, learning_rate=1e-2)
    field, _ = fitted(wishes(training), exact=True)
    codes = field.sample(200, np.random.default_rng(0))
    texts = field.write(codes, np.random.default_rng(1))["notes"]
    good = [text for text, mood in zip(texts, codes["mood"], strict=True) if mood == 1]
    bad = [text for text, mood in zip(texts, codes["mood"], strict=True) if mood == 0]
    assert good.count("ok") > 0.6 * len(good)
    assert bad.count("cold") > 0.6 * len(bad)
    assert 0.05 < (good + bad).count(None) / 200 < 0.4


def test_a_planted_secret_is_not_replayed_by_a_private_model() -> None:
    """At epsilon 1, a text of one row of 200: no text that is drawn holds four of its letters in order."""
    secret = "pin 74093185"
    rows = table()
    notes = rows["notes"].to_pylist()
    rows = rows.set_column(1, "notes", pa.array([secret, *notes[1:]]))
    curator, meter = curator_of(rows, SCHEMA, Budget(1.0, 1e-5))
    plan = Language().plan(SCHEMA, Budget(1.0, 1e-5), wishes(Training(epochs=0.25)))
    field = Language().fit(curator, SCHEMA, plan).model
    (event,) = [event for event in meter.events if isinstance(event, SampledGaussian)]
    assert {*event.columns} == {"mood", "wing", "notes"}
    assert event.columns[-1] == "notes"
    assert isinstance(field, LanguageField)
    rng = np.random.default_rng(0)
    texts = field.write(field.sample(300, rng), rng)["notes"]
    pieces = [secret[start : start + 4] for start in range(len(secret) - 3)]
    assert not any(piece in (text or "") for text in texts for piece in pieces)


def test_public_rows_are_learned_with_their_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """150 steps on public rows and none that counts on private ones: texts come from the first."""
    public = pa.table({"mood": ["good"] * 40, "notes": ["aaa"] * 40, "wing": ["e"] * 40})
    prior = Records(open_source(public), SCHEMA)
    monkeypatch.setattr("tronie.synth.language_stages.PUBLIC_BATCH", 16)
    quick = {"stage1": "prior", "stage1_rows": 2400}
    settings = wishes(Training(epochs=1 / 24, learning_rate=1e-6), prior, **quick)
    field, _ = fitted(settings)
    codes = {"mood": np.ones(50, np.uint8), "wing": np.zeros(50, np.uint8)}
    texts = field.write(codes, np.random.default_rng(0))["notes"]
    assert texts.count("aaa") > 25


@pytest.mark.parametrize("without", ["a column", "rows"])
def test_public_rows_without_texts_are_modelled(without: str) -> None:
    public = table()[:0] if without == "rows" else table().drop_columns(["notes"])
    columns = {k: v for k, v in SCHEMA.columns.items() if k in public.column_names}
    prior = Records(open_source(public), SCHEMA.model_copy(update={"columns": columns}))
    assert prior.texts == (("notes",) if without == "rows" else ())
    field, _ = fitted(wishes(Training(epochs=1 / 24), prior, stage1="prior"))
    assert field.prose is not None


def test_changes_of_a_base_write_texts(tmp_path: Path) -> None:
    training = Training(epochs=1 / 12)
    more = {"base": str(base_folder(tmp_path)), "lora_rank": 2, "stage1_rows": 16}
    field, _ = fitted(wishes(training, **more))
    texts = field.write(field.sample(20, np.random.default_rng(0)), np.random.default_rng(0))
    assert {type(text) for text in texts["notes"]} <= {str, type(None)}


def test_a_base_whose_letters_are_too_many_needs_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tronie.models.lm.prose.MOST_TRAINED", 10)
    settings = wishes(base=str(base_folder(tmp_path)), lora_rank=0)
    with pytest.raises(InputError, match="LoRA"):
        Language().plan(SCHEMA, BUDGET, settings)


# --- reading ------------------------------------------------------------------------------------


class Lengths:
    """Tells of each text how long it is, and its first letter; and how often it was asked."""

    columns = ("notes",)
    sizes = ((50, 300, 300),)

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def encode(self, column: str, text: str | None) -> list[int]:
        self.seen.append(text)
        return [] if text is None else [len(text), *(ord(letter) for letter in text)]


CODINGS = {name: Coding.identity(Grid.of(SCHEMA.modelled[name], 2)) for name in ("mood", "wing")}


def test_rows_and_their_texts_are_read_in_one_pass() -> None:
    source = Watched(open_source(table()))
    records, coder = Records(source, SCHEMA), Lengths()
    plain = records.codes(["wing", "mood"], CODINGS)
    passes = source.passes
    found = records.codes(["wing", "mood"], CODINGS, coder)
    assert source.passes == passes + 1
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[:, :2], plain)
    words = table()["notes"].to_pylist()
    assert coder.seen == words
    expected = [[len(w), ord(w[0]), ord(w[1])] if w else [0, 0, 0] for w in words]
    assert found[:, 2:].tolist() == expected
    assert Records(open_source(table()[:0]), SCHEMA).codes(["mood"], CODINGS, coder).shape == (0, 4)


def test_a_table_whose_text_is_no_text_is_refused_before_anything_is_charged(
    tmp_path: Path,
) -> None:
    import tronie

    numbers = table().set_column(1, "notes", pa.array(range(200)))
    ledger = tmp_path / "ledger.sqlite"
    with pytest.raises(SchemaMismatch, match="'notes' is of kind text, but of type int64"):
        tronie.fit(numbers, SCHEMA, epsilon=1.0, method="llm", ledger=ledger)
    assert not ledger.exists() or not tronie.Ledger(ledger).totals()


def test_a_charge_names_columns_of_text() -> None:
    meter = Meter(BUDGET)
    assert meter.events == ()
    field, curator = fitted(wishes(Training(epochs=1 / 24)))
    event = curator._meter.events[-1]
    assert isinstance(event, SampledGaussian)
    assert event.columns == (*field.order, "notes")
