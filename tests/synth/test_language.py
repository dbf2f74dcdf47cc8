"""A language model that writes rows: plans, both stages, what comes out."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lm_tables import base_folder
from synth_tables import curator_of, schema_of

from tronie.errors import InputError
from tronie.measure.curator import Curator
from tronie.models.field import draw
from tronie.models.lm.grammar import Grammar
from tronie.models.lm.lessons import BEFORE, FIRST, TRAINED
from tronie.models.lm.lm_field import LanguageField
from tronie.models.lm.network import LanguageNetwork
from tronie.models.lm.perplexity import perplexities
from tronie.privacy.accounting import epsilon_of, fits
from tronie.privacy.budget import Budget
from tronie.privacy.events import SampledGaussian
from tronie.schema.grid import Coding, Grid
from tronie.synth.first_stage import even_model, public_model
from tronie.synth.glaze import Glaze
from tronie.synth.language import COLUMNS, MARGINALS, Language
from tronie.synth.language_cost import BASE_RATE, TINY_RATE, descent_of, first_rows
from tronie.synth.language_settings import LanguageSettings
from tronie.synth.language_stages import OF_COLUMNS, OF_MODEL
from tronie.synth.learning import TRAIN
from tronie.synth.prepare import prepare
from tronie.synth.script import Script
from tronie.synth.settings import OtherTable, Settings, Training
from tronie.synth.wording import texts_of

BIT: dict[str, Any] = {"kind": "category", "values": ["no", "yes"], "nullable": False}

PARITY = schema_of({name: dict(BIT) for name in "abc"})
"""The last column is the parity of the others: every two columns are independent."""


class Counted:
    """Public rows that can be counted."""

    def __init__(self, table: pa.Table, schema: Any) -> None:
        self._curator, _ = curator_of(table, schema, Budget(1.0), quiet=True)

    def count(self, cliques: Any, codings: Any) -> Any:
        self._curator.recode(codings)
        self._curator._count(list(cliques))
        return dict(self._curator._counts)


def parity(rows: int) -> pa.Table:
    bits = np.random.default_rng(0).integers(2, size=(rows, 2))
    every = np.concatenate([bits, bits.sum(axis=1, keepdims=True) % 2], axis=1)
    words = np.array(["no", "yes"])
    return pa.table({name: words[column] for name, column in zip("abc", every.T, strict=True)})


NO_WISHES = Training()


def wishes(
    training: Training = NO_WISHES, prior: Any = None, other: Any = None, /, **language: Any
) -> Settings:
    quick = {"stage1_rows": 512, "population": 512, **language}
    return Settings(training=training, prior=prior, language=LanguageSettings(**quick), other=other)


def rows_of_others() -> OtherTable:
    """Rows of a table with other columns, whose second column says what the first one is."""
    facts = {"values": ["AA", "BB", "CC"], "kind": "category", "nullable": False}
    schema = schema_of(
        {"carrier": facts, "owner": {**facts, "values": ["A ltd", "B ltd", "C ltd"]}}
    )
    codings = {name: Coding.identity(Grid.of(c, 3)) for name, c in schema.modelled.items()}
    return OtherTable(schema, codings, np.arange(300)[:, None].repeat(2, 1) % 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base"))


def test_plans_say_what_is_trained_and_what_is_measured() -> None:
    budget = Budget(1.0)
    plan, glaze = Language().plan(PARITY, budget), Glaze().plan(PARITY, budget)
    assert plan.method == "llm"
    assert plan.share("pairs") == pytest.approx(MARGINALS * glaze.share("pairs"))
    assert plan.share(TRAIN) == 1 - MARGINALS
    alone = Language().plan(PARITY, budget, wishes(stage1="uniform"))
    assert [step.name for step in alone.steps] == ["total", "columns", TRAIN]
    assert alone.share(TRAIN) == pytest.approx(1 - COLUMNS)
    assert plan.to_dict()["settings"]["language"]["base"] == "tiny"


@pytest.mark.parametrize("rows", [1000, 50_000])
@pytest.mark.parametrize("stage", ["marginal", "uniform"])
def test_forecasts_count_what_is_learned(rows: int, stage: Any) -> None:
    settings = Settings(rows=rows, language=LanguageSettings(stage1=stage))
    plan = Language().plan(PARITY, Budget(1.0), settings)
    more = Settings(rows=rows, language=LanguageSettings(stage1=stage, stage1_rows=10**6))
    assert Language().plan(PARITY, Budget(1.0), more).forecast.seconds > plan.forecast.seconds
    assert plan.forecast.megabytes > Glaze().plan(PARITY, Budget(1.0)).forecast.megabytes


def test_a_step_of_a_base_is_timed(folder: Path) -> None:
    settings = Settings(rows=1000, language=LanguageSettings(base=str(folder)))
    plan = Language().plan(PARITY, Budget(1.0), settings)
    assert plan.forecast.seconds > Glaze().plan(PARITY, Budget(1.0)).forecast.seconds
    assert first_rows(plan, 1000) == 4096


def test_learning_rates_suit_the_base_unless_one_is_given(folder: Path) -> None:
    budget = Budget(1.0)
    rates = []
    for language, training in (
        ({}, Training()),
        ({"base": str(folder)}, Training()),
        ({}, Training(learning_rate=0.5)),
    ):
        plan = Language().plan(PARITY, budget, wishes(training, **language))
        rates.append(descent_of(plan, PARITY, 1000).learning_rate)
    assert rates == [TINY_RATE, BASE_RATE, 0.5]


def test_what_cannot_be_done_is_refused_before_anything_is_spent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    budget = Budget(1.0)
    with pytest.raises(InputError, match="public rows"):
        Language().plan(PARITY, budget, wishes(stage1="prior"))
    with pytest.raises(InputError, match="were not read"):
        Language().plan(PARITY, budget, wishes(stage1="other", other="flights.csv"))
    with pytest.raises(InputError, match="no language model at"):
        Language().plan(PARITY, budget, wishes(base=str(tmp_path)))
    with pytest.raises(InputError, match="noise multiplier"):
        Language().plan(PARITY, budget, wishes(Training(noise_multiplier=1e-3)))
    for missing in ("torch", "transformers"):
        with monkeypatch.context() as patch:
            patch.setattr(
                importlib.util, "find_spec", lambda name, gone=missing: None if name == gone else 1
            )
            with pytest.raises(InputError, match="llm"):
                Language().plan(PARITY, budget)


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, tronie, tronie.synth.methods, tronie.synth.language, tronie.models.field; "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_no_single_column_shows_is_learned_from_private_rows() -> None:
    """Two equal bits, at epsilon 8 on 2,000 rows: 9 of 10 rows have them so, by chance half."""
    budget = Budget(8.0, 1e-5)
    bits = np.random.default_rng(0).choice(["no", "yes"], size=(2, 2000), p=[0.4, 0.6])
    table = pa.table({"a": bits[0], "b": bits[0], "c": bits[1]})
    curator, meter = curator_of(table, PARITY, budget)
    settings = wishes(Training(epochs=5), stage1="uniform")
    fitted = Language().fit(curator, PARITY, Language().plan(PARITY, budget, settings))
    assert fits(meter.events, budget)
    assert epsilon_of(meter.events, budget.delta) > 0.99 * budget.epsilon
    assert isinstance(fitted.model, LanguageField)
    rows = fitted.model.sample(2000, np.random.default_rng(0))
    assert (rows["a"] == rows["b"]).mean() > 0.9
    given = fitted.model.sample(1000, np.random.default_rng(0), {"b": np.array([0.0, 1.0])})
    assert (given["b"] == 1).all()
    assert given["a"].mean() > 0.9


@pytest.mark.parametrize("stage", ["marginal", "uniform", "prior", "other"])
@pytest.mark.parametrize("loss", ["constrained", "weighted"])
def test_changes_of_a_base_are_trained_in_every_way(stage: Any, loss: Any, folder: Path) -> None:
    """Single columns come out as released, whatever the stage: within 0.05 by 1,000 rows."""
    budget = Budget(4.0, 1e-5)
    a = np.random.default_rng(0).choice(["no", "yes"], 600, p=[0.2, 0.8])
    table = pa.table({"a": a, "b": a, "c": ["no"] * 600})
    curator, meter = curator_of(table, PARITY, budget)
    settings = wishes(
        Training(epochs=1 / 12),
        Counted(table, PARITY) if stage == "prior" else None,
        rows_of_others() if stage == "other" else None,
        other="flights.csv" if stage == "other" else None,
        base=str(folder),
        stage1=stage,
        stage1_rows=64,
        loss=loss,
        lora_rank=2,
    )
    fitted = Language().fit(curator, PARITY, Language().plan(PARITY, budget, settings))
    assert any(isinstance(event, SampledGaussian) for event in meter.events)
    assert isinstance(fitted.model, LanguageField)
    assert fitted.model.base["rank"] == 2
    lessons = fitted.model.lessons
    assert lessons is not None
    assert list(lessons.stages) == [BEFORE, FIRST, TRAINED]
    assert lessons.origin == (OF_MODEL if stage == "marginal" else OF_COLUMNS)
    assert {"carrier", "AA"}.isdisjoint(str(fitted.model.grammar.structure()).split("'"))
    assert all(".down." in name or ".up." in name for name in fitted.model.weights)
    rows = fitted.model.sample(1000, np.random.default_rng(0))
    for name in "abc":
        shares = fitted.model.tree.marginal([name]).normalise().values
        assert rows[name].mean() == pytest.approx(shares[-1] if len(shares) > 1 else 0, abs=0.05)


def test_another_table_is_learned_before_the_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are foretold nearly as well as can be after the first stage; then its words are gone."""
    seen: dict[str, float] = {}
    other = rows_of_others()
    forget = LanguageNetwork.forget

    def watched(network: LanguageNetwork) -> None:
        words = texts_of(other.schema, other.codings)
        grammar = Grammar.of(list(words), words, base[0].encode, "compact", start=base[0].start)
        own = network.grammar
        network.read(grammar)
        seen.update(perplexities(network, other.codes))
        network.read(own)
        forget(network)
        assert network.head_now()[1].tolist() == own.tokens.tolist()

    base: list[Any] = []
    of = Script.of.__func__  # type: ignore[attr-defined]

    def kept(cls: Any, *args: Any) -> Script:
        script = of(cls, *args)
        base.append(script.base)
        return script

    monkeypatch.setattr(Script, "of", classmethod(kept))
    monkeypatch.setattr(LanguageNetwork, "forget", watched)
    curator, meter = curator_of(parity(300), PARITY, Budget(1.0))
    language = {"stage1": "other", "other": "flights.csv", "stage1_rows": 256 * 60}
    settings = wishes(Training(epochs=1 / 12), None, other, **language)
    fitted = Language().fit(curator, PARITY, Language().plan(PARITY, Budget(1.0), settings))
    # Two decisions a row: one of three, and one that follows: the root of 3 is the least there is.
    assert math.sqrt(3) <= seen["decision"] < 1.05 * math.sqrt(3)
    assert fits(meter.events, Budget(1.0))
    assert len(draw(fitted.model, 10, np.random.default_rng(0))["a"]) == 10


def test_a_whole_base_can_be_trained_and_is_not_needed_afterwards(folder: Path) -> None:
    budget = Budget(8.0)
    bits = np.random.default_rng(0).choice(["no", "yes"], size=(3, 300), p=[0.3, 0.7])
    table = pa.table(dict(zip("abc", bits, strict=True)))
    curator, _ = curator_of(table, PARITY, budget)
    settings = wishes(Training(epochs=1 / 24), base=str(folder), lora_rank=0, stage1_rows=32)
    fitted = Language().fit(curator, PARITY, Language().plan(PARITY, budget, settings))
    assert isinstance(fitted.model, LanguageField)
    assert fitted.model.base["path"] == ""
    assert len(fitted.model.sample(5, np.random.default_rng(0))["a"]) == 5


def test_a_single_column_and_columns_of_one_code_need_no_private_training() -> None:
    for columns in ({"a": BIT}, {"a": {"kind": "category", "values": ["x"], "nullable": False}}):
        schema = schema_of(columns)
        budget = Budget(1.0)
        values = columns["a"]["values"]
        curator, meter = curator_of(pa.table({"a": values * 50}), schema, budget)
        plan = Language().plan(schema, budget, wishes(population=None))
        fitted = Language().fit(curator, schema, plan)
        assert not any(isinstance(event, SampledGaussian) for event in meter.events)
        assert len(draw(fitted.model, 10, np.random.default_rng(0))["a"]) == 10


def test_equal_answers_give_equal_models() -> None:
    budget = Budget(1.0)
    found = []
    for _ in range(2):
        curator, _ = curator_of(parity(300), PARITY, budget)
        settings = wishes(Training(epochs=1 / 8))
        fitted = Language().fit(curator, PARITY, Language().plan(PARITY, budget, settings))
        found.append(fitted.model.to_arrays())
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def prepared_of(table: pa.Table, schema: Any) -> Any:
    curator: Curator
    curator, _ = curator_of(table, schema, Budget(1.0), quiet=True)
    return prepare(curator, schema, Glaze().plan(schema, Budget(1.0)))


def test_public_rows_are_learned_with_their_strong_pairs() -> None:
    rng = np.random.default_rng(0)
    a = rng.choice(["no", "yes"], 4000)
    table = pa.table({"a": a, "b": a, "c": rng.choice(["no", "yes"], 4000, p=[0.9, 0.1])})
    prepared = prepared_of(table, PARITY)
    model = public_model(prepared, Counted(table, PARITY))
    pair = model.marginal(["a", "b"]).normalise().values
    assert pair[0, 1] + pair[1, 0] < 0.02
    assert model.marginal(["c"]).normalise().values[1] == pytest.approx(0.1, abs=0.02)


def test_even_rows_obey_rules() -> None:
    rule = {"kind": "impossible", "when": {"a": ["yes"], "b": ["yes"]}}
    schema = schema_of({name: dict(BIT) for name in "abc"}, constraints=[rule])
    table = pa.table({"a": ["no", "yes"] * 200, "b": ["no"] * 400, "c": ["yes"] * 400})
    model = even_model(prepared_of(table, schema))
    pair = model.marginal(["a", "b"]).normalise().values
    assert pair[1, 1] == 0
    np.testing.assert_allclose(pair[~np.eye(2, dtype=bool)], 1 / 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"stage1": "else"},
        {"stage1": "other"},
        {"other": "public.csv"},
        {"other_schema": "public.yaml"},
        {"serial": "other"},
        {"loss": "other"},
        {"base": ""},
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"stage1_epochs": 0.0},
        {"lora_rank": -1},
        {"stage1_rows": 0},
        {"population": 0},
    ],
)
def test_wishes_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        LanguageSettings(**wrong)


def test_what_is_not_asked_for_follows_from_the_base() -> None:
    assert (LanguageSettings().style, LanguageSettings(base="x").style) == ("compact", "sentence")
    assert (LanguageSettings().rank, LanguageSettings(base="x").rank) == (0, 8)
    assert LanguageSettings(base="x", lora_rank=0, serial="compact").style == "compact"
    assert LanguageSettings().tiny
    assert LanguageSettings().to_dict()["loss"] == "constrained"
